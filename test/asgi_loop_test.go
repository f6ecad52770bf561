//go:build linux

package test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A loop that is blocked is noticed, its clients are answered, its worker is
// replaced; what waited for it is run by another.
func TestASGIBlockedLoop(t *testing.T) {
	t.Parallel()
	s := start(t, options{
		app: "asgiapps:loops", args: []string{"-k", "asgi", "--timeout", "2"},
		conf: "def worker_abort(worker):\n    worker.log.info('hook worker_abort %s', worker.pid)\n",
	})
	old := s.workers(1)[0]
	held := s.client()
	held.send(t, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
	held.expectHead(t, 200)
	held.expectChunks(t, "held")
	blocking := s.begin("/block")
	s.log.expect(t, `^blocking$`)
	var waiting []*pending
	for range 5 {
		waiting = append(waiting, s.begin("/"))
	}
	s.log.expect(t, fmt.Sprintf(`\[CRITICAL\] WORKER TIMEOUT \(pid:%d\): the event loop has been blocked for \d\.\d s, with 2 requests$`, old))
	s.log.expect(t, `in block_here$`)
	s.log.expect(t, fmt.Sprintf(`hook worker_abort %d$`, old))
	blocking.expect(504)
	held.expectCut(t)
	for _, w := range waiting {
		if r := w.expect(200); r != nil && strings.Contains(r.body, fmt.Sprint(old)) {
			t.Errorf("%v", r)
		}
	}
	s.replaced([]int{old}, 1)
	s.get("/")
	if n := s.log.count(`WORKER TIMEOUT`); n != 1 {
		t.Errorf("%d timeouts", n)
	}
	s.terminate()
}

// What takes long without blocking the loop is none of timeout's business.
func TestASGITimeoutIsOfTheLoop(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "asgiapps:loops", args: []string{"--timeout", "1", "--graceful-timeout", "2", "--log-level", "debug"}})
	worker := s.workers(1)[0]
	held := s.client()
	held.send(t, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
	time.Sleep(3500 * time.Millisecond)
	held.expectHead(t, 200)
	s.get("/")
	if got := s.workers(1)[0]; got != worker || s.log.count("WORKER TIMEOUT") > 0 {
		t.Error("the worker was taken for stuck")
	}
	s.terminate()
	s.log.expect(t, fmt.Sprintf(`\[WARNING\] Worker graceful timeout \(pid:%d\)$|\[WARNING\] .*graceful`, worker))
}

func TestASGILag(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "asgiapps:loops", args: []string{"--log-level", "debug"}})
	held := s.client()
	held.send(t, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
	held.expectHead(t, 200)
	eventually(t, "the lag is noticed", func() bool {
		s.get("/lag")
		return s.log.count(`\[DEBUG\] The event loop of worker \(pid:\d+\) was \S+s late$`) > 0
	})
	held.Close()
	s.terminate()
}

func TestASGILoops(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"auto": "uvloop", "uvloop": "uvloop", "asyncio": "asyncio.unix_events"} {
		s := start(t, options{app: "asgiapps:loops", python: venv(t), args: []string{"--asgi-loop", name}})
		if got := s.get("/"); !strings.HasPrefix(got, want+" ") {
			t.Errorf("%s: %s", name, got)
		}
		s.reload(1)
		s.terminate()
	}
}

func TestASGIWithoutUvloop(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "asgiapps:loops", args: []string{"--asgi-loop", "uvloop"}, files: map[string]string{"uvloop.py": "raise ImportError\n"}})
	s.log.expect(t, `\[WARNING\] uvloop not available, falling back to asyncio$`)
	s.get("/")
	s.terminate()
}

// worker_connections is a limit; what is beyond it waits as for any worker.
func TestASGIWorkerConnections(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "asgiapps:gated", args: []string{"--worker-connections", "3", "--queue-limit", "2", "--graceful-timeout", "60"}})
	g := s.gate("wait")
	var running []*pending
	for range 3 {
		running = append(running, s.begin("/wait"))
	}
	g.entered()
	eventually(t, "two wait and others are refused", func() bool {
		running = append(running, s.begin("/wait"))
		return s.log.count(`\[WARNING\] .*503|refused`) > 0
	})
	g.release()
	served := 0
	for _, p := range running {
		r, err := p.wait()
		switch {
		case err != nil:
			t.Errorf("%v", err)
		case r.status == 200:
			served++
		case r.status != 503:
			t.Errorf("%v", r)
		}
	}
	// One that came late may have been served after the others.
	if served < 5 || served == len(running) {
		t.Errorf("%d of %d were served", served, len(running))
	}
	s.terminate()
}
