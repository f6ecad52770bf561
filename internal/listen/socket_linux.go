package listen

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

func socket(domain int) (int, error) {
	return unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
}

// replace makes to a close-on-exec duplicate of from.
func replace(from, to int) error { return unix.Dup3(from, to, unix.O_CLOEXEC) }

// The flags of a TCP header are in byte 13 (RFC 9293, section 3.1).
const (
	tcpFlags = 13
	tcpSYN   = 0x02
	tcpACK   = 0x10
)

// RefuseNew makes the kernel ignore connections that begin from now on, while those
// whose handshake is complete or under way still reach the queue. So a server that
// stops can accept all that were promised to be served, and then close the socket
// without resetting any. Whoever tries to connect meanwhile tries again a second later
// (RFC 6298), and is refused or reaches another server on the same port.
//
// It works by a filter that drops segments with SYN and without ACK. All processes that
// hold the socket are affected, until [AcceptNew]. It does nothing for unix sockets, and
// nothing on other systems than Linux.
func RefuseNew(f *os.File) error {
	if !isTCP(f) {
		return nil
	}
	filter := []unix.SockFilter{
		// The filter of a TCP socket sees the segment from the TCP header on.
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: tcpFlags},
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: tcpSYN | tcpACK},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: tcpSYN, Jt: 0, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: unsafe.SliceData(filter)}
	if err := unix.SetsockoptSockFprog(int(f.Fd()), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog); err != nil {
		return fmt.Errorf("refuse new connections on %s: %w", f.Name(), os.NewSyscallError("setsockopt", err))
	}
	return nil
}

// AcceptNew takes back [RefuseNew].
func AcceptNew(f *os.File) error {
	if !isTCP(f) {
		return nil
	}
	err := unix.SetsockoptInt(int(f.Fd()), unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
	if err != nil && err != unix.ENOENT {
		return fmt.Errorf("accept new connections on %s: %w", f.Name(), os.NewSyscallError("setsockopt", err))
	}
	return nil
}

func isTCP(f *os.File) bool {
	domain, err := unix.GetsockoptInt(int(f.Fd()), unix.SOL_SOCKET, unix.SO_DOMAIN)
	return err == nil && (domain == unix.AF_INET || domain == unix.AF_INET6)
}
