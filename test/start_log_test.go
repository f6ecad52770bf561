//go:build linux

package test

import (
	"encoding/json"
	"strings"
	"testing"

	"indrik/test/harness"
)

// SERVER_SOFTWARE and the addresses are the server's own.
func TestServerSaysWhatItIs(t *testing.T) {
	t.Parallel()
	const app = `
def app(environ, start_response):
    start_response("200 OK", [])
    return [environ["SERVER_SOFTWARE"].encode()]
`
	s := harness.Start(t, harness.Options{
		App: "webapp:app", Files: map[string]string{"webapp.py": app}, Env: []string{"SERVER_SOFTWARE=other/1.0"},
		Conf: "def on_starting(server):\n    server.log.info('on_starting: %r', server.address[0])\n" +
			"def when_ready(server):\n    server.log.info('when_ready: %r', server.address[0])\n",
	})
	if got := s.Get("/"); !strings.HasPrefix(got, "indrik/") {
		t.Errorf("SERVER_SOFTWARE is %q", got)
	}
	for _, hook := range []string{"on_starting", "when_ready"} {
		s.Log.Expect(t, hook+`: \('127\.0\.0\.1', \d+\)$`)
	}
	s.Terminate()
}

// A daemon that cannot start, and has no log, says where its traceback would be.
func TestDaemonSaysWhereItsTracebackWouldBe(t *testing.T) {
	t.Parallel()
	s := harness.Launch(t, harness.Options{App: "no_such_module:app", Args: []string{"--daemon"}})
	s.ExpectExit(3)
	s.Log.Expect(t, `Reason: Worker failed to boot\.$`)
	s.Log.Expect(t, `give --error-logfile, or start it without --daemon`)
}

// The kind of worker is told once, when it is known.
func TestKindIsToldOnce(t *testing.T) {
	t.Parallel()
	const asgi = `
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
`
	for _, c := range []struct {
		o    harness.Options
		want string
	}{
		{harness.Options{App: "webapp:app", Files: map[string]string{"webapp.py": asgi}}, `Using worker: asgi, since webapp:app is an ASGI app$`},
		{harness.Options{}, `Using worker: sync$`},
		{harness.Options{Args: []string{"--threads", "2"}}, `Using worker: gthread$`},
	} {
		s := harness.Start(t, c.o)
		s.Log.Expect(t, `Ready: 1 worker in \d+\.\d s$`)
		s.Terminate()
		if s.Log.Count(`Using worker`) != 1 || s.Log.Count(c.want) != 1 {
			t.Errorf("the kind: %q", s.Log.All(`Using worker.*`))
		}
	}
}

// The log keeps the zone of the start, whatever the app does to its process.
func TestLogKeepsItsZone(t *testing.T) {
	t.Parallel()
	const app = `
import os, time
os.environ["TZ"] = "America/Chicago"
time.tzset()
def app(environ, start_response):
    start_response("200 OK", [])
    environ["wsgi.errors"]
    import logging
    logging.getLogger("gunicorn.error").info("said by the app")
    return [b"ok"]
`
	s := harness.Start(t, harness.Options{App: "webapp:app", Files: map[string]string{"webapp.py": app}, Env: []string{"TZ=Asia/Tokyo"}})
	s.Terminate()
	s.Log.Expect(t, `^\[\d+-\d+-\d+ \d+:\d+:\d+ \+0900\] \[\d+\] \[INFO\] said by the app$`)
	if n := s.Log.Count(`^\[[^]]* -0[56]00\]`); n > 0 {
		t.Errorf("%d lines in another zone", n)
	}
}

