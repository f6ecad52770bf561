package control

import (
	"errors"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// peerOf asks the kernel who connected (unix(7), SO_PEERCRED).
func peerOf(conn net.Conn) (Peer, error) {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return Peer{}, errors.New("Not a unix socket")
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	var cred *unix.Ucred
	if cerr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); cerr != nil {
		return Peer{}, cerr
	}
	if err != nil {
		return Peer{}, os.NewSyscallError("getsockopt", err)
	}
	return Peer{int(cred.Pid), int(cred.Uid), int(cred.Gid)}, nil
}
