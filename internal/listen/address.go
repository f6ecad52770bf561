package listen

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// The networks of an [Address].
const (
	TCP  = "tcp"
	Unix = "unix"
	FD   = "fd"
)

const defaultPort = 8000

// An Address is where to listen.
type Address struct {
	Network string // TCP, Unix or FD
	Host    string // TCP: a name or an IP address; "" means 0.0.0.0
	Port    int    // TCP; 0: the system chooses one
	Path    string // Unix
	FD      int    // FD: the number of a descriptor that this process was started with
}

// Parse reads one value of the setting bind:
//
//	HOST, HOST:PORT, [IPv6]:PORT, tcp://…, unix:PATH, unix://PATH, fd://N
//
// "" is 0.0.0.0:8000, and the port is 8000 if there is none.
func Parse(bind string) (Address, error) {
	s := strings.TrimSpace(bind)
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		path = strings.TrimPrefix(path, "//")
		if path == "" || strings.IndexByte(path, 0) >= 0 {
			return Address{}, fmt.Errorf("%s is not the path of a socket.", quote(s))
		}
		return Address{Network: Unix, Path: path}, nil
	}
	if number, ok := strings.CutPrefix(s, "fd://"); ok {
		fd, err := strconv.Atoi(number)
		if err != nil || fd < 0 {
			return Address{}, fmt.Errorf("%s is not a valid file descriptor.", quote(number))
		}
		return Address{Network: FD, FD: fd}, nil
	}
	s = strings.TrimPrefix(s, "tcp://")
	if scheme, _, ok := strings.Cut(s, "://"); ok {
		return Address{}, fmt.Errorf("unknown scheme %s in bind: an address is HOST:PORT, unix:PATH or fd://N", quote(scheme))
	}
	var host, port string
	var hasPort bool
	if rest, ok := strings.CutPrefix(s, "["); ok && strings.Contains(rest, "]") {
		host, rest, _ = strings.Cut(rest, "]")
		port, hasPort = strings.CutPrefix(rest, ":")
		if !hasPort && rest != "" {
			return Address{}, fmt.Errorf("%s is not a valid port number.", quote(rest))
		}
	} else {
		host, port, hasPort = strings.Cut(s, ":")
	}
	if s == "" {
		host = "0.0.0.0"
	}
	a := Address{Network: TCP, Host: strings.ToLower(host), Port: defaultPort}
	if hasPort {
		n, err := strconv.ParseUint(strings.TrimSpace(port), 10, 16)
		if err != nil {
			return Address{}, fmt.Errorf("%s is not a valid port number.", quote(port))
		}
		a.Port = int(n)
	}
	return a, nil
}

// IsLoopback reports whether only this machine reaches the address: a unix socket, an address
// of the loopback interface, or localhost.
func (a Address) IsLoopback() bool {
	if a.Network != TCP {
		return a.Network == Unix
	}
	ip, err := netip.ParseAddr(a.Host)
	return a.Host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// Python returns the address as Python writes it, for log lines such as
// "Connection in use: ('127.0.0.1', 8000)".
func (a Address) Python() string {
	switch a.Network {
	case Unix:
		return a.Path
	case FD:
		return strconv.Itoa(a.FD)
	}
	return fmt.Sprintf("(%s, %d)", quote(a.Host), a.Port)
}

// bind returns the short form of the address: 127.0.0.1:8000, [::1]:8000, unix:/p.
func (a Address) bind() string {
	switch a.Network {
	case Unix:
		return "unix:" + a.Path
	case FD:
		return "fd://" + strconv.Itoa(a.FD)
	}
	return net.JoinHostPort(a.Host, strconv.Itoa(a.Port))
}

// quote writes s as Python's repr does.
func quote(s string) string {
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		return `"` + s + `"`
	}
	return "'" + strings.ReplaceAll(s, "'", `\'`) + "'"
}
