package statsd

import (
	"net"
	"path/filepath"
	"testing"
	"time"
)

func TestForms(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	server, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c := New("unix://"+path, "a.b..", "x:1,y", func(err error) { t.Errorf("%s", err) })
	c.Request(404, 1500*time.Microsecond)
	c.Gauge("g", 3)
	c.Histogram("h", 0)
	c.Close()
	expect := func(wants ...string) {
		t.Helper()
		buf := make([]byte, 1000)
		for _, want := range wants {
			server.SetReadDeadline(time.Now().Add(time.Minute))
			n, _, err := server.ReadFrom(buf)
			if err != nil || string(buf[:n]) != want {
				t.Errorf("got %q, %v, want %q", buf[:n], err, want)
			}
		}
	}
	expect("a.b.gunicorn.request.duration:1.5|ms|#x:1,y", "a.b.gunicorn.requests:1|c|@1.0|#x:1,y",
		"a.b.gunicorn.request.status.404:1|c|@1.0|#x:1,y", "a.b.g:3|g|#x:1,y", "a.b.h:0|h|#x:1,y")
	plain := New("unix:"+path, "", "", func(err error) { t.Errorf("%s", err) })
	plain.Timer("t", 2*time.Second)
	plain.Close()
	expect("t:2000.0|ms")
}

func TestNone(t *testing.T) {
	c := New("", "p", "", nil)
	if c != nil {
		t.Error("a client without a server")
	}
	c.Request(200, 0)
	c.Gauge("g", 1)
	c.Close()
}

func TestAddress(t *testing.T) {
	for host, want := range map[string][2]string{
		"h": {"udp4", "h:8125"}, "h:1": {"udp4", "h:1"}, "unix:///s": {"unixgram", "/s"}, "unix:/s": {"unixgram", "/s"},
		"unix:8125": {"udp4", "unix:8125"}, "[::1]": {"udp", "[::1]:8125"}, "[::1]:5": {"udp", "[::1]:5"},
	} {
		if network, address := Address(host); network != want[0] || address != want[1] {
			t.Errorf("%s: %s %s", host, network, address)
		}
	}
}
