package wire

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// payloadSeals are those that a payload in a file must have: neither its size nor its
// content can change any more, so that who maps it gets no SIGBUS, and what was checked is
// what is read.
const payloadSeals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

// CheckPayload reports what is wrong with a file, of a process that may be hostile, as the
// payload of a message that says that it has size bytes. Nothing is read. The error is a
// [*BreachError].
func CheckPayload(f *os.File, size int64) error {
	seals, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0)
	if err != nil {
		return breach("a payload in a file that is no memory file")
	}
	if seals&payloadSeals != payloadSeals {
		return breach("a payload in a file that can still change")
	}
	if info, err := f.Stat(); err != nil || info.Size() != size {
		return breach("a payload in a file that has not the %d bytes that it is to have", size)
	}
	return nil
}

// ReadPayload reads a payload that [CheckPayload] has accepted.
func ReadPayload(f *os.File, size int64) ([]byte, error) {
	data := make([]byte, size)
	if _, err := f.ReadAt(data, 0); err != nil {
		return nil, fmt.Errorf("read a payload: %w", err)
	}
	return data, nil
}
