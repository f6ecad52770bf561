//go:build linux

package test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// jsonLines decodes each line of a file, but for one that is being written.
func jsonLines(s *harness.Server, name string) []map[string]any {
	s.T.Helper()
	var all []map[string]any
	for line := range strings.Lines(s.ReadFile(name)) {
		if !strings.HasSuffix(line, "\n") {
			break
		}
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			s.T.Fatalf("%s: %q: %s", name, line, err)
		}
		all = append(all, record)
	}
	return all
}

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
	s := harness.Start(t, harness.Options{Conf: harness.TestFile(t, "configs/json_files.py"), Args: args})
	worker := s.Workers(1)[0]
	c := s.Client()
	c.Do(t, "GET", "/path?q", "", "User-Agent: test")
	has := func(file, text string, pid int) {
		t.Helper()
		harness.Eventually(t, fmt.Sprintf("%s has %q", file, text), func() bool {
			for _, r := range jsonLines(s, file) {
				if strings.Contains(r["text"].(string), text) && (pid == 0 || int(r["pid"].(float64)) == pid) {
					return true
				}
			}
			return false
		})
	}
	has("err.json", "Starting indrik", s.PID())
	has("err.json", "Listening at: http://"+s.Address, s.PID())
	has("err.json", "Booting worker with pid", worker)
	has("err.json", "State: running", s.PID()) // a message of level DEBUG: gunicorn.error has that level
	has("acc.json", fmt.Sprintf("GET /path 200 <%d>", worker), worker)
	for _, r := range jsonLines(s, "acc.json") {
		if r["text"] == fmt.Sprintf("GET /path 200 <%d>", worker) && (r["status"] != "200" || r["agent"] != "test") {
			t.Errorf("%v", r)
		}
	}

	// Rotation, reload with another configuration, and the last words.
	for _, f := range []string{"err.json", "acc.json"} {
		harness.Must(t, os.Rename(s.Path(f), s.Path(f+".1")))
	}
	s.Signal(syscall.SIGUSR1)
	expectNobodyHolds(s, "err.json.1", "acc.json.1")
	s.Get("/rotated")
	has("acc.json", "GET /rotated 200", 0)
	s.WriteFile("gunicorn.conf.py", strings.ReplaceAll(harness.TestFile(t, "configs/json_files.py"), "acc.json", "acc2.json"))
	s.Reload(1)
	s.Get("/reloaded")
	has("acc2.json", "GET /reloaded 200", 0)

	// A configuration that is no good changes nothing.
	s.WriteFile("gunicorn.conf.py", "logconfig_dict = {'handlers': {'x': {'class': 'nix.Handler'}}}\n")
	s.Signal(syscall.SIGHUP)
	has("err.json", "Unable to configure handler 'x'", s.PID())
	s.Get("/kept")
	has("acc2.json", "GET /kept 200", 0)
	s.Terminate()
	has("err.json", "Shutting down: Master", s.PID())
	if n := len(s.Log.All(`.`)); n != 0 {
		t.Errorf("%d lines went to the terminal: %s", n, s.Log)
	}
}

// Bytes that are no text are the characters that WSGI makes of them.
func TestLoggersGetAllBytes(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Conf: harness.TestFile(t, "configs/json_files.py"), Args: []string{
		"--forwarded-allow-ips", "*", "--forwarded-for", "all",
	}})
	s.Client().Do(t, "GET", "/x", "", "User-Agent: caf\xe9", "X-Forwarded-For: 203.0.113.9")
	harness.Eventually(t, "the request is logged", func() bool { return strings.Contains(s.ReadFile("acc.json"), "GET /x") })
	for _, r := range jsonLines(s, "acc.json") {
		if strings.HasPrefix(r["text"].(string), "GET /x") && r["agent"] != "café" {
			t.Errorf("%v", r)
		}
	}
	s.Terminate()
}

// The process that relays the lines can die like any other.
func TestRelayDies(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Conf: harness.TestFile(t, "configs/json_files.py")})
	var relay []harness.Proc
	harness.Eventually(t, "there is one logger", func() bool {
		relay = s.Role("logger")
		return len(relay) == 1
	})
	harness.Kill(t, relay[0].PID, syscall.SIGKILL)
	s.Log.Expect(t, fmt.Sprintf(`\[ERROR\] The logger \(pid:%d\) has ended: until there is another one, lines go to errorlog and accesslog$`, relay[0].PID))
	harness.Eventually(t, "there is another one", func() bool {
		r := s.Role("logger")
		return len(r) == 1 && r[0].PID != relay[0].PID
	})
	harness.Eventually(t, "a request is logged", func() bool {
		s.Get("/again")
		return strings.Contains(s.ReadFile("acc.json"), "/again")
	})
	s.Terminate()
	if !strings.Contains(s.ReadFile("err.json"), "Shutting down: Master") {
		t.Error("the last line is missing")
	}
}

