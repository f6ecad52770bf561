package sinks

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"indrik/internal/errlog"
	"indrik/internal/wire"
)

func listen(t *testing.T, name string) (net.PacketConn, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	c, err := net.ListenPacket("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(time.Minute))
	return c, "unix://" + path
}

func next(t *testing.T, c net.PacketConn) string {
	t.Helper()
	buf := make([]byte, 1000)
	n, _, err := c.ReadFrom(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func TestSinks(t *testing.T) {
	sys, sysAddr := listen(t, "syslog")
	stats, statsAddr := listen(t, "statsd")
	var b bytes.Buffer
	log := errlog.New(&b)
	o := New(log, "master")
	log.Infof("before")
	o.Set(&wire.Syslog{Addr: sysAddr, Facility: "user", Prefix: "a"}, &wire.Statsd{Addr: statsAddr})
	first := o.View()
	log.Infof("one")
	log.Warnf("two")
	if got, want := next(t, sys), fmt.Sprintf("<14>gunicorn.a.error: [%d] one\x00", os.Getpid()); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := next(t, sys); !strings.Contains(got, "<12>") || !strings.Contains(got, "two") {
		t.Errorf("got %q", got)
	}
	if got := next(t, stats); got != "gunicorn.log.warning:1|c|@1.0" {
		t.Errorf("got %q", got)
	}
	// The same again changes nothing.
	o.Set(&wire.Syslog{Addr: sysAddr, Facility: "user", Prefix: "a"}, &wire.Statsd{Addr: statsAddr})
	if v := o.View(); v.Syslog != first.Syslog || v.Statsd != first.Statsd {
		t.Error("connections were made anew")
	}

	// With a logger the lines go there alone, and are counted still.
	ours, theirs, err := wire.Pair()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := wire.NewConn(theirs)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := o.SetLogger(ours); err != nil {
		t.Fatal(err)
	}
	log.Errorf("three")
	var rec wire.LogRecord
	if _, err := conn.Recv(&rec); err != nil || rec.Message != "three" || rec.Level != 40 || rec.Role != "master" || rec.Pid != os.Getpid() {
		t.Errorf("%+v, %v", rec, err)
	}
	if got := next(t, stats); got != "gunicorn.log.error:1|c|@1.0" {
		t.Errorf("got %q", got)
	}
	if _, err := o.SetLogger(nil); err != nil {
		t.Fatal(err)
	}
	o.Set(nil, nil)
	log.Infof("four")
	o.Close()
	var got []string
	for line := range strings.Lines(b.String()) {
		got = append(got, strings.TrimSpace(line[strings.LastIndex(line, "]")+2:]))
	}
	if text := strings.Join(got, " "); text != "before one two four" {
		t.Errorf("the file has %q", text)
	}
	if _, err := conn.Recv(&rec); err == nil {
		t.Errorf("more came: %+v", rec)
	}
}

func TestLevels(t *testing.T) {
	for n, want := range map[int]string{0: "DEBUG", 10: "DEBUG", 11: "INFO", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL", 99: "CRITICAL"} {
		if got := LevelName(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
