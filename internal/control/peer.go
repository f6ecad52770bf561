package control

import (
	"errors"
	"net"
)

// peerOf asks the kernel who is at the other end of a connection.
func peerOf(conn net.Conn) (peer Peer, err error) {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return Peer{}, errors.New("Not a unix socket")
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	if controlErr := raw.Control(func(fd uintptr) { peer, err = credentials(int(fd)) }); controlErr != nil {
		return Peer{}, controlErr
	}
	return peer, err
}
