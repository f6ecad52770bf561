//go:build linux

package test

import (
	"strings"
	"syscall"
	"testing"
	"time"
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
			o := options{app: "threaded:app", files: map[string]string{"threaded.py": threaded}, args: strings.Fields(args), noProbe: true}
			began := time.Now()
			s := start(t, o)
			old := s.workers(1)
			s.get("/begin")
			switch name {
			case "HUP":
				s.signal(syscall.SIGHUP)
				fallthrough
			case "max_requests":
				s.replaced(old, 1)
			}
			s.terminate()
			if time.Since(began) > 7*time.Second {
				t.Log(s.log.String(), lines(s.tree()))
			}
			if n := s.log.count("^finished$"); n != 1 {
				t.Errorf("%d threads have finished", n)
			}
		})
	}
}

// What never ends is not waited for: the app had its shutdown.
func TestEndlessThreads(t *testing.T) {
	t.Parallel()
	const endless = `
import multiprocessing, threading, time

threading.Thread(target=time.sleep, args=(100,), name="endless").start()

def app(environ, start_response):
    start_response("200 OK", [])
    return [b"x"]

async def coroutine(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("shutdown", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x"})
`
	for app, args := range map[string]string{"app": "--threads 2", "coroutine": ""} {
		t.Run(app, func(t *testing.T) {
			t.Parallel()
			s := start(t, options{app: "endless:" + app, files: map[string]string{"endless.py": endless}, args: strings.Fields(args)})
			began := time.Now()
			s.reload(1)
			s.terminate()
			if took := time.Since(began); took > 15*time.Second {
				t.Errorf("a reload and the end took %v", took)
			}
			if n := s.log.count(`\[WARNING\] Worker \(pid:\d+\) ends, and does not wait for thread endless$`); n != 2 {
				t.Errorf("told %d times", n)
			}
			if n := s.log.count("^shutdown$"); app == "coroutine" && n != 2 {
				t.Errorf("the app had %d shutdowns", n)
			}
		})
	}
}
