//go:build linux

package test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// jsonLines decodes each line of a file.
func (s *server) jsonLines(name string) []map[string]any {
	s.t.Helper()
	var all []map[string]any
	for line := range strings.Lines(s.read(name)) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			s.t.Fatalf("%s: %q: %s", name, line, err)
		}
		all = append(all, record)
	}
	return all
}

// jsonLogs is a logging configuration as people have it, with a formatter of JSON
// of their own: the errors to one file, requests to another.
const jsonLogs = `
import json, logging

class JSON(logging.Formatter):
    def format(self, record):
        fields = {"level": record.levelname, "pid": record.process, "text": record.getMessage(), "logger": record.name}
        if isinstance(record.args, dict):
            fields["status"] = record.args["s"]
            fields["agent"] = record.args["{user-agent}i"]
        return json.dumps(fields)

logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": JSON}},
    "handlers": {
        "errors": {"class": "logging.FileHandler", "filename": "err.json", "formatter": "json"},
        "access": {"class": "logging.FileHandler", "filename": "acc.json", "formatter": "json"},
    },
    "root": {"level": "INFO", "handlers": []},
    "loggers": {
        "gunicorn.error": {"level": "DEBUG", "handlers": ["errors"], "propagate": False},
        "gunicorn.access": {"level": "INFO", "handlers": ["access"], "propagate": False},
    },
}
access_log_format = "%(m)s %(U)s %(s)s %(p)s"
`

// Lines of every process, and of the access log, go through Python's logging where
// that is configured.
func TestLogconfigDict(t *testing.T) {
	t.Parallel()
	// With preload_app the reload configures the same process once more.
	for _, args := range []string{"", "--preload"} {
		t.Run(args, func(t *testing.T) { logconfigDict(t, strings.Fields(args)...) })
	}
}

func logconfigDict(t *testing.T, args ...string) {
	s := start(t, options{conf: jsonLogs, args: args})
	worker := s.workers(1)[0]
	c := s.client()
	c.do(t, "GET", "/path?q", "", "User-Agent: test")
	has := func(file, text string, pid int) {
		t.Helper()
		eventually(t, fmt.Sprintf("%s has %q", file, text), func() bool {
			for _, r := range s.jsonLines(file) {
				if strings.Contains(r["text"].(string), text) && (pid == 0 || int(r["pid"].(float64)) == pid) {
					return true
				}
			}
			return false
		})
	}
	has("err.json", "Starting indrik", s.pid())
	has("err.json", "Listening at: http://"+s.addr(), s.pid())
	has("err.json", "Booting worker with pid", worker)
	has("err.json", "State: running", s.pid()) // a message of level DEBUG: gunicorn.error has that level
	has("acc.json", fmt.Sprintf("GET /path 200 <%d>", worker), worker)
	for _, r := range s.jsonLines("acc.json") {
		if r["text"] == fmt.Sprintf("GET /path 200 <%d>", worker) && (r["status"] != "200" || r["agent"] != "test") {
			t.Errorf("%v", r)
		}
	}

	// Rotation, reload with another configuration, and the last words.
	for _, f := range []string{"err.json", "acc.json"} {
		must(t, os.Rename(s.path(f), s.path(f+".1")))
	}
	s.signal(syscall.SIGUSR1)
	s.expectNobodyHolds("err.json.1", "acc.json.1")
	s.get("/rotated")
	has("acc.json", "GET /rotated 200", 0)
	s.write("gunicorn.conf.py", strings.ReplaceAll(jsonLogs, "acc.json", "acc2.json"))
	s.reload(1)
	s.get("/reloaded")
	has("acc2.json", "GET /reloaded 200", 0)

	// A configuration that is no good changes nothing.
	s.write("gunicorn.conf.py", "logconfig_dict = {'handlers': {'x': {'class': 'nix.Handler'}}}\n")
	s.signal(syscall.SIGHUP)
	has("err.json", "Unable to configure handler 'x'", s.pid())
	s.get("/kept")
	has("acc2.json", "GET /kept 200", 0)
	s.terminate()
	has("err.json", "Shutting down: Master", s.pid())
	if n := len(s.log.all(`.`)); n != 0 {
		t.Errorf("%d lines went to the terminal: %s", n, s.log)
	}
}

