//go:build linux

package test

import (
	"fmt"
	"testing"
	"time"

	"indrik/test/harness"
)

func TestTimeout(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"--threads", "3"}} {
		t.Run(fmt.Sprint(args), func(t *testing.T) {
			s := harness.Start(t, harness.Options{
				App:  "stuck:app",
				Args: append(args, "--timeout", "3"),
				Conf: "def worker_abort(worker):\n    worker.log.info('hook worker_abort %s', worker.pid)\n",
			})
			old := s.Workers(1)[0]
			began := time.Now()
			r, err := s.Request("GET", "/stuck?with=query", "")
			if err != nil || r.Status != 504 {
				t.Errorf("%v, %v, want 504", r, err)
			}
			if took := time.Since(began); took < 2900*time.Millisecond || took > 20*time.Second {
				t.Errorf("answered after %v", took)
			}
			s.Log.Expect(t, fmt.Sprintf(`\[CRITICAL\] WORKER TIMEOUT \(pid:%d\).*GET /stuck.*\d`, old))
			s.Log.Expect(t, `in stuck_here`)
			s.Log.ExpectFrom(t, 0, fmt.Sprintf(`hook worker_abort %d`, old))
			s.Replaced([]int{old}, 1)
			s.Get("/")
			s.Terminate()
		})
	}
}

func TestTimeoutSparesOtherRequests(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "stuck:app", Args: []string{"--threads", "3", "--timeout", "8", "--graceful-timeout", "20"}})
	old := s.Workers(1)[0]
	stuck := s.Begin("/stuck")
	// The other one begins later, and is not over when the first one is cut.
	s.Get("/")
	g := s.Gate("other")
	time.Sleep(5 * time.Second) // so that their limits are apart, by what it takes another worker to serve
	other := s.Begin("/wait/other")
	g.Entered()
	stuck.Expect(504)
	s.Log.Expect(t, `WORKER TIMEOUT`)
	s.Get("/") // by another worker
	g.Release()
	other.Expect(200)
	s.Replaced([]int{old}, 1)
	if n := s.Log.Count(`WORKER TIMEOUT`); n != 1 {
		t.Errorf("%d timeouts in the log", n)
	}
	s.Terminate()
}

func TestTimeoutInCode(t *testing.T) {
	t.Parallel()
	// A worker in C code that never returns to the interpreter does not see
	// SIGABRT: it is killed.
	s := harness.Start(t, harness.Options{
		App:  "webapp:app",
		Args: []string{"--timeout", "3"},
		Files: map[string]string{"webapp.py": `import signal

def app(environ, start_response):
    if environ["PATH_INFO"] == "/blocked":
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() if hasattr(signal, "valid_signals") else range(1, 64))
        while True:
            signal.sigwait([signal.SIGURG])
    start_response("200 OK", [("Content-Length", "0")])
    return []
`},
	})
	old := s.Workers(1)[0]
	if r, err := s.Request("GET", "/blocked", ""); err != nil || r.Status != 504 {
		t.Errorf("%v, %v, want 504", r, err)
	}
	s.Replaced([]int{old}, 1)
	s.Get("/")
	s.Terminate()
}

func TestTimeoutAfterTheHead(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "streaming:app", Args: []string{"--timeout", "3"}})
	old := s.Workers(1)[0]
	g := s.Gate("second")
	if r, err := s.Request("GET", "/", ""); err == nil || r == nil || r.Body != "first" {
		t.Errorf("%v, %v, want a response that is cut", r, err)
	}
	s.Log.Expect(t, `WORKER TIMEOUT`)
	g.Release()
	s.Replaced([]int{old}, 1)
	s.Get("/")
	s.Terminate()
}

func TestNoTimeout(t *testing.T) {
	t.Parallel()
	// 0 turns it off, and a slow client is not a slow app.
	s := harness.Start(t, harness.Options{App: "gated:app", Args: []string{"--timeout", "3"}})
	c := s.Client()
	c.Send(t, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
	idle := s.Client()
	idle.Do(t, "GET", "/", "")
	time.Sleep(5 * time.Second)
	c.Send(t, "0123456789")
	if r := c.Receive(t, "POST"); r.Status != 200 {
		t.Errorf("%v", r)
	}
	if harness.ClosedByPeer(idle) {
		t.Error("an idle connection was closed")
	}
	if s.Log.Count("WORKER TIMEOUT") > 0 {
		t.Error("a worker without a request was taken for stuck")
	}
	s.Terminate()

	s = harness.Start(t, harness.Options{App: "gated:app", Args: []string{"--timeout", "0"}})
	m := inFlight(s)
	time.Sleep(1500 * time.Millisecond)
	m.run.Release()
	m.flight.Expect(200)
	s.Terminate()
}
