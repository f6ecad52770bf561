package control

import (
	"os"

	"golang.org/x/sys/unix"
)

// credentials returns who connected to a socket (unix(4) of macOS, LOCAL_PEERCRED and
// LOCAL_PEERPID).
func credentials(fd int) (Peer, error) {
	cred, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return Peer{}, os.NewSyscallError("getsockopt", err)
	}
	pid, err := unix.GetsockoptInt(fd, unix.SOL_LOCAL, unix.LOCAL_PEERPID)
	if err != nil {
		return Peer{}, os.NewSyscallError("getsockopt", err)
	}
	peer := Peer{Pid: pid, UID: int(cred.Uid), GID: -1}
	if cred.Ngroups > 0 {
		peer.GID = int(cred.Groups[0])
	}
	return peer, nil
}
