package front

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/listen"
)

// acceptNow accepts a connection without waiting.
func acceptNow(fd int) (int, error) {
	nfd, _, err := unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	return nfd, err
}

// connOptions are what package net sets on each connection that it accepts.
var connOptions = [...]struct{ level, option, value int }{
	{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
	{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
	{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15},
	{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15},
	{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9},
}

// openAcceptor returns what accepts connections on a socket, which stays the caller's. For TCP
// that is not package net, which makes eight system calls for each connection where three do.
func openAcceptor(f *os.File, network string) (acceptor, error) {
	if network == listen.TCP {
		if l, err := openTCP(f); err == nil {
			return l, nil
		}
	}
	return openNet(f)
}

// A tcpListener accepts connections as a [net.TCPListener] does. On Linux a connection has the
// options of its listener from the start, which saves setting each.
type tcpListener struct {
	*os.File
	raw      syscall.RawConn
	acceptFn func(fd uintptr) bool
	inherits bool // a connection has come that had the options; so will all behind it

	// Of acceptFn.
	nfd  int
	from syscall.Sockaddr
	err  error
}

func openTCP(f *os.File) (*tcpListener, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	if err = prepareTCP(fd); err != nil {
		unix.Close(fd)
		return nil, err
	}
	l := &tcpListener{File: os.NewFile(uintptr(fd), f.Name())}
	l.acceptFn = l.acceptOne
	if l.raw, err = l.SyscallConn(); err == nil {
		err = l.SetDeadline(time.Time{}) // fails where there is no poller for it
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

var errNotTCP = errors.New("not a socket of TCP")

// prepareTCP gives a listener the options that its connections are to have.
func prepareTCP(fd int) error {
	protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	if protocol != unix.IPPROTO_TCP { // of MPTCP, say, which inherits otherwise
		return errNotTCP
	}
	for _, o := range connOptions {
		if err := unix.SetsockoptInt(fd, o.level, o.option, o.value); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return os.NewSyscallError("fcntl", unix.SetNonblock(fd, true))
}

// Accept waits for a connection and accepts it.
func (l *tcpListener) Accept() (net.Conn, error) {
	if err := l.raw.Read(l.acceptFn); err != nil {
		return nil, err
	}
	if l.err != nil {
		return nil, os.NewSyscallError("accept4", l.err)
	}
	if !l.inherits {
		// It may have waited since before the listener had the options.
		l.inherits = setMissingOptions(l.nfd)
	}
	s := &tcpSocket{File: os.NewFile(uintptr(l.nfd), "connection"), from: addrPortOf(l.from)}
	if err := s.SetDeadline(time.Time{}); err != nil { // fails where there is no poller for it
		s.Close()
		return nil, err
	}
	return s, nil
}

func (l *tcpListener) acceptOne(fd uintptr) bool {
	for {
		// Not that of package unix, which asks for the protocol of each socket.
		l.nfd, l.from, l.err = syscall.Accept4(int(fd), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if !errors.Is(l.err, unix.EINTR) && !errors.Is(l.err, unix.ECONNABORTED) {
			return !errors.Is(l.err, unix.EAGAIN)
		}
	}
}

// setMissingOptions sets those of connOptions that a connection does not have, and reports
// whether it had them all. As in package net, one that cannot be set does no harm.
func setMissingOptions(fd int) (had bool) {
	had = true
	for _, o := range connOptions {
		if v, err := unix.GetsockoptInt(fd, o.level, o.option); err != nil || v != o.value {
			had = false
			_ = unix.SetsockoptInt(fd, o.level, o.option, o.value)
		}
	}
	return had
}

func addrPortOf(a syscall.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *syscall.SockaddrInet6:
		addr := netip.AddrFrom16(a.Addr)
		if a.ZoneId != 0 {
			zone := strconv.FormatUint(uint64(a.ZoneId), 10)
			if i, err := net.InterfaceByIndex(int(a.ZoneId)); err == nil {
				zone = i.Name
			}
			addr = addr.WithZone(zone)
		}
		return netip.AddrPortFrom(addr, uint16(a.Port))
	}
	return netip.AddrPort{}
}

// A tcpSocket is the connection of a client as a file, which has a poller and deadlines as one of
// package net has. It implements [net.Conn].
type tcpSocket struct {
	*os.File
	from netip.AddrPort
}

// Read implements [net.Conn].
func (s *tcpSocket) Read(p []byte) (int, error) {
	n, err := s.File.Read(p)
	return n, s.errorOf("read", err)
}

// Write implements [net.Conn].
func (s *tcpSocket) Write(p []byte) (int, error) {
	n, err := s.File.Write(p)
	return n, s.errorOf("write", err)
}

// errorOf returns an error of the file as one of package net: to crypto/tls only that of a
// time-out is one after which the connection can be read on.
func (s *tcpSocket) errorOf(op string, err error) error {
	var of *os.PathError
	if errors.As(err, &of) {
		return &net.OpError{Op: op, Net: "tcp", Addr: s.RemoteAddr(), Err: of.Err}
	}
	return err
}

// RemoteAddr implements [net.Conn].
func (s *tcpSocket) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(s.from) }

// LocalAddr implements [net.Conn].
func (s *tcpSocket) LocalAddr() net.Addr {
	var a syscall.Sockaddr
	_ = s.control(func(fd int) (err error) {
		a, err = syscall.Getsockname(fd)
		return err
	})
	return net.TCPAddrFromAddrPort(addrPortOf(a))
}

// CloseWrite is that of [net.TCPConn].
func (s *tcpSocket) CloseWrite() error {
	return s.control(func(fd int) error { return os.NewSyscallError("shutdown", unix.Shutdown(fd, unix.SHUT_WR)) })
}

// SetLinger is that of [net.TCPConn] for a time that is not negative.
func (s *tcpSocket) SetLinger(sec int) error {
	l := unix.Linger{Onoff: 1, Linger: int32(sec)}
	return s.control(func(fd int) error {
		return os.NewSyscallError("setsockopt", unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &l))
	})
}

func (s *tcpSocket) control(f func(fd int) error) error {
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	cerr := raw.Control(func(fd uintptr) { err = f(int(fd)) })
	return errors.Join(cerr, err)
}
