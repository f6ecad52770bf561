package listen

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The flags of a TCP header are in byte 13 (RFC 9293, section 3.1).
const (
	tcpFlags = 13
	tcpSYN   = 0x02
	tcpACK   = 0x10
)

// maxTTL is the largest time to live (RFC 791) and hop limit (RFC 8200) there is.
const maxTTL = 255

// RefuseNew makes the kernel ignore connections that begin from now on, while those
// whose handshake is complete or under way still reach the queue. So a server that
// stops can accept all that were promised to be served, and then close the socket
// without resetting any. Whoever tries to connect meanwhile tries again a second later
// (RFC 6298), and is refused or reaches another server on the same port.
//
// Every connection accepted from then on must be given to [Admit]. All processes that
// hold the socket are affected, for good. It does nothing for unix sockets, and nothing
// on other systems than Linux.
func RefuseNew(f *os.File) error {
	domain := domainOf(f)
	if domain == unix.AF_UNIX {
		return nil
	}
	err := dropSYNs(f)
	if errors.Is(err, unix.EPERM) {
		err = requireTTL(int(f.Fd()), domain, maxTTL)
	}
	if err != nil {
		return fmt.Errorf("refuse new connections on %s: %w", f.Name(), err)
	}
	return nil
}

// Admit frees a connection of what [RefuseNew] left on it: one whose handshake ended
// afterwards may not receive anything before.
func Admit(c syscall.Conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return fmt.Errorf("admit a connection: %w", err)
	}
	cerr := raw.Control(func(fd uintptr) {
		if domain, e := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN); e == nil && domain != unix.AF_UNIX {
			err = requireTTL(int(fd), domain, 0)
		}
	})
	if err = errors.Join(cerr, err); err != nil {
		return fmt.Errorf("admit a connection: %w", err)
	}
	return nil
}

// dropSYNs attaches a filter that drops segments with SYN and without ACK. Connections
// inherit it, to which it does nothing. Recent kernels want CAP_NET_ADMIN for it.
func dropSYNs(f *os.File) error {
	filter := []unix.SockFilter{
		// The filter of a TCP socket sees the segment from the TCP header on.
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: tcpFlags},
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: tcpSYN | tcpACK},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: tcpSYN, Jt: 0, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: unsafe.SliceData(filter)}
	err := unix.SetsockoptSockFprog(int(f.Fd()), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &prog)
	return os.NewSyscallError("setsockopt", err)
}

// requireTTL makes the kernel ignore packets that have less time to live left. For a
// listener these are the SYNs, since what ends a handshake is checked against the
// connection. It needs no privilege, but lets through what was sent with the largest
// value by a host on the same network, which few systems do, and connections inherit
// it.
func requireTTL(fd, domain, ttl int) error {
	err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MINTTL, ttl)
	if err == nil && domain == unix.AF_INET6 {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MINHOPCOUNT, ttl)
	}
	return os.NewSyscallError("setsockopt", err)
}

// domainOf returns AF_INET, AF_INET6 or AF_UNIX.
func domainOf(f *os.File) int {
	domain, err := unix.GetsockoptInt(int(f.Fd()), unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return unix.AF_UNIX
	}
	return domain
}
