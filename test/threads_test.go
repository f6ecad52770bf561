//go:build linux

package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

// threaded is an app whose requests start threads that take a second.
const threaded = `
import threading, time

def work():
    time.sleep(1)
    print("finished", flush=True)

def app(environ, start_response):
    if environ["PATH_INFO"] == "/begin":
        threading.Thread(target=work).start()
    start_response("200 OK", [("Content-Length", "5")])
    return [b"begun"]
`

// What a request leaves running is finished when its worker ends, as with Gunicorn.
func TestThreadsOfRequestsFinish(t *testing.T) {
	t.Parallel()
	for name, args := range map[string]string{
		"TERM": "--threads 4", "HUP": "--threads 4", "max_requests": "--threads 4 --max-requests 1", "sync": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := harness.Options{App: "threaded:app", Files: map[string]string{"threaded.py": threaded}, Args: strings.Fields(args), NoProbe: true}
			s := harness.Start(t, o)
			s.Log.Expect(t, `Listening at: `)
			old := s.Workers(1)
			s.Get("/begin")
			switch name {
			case "HUP":
				s.Signal(syscall.SIGHUP)
				fallthrough
			case "max_requests":
				s.Replaced(old, 1)
			}
			s.Terminate()
			if n := s.Log.Count("^finished$"); n != 1 {
				t.Errorf("%d threads have finished", n)
			}
		})
	}
}

// TestManyThreads: a worker has more threads than descriptors fit into a message to it.
func TestManyThreads(t *testing.T) {
	t.Parallel()
	const threads = 300
	s := harness.Start(t, harness.Options{App: "gated:app", Args: []string{"--threads", fmt.Sprint(threads)}})
	g := s.Gate("all")
	var begun []*harness.Pending
	for range threads {
		begun = append(begun, s.Begin("/all"))
	}
	waiting := s.Begin("/")
	worker := s.Workers(1)[0]
	g.Entered() // from now on whoever comes to the gate has it open
	harness.Eventually(t, "every thread has a request", func() bool {
		n := 0
		links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", worker))
		for _, link := range links {
			if file, err := os.Readlink(link); err == nil && file == s.Path("gates/all") {
				n++
			}
		}
		return n == threads
	})
	g.Release()
	ids := map[string]bool{}
	for _, p := range begun {
		if r := p.Expect(200); r != nil {
			ids[r.Body] = true
		}
	}
	waiting.Expect(200)
	if len(ids) != threads {
		t.Errorf("%d threads have answered %d requests", len(ids), threads)
	}
	s.Terminate()
}

// What never ends is not waited for: the app had its shutdown.
func TestEndlessThreads(t *testing.T) {
	t.Parallel()
	for app, args := range map[string]string{"app": "--threads 2", "coroutine": ""} {
		t.Run(app, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{App: "endless:" + app, Args: strings.Fields(args)})
			began := time.Now()
			s.Reload(1)
			s.Terminate()
			if took := time.Since(began); took > 25*time.Second {
				t.Errorf("a reload and the end took %v", took)
			}
			if n := s.Log.Count(`\[WARNING\] Worker \(pid:\d+\) ends, and does not wait for thread endless$`); n != 2 {
				t.Errorf("told %d times", n)
			}
			if n := s.Log.Count("^shutdown$"); app == "coroutine" && n != 2 {
				t.Errorf("the app had %d shutdowns", n)
			}
		})
	}
}
