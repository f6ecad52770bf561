package listen

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestAdvice(t *testing.T) {
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	all, err := net.Listen("tcp", "[::]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	dir := t.TempDir()
	sock, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close()
	name, _ := os.ReadFile("/proc/self/comm")
	self := fmt.Sprintf("(pid %d, %s)", os.Getpid(), strings.TrimSpace(string(name)))
	notFound := &net.DNSError{IsNotFound: true}
	port := func(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }
	for _, c := range []struct {
		a        Address
		err      error
		want     string
		hopeless bool
	}{
		{Address{Network: TCP, Host: "18700", Port: 8000}, notFound, "'18700' is the name of a host here; for the port write --bind :18700", true},
		{Address{Network: TCP, Host: "nowhere", Port: 8000}, notFound, "There is no host 'nowhere'", true},
		{Address{Network: TCP, Host: "nowhere", Port: 8000}, &net.DNSError{IsTemporary: true}, "There is no host 'nowhere', or nobody", false},
		{Address{Network: TCP, Host: "127.0.0.1", Port: port(tcp)}, syscall.EADDRINUSE, self + ". Stop it, or choose another --bind", false},
		{Address{Network: TCP, Host: "127.0.0.1", Port: port(all)}, syscall.EADDRINUSE, self, false},
		{Address{Network: TCP, Port: port(tcp)}, syscall.EADDRINUSE, self, false},
		{Address{Network: Unix, Path: filepath.Join(dir, "s")}, syscall.EADDRINUSE, self, false},
		{Address{Network: TCP, Host: "127.0.0.1", Port: 1}, syscall.EADDRINUSE, "Another program listens on 127.0.0.1:1. Stop it", false},
		{Address{Network: TCP, Host: "192.0.2.1", Port: 8000}, syscall.EADDRNOTAVAIL, "has the address 192.0.2.1", false},
		{Address{Network: Unix, Path: filepath.Join(dir, "no", "s")}, syscall.ENOENT, "The directory of " + filepath.Join(dir, "no", "s") + " does not exist", true},
		{Address{Network: TCP, Host: "127.0.0.1", Port: 80}, syscall.EACCES, "another port than 80", false},
		{Address{Network: TCP, Host: "127.0.0.1", Port: 8000}, syscall.EACCES, "", false},
	} {
		err := fmt.Errorf("listen: %w", c.err)
		if got := Advice(c.a, err); !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%+v, %v: %q, want %q", c.a, c.err, got, c.want)
		}
		if Hopeless(err) != c.hopeless {
			t.Errorf("%+v, %v: hopeless %v", c.a, c.err, !c.hopeless)
		}
	}
}
