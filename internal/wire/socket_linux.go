package wire

import "golang.org/x/sys/unix"

const recvFlags = unix.MSG_CMSG_CLOEXEC

func socketpair() ([2]int, error) {
	return unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
}

func setCloexec(int) {} // recvFlags did it
