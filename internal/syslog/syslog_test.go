package syslog

import (
	"bufio"
	"net"
	"path/filepath"
	"testing"
	"time"
)

const limit = time.Minute

func fatal(t *testing.T) func(error) { return func(err error) { t.Errorf("%s", err) } }

func TestDatagrams(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for _, network := range []string{"udp", "unixgram"} {
		address := path
		if network == "udp" {
			address = "127.0.0.1:0"
		}
		server, err := net.ListenPacket(network, address)
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		for _, addr := range map[string][]string{
			"udp": {"udp://" + server.LocalAddr().String()}, "unixgram": {"unix://" + path, "unix://" + path + "#dgram"},
		}[network] {
			w := New(addr, "local3", "app", fatal(t))
			w.Send(Error, "error", 5, "text")
			w.Close()
			buf := make([]byte, 100)
			server.SetReadDeadline(time.Now().Add(limit))
			n, _, err := server.ReadFrom(buf)
			if want := "<155>gunicorn.app.error: [5] text\x00"; err != nil || string(buf[:n]) != want {
				t.Errorf("%s: %q, %v", addr, buf[:n], err)
			}
		}
	}
}

func TestStreams(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": path} {
		server, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		for _, addr := range map[string][]string{
			"tcp": {"tcp://" + server.Addr().String()}, "unix": {"unix://" + path, "unix://" + path + "#stream"},
		}[network] {
			w := New(addr, "user", "a.b", fatal(t))
			w.Send(Info, "access", 1, "one")
			w.Send(Critical, "error", 2, "two")
			c, err := server.Accept()
			if err != nil {
				t.Fatal(err)
			}
			c.SetReadDeadline(time.Now().Add(limit))
			r := bufio.NewReader(c)
			for _, want := range []string{"<14>gunicorn.a.b.access: [1] one\x00", "<10>gunicorn.a.b.error: [2] two\x00"} {
				if got, err := r.ReadString(0); err != nil || got != want {
					t.Errorf("%s: %q, %v", addr, got, err)
				}
			}
			w.Close()
			c.Close()
		}
	}
}

func TestNobodyThere(t *testing.T) {
	failures := make(chan error, 10)
	w := New("unix://"+filepath.Join(t.TempDir(), "none"), "user", "a", func(err error) { failures <- err })
	for range 10 {
		w.Send(Info, "error", 1, "lost")
	}
	select {
	case <-failures:
	case <-time.After(limit):
		t.Error("nothing is reported")
	}
	w.Close()
	if len(failures) != 0 {
		t.Errorf("%d more reports", len(failures))
	}
	var none *Writer
	none.Send(Info, "error", 1, "")
	none.Close()
}

func TestHostPort(t *testing.T) {
	for s, want := range map[string]string{
		"h": "h:514", "h:1": "h:1", "[::1]": "[::1]:514", "[::1]:2": "[::1]:2", ":3": "localhost:3", "": "localhost:514",
	} {
		if got := hostPort(s); got != want {
			t.Errorf("%q: %s", s, got)
		}
	}
}