// A worker that dies says what it ran, without the query, and where it crashed.
func TestDeadWorkerSaysWhatItRan(t *testing.T) {
	t.Parallel()
	const app = `
import ctypes, os, signal
def deref():
    ctypes.string_at(0)
def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if path == "/crash":
        deref()
    if path == "/exit":
        os._exit(9)
    start_response("200 OK", [])
    return [b"ok"]
`
	asgi := `
import os, signal
async def app(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"] == "/kill":
        os.kill(os.getpid(), signal.SIGKILL)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
`
	for _, c := range []struct {
		name, app, path string
		want            []string
	}{
		{"killed", app, "/kill", []string{
			`\[ERROR\] Worker \(pid:\d+\) was sent SIGKILL! Perhaps out of memory\?$`,
			`\[ERROR\] Worker \(pid:\d+\) was sent SIGKILL after \d+\.\d s and \d requests?, while it ran GET /kill \(\d+\.\d s\)\. Its RSS was at most \d+ MiB\.$`,
		}},
		{"killed, ASGI", asgi, "/kill", []string{`was sent SIGKILL after \d+\.\d s and \d requests?, while it ran GET /kill \(\d+\.\d s\)\. `}},
		{"crashed", app, "/crash", []string{
			`was sent SIGSEGV after \d+\.\d s and \d requests?, while it ran GET /crash \(`, `^Fatal Python error: Segmentation fault$`, `^  File ".*webapp\.py", line 4 in deref$`,
		}},
		{"exited", app, "/exit", []string{`\[ERROR\] Worker \(pid:\d+\) exited with code 9\.$`, `exited with code 9 after \d+\.\d s and \d requests?, while it ran GET /exit \(`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{App: "webapp:app", Files: map[string]string{"webapp.py": c.app}})
			if r, err := s.Request("GET", c.path+"?token=secret", ""); err != nil || r.Status != 502 {
				t.Errorf("%v %v", r, err)
			}
			for _, want := range c.want {
				s.Log.ExpectFrom(t, 0, want)
			}
			s.Get("/") // another one serves
			s.Terminate()
			if s.Log.Count(`secret`) > 0 {
				t.Error("the query is in the log")
			}
		})
	}
}

// Both logs in JSON: every line of every process is an object with the documented
// names.
func TestJSONLogs(t *testing.T) {
	t.Parallel()
	const app = `
import logging
def app(environ, start_response):
    if environ["PATH_INFO"] == "/fail":
        raise ValueError("on\npurpose")
    start_response("200 OK", [])
    return [b"ok"]
`
	for _, c := range []struct {
		name, format, conf string
		time, level, pid   string
		status, trace      string
	}{
		{"json", "json", "", "time", "level", "pid", "status", "traceback"},
		{"ecs", "ecs", "", "@timestamp", "log.level", "process.pid", "http.response.status_code", "error.stack_trace"},
		{"through Python", "json", "from indrik.glogging import Logger\nclass Own(Logger):\n    pass\nlogger_class = Own\n", "time", "level", "pid", "status", "traceback"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{
				App: "webapp:app", Files: map[string]string{"webapp.py": app}, Conf: c.conf + "\n",
				Args: []string{"--log-format", c.format, "--access-logfile", "DIR/access.log", "--error-logfile", "DIR/error.log"},
			})
			if r, err := s.Request("GET", "/fail?a=1", "", `User-Agent: x\"`); err != nil || r.Status != 500 {
				t.Errorf("%v, %v", r, err)
			}
			s.Terminate()
			lines := func(name string) (list []map[string]any) {
				for line := range strings.SplitSeq(strings.TrimSpace(s.ReadFile(name)), "\n") {
					var fields map[string]any
					if err := json.Unmarshal([]byte(line), &fields); err != nil {
						t.Errorf("%s: %q: %v", name, line, err)
						continue
					}
					for _, key := range []string{c.time, c.level, c.pid} {
						if fields[key] == nil {
							t.Errorf("%s: no %s in %q", name, key, line)
						}
					}
					list = append(list, fields)
				}
				return list
			}
			said := map[string]bool{}
			for _, fields := range lines("error.log") {
				message, _ := fields["message"].(string)
				said[message] = true
				if trace, _ := fields[c.trace].(string); strings.HasPrefix(message, "Error handling request") && !strings.HasSuffix(trace, "ValueError: on\npurpose") {
					t.Errorf("the traceback is %q", trace)
				}
			}
			for _, message := range []string{"Using worker: sync", "Error handling request GET /fail?a=1", "Shutting down: Master"} {
				if !said[message] {
					t.Errorf("nobody said %q: %v", message, said)
				}
			}
			found := false
			for _, fields := range lines("access.log") {
				agent := fields["user_agent"]
				if c.format == "ecs" {
					agent = fields["user_agent.original"]
				}
				found = found || fields[c.status] == 500.0 && agent == `x\"`
			}
			if !found {
				t.Errorf("the request is not in the access log: %s", s.ReadFile("access.log"))
			}
		})
	}
}