// The process that relays the lines can die like any other.
func TestRelayDies(t *testing.T) {
	t.Parallel()
	s := start(t, options{conf: jsonLogs})
	relay := s.role("logger")
	if len(relay) != 1 {
		t.Fatalf("there are %d loggers", len(relay))
	}
	kill(t, relay[0].pid, syscall.SIGKILL)
	s.log.expect(t, fmt.Sprintf(`\[ERROR\] The logger \(pid:%d\) has ended: until there is another one, lines go to errorlog and accesslog$`, relay[0].pid))
	eventually(t, "there is another one", func() bool {
		r := s.role("logger")
		return len(r) == 1 && r[0].pid != relay[0].pid
	})
	eventually(t, "a request is logged", func() bool {
		s.get("/again")
		return strings.Contains(s.read("acc.json"), "/again")
	})
	s.terminate()
	if !strings.Contains(s.read("err.json"), "Shutting down: Master") {
		t.Error("the last line is missing")
	}
}

// A class of one's own decides what becomes of the lines of all processes.
func TestLoggerClass(t *testing.T) {
	t.Parallel()
	conf := `
import logging
from indrik.glogging import Logger

class Quiet(Logger):
    """Requests to the health check are not logged, levels are in lower case."""

    def setup(self, cfg):
        super().setup(cfg)
        self._set_handler(self.error_log, cfg.errorlog, logging.Formatter("own %(levelname)s %(process)d: %(message)s"))

    def atoms(self, resp, req, environ, request_time):
        atoms = super().atoms(resp, req, environ, request_time)
        atoms["path"] = req.path.upper()
        atoms["half"] = 0.5
        return atoms

    def access(self, resp, req, environ, request_time):
        if req.path != "/health":
            super().access(resp, req, environ, request_time)

logger_class = Quiet
accesslog = "acc.log"
access_log_format = "%(path)s %(half).2f %(s)s %({x-request-id}i)s %({content-type}o)s"
`
	s := start(t, options{conf: conf})
	s.get("/health")
	s.client().do(t, "GET", "/some/path", "", "X-Request-Id: 12")
	eventually(t, "the request is logged", func() bool {
		return strings.HasSuffix(s.read("acc.log"), "/SOME/PATH 0.50 200 12 text/plain\n")
	})
	if strings.Contains(s.read("acc.log"), "HEALTH") {
		t.Errorf("the health check is in the log: %s", s.read("acc.log"))
	}
	s.terminate()
	for _, text := range []string{"Starting indrik .*", "Shutting down: Master"} {
		if s.log.count(fmt.Sprintf(`^own INFO %d: %s$`, s.pid(), text)) != 1 {
			t.Errorf("the log lacks %q", text)
		}
	}
	if s.log.count(`^own INFO \d+: Booting worker`) != 1 || s.log.count(`^\[`) != 0 {
		t.Error("the log has other lines")
	}
}

// What config file and hooks put into the loggers holds for the lines of all processes,
// also of those that were there before.
func TestLoggersTouched(t *testing.T) {
	t.Parallel()
	const probes = `
import logging

class NoProbes(logging.Filter):
    def filter(self, record):
        return "/health" not in record.getMessage()

accesslog = "acc.log"
`
	for name, conf := range map[string]string{
		"config file": probes + `
logging.getLogger("gunicorn.access").addFilter(NoProbes())
logging.getLogger("gunicorn.error").addFilter(lambda record: "Handling" not in record.getMessage())
`,
		"on_starting": probes + `
def on_starting(server):
    server.log.access_log.addFilter(NoProbes())
    server.log.error_log.handlers[0].addFilter(lambda record: "Handling" not in record.getMessage())

def on_reload(server):
    on_starting(server)
`,
		"when_ready": probes + `
def when_ready(server):
    logging.getLogger("gunicorn.access").addFilter(NoProbes())
    server.log.error_log.addFilter(lambda record: "Handling" not in record.getMessage())

on_reload = when_ready
`,
		"besides a dictionary": probes + `
logconfig_dict = {
    "loggers": {"gunicorn.access": {"handlers": ["access"], "level": "INFO", "propagate": False}},
    "handlers": {"access": {"class": "logging.FileHandler", "filename": "acc.log"}},
    "root": {"handlers": []},
}

def on_starting(server):
    server.log.access_log.addFilter(NoProbes())
    server.log.error_log.addFilter(lambda record: "Handling" not in record.getMessage())

on_reload = on_starting
`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, options{conf: conf})
			for _, path := range []string{"/started", "/reloaded"} {
				s.get("/health")
				s.get(path)
				eventually(t, path+" is logged", func() bool { return strings.Contains(s.read("acc.log"), path) })
				if path == "/started" {
					s.reload(1)
				}
			}
			if strings.Contains(s.read("acc.log"), "/health") {
				t.Errorf("the filter was passed by:\n%s", s.read("acc.log"))
			}
			eventually(t, "there is one logger", func() bool { return len(s.role("logger")) == 1 })
			s.terminate()
			if s.log.count("Handling signal") != 0 {
				t.Error("the master passes the filter by")
			}
		})
	}
}