// A class of one's own decides what becomes of the lines of all processes.
func TestLoggerClass(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Conf: harness.TestFile(t, "configs/quiet_logger.py")})
	s.Get("/health")
	s.Client().Do(t, "GET", "/some/path", "", "X-Request-Id: 12")
	harness.Eventually(t, "the request is logged", func() bool {
		return strings.HasSuffix(s.ReadFile("acc.log"), "/SOME/PATH 0.50 200 12 text/plain\n")
	})
	if strings.Contains(s.ReadFile("acc.log"), "HEALTH") {
		t.Errorf("the health check is in the log: %s", s.ReadFile("acc.log"))
	}
	s.Terminate()
	for _, text := range []string{"Starting indrik .*", "Shutting down: Master"} {
		if s.Log.Count(fmt.Sprintf(`^own INFO %d: %s$`, s.PID(), text)) != 1 {
			t.Errorf("the log lacks %q", text)
		}
	}
	if s.Log.Count(`^own INFO \d+: Booting worker`) != 1 || s.Log.Count(`^\[`) != 0 {
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
			s := harness.Start(t, harness.Options{Conf: conf})
			for _, path := range []string{"/started", "/reloaded"} {
				s.Get("/health")
				s.Get(path)
				harness.Eventually(t, path+" is logged", func() bool { return strings.Contains(s.ReadFile("acc.log"), path) })
				if path == "/started" {
					s.Reload(1)
				}
			}
			if strings.Contains(s.ReadFile("acc.log"), "/health") {
				t.Errorf("the filter was passed by:\n%s", s.ReadFile("acc.log"))
			}
			harness.Eventually(t, "there is one logger", func() bool { return len(s.Role("logger")) == 1 })
			s.Terminate()
			if s.Log.Count("Handling signal") != 0 {
				t.Error("the master passes the filter by")
			}
		})
	}
}

func TestLogconfigFiles(t *testing.T) {
	t.Parallel()
	js := `{"handlers": {"out": {"class": "logging.FileHandler", "filename": "all.log", "formatter": "short"}},
		"formatters": {"short": {"format": "%(name)s|%(message)s"}}, "root": {"level": "WARNING", "handlers": []}, "loggers": {
		"gunicorn.error": {"level": "INFO", "handlers": ["out"], "propagate": false},
		"gunicorn.access": {"level": "INFO", "handlers": ["out"], "propagate": false}}}`
	for flag, text := range map[string]string{"--log-config": harness.TestFile(t, "configs/logging.ini"), "--log-config-json": js} {
		t.Run(flag, func(t *testing.T) {
			s := harness.Start(t, harness.Options{Args: []string{flag, "logs"}, Files: map[string]string{"logs": text}})
			s.Get("/x")
			harness.Eventually(t, "both logs are there", func() bool {
				return strings.Contains(s.ReadFile("all.log"), "gunicorn.error|Starting indrik") &&
					strings.Contains(s.ReadFile("all.log"), `gunicorn.access|127.0.0.1 - - [`)
			})
			s.Terminate()
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
		s := harness.Launch(t, harness.Options{Conf: conf})
		s.ExpectExit(1)
		if s.Log.Count(want) != 1 {
			t.Errorf("%s: the log lacks %q:\n%s", conf, want, s.Log)
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
	s := harness.Start(t, harness.Options{App: "webapp:app", Args: []string{"--capture-output", "--error-logfile", "err.log"}, Files: map[string]string{"webapp.py": app}})
	s.Get("/one")
	harness.Must(t, os.Rename(s.Path("err.log"), s.Path("err.log.1")))
	s.Signal(syscall.SIGUSR1)
	expectNobodyHolds(s, "err.log.1")
	s.Get("/two")
	for file, path := range map[string]string{"err.log.1": "/one", "err.log": "/two"} {
		for _, text := range []string{"printed ", "complained ", "shell "} {
			if !strings.Contains(s.ReadFile(file), "\n"+text+path+"\n") && !strings.HasPrefix(s.ReadFile(file), text+path+"\n") {
				t.Errorf("%s lacks %s:\n%s", file, text+path, s.ReadFile(file))
			}
		}
	}
	s.Terminate()
}
