package front

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/wire"
)

// connOf is the front's end of the connection of a client.
func (r *rig) connOf(c *client) *conn {
	r.t.Helper()
	var found *conn
	eventually(r.t, "the connection is there", func() bool {
		for _, other := range r.s.all() {
			if other.info.port == c.nc.LocalAddr().(*net.TCPAddr).Port {
				found = other
			}
		}
		return found != nil
	})
	return found
}

func listenerOn(t *testing.T, address string) (f *os.File, bound string) {
	t.Helper()
	var plain net.ListenConfig
	plain.SetMultipathTCP(false)
	ln, err := plain.Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Skip(err)
	}
	defer ln.Close()
	f, err = ln.(*net.TCPListener).File()
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f, ln.Addr().String()
}

// Connections have the options that package net would set on each, also those that have waited
// since before the front came. They know both of their ends.
func TestAcceptedConnections(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(address, func(t *testing.T) {
			r := newRig(t, 0)
			var f *os.File
			f, r.addr = listenerOn(t, address)
			clients := []*client{r.dial(), r.dial()}
			r.listenOn(f)
			w := r.worker(r.generation(1, testConfig()), 1)
			w.serve(echo)
			for _, c := range clients {
				r.connOf(c)
			}
			clients = append(clients, r.dial(), r.dial())
			for _, c := range clients {
				c.get("/")
				c.expect(200, "GET / ")
				accepted := r.connOf(c)
				must(t, accepted.raw.Control(func(fd uintptr) {
					for _, o := range connOptions {
						if v, err := unix.GetsockoptInt(int(fd), o.level, o.option); err != nil || v != o.value {
							t.Errorf("option %d of level %d is %d, want %d: %v", o.option, o.level, v, o.value, err)
						}
					}
					if flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
						t.Errorf("flags %x, %v", flags, err)
					}
				}))
				if _, ok := accepted.sock.(*tcpSocket); !ok {
					t.Errorf("it is a %T", accepted.sock)
				}
				if got, want := accepted.sock.RemoteAddr().String(), c.nc.LocalAddr().String(); got != want {
					t.Errorf("the client is %s, want %s", got, want)
				}
				if got, want := accepted.sock.LocalAddr().String(), r.addr; got != want {
					t.Errorf("its own address is %s, want %s", got, want)
				}
			}
			// The listener goes, and the connections stay.
			r.tell(wire.ToFront{Type: wire.TypeListen})
			for _, c := range clients {
				c.get("/again")
				c.expect(200, "GET /again ")
			}
		})
	}
}

// Once a connection has come with the options, those behind it are not looked at. Before that each
// is given what it does not have.
func TestOptionsAreInherited(t *testing.T) {
	f, address := listenerOn(t, "127.0.0.1:0")
	dial := func() {
		c, err := net.Dial("tcp", address)
		must(t, err)
		t.Cleanup(func() { c.Close() })
	}
	dial()
	eventually(t, "the kernel has accepted it", func() bool { return wire.Poll(f.Fd(), unix.POLLIN) })
	l, err := openTCP(f)
	must(t, err)
	defer l.Close()
	for i, want := range []bool{false, true} {
		if i > 0 {
			dial()
		}
		c, err := l.Accept()
		must(t, err)
		defer c.Close()
		if l.inherits != want {
			t.Errorf("after connection %d: %v", i, l.inherits)
		}
	}
}

// Of sockets that are not of TCP package net accepts, as of MPTCP, whose connections do not have
// the options of their listener.
func TestOtherSocketsAreAcceptedByNet(t *testing.T) {
	for name, protocol := range map[string]int{"MPTCP": unix.IPPROTO_MPTCP, "TCP": unix.IPPROTO_TCP} {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, protocol)
		if err != nil {
			t.Logf("%s: %s", name, err)
			continue
		}
		f := os.NewFile(uintptr(fd), name)
		defer f.Close()
		must(t, unix.Listen(fd, 1))
		a, err := openAcceptor(f, "tcp")
		must(t, err)
		defer a.Close()
		if _, ours := a.(*tcpListener); ours != (name == "TCP") {
			t.Errorf("%s: a %T", name, a)
		}
	}
}