func TestLogconfigFiles(t *testing.T) {
	t.Parallel()
	ini := `[loggers]
keys=root,error,access
[handlers]
keys=out
[formatters]
keys=short
[logger_root]
level=WARNING
handlers=
[logger_error]
level=INFO
handlers=out
qualname=gunicorn.error
propagate=0
[logger_access]
level=INFO
handlers=out
qualname=gunicorn.access
propagate=0
[handler_out]
class=FileHandler
args=('all.log',)
formatter=short
[formatter_short]
format=%(name)s|%(message)s
`
	js := `{"handlers": {"out": {"class": "logging.FileHandler", "filename": "all.log", "formatter": "short"}},
		"formatters": {"short": {"format": "%(name)s|%(message)s"}}, "root": {"level": "WARNING", "handlers": []}, "loggers": {
		"gunicorn.error": {"level": "INFO", "handlers": ["out"], "propagate": false},
		"gunicorn.access": {"level": "INFO", "handlers": ["out"], "propagate": false}}}`
	for flag, text := range map[string]string{"--log-config": ini, "--log-config-json": js} {
		t.Run(flag, func(t *testing.T) {
			s := start(t, options{args: []string{flag, "logs"}, files: map[string]string{"logs": text}})
			s.get("/x")
			eventually(t, "both logs are there", func() bool {
				return strings.Contains(s.read("all.log"), "gunicorn.error|Starting indrik") &&
					strings.Contains(s.read("all.log"), `gunicorn.access|127.0.0.1 - - [`)
			})
			s.terminate()
		})
	}
}

// What cannot be used ends the start, as in Gunicorn.
func TestBadLogging(t *testing.T) {
	t.Parallel()
	for conf, want := range map[string]string{
		"logconfig = 'nix.ini'":                                    `^Error: Error: log config 'nix\.ini' not found$`,
		"logconfig_json = 'nix.json'":                              `^Error: Error: log config 'nix\.json' not found$`,
		"logconfig_dict = {'handlers': {'x': {'class': 'nix.H'}}}": `^Error: Unable to configure handler 'x': Cannot resolve 'nix\.H'`,
		"logger_class = 'nix.Logger'":                              `^Error: logger_class = 'nix\.Logger': importing it failed:$`,
		"from indrik.glogging import Logger\nclass L(Logger):\n  def setup(self, cfg): 1/0\nlogger_class = L": `^Error: division by zero$`,
		"errorlog = '/nix/err.log'": `^Error: '/nix/err\.log' isn't writable`,
	} {
		s := launch(t, options{conf: conf})
		s.expectExit(1)
		if s.log.count(want) != 1 {
			t.Errorf("%s: the log lacks %q:\n%s", conf, want, s.log)
		}
	}
}

// What the app prints goes to the error log, also after a rotation.
func TestCaptureOutput(t *testing.T) {
	t.Parallel()
	app := `
import os, sys
def app(environ, start_response):
    print("printed " + environ["PATH_INFO"], flush=True)
    print("complained " + environ["PATH_INFO"], file=sys.stderr, flush=True)
    os.system("echo shell " + environ["PATH_INFO"])
    start_response("200 OK", [])
    return [b"ok"]
`
	s := start(t, options{app: "webapp:app", args: []string{"--capture-output", "--error-logfile", "err.log"}, files: map[string]string{"webapp.py": app}})
	s.get("/one")
	must(t, os.Rename(s.path("err.log"), s.path("err.log.1")))
	s.signal(syscall.SIGUSR1)
	s.expectNobodyHolds("err.log.1")
	s.get("/two")
	for file, path := range map[string]string{"err.log.1": "/one", "err.log": "/two"} {
		for _, text := range []string{"printed ", "complained ", "shell "} {
			if !strings.Contains(s.read(file), "\n"+text+path+"\n") && !strings.HasPrefix(s.read(file), text+path+"\n") {
				t.Errorf("%s lacks %s:\n%s", file, text+path, s.read(file))
			}
		}
	}
	s.terminate()
}
