package appmetrics

import (
	"os"

	"golang.org/x/sys/unix"
)

// isUnused reports whether no other process has the file open, or mapped: only then there can be
// a lease for writing (fcntl(2), F_SETLEASE). Without the right to have one it reports false.
func isUnused(f *os.File) bool {
	if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		return false
	}
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	return err == nil
}
