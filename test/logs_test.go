//go:build linux

package test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

func TestReopenLogs(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "validated:app", Args: []string{"--workers", "2", "--error-logfile", "err.log", "--access-logfile", "acc.log"}})
	s.Get("/before")
	harness.Eventually(t, "the request is logged", func() bool {
		return strings.Contains(s.ReadFile("acc.log"), "/before") && strings.Contains(s.ReadFile("err.log"), "seen /before")
	})
	for _, f := range []string{"err.log", "acc.log"} {
		harness.Must(t, os.Rename(s.Path(f), s.Path(f+".1")))
	}
	s.Signal(syscall.SIGUSR1)
	expectNobodyHolds(s, "err.log.1", "acc.log.1")
	for range 10 {
		s.Get("/after")
	}
	harness.Eventually(t, "requests are logged in the new files", func() bool {
		return strings.Count(s.ReadFile("acc.log"), "/after") == 10 && strings.Count(s.ReadFile("err.log"), "seen /after") == 10
	})
	for _, f := range []string{"err.log.1", "acc.log.1"} {
		if strings.Contains(s.ReadFile(f), "/after") {
			t.Errorf("%s was written to after the rotation", f)
		}
	}
	s.Terminate()
	if !strings.Contains(s.ReadFile("err.log"), "Shutting down: Master") {
		t.Error("the master writes elsewhere")
	}
}

func TestReopenLogsWhileDraining(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "gated:app", Args: []string{"--error-logfile", "err.log", "--access-logfile", "acc.log"}})
	m := inFlight(s)
	s.Signal(syscall.SIGTERM)
	harness.Eventually(t, "the drain has begun", func() bool { return strings.Contains(s.ReadFile("err.log"), "Handling signal: term") })
	for _, f := range []string{"err.log", "acc.log"} {
		harness.Must(t, os.Rename(s.Path(f), s.Path(f+".1")))
	}
	s.Signal(syscall.SIGUSR1)
	expectNobodyHolds(s, "err.log.1", "acc.log.1")
	m.run.Release()
	m.flight.Expect(200)
	s.ExpectExit(0)
	if !strings.Contains(s.ReadFile("acc.log"), "GET /run ") || !strings.Contains(s.ReadFile("err.log"), "Shutting down: Master") {
		t.Error("the new files lack what came after the rotation")
	}
}

// expectNobodyHolds waits until no process of the server has a file open.
func expectNobodyHolds(s *harness.Server, files ...string) {
	s.T.Helper()
	var holders []string
	free := harness.Within(harness.Patience, func() bool {
		holders = nil
		for _, p := range s.Tree() {
			for _, f := range files {
				if harness.Holds(p.PID, s.Path(f)) {
					holders = append(holders, fmt.Sprintf("%s: %v", f, p))
				}
			}
		}
		return len(holders) == 0
	})
	if !free {
		s.T.Fatalf("still open after the rotation:\n%s", strings.Join(holders, "\n"))
	}
}

// Without an error log there is none; with one that is the terminal's, it goes there.
func TestOddLogs(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Conf: "errorlog = None\naccesslog = '/dev/stdout'\n"})
	s.Get("/path")
	s.Log.Expect(t, `"GET /path HTTP/1\.1" 200 `)
	s.Terminate()
	if s.Log.Count(`\[INFO\]`) != 0 {
		t.Errorf("%s", s.Log)
	}
	s = harness.Start(t, harness.Options{Conf: "errorlog = '/dev/stderr'\n"})
	s.Log.Expect(t, `\[INFO\] Starting indrik`)
	s.Log.Expect(t, `\[INFO\] Booting worker`)
	s.Terminate()
}

func TestAccessLogNamesTheWorker(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Args: []string{"--access-logfile", "acc.log", "--access-logformat", "%(p)s %(r)s"}})
	s.Get("/")
	want := fmt.Sprintf("<%d> GET / HTTP/1.1", s.Workers(1)[0])
	harness.Eventually(t, "the log names the worker", func() bool { return strings.Contains(s.ReadFile("acc.log"), want) })
	s.Terminate()
}

