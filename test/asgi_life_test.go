//go:build linux

package test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// asgiVersioned is what versioned is, in ASGI, with streams that wait at gates,
// and the WebSockets of sockets.py.
func asgiVersioned(version string) string {
	return fmt.Sprintf("from versions import asgi\n\napp = asgi(%q)\n", version)
}

// openStream begins a stream of the app that asgiVersioned makes.
func openStream(t *testing.T, s *harness.Server, gate, version string) *harness.Client {
	t.Helper()
	c := s.Client()
	c.Send(t, "GET /stream/"+gate+" HTTP/1.1\r\nHost: x\r\n\r\n")
	c.ExpectHead(t, 200)
	c.ExpectChunks(t, version)
	return c
}

func TestASGIReloadUnderLoad(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "webapp:app", Args: []string{"--workers", "2", "--graceful-timeout", "100"}, Files: map[string]string{"webapp.py": asgiVersioned("0")}})
	k, o := s.BothLoads(4)
	for i := range 5 {
		old := s.Workers(2)
		g := s.Gate(fmt.Sprint("g", i))
		stream := openStream(t, s, fmt.Sprint("g", i), fmt.Sprint(i))
		g.Entered()
		s.WriteFile("webapp.py", asgiVersioned(fmt.Sprint(i+1)))
		s.Signal(syscall.SIGHUP)
		harness.Eventually(t, "the new code serves", func() bool { return s.Get("/version") == fmt.Sprint(i+1) })
		k.Progress(20)
		o.Progress(20)
		// The stream that has begun is finished by the old worker.
		g.Release()
		stream.ExpectChunks(t, fmt.Sprint(i), "")
		s.Replaced(old, 2)
	}
	harness.ExpectNoneLost(t, k, o)
	s.Terminate()
}

func TestASGIKillWorkers(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "webapp:app", Args: []string{"--workers", "2"}, Files: map[string]string{"webapp.py": asgiVersioned("0")}})
	killUnderLoad(s, 5, 8) // as many as there are clients may have been begun
	s.Terminate()
}

func TestASGIKillWorkerInDetail(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "dying:app", Args: []string{"--timeout", "100"}})
	pid := s.Workers(1)[0]
	g := s.Gate("wait")
	begun := s.Begin("/wait")
	g.Entered()
	stream := s.Client()
	stream.Send(t, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
	stream.ExpectHead(t, 200)
	stream.ExpectChunks(t, "first")
	blocking := s.Begin("/block")
	s.Log.Expect(t, `^blocking$`)
	unbegun := s.Crowd(20, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n"+strings.Repeat("x", 1000))
	harness.Kill(t, pid, syscall.SIGKILL)
	begun.Expect(502)
	blocking.Expect(502)
	stream.ExpectCut(t)
	for _, c := range unbegun {
		if r := c.Receive(t, "POST"); r.Status != 200 || r.Body == fmt.Sprint(pid) {
			t.Errorf("%v", r)
		}
	}
	g.Release()
	s.Terminate()
}

// A worker that is told to end by an operator finishes what it has begun, and what it
// has not begun goes to another one at once.
func TestASGITermToWorkers(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "webapp:app", Args: []string{"--workers", "2", "--graceful-timeout", "100"}, Files: map[string]string{"webapp.py": asgiVersioned("0")}})
	k, o := s.BothLoads(4)
	for i := range 4 {
		name := fmt.Sprint("g", i)
		g := s.Gate(name)
		stream := openStream(t, s, name, "0")
		g.Entered()
		old := s.Workers(2)
		for _, pid := range old {
			harness.Kill(t, pid, syscall.SIGTERM)
		}
		k.Progress(20)
		o.Progress(20)
		g.Release()
		stream.ExpectChunks(t, "0", "")
		s.Replaced(old, 2)
	}
	harness.ExpectNoneLost(t, k, o)
	s.Terminate()
}

func TestASGIMaxRequests(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "webapp:app", Args: []string{"--workers", "2", "--max-requests", "100"}, Files: map[string]string{"webapp.py": asgiVersioned("0")}})
	k, o := s.BothLoads(4)
	harness.Eventually(t, "workers are replaced", func() bool { return s.Log.Count(`Worker exiting`) >= 5 })
	harness.ExpectNoneLost(t, k, o)
	s.Terminate()
}

func TestASGIStopUnderLoad(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "webapp:app", Args: []string{"--workers", "2"}, Files: map[string]string{"webapp.py": asgiVersioned("0")}})
	g := s.Gate("g")
	stream := openStream(t, s, "g", "0")
	g.Entered()
	s.Signal(syscall.SIGTERM)
	s.Log.Expect(t, `Handling signal: term`)
	g.Release()
	stream.ExpectChunks(t, "0", "")
	s.ExpectExit(0)

	// A stream without end is cut when graceful_timeout is over.
	s = harness.Start(t, harness.Options{App: "webapp:app", Args: []string{"--graceful-timeout", "1"}, Files: map[string]string{"webapp.py": asgiVersioned("0")}})
	s.Gate("g")
	stream = openStream(t, s, "g", "0")
	waiting := s.Begin("/stream/g") // its head is sent, too
	s.Signal(syscall.SIGTERM)
	s.ExpectExit(0)
	stream.ExpectCut(t)
	if r, err := waiting.Wait(); err == nil {
		t.Errorf("%v", r)
	}
}

func TestASGIQuickStop(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "webapp:app", Files: map[string]string{"webapp.py": asgiVersioned("0")}})
	g := s.Gate("g")
	stream := openStream(t, s, "g", "0")
	g.Entered()
	s.Signal(syscall.SIGINT)
	s.ExpectExit(0)
	stream.ExpectCut(t)
	g.Release()
}

// A front that takes the place of another begins anew with the workers that are
// there: they hear that the clients of the other have gone.
func TestASGIKillFront(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "asgiapps:leaving", Args: []string{"--asgi-disconnect-grace-period", "1"}})
	worker := s.Workers(1)[0]
	for range 3 {
		from := s.Log.Mark()
		c := s.Client()
		c.Send(t, "GET /sleep HTTP/1.1\r\nHost: x\r\n\r\n")
		c.ExpectHead(t, 200)
		harness.Kill(t, s.Role("front")[0].PID, syscall.SIGKILL)
		s.Log.ExpectFrom(t, from, `Front \(pid:\d+\) was sent SIGKILL`)
		s.Log.ExpectFrom(t, from, `^sleep: cancelled$`)
		harness.Eventually(t, "the new front serves", func() bool {
			r, err := s.Request("GET", "/", "")
			return err == nil && r.Status == 200
		})
	}
	if got := s.Workers(1)[0]; got != worker {
		t.Error("the worker was replaced")
	}
	s.Terminate()
}

// An app may be of another kind after a reload, while requests wait.
func TestASGIReloadToWSGI(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "webapp:app", Args: []string{"--workers", "2"}, Files: map[string]string{"webapp.py": versioned("w0")}})
	k, o := s.BothLoads(4)
	for i := range 2 {
		for kind, text := range map[string]string{"a": asgiVersioned("a"), "w": versioned("w")} {
			s.WriteFile("webapp.py", text)
			s.Reload(2)
			if got := s.Get("/version"); got != kind {
				t.Errorf("round %d: the app is version %s, want %s", i, got, kind)
			}
			k.Progress(20)
			o.Progress(20)
		}
	}
	harness.ExpectNoneLost(t, k, o)
	s.Terminate()
}
