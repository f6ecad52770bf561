//go:build linux

package test

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

// A process that an app has forked answers nobody, takes no request, and holds up nothing.
func TestForksOfWorkers(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"sync", "gthread --threads 4", "gevent", "asgi"} {
		t.Run(strings.Fields(kind)[0], func(t *testing.T) {
			t.Parallel()
			o := harness.Options{App: "forking:app", NoProbe: true}
			o.Args = append([]string{"--workers", "2", "--timeout", "20", "-k"}, strings.Fields(kind)...)
			switch kind {
			case "gevent":
				o.Python = harness.Venv(t)
			case "asgi":
				o.App = "forking:coroutine"
			}
			s := harness.Start(t, o)
			old := s.Workers(2)
			var clients sync.WaitGroup
			for i := range 4 {
				clients.Go(func() {
					for j, how := range []string{"exit", "return", "raise", "exit", "return", "raise"} {
						body := strings.Repeat(fmt.Sprintf("%d-%d.", i, j), 20000)
						r, err := s.Request("POST", "/?"+how, body)
						if err != nil || r.Status != 200 || r.Body != body {
							t.Errorf("%s: %v, %v", how, r, err)
						}
					}
				})
			}
			clients.Wait()
			r, err := s.Request("POST", "/?stay", "x")
			harness.Must(t, err)
			stays := atoi(t, r.Get("X-Pid"))
			defer syscall.Kill(stays, syscall.SIGKILL)
			if now := s.Workers(3); fmt.Sprint(without(now, stays)) != fmt.Sprint(old) { // it has the title of its parent
				t.Errorf("the workers are %v, were %v", now, old)
			}
			began := time.Now()
			s.Signal(syscall.SIGTERM)
			if code := s.Exit(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			if took := time.Since(began); took > 20*time.Second { // it would be 30 if the fork counted as a worker
				t.Errorf("the server ended after %v", took)
			}
			if !harness.Alive(stays) {
				t.Error("the fork has ended")
			}
			harness.Kill(t, stays, syscall.SIGTERM)
			harness.WaitGone(t, stays)
			s.ExpectExit(0)
			if n := s.Log.Count("Worker exiting"); n != 2 {
				t.Errorf("%d processes said that they were workers", n)
			}
		})
	}
}

func without(pids []int, pid int) (rest []int) {
	for _, p := range pids {
		if p != pid {
			rest = append(rest, p)
		}
	}
	return rest
}
