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

// forking are apps that fork in each request, and whose child comes back to the server.
const forking = `
import os, sys, time

def fork(how):
    pid = os.fork()
    if pid:
        return pid
    if how == "exit":
        sys.exit(0)
    if how == "raise":
        raise ValueError("in the child")
    if how == "stay":
        time.sleep(100)
    return 0

def app(environ, start_response):
    body = environ["wsgi.input"].read()
    pid = fork(environ["QUERY_STRING"])
    if pid and environ["QUERY_STRING"] != "stay":
        os.waitpid(pid, 0)
    start_response("200 OK", [("Content-Length", str(len(body))), ("X-Pid", str(pid))])
    return [body] if pid else [b"the child's" * 10000]

async def coroutine(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    how = scope["query_string"].decode()
    pid = fork(how)
    if pid and how != "stay":
        os.waitpid(pid, 0)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-pid", str(pid).encode())]})
    await send({"type": "http.response.body", "body": body if pid else b"the child's" * 10000})
`

// A process that an app has forked answers nobody, takes no request, and holds up nothing.
func TestForksOfWorkers(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"sync", "gthread --threads 4", "gevent", "asgi"} {
		t.Run(strings.Fields(kind)[0], func(t *testing.T) {
			t.Parallel()
			o := harness.Options{App: "forking:app", Files: map[string]string{"forking.py": forking}, NoProbe: true}
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
			if took := time.Since(began); took > 8*time.Second {
				t.Errorf("the server ended after %v", took)
			}
			if !harness.Alive(stays) {
				t.Error("the fork has ended")
			}
			if n := s.Log.Count("Worker exiting"); n != 2 {
				t.Errorf("%d processes said that they were workers", n)
			}
			harness.Kill(t, stays, syscall.SIGTERM)
			harness.WaitGone(t, stays)
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
