//go:build linux

package test

import (
	"fmt"
	"testing"
	"time"
)

func TestTimeout(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"--threads", "3"}} {
		t.Run(fmt.Sprint(args), func(t *testing.T) {
			s := start(t, options{
				app:  "stuck:app",
				args: append(args, "--timeout", "1"),
				conf: "def worker_abort(worker):\n    worker.log.info('hook worker_abort %s', worker.pid)\n",
			})
			old := s.workers(1)[0]
			began := time.Now()
			r, err := s.request("GET", "/stuck?with=query", "")
			if err != nil || r.status != 504 {
				t.Errorf("%v, %v, want 504", r, err)
			}
			if took := time.Since(began); took < 900*time.Millisecond || took > 10*time.Second {
				t.Errorf("answered after %v", took)
			}
			s.log.expect(t, fmt.Sprintf(`\[CRITICAL\] WORKER TIMEOUT \(pid:%d\).*GET /stuck.*\d`, old))
			s.log.expect(t, `in stuck_here`)
			s.log.expectFrom(t, 0, fmt.Sprintf(`hook worker_abort %d`, old))
			s.replaced([]int{old}, 1)
			s.get("/")
			s.terminate()
		})
	}
}

func TestTimeoutSparesOtherRequests(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "stuck:app", args: []string{"--threads", "3", "--timeout", "2", "--graceful-timeout", "20"}})
	old := s.workers(1)[0]
	stuck := s.begin("/stuck")
	// The other one begins later, and is not over when the first one is cut.
	s.get("/")
	g := s.gate("other")
	time.Sleep(1200 * time.Millisecond) // so that their limits are apart
	other := s.begin("/wait/other")
	g.entered()
	stuck.expect(504)
	s.log.expect(t, `WORKER TIMEOUT`)
	s.get("/") // by another worker
	g.release()
	other.expect(200)
	s.replaced([]int{old}, 1)
	if n := s.log.count(`WORKER TIMEOUT`); n != 1 {
		t.Errorf("%d timeouts in the log", n)
	}
	s.terminate()
}

func TestTimeoutInCode(t *testing.T) {
	t.Parallel()
	// A worker in C code that never returns to the interpreter does not see
	// SIGABRT: it is killed.
	s := start(t, options{
		app:  "webapp:app",
		args: []string{"--timeout", "1"},
		files: map[string]string{"webapp.py": `import signal

def app(environ, start_response):
    if environ["PATH_INFO"] == "/blocked":
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() if hasattr(signal, "valid_signals") else range(1, 64))
        while True:
            signal.sigwait([signal.SIGURG])
    start_response("200 OK", [("Content-Length", "0")])
    return []
`},
	})
	old := s.workers(1)[0]
	if r, err := s.request("GET", "/blocked", ""); err != nil || r.status != 504 {
		t.Errorf("%v, %v, want 504", r, err)
	}
	s.replaced([]int{old}, 1)
	s.get("/")
	s.terminate()
}

func TestTimeoutAfterTheHead(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "streaming:app", args: []string{"--timeout", "1"}})
	old := s.workers(1)[0]
	g := s.gate("second")
	if r, err := s.request("GET", "/", ""); err == nil || r == nil || r.body != "first" {
		t.Errorf("%v, %v, want a response that is cut", r, err)
	}
	s.log.expect(t, `WORKER TIMEOUT`)
	g.release()
	s.replaced([]int{old}, 1)
	s.get("/")
	s.terminate()
}

func TestNoTimeout(t *testing.T) {
	t.Parallel()
	// 0 turns it off, and a slow client is not a slow app.
	s := start(t, options{app: "gated:app", args: []string{"--timeout", "1"}})
	c := s.client()
	c.send(t, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
	idle := s.client()
	idle.do(t, "GET", "/", "")
	time.Sleep(2500 * time.Millisecond)
	c.send(t, "0123456789")
	if r := c.receive(t, "POST"); r.status != 200 {
		t.Errorf("%v", r)
	}
	if closedByPeer(idle) {
		t.Error("an idle connection was closed")
	}
	if s.log.count("WORKER TIMEOUT") > 0 {
		t.Error("a worker without a request was taken for stuck")
	}
	s.terminate()

	s = start(t, options{app: "gated:app", args: []string{"--timeout", "0"}})
	m := inFlight(s)
	time.Sleep(1500 * time.Millisecond)
	m.run.release()
	m.flight.expect(200)
	s.terminate()
}
