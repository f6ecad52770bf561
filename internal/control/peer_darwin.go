package control

import (
	"errors"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// peerOf asks the kernel who connected (unix(4) of macOS, LOCAL_PEERCRED and LOCAL_PEERPID).
func peerOf(conn net.Conn) (Peer, error) {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return Peer{}, errors.New("Not a unix socket")
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	var cred *unix.Xucred
	var pid int
	if cerr := raw.Control(func(fd uintptr) {
		if cred, err = unix.GetsockoptXucred(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERCRED); err == nil {
			pid, err = unix.GetsockoptInt(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERPID)
		}
	}); cerr != nil {
		return Peer{}, cerr
	}
	if err != nil {
		return Peer{}, os.NewSyscallError("getsockopt", err)
	}
	peer := Peer{Pid: pid, UID: int(cred.Uid), GID: -1}
	if cred.Ngroups > 0 {
		peer.GID = int(cred.Groups[0])
	}
	return peer, nil
}
