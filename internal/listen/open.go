package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Options are the settings for new sockets.
type Options struct {
	Backlog  int // of listen(2)
	Umask    int // a unix socket gets mode 0777 less this
	UID, GID int // who a unix socket is given to; −1: leave it
}

// Open listens at an address. The error wraps the syscall.Errno: EADDRINUSE also for a
// unix socket on which somebody listens.
func Open(a Address, o Options) (*Listener, error) {
	var l *Listener
	var err error
	switch a.Network {
	case TCP:
		l, err = openTCP(a, o)
	case Unix:
		l, err = openUnix(a, o)
	case FD:
		l, err = openFD(a, o)
	default:
		err = fmt.Errorf("unknown network %q", a.Network)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", a.bind(), err)
	}
	l.Asked = a
	return l, nil
}

func openTCP(a Address, o Options) (*Listener, error) {
	ip, err := resolve(a.Host)
	if err != nil {
		return nil, err
	}
	sa, domain, err := sockaddr(ip, a.Port)
	if err != nil {
		return nil, err
	}
	fd, err := socket(domain)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Bind(fd, sa); err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(fd, o.Backlog); err != nil {
		return nil, os.NewSyscallError("listen", err)
	}
	return adopt(fd)
}

// openFD takes a descriptor that this process was started with. The original stays
// open, since a later configuration may name it again, but is kept from children.
func openFD(a Address, o Options) (*Listener, error) {
	l, err := adopt(a.FD)
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(a.FD)
	// Who made it listen has set its backlog, and may not want that done again, as
	// SELinux does not.
	if listens, err := unix.GetsockoptInt(a.FD, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err == nil && listens != 0 {
		return l, nil
	}
	if err := l.Listen(o.Backlog); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

const lookupTimeout = 5 * time.Second

// resolve returns the IP address of a host: of several the first IPv4 one, as Gunicorn
// does, which binds a name to one address.
func resolve(host string) (netip.Addr, error) {
	if host == "" {
		return netip.IPv4Unspecified(), nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	var first error
	for _, network := range []string{"ip4", "ip6"} {
		ips, err := net.DefaultResolver.LookupNetIP(ctx, network, host)
		if err == nil && len(ips) > 0 {
			return ips[0].Unmap(), nil
		}
		if first == nil {
			first = err
		}
	}
	return netip.Addr{}, first
}

func sockaddr(ip netip.Addr, port int) (unix.Sockaddr, int, error) {
	if ip.Is4() {
		return &unix.SockaddrInet4{Port: port, Addr: ip.As4()}, unix.AF_INET, nil
	}
	sa := &unix.SockaddrInet6{Port: port, Addr: ip.As16()}
	if zone := ip.Zone(); zone != "" {
		if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
			sa.ZoneId = uint32(n)
		} else if ifi, err := net.InterfaceByName(zone); err == nil {
			sa.ZoneId = uint32(ifi.Index)
		} else {
			return nil, 0, fmt.Errorf("zone %s: %w", zone, err)
		}
	}
	return sa, unix.AF_INET6, nil
}

var errFamily = errors.New("neither an IP nor a unix socket")

// local returns the address that a socket is bound to.
func local(fd int) (Address, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return Address{}, os.NewSyscallError("getsockname", err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return Address{Network: TCP, Host: netip.AddrFrom4(sa.Addr).String(), Port: sa.Port}, nil
	case *unix.SockaddrInet6:
		ip := netip.AddrFrom16(sa.Addr)
		if sa.ZoneId != 0 {
			ip = ip.WithZone(strconv.Itoa(int(sa.ZoneId)))
			if ifi, err := net.InterfaceByIndex(int(sa.ZoneId)); err == nil {
				ip = ip.WithZone(ifi.Name)
			}
		}
		return Address{Network: TCP, Host: ip.String(), Port: sa.Port}, nil
	case *unix.SockaddrUnix:
		return Address{Network: Unix, Path: sa.Name}, nil
	}
	return Address{}, errFamily
}
