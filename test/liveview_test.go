//go:build linux

package test

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"

	"indrik/test/harness"
)

// liveApp answers by the path: a number is the status, and everything waits at a gate. Its name
// and that of the file where it waits look like markup.
const liveApp = `
import gate

exec(compile("def wait(name): gate.wait(name)", "<img src=x onerror=alert(1)>", "exec"))

def make(name):
    return app

def app(environ, start_response):
    path = environ["PATH_INFO"].strip("/")
    if path.isdigit():
        start_response(path + " As Asked", [("Content-Length", "0")])
        return [b""]
    wait("held" if path else "none")
    start_response("200 OK", [("Content-Length", "3")])
    return [b"ok\n"]
`

const liveToken = "correct-horse-battery-staple"

// withLiveView starts a server with two workers and an admin address that takes actions.
func withLiveView(t *testing.T, args ...string) (*harness.Server, *harness.Endpoint) {
	t.Helper()
	dir := harness.TempDir(t)
	token := dir + "/token"
	harness.Must(t, os.WriteFile(token, []byte(liveToken+"\n"), 0o600))
	return withAdmin(t, harness.Options{
		App: "live:make('<img src=x>\u202e')", Gates: []string{"held"},
		Files: map[string]string{"live.py": liveApp, "gate.py": harness.TestFile(t, "apps/gate.py")},
		Args:  append([]string{"--workers", "2", "--admin-token-file", token}, args...),
	})
}

const eventsRequest = "GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

// A stream of events as any client gets it.
func TestLiveViewEvents(t *testing.T) {
	t.Parallel()
	s, admin := withLiveView(t)
	held := s.Begin("/held?secret=hidden")
	s.Gates["held"].Entered()
	c := admin.Client()
	c.Send(t, eventsRequest)
	head := c.ExpectHead(t, 200)
	if head.Get("Content-Type") != "text/event-stream" || !strings.HasPrefix(head.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("the head: %v", head)
	}
	seen := map[string]string{}
	lines := bufio.NewScanner(c.Reader)
	lines.Buffer(nil, 1<<20)
	name := ""
	for (len(seen) < 4 || !strings.Contains(seen["status"], `"path":"/held"`)) && lines.Scan() {
		if after, is := strings.CutPrefix(lines.Text(), "event: "); is {
			name = after
		} else if after, is := strings.CutPrefix(lines.Text(), "data: "); is {
			seen[name] = after
		}
	}
	if !strings.Contains(seen["status"], `"path":"/held"`) || strings.Contains(fmt.Sprint(seen), "hidden") {
		t.Errorf("the events: %v", seen)
	}
	if !strings.Contains(seen["hello"], `"actions":true`) {
		t.Errorf("hello: %s", seen["hello"])
	}
	s.Gates["held"].Release()
	held.Expect(200)
	s.Terminate()
}

// There is a bound on viewers, from one address and in all; those who are there go on.
func TestLiveViewOfTooMany(t *testing.T) {
	t.Parallel()
	s, admin := withLiveView(t)
	viewers := []*harness.Client{}
	for range 16 {
		c := admin.Client()
		c.Send(t, eventsRequest)
		c.ExpectHead(t, 200)
		viewers = append(viewers, c)
	}
	late := admin.Client()
	late.Send(t, eventsRequest)
	if r := late.Receive(t, "GET"); r.Status != 503 || r.Get("Retry-After") == "" {
		t.Errorf("one more viewer: %v", r)
	}
	viewers[3].Close()
	harness.Eventually(t, "there is a place again", func() bool {
		c, err := admin.Connect()
		harness.Must(t, err)
		defer c.Close()
		c.Send(t, eventsRequest)
		r, err := harness.ReadHead(c.Reader)
		return err == nil && r.Status == 200
	})
	admin.Get("/livez")
	s.Terminate()
}
