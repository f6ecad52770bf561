//go:build linux

package test

import (
	"os/exec"
	"strings"
	"testing"

	"indrik/test/harness"
)

// onFullDisk has a server whose directory for temporary files has room for next to nothing.
func onFullDisk(t *testing.T, o harness.Options) harness.Options {
	t.Helper()
	o.Wrap = []string{"unshare", "--mount", "sh", "-euc", `mount -t tmpfs -o size=256k tmpfs tmp; exec "$0" "$@"`}
	if err := exec.Command("unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", t.TempDir()).Run(); err != nil {
		t.Skipf("needs unshare and the right to mount: %v", err)
	}
	return o
}

const noSpace = `no space left on device$`

// TestUploadsWithoutSpaceOnDisk: bodies that are too large for memory are kept there
// nevertheless, whole, and the log says so.
func TestUploadsWithoutSpaceOnDisk(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, onFullDisk(t, harness.Options{App: "digest:app"}))
	body := noise(9 << 20)
	c := s.Client()
	if r := c.Do(t, "POST", "/", string(body)); r.Status != 200 || r.Body != digest(body) {
		t.Errorf("with a length: %v", r)
	}
	c.Send(t, "POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"+chunked(body, 100_000)+"0\r\n\r\n")
	if r := c.Receive(t, "POST"); r.Status != 200 || r.Body != digest(body) {
		t.Errorf("in chunks: %v", r)
	}
	s.Log.ExpectFrom(t, 0, `\[ERROR\] large request bodies are kept in memory, since no file can be written, see tmp_upload_dir: .*`+noSpace)
	s.Terminate()
}

// TestResponsesWithoutSpaceOnDisk: a client that reads slowly holds up the worker, which the
// log says, and gets the whole response.
func TestResponsesWithoutSpaceOnDisk(t *testing.T) {
	t.Parallel()
	const size = 32 << 20
	for _, query := range []string{"", "?pieces"} {
		s := harness.Start(t, onFullDisk(t, harness.Options{App: "large:app"}))
		c := narrowClient(s, t)
		c.Send(t, "GET /33554432"+query+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		s.Log.ExpectFrom(t, 0, `\[ERROR\] cannot keep a response that its client takes slowly, the worker has to wait: .*`+noSpace)
		other := s.Begin("/16")
		r, err := harness.ReadResponse(c.Reader, "GET")
		if err != nil || len(r.Body) != size || strings.Trim(r.Body, "0123456789abcdef") != "" {
			t.Errorf("%q: %v, %v", query, r, err)
		}
		other.Expect(200)
		s.Terminate()
	}
}

// TestStreamsWithoutSpaceOnDisk: the same over HTTP/2, where the client gives no window.
func TestStreamsWithoutSpaceOnDisk(t *testing.T) {
	t.Parallel()
	const size = 32 << 20
	s := harness.Start(t, onFullDisk(t, harness.WithHTTP2(t, harness.WebH2C, harness.Options{App: "large:app"})))
	f := s.H2Conn()
	f.Hold = true
	id := f.Open("GET", "/33554432", true)
	f.Ping() // the answer comes after what the window permits
	s.Log.ExpectFrom(t, 0, `\[ERROR\] cannot keep a response that its client takes slowly, the worker has to wait: .*`+noSpace)
	f.Hold = false
	harness.Must(t, f.Framer.WriteWindowUpdate(0, size))
	harness.Must(t, f.Framer.WriteWindowUpdate(id, size))
	if r := f.Response(id); len(r.Body) != size || r.Status() != "200" {
		t.Errorf("%v", r)
	}
	s.Terminate()
}