// A time-out, by which a connection is woken, leaves TLS as it was.
func TestTLSIsReadAfterATimeout(t *testing.T) {
	f, address := listenerOn(t, "127.0.0.1:0")
	l, err := openTCP(f)
	must(t, err)
	defer l.Close()
	c, err := net.Dial("tcp", address)
	must(t, err)
	defer c.Close()
	sock, err := l.Accept()
	must(t, err)
	defer sock.Close()

	cert := selfSigned(t)
	client := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	server := tls.Server(sock, &tls.Config{Certificates: []tls.Certificate{cert}})
	shaken := make(chan error, 1)
	go func() { shaken <- client.Handshake() }()
	must(t, server.Handshake())
	must(t, <-shaken)
	for range 2 {
		must(t, sock.SetReadDeadline(time.Unix(1, 0)))
		b := make([]byte, 10)
		if n, err := server.Read(b); n > 0 || !isTimeout(err) {
			t.Fatalf("%d bytes, %v", n, err)
		}
		must(t, sock.SetReadDeadline(time.Time{}))
		_, err = io.WriteString(client, "more")
		must(t, err)
		if n, err := server.Read(b); string(b[:n]) != "more" {
			t.Fatalf("%q, %v", b[:n], err)
		}
	}
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// The zone of a link-local address is a name, or else a number.
func TestAddrPortOf(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	must(t, err)
	local := netip.MustParseAddr("fe80::1").As16()
	mapped := netip.MustParseAddr("::ffff:192.0.2.1").As16()
	for want, a := range map[string]syscall.Sockaddr{
		"192.0.2.1:80":            &syscall.SockaddrInet4{Addr: [4]byte{192, 0, 2, 1}, Port: 80},
		"[::ffff:192.0.2.1]:80":   &syscall.SockaddrInet6{Addr: mapped, Port: 80},
		"[fe80::1%lo]:65535":      &syscall.SockaddrInet6{Addr: local, Port: 65535, ZoneId: uint32(lo.Index)},
		"[fe80::1%4000000000]:80": &syscall.SockaddrInet6{Addr: local, Port: 80, ZoneId: 4000000000},
		netip.AddrPort{}.String(): &syscall.SockaddrUnix{},
	} {
		if got := addrPortOf(a).String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// A connection whose client sends nothing after its request ends with the response. Where more
// has come all the same, and was read or not, the client still reads the response, and its end.
func TestEndOfLastRequest(t *testing.T) {
	r := newRig(t, 0)
	var f *os.File
	f, r.addr = listenerOn(t, "127.0.0.1:0")
	r.listenOn(f)
	w := r.worker(r.generation(1, testConfig()), 1)
	const last = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	for _, more := range []string{"", "GET /more HTTP/1.1\nHost: a\n\n", "x", strings.Repeat("x", 5*readBuffer)} {
		c := r.dial()
		c.send("%s", strings.ReplaceAll(last, "\r", ""))
		q := w.take(0)
		c.send("%s", more)
		if more != "" {
			accepted := r.connOf(c)
			eventually(t, "it has come, and what there is room for is read", func() bool { // by the goroutine that watches the connection
				return tcpInfo(t, accepted.raw).Bytes_received > uint64(len(last)) && accepted.hasUnread() == (len(more) > readBuffer)
			})
		}
		began := time.Now()
		w.say(0, echo(q))
		got, err := io.ReadAll(c.br)
		if err != nil || !bytes.HasSuffix(got, []byte("\r\n\r\nGET /last ")) {
			t.Errorf("%q: the client got %q, %v", more, got, err)
		}
		if more == "" {
			r.noConns() // though the client has not closed
			if d := time.Since(began); d >= lingerIdle {
				t.Errorf("it ended after %v", d)
			}
		}
		c.nc.Close()
		r.noConns()
	}
}
