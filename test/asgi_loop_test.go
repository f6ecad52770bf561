//go:build linux

package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"indrik/test/harness"
)

// A loop that is blocked is noticed, its clients are answered, its worker is
// replaced; what waited for it is run by another.
func TestASGIBlockedLoop(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{
		App: "asgiapps:loops", Args: []string{"-k", "asgi", "--timeout", "4"},
		Conf: "def worker_abort(worker):\n    worker.log.info('hook worker_abort %s', worker.pid)\n",
	})
	old := s.Workers(1)[0]
	held := s.Client()
	held.Send(t, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
	held.ExpectHead(t, 200)
	held.ExpectChunks(t, "held")
	blocking := s.Begin("/block")
	s.Log.Expect(t, `^blocking$`)
	var waiting []*harness.Pending
	for range 5 {
		waiting = append(waiting, s.Begin("/"))
	}
	s.Log.Expect(t, fmt.Sprintf(`\[CRITICAL\] WORKER TIMEOUT \(pid:%d\): the event loop has been blocked for \d+\.\d s, with 2 requests$`, old))
	s.Log.Expect(t, `in block_here$`)
	s.Log.Expect(t, fmt.Sprintf(`hook worker_abort %d$`, old))
	blocking.Expect(504)
	held.ExpectCut(t)
	for _, w := range waiting {
		if r := w.Expect(200); r != nil && strings.Contains(r.Body, fmt.Sprint(old)) {
			t.Errorf("%v", r)
		}
	}
	s.Replaced([]int{old}, 1)
	s.Get("/")
	if n := s.Log.Count(`WORKER TIMEOUT`); n != 1 {
		t.Errorf("%d timeouts", n)
	}
	s.Terminate()
}

// What takes long without blocking the loop is none of timeout's business.
func TestASGITimeoutIsOfTheLoop(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "asgiapps:loops", Args: []string{"--timeout", "3", "--graceful-timeout", "2", "--log-level", "debug"}})
	worker := s.Workers(1)[0]
	held := s.Client()
	held.Send(t, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
	time.Sleep(7 * time.Second)
	held.ExpectHead(t, 200)
	s.Get("/")
	if got := s.Workers(1)[0]; got != worker || s.Log.Count("WORKER TIMEOUT") > 0 {
		t.Error("the worker was taken for stuck")
	}
	s.Terminate()
	s.Log.Expect(t, fmt.Sprintf(`\[WARNING\] Worker graceful timeout \(pid:%d\)$|\[WARNING\] .*graceful`, worker))
}

func TestASGILag(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "asgiapps:loops", Args: []string{"--log-level", "debug"}})
	held := s.Client()
	held.Send(t, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
	held.ExpectHead(t, 200)
	harness.Eventually(t, "the lag is noticed", func() bool {
		s.Get("/lag")
		return s.Log.Count(`\[DEBUG\] The event loop of worker \(pid:\d+\) was \S+s late$`) > 0
	})
	held.Close()
	s.Terminate()
}

func TestASGILoops(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"auto": "uvloop", "uvloop": "uvloop", "asyncio": "asyncio.unix_events"} {
		s := harness.Start(t, harness.Options{App: "asgiapps:loops", Python: harness.Venv(t), Args: []string{"--asgi-loop", name}})
		if got := s.Get("/"); !strings.HasPrefix(got, want+" ") {
			t.Errorf("%s: %s", name, got)
		}
		s.Reload(1)
		s.Terminate()
	}
}

func TestASGIWithoutUvloop(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "asgiapps:loops", Args: []string{"--asgi-loop", "uvloop"}, Files: map[string]string{"uvloop.py": "raise ImportError\n"}})
	s.Log.Expect(t, `\[WARNING\] uvloop not available, falling back to asyncio$`)
	s.Get("/")
	s.Terminate()
}

// worker_connections is a limit; what is beyond it waits as for any worker.
func TestASGIWorkerConnections(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "asgiapps:gated", Args: []string{"--worker-connections", "3", "--queue-limit", "2", "--graceful-timeout", "60"}})
	g := s.Gate("wait")
	var running []*harness.Pending
	for range 3 {
		running = append(running, s.Begin("/wait"))
	}
	g.Entered()
	harness.Eventually(t, "two wait and others are refused", func() bool {
		running = append(running, s.Begin("/wait"))
		return s.Log.Count(`\[WARNING\] .*503|refused`) > 0
	})
	g.Release()
	served := 0
	for _, p := range running {
		r, err := p.Wait()
		switch {
		case err != nil:
			t.Errorf("%v", err)
		case r.Status == 200:
			served++
		case r.Status != 503:
			t.Errorf("%v", r)
		}
	}
	// One that came late may have been served after the others.
	if served < 5 || served == len(running) {
		t.Errorf("%d of %d were served", served, len(running))
	}
	s.Terminate()
}

// TestRequestsToALoopThatWaits: more than fits into the socket to a worker waits in the front,
// and comes, whole and once, when the loop goes on.
func TestRequestsToALoopThatWaits(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "asgiapps:either", Args: []string{"--worker-connections", "2000", "--timeout", "100"}})
	worker := s.Workers(1)[0]
	g := s.Gate("loop")
	held := s.Begin("/wait")
	g.Entered()
	const requests = 500
	body := strings.Repeat("0123456789abcdef", 2000)
	clients := make([]*harness.Client, requests)
	for i := range clients {
		clients[i] = s.Client()
		clients[i].Send(t, harness.FormatRequest("POST", fmt.Sprint("/echo/", i), body))
	}
	settled(s, clients)
	g.Release()
	held.Expect(200)
	for i, c := range clients {
		if r := c.Receive(t, "POST"); r.Status != 200 || r.Body != fmt.Sprintf("/echo/%d\n%s", i, body) {
			t.Fatalf("request %d: %v", i, r)
		}
	}
	if now := s.Workers(1)[0]; now != worker {
		t.Errorf("worker %d was replaced by %d", worker, now)
	}
	s.Terminate()
}
