//go:build linux

package test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestReopenLogs(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "validated:app", args: []string{"--workers", "2", "--error-logfile", "err.log", "--access-logfile", "acc.log"}})
	s.get("/before")
	eventually(t, "the request is logged", func() bool {
		return strings.Contains(s.read("acc.log"), "/before") && strings.Contains(s.read("err.log"), "seen /before")
	})
	for _, f := range []string{"err.log", "acc.log"} {
		must(t, os.Rename(s.path(f), s.path(f+".1")))
	}
	s.signal(syscall.SIGUSR1)
	s.expectNobodyHolds("err.log.1", "acc.log.1")
	for range 10 {
		s.get("/after")
	}
	eventually(t, "requests are logged in the new files", func() bool {
		return strings.Count(s.read("acc.log"), "/after") == 10 && strings.Count(s.read("err.log"), "seen /after") == 10
	})
	for _, f := range []string{"err.log.1", "acc.log.1"} {
		if strings.Contains(s.read(f), "/after") {
			t.Errorf("%s was written to after the rotation", f)
		}
	}
	s.terminate()
	if !strings.Contains(s.read("err.log"), "Shutting down: Master") {
		t.Error("the master writes elsewhere")
	}
}

func TestReopenLogsWhileDraining(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "gated:app", args: []string{"--error-logfile", "err.log", "--access-logfile", "acc.log"}})
	m := inFlight(s)
	s.signal(syscall.SIGTERM)
	eventually(t, "the drain has begun", func() bool { return strings.Contains(s.read("err.log"), "Handling signal: term") })
	for _, f := range []string{"err.log", "acc.log"} {
		must(t, os.Rename(s.path(f), s.path(f+".1")))
	}
	s.signal(syscall.SIGUSR1)
	s.expectNobodyHolds("err.log.1", "acc.log.1")
	m.run.release()
	m.flight.expect(200)
	s.expectExit(0)
	if !strings.Contains(s.read("acc.log"), "GET /run ") || !strings.Contains(s.read("err.log"), "Shutting down: Master") {
		t.Error("the new files lack what came after the rotation")
	}
}

// expectNobodyHolds waits until no process of the server has a file open.
func (s *server) expectNobodyHolds(files ...string) {
	s.t.Helper()
	var holders []string
	free := within(patience, func() bool {
		holders = nil
		for _, p := range s.tree() {
			for _, f := range files {
				if holds(p.pid, s.path(f)) {
					holders = append(holders, fmt.Sprintf("%s: %v", f, p))
				}
			}
		}
		return len(holders) == 0
	})
	if !free {
		s.t.Fatalf("still open after the rotation:\n%s", strings.Join(holders, "\n"))
	}
}

// Without an error log there is none; with one that is the terminal's, it goes there.
func TestOddLogs(t *testing.T) {
	t.Parallel()
	s := start(t, options{conf: "errorlog = None\naccesslog = '/dev/stdout'\n"})
	s.get("/path")
	s.log.expect(t, `"GET /path HTTP/1\.1" 200 `)
	s.terminate()
	if s.log.count(`\[INFO\]`) != 0 {
		t.Errorf("%s", s.log)
	}
	s = start(t, options{conf: "errorlog = '/dev/stderr'\n"})
	s.log.expect(t, `\[INFO\] Starting indrik`)
	s.log.expect(t, `\[INFO\] Booting worker`)
	s.terminate()
}

func TestAccessLogNamesTheWorker(t *testing.T) {
	t.Parallel()
	s := start(t, options{args: []string{"--access-logfile", "acc.log", "--access-logformat", "%(p)s %(r)s"}})
	s.get("/")
	want := fmt.Sprintf("<%d> GET / HTTP/1.1", s.workers(1)[0])
	eventually(t, "the log names the worker", func() bool { return strings.Contains(s.read("acc.log"), want) })
	s.terminate()
}

// A refused request is in the access log if its head could be read.
func TestRefusedRequestsInTheAccessLog(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app", args: []string{"--access-logfile", "acc.log", "--access-logformat", "%(r)s %(s)s %(B)s %(U)s", "--limit-request-body", "10", "--header-map", "refuse"}})
	var want []string
	for _, c := range []struct{ request, line string }{
		{"nonsense\r\n\r\n", ""},
		{"GET /bad HTTP/1.1\r\nA b\r\n\r\n", ""},
		{format("POST", "/large", "12345678901"), "POST /large HTTP/1.1 413 SIZE /large"},
		{"POST /chunk HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx", "POST /chunk HTTP/1.1 400 SIZE /chunk"},
		{format("GET", "/other%20path", "", "SCRIPT_NAME: /app"), "GET /other%20path HTTP/1.1 500 SIZE /other path"},
		{format("GET", "/name", "", "A_B: c"), "GET /name HTTP/1.1 400 SIZE /name"},
	} {
		client := s.client()
		client.send(t, c.request)
		r := client.receive(t, "GET")
		client.expectEOF(t)
		if c.line != "" {
			want = append(want, strings.Replace(c.line, "SIZE", r.get("Content-Length"), 1))
		}
	}
	s.terminate()
	log := s.read("acc.log")
	if i := strings.Index(log, "POST "); i < 0 || strings.TrimSpace(log[i:]) != strings.Join(want, "\n") {
		t.Errorf("the log is\n%s\nwant\n%s", log, strings.Join(want, "\n"))
	}
}

// TestNobodyReadsTheLog: standard error is a pipe whose reader has stopped.
func TestNobodyReadsTheLog(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	defer w.Close()
	s := start(t, options{
		wrap: []string{"sh", "-c", `exec "$@" 2>&3 3>&-`, "sh"}, extra: []*os.File{w}, args: []string{"--graceful-timeout", "1"},
	})
	fill(t, w)
	s.signal(syscall.SIGTTIN)
	s.workers(2)
	s.get("/")
	s.signal(syscall.SIGTERM)
	s.expectExit(0)
}

// fill writes to a pipe until nothing fits any more.
func fill(t *testing.T, pipe *os.File) {
	t.Helper()
	// A description of its own: O_NONBLOCK must not hold for whoever else has it.
	fd, err := syscall.Open(fmt.Sprintf("/proc/self/fd/%d", pipe.Fd()), syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	must(t, err)
	defer syscall.Close(fd)
	for err == nil {
		_, err = syscall.Write(fd, []byte{'\n'})
	}
	if err != syscall.EAGAIN {
		t.Fatal(err)
	}
}
