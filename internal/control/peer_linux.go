package control

import (
	"os"

	"golang.org/x/sys/unix"
)

// credentials returns who connected to a socket (unix(7), SO_PEERCRED).
func credentials(fd int) (Peer, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Peer{}, os.NewSyscallError("getsockopt", err)
	}
	return Peer{int(cred.Pid), int(cred.Uid), int(cred.Gid)}, nil
}