// A refused request is in the access log if its head could be read.
func TestRefusedRequestsInTheAccessLog(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Args: []string{"--access-logfile", "acc.log", "--access-logformat", "%(r)s %(s)s %(B)s %(U)s", "--limit-request-body", "10", "--header-map", "refuse"}})
	var want []string
	for _, c := range []struct{ request, line string }{
		{"nonsense\r\n\r\n", ""},
		{"GET /bad HTTP/1.1\r\nA b\r\n\r\n", ""},
		{harness.FormatRequest("POST", "/large", "12345678901"), "POST /large HTTP/1.1 413 SIZE /large"},
		{"POST /chunk HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nx", "POST /chunk HTTP/1.1 400 SIZE /chunk"},
		{harness.FormatRequest("GET", "/other%20path", "", "SCRIPT_NAME: /app"), "GET /other%20path HTTP/1.1 500 SIZE /other path"},
		{harness.FormatRequest("GET", "/name", "", "A_B: c"), "GET /name HTTP/1.1 400 SIZE /name"},
	} {
		client := s.Client()
		client.Send(t, c.request)
		r := client.Receive(t, "GET")
		client.ExpectEOF(t)
		if c.line != "" {
			want = append(want, strings.Replace(c.line, "SIZE", r.Get("Content-Length"), 1))
		}
	}
	s.Terminate()
	// A client may see the end of its connection before the line is written.
	got := slices.DeleteFunc(strings.Split(strings.TrimSpace(s.ReadFile("acc.log")), "\n"), func(line string) bool { return strings.HasPrefix(line, "GET / ") })
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the log is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestNobodyReadsTheLog: standard error is a pipe whose reader has stopped.
func TestNobodyReadsTheLog(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	harness.Must(t, err)
	defer r.Close()
	defer w.Close()
	s := harness.Start(t, harness.Options{
		Wrap: []string{"sh", "-c", `exec "$@" 2>&3 3>&-`, "sh"}, Extra: []*os.File{w}, Args: []string{"--graceful-timeout", "1"},
	})
	fill(t, w)
	s.Signal(syscall.SIGTTIN)
	s.Workers(2)
	s.Get("/")
	s.Signal(syscall.SIGTERM)
	s.ExpectExit(0)
}

// fill writes to a pipe until nothing fits any more.
func fill(t *testing.T, pipe *os.File) {
	t.Helper()
	// A description of its own: O_NONBLOCK must not hold for whoever else has it.
	fd, err := syscall.Open(fmt.Sprintf("/proc/self/fd/%d", pipe.Fd()), syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	harness.Must(t, err)
	defer syscall.Close(fd)
	for err == nil {
		_, err = syscall.Write(fd, []byte{'\n'})
	}
	if err != syscall.EAGAIN {
		t.Fatal(err)
	}
}

// Variables of the environment in the access log are those that the app gets, also where they
// come from a proxy or from no address at all.
func TestVariablesInTheAccessLog(t *testing.T) {
	t.Parallel()
	const format = "%(U)s %(h)s %({REMOTE_ADDR}e)s %({REMOTE_PORT}e)s %({SERVER_NAME}e)s %({SERVER_PORT}e)s %({wsgi.url_scheme}e)s %({NOTHING}e)s"
	for _, c := range []struct {
		name string
		o    harness.Options
		want string
	}{
		{"unix", harness.Options{Bind: []string{"unix:DIR/web.sock"}}, `^/x   - shop\.test 80 http -$`},
		{"forwarded", harness.Options{Args: []string{"--forwarded-for", "all"}}, `^/x 203\.0\.113\.9 203\.0\.113\.9 - 127\.0\.0\.1 \d+ http -$`},
		{"TCP", harness.Options{}, `^/x 127\.0\.0\.1 127\.0\.0\.1 \d+ 127\.0\.0\.1 \d+ http -$`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.o.App, c.o.Args = "echo:app", append(c.o.Args, "--access-logfile", "acc.log", "--access-logformat", format)
			s := harness.Start(t, c.o)
			cl := s.Client()
			cl.Send(t, "GET /x HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n")
			cl.Receive(t, "GET")
			s.Terminate()
			if log := s.ReadFile("acc.log"); !regexp.MustCompile(`(?m)` + c.want).MatchString(log) {
				t.Errorf("%q, want %q", log, c.want)
			}
		})
	}
}
