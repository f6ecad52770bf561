//go:build linux

package test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"indrik/test/harness"
)

// An intrusion is what a worker does to the front and to the other workers, by what they
// share.
type intrusion struct {
	name  string
	fatal bool   // it is ended for that, in any case
	queue bool   // only workers that read the queue can do it
	log   string // what the log says then
}

var intrusions = []intrusion{
	{name: "cut"},
	{name: "scribble"},
	{name: "forge", fatal: true, log: `is ended: it speaks of a request that it was not given`},
	{name: "empty", fatal: true, log: `is ended: it sent an empty message`},
	{name: "nonsense", fatal: true, log: `is ended: message of a worker, at byte \d+: `},
	{name: "sequence", fatal: true, log: `is ended: it (sent CHUNK, which has no place there|speaks of a request that it was not given)`},
	{name: "close", fatal: true},
	{name: "nonblocking", queue: true},
	{name: "eat", fatal: true, queue: true},
	{name: "shutdown", queue: true, log: `The queue of the workers is broken: one of its workers has closed the queue`},
}

func TestIntruders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		app   string
		args  []string
		queue bool
		venv  bool
	}{
		{"sync", "wsgi", nil, true, false},
		{"sync preloaded", "wsgi", []string{"--preload"}, true, false},
		{"gthread", "wsgi", []string{"--threads", "3"}, true, false},
		{"gevent", "wsgi", []string{"-k", "gevent"}, false, true},
		{"asgi", "asgi", nil, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := harness.Options{App: "intruder:" + c.app, Args: append([]string{"-w", "2", "--timeout", "5"}, c.args...)}
			if c.venv {
				o.Python = harness.Venv(t)
			}
			s := harness.Start(t, o)
			s.Workers(2)
			front := s.Role("front")[0].PID
			for _, in := range intrusions {
				if in.queue && !c.queue {
					continue
				}
				in.commit(t, s)
				if now := s.Role("front"); len(now) != 1 || now[0].PID != front {
					t.Fatalf("%s: the front was %d, now there is %v", in.name, front, now)
				}
			}
			s.Terminate()
		})
	}
}

// commit does it, while other clients are there, and sees what becomes of these.
func (in intrusion) commit(t *testing.T, s *harness.Server) {
	t.Helper()
	var clients sync.WaitGroup
	var n atomic.Int64
	stop := make(chan struct{})
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				word := fmt.Sprint("word", n.Add(1))
				r, err := s.Request("GET", "/?"+word, "")
				if err != nil || r.Status == 200 && r.Body != word || r.Status != 200 && r.Status/100 != 5 {
					t.Errorf("%s: %s got %v, %v", in.name, word, r, err)
				}
			}
		})
	}
	end := sync.OnceFunc(func() {
		close(stop)
		clients.Wait()
	})
	defer end() // also when the test ends here
	harness.Eventually(t, "clients are answered", func() bool { return n.Load() > 20 })
	from := s.Log.Mark()
	r, err := s.Request("GET", "/attack/"+in.name, "")
	switch {
	case err != nil:
		t.Errorf("%s: %s", in.name, err)
	case in.fatal && r.Status/100 != 5:
		t.Errorf("%s: got %d %q", in.name, r.Status, r.Body)
	case !in.fatal && r.Status == 200 && r.Body != "" && r.Body != "done":
		t.Errorf("%s has changed what it should not: %s", in.name, r.Body)
	}
	if errors := s.Log.All(`^(Attribute|Import|Index|Name)Error: .*`); len(errors) > 0 {
		t.Fatalf("%s: the app does not do it: %s", in.name, errors[0])
	}
	if in.log != "" {
		s.Log.ExpectFrom(t, from, in.log)
	}
	// Two seconds, and what a loaded machine adds.
	until := time.Now().Add(harness.Patience)
	for good := 0; good < 10; {
		if r, err := s.Request("GET", "/?after", ""); err == nil && r.Status == 200 && strings.TrimSpace(r.Body) == "after" {
			good++
		} else if good = 0; time.Now().After(until) {
			t.Errorf("%s: the service is not back: %v, %v", in.name, r, err)
			break
		}
	}
	end()
	if in.fatal {
		s.Workers(2)
	}
}
