//go:build linux

package test

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// TestBadInput starts the server with what cannot work: each time it must say
// why in Gunicorn's words, end with Gunicorn's exit code and leave nothing
// behind (which the harness checks).
func TestBadInput(t *testing.T) {
	t.Parallel()
	workerBoot := []string{`\[ERROR\] Worker \(pid:\d+\) exited with code 3\.`, `\[ERROR\] Shutting down: Master`, `\[ERROR\] Reason: Worker failed to boot\.`}
	appLoad := []string{`\[ERROR\] Worker \(pid:\d+\) exited with code 4\.`, `\[ERROR\] Shutting down: Master`, `\[ERROR\] Reason: App failed to load\.`}
	for _, c := range []struct {
		name string
		o    options
		code int
		want []string
	}{
		{"no app", options{app: "-"}, 1, []string{`^Error: No application module specified\.$`}},
		{"unknown option", options{args: []string{"--no-such-option"}}, 2, []string{`^usage: ` + name(), `^` + name() + `: error: unrecognized arguments: --no-such-option`}},
		{"text for a number", options{args: []string{"-w", "abc"}}, 2, []string{`^usage: ` + name(), `: error: argument -w/--workers: invalid int value: 'abc'`}},
		{"negative number", options{args: []string{"--workers=-1"}}, 1, []string{`^Error: Value must be positive: -1$`}},
		{"missing value", options{app: "-", args: []string{"--workers"}}, 2, []string{`: error: argument -w/--workers: expected one argument`}},
		{"bad port", options{bind: []string{"127.0.0.1:port"}}, 1, []string{`'port' is not a valid port number\.`}},
		{"unknown user", options{args: []string{"--user", "no-such-user"}}, 1, []string{`^Error: No such user: 'no-such-user'$`}},
		{"unknown group", options{args: []string{"--group", "no-such-group"}}, 1, []string{`^Error: No such group: 'no-such-group'$`}},
		{"chdir to nowhere", options{args: []string{"--chdir", "/no/such/dir"}}, 1, []string{`can't chdir to '/no/such/dir'`}},
		{"bad environment setting", options{args: []string{"--env", "NOVALUE"}}, 1, []string{`environment setting 'NOVALUE' invalid`}},
		{"unknown worker class", options{args: []string{"-k", "no.such.Class"}}, 1, []string{`class uri 'no\.such\.Class' invalid or not found`}},
		{"bad WEB_CONCURRENCY", options{env: []string{"WEB_CONCURRENCY=abc"}}, 1, []string{`WEB_CONCURRENCY`}},
		{"bad GUNICORN_CMD_ARGS", options{env: []string{"GUNICORN_CMD_ARGS=--workers abc"}}, 2, []string{`invalid int value: 'abc'`}},

		{"config file missing", options{args: []string{"-c", "nowhere.py"}}, 1, []string{`^Error: 'nowhere\.py' doesn't exist$`}},
		{"config module missing", options{args: []string{"-c", "python:no.where"}}, 1, []string{`^Error: No module named 'no'$`}},
		{"config file broken", options{conf: "workers = 1 +\n"}, 1, []string{`^Failed to read config file: .*gunicorn\.conf\.py`, `SyntaxError`}},
		{"config file raises", options{conf: "def boom():\n    return 1 / 0\n\nboom()\n"}, 1, []string{`^Failed to read config file: .*gunicorn\.conf\.py`, `^Traceback`, `line 2, in boom`, `^ZeroDivisionError`}},
		{"too many addresses", options{conf: "bind = ['unix:s%d' % n for n in range(201)]\n", bind: []string{}}, 1, []string{`201 addresses to listen on, there can be 200$`}},
		{"config file that says too much", options{conf: "raise Exception('\u0436' * 30000)\n"}, 1, []string{`^Failed to read config file: .*gunicorn\.conf\.py`, `^Exception: \x{436}+$`, `^\x{436}+$`}},
		{"config file with large values", options{conf: "for name in 'a', 'b', 'c', 'd', 'e':\n    globals()['data_' + name] = name * 30000\n"}, 1, []string{`^Error: the values in .*gunicorn\.conf\.py are too large: \d+ bytes of at most \d+, 'data_a' has 30002\. `}},
		{"config file with a bad value", options{conf: "workers = 'many'\n"}, 1, []string{`Invalid value for workers: many`, `^Error: `}},
		{"config file with a negative number", options{conf: "timeout = -5\n"}, 1, []string{`Invalid value for timeout: -5`, `^Error: Value must be positive: -5`}},
		{"hook that takes other arguments", options{conf: "def when_ready():\n    pass\n"}, 1, []string{`Invalid value for when_ready: `, `^Error: .*arity`}},

		{"no such module", options{app: "no_such_module:app"}, 3, append([]string{`\[ERROR\] Exception in worker process`, `ModuleNotFoundError: No module named 'no_such_module'`, `Worker exiting \(pid: \d+\)`}, workerBoot...)},
		{"module that fails", options{app: "unimportable:app"}, 3, append([]string{`RuntimeError: this module cannot be imported`, `Worker exiting \(pid: \d+\)`}, workerBoot...)},
		{"file name", options{app: "webapp.py", files: map[string]string{"webapp.py": versioned("1")}}, 3, append([]string{`Failed to find application, did you mean 'webapp:app'\?`}, workerBoot...)},
		{"no such attribute", options{app: "hello:missing"}, 4, append([]string{`^Failed to find attribute 'missing' in 'hello'\.$`}, appLoad...)},
		{"attribute that is None", options{app: "specs:nothing"}, 4, append([]string{`^Failed to find application object: 'nothing'$`}, appLoad...)},
		{"attribute that is no app", options{app: "specs:number"}, 4, append([]string{`^Application object must be callable\.$`}, appLoad...)},
		{"unfinished call", options{app: "specs:factory("}, 4, append([]string{`^Failed to parse 'factory\(' as an attribute name or function call\.$`}, appLoad...)},
		{"call of a method", options{app: "specs:a.b()"}, 4, append([]string{`^Function reference must be a simple name: 'a\.b\(\)'$`}, appLoad...)},
		{"argument that is no literal", options{app: "specs:factory(x)"}, 4, append([]string{`^Failed to parse arguments as literal values: 'factory\(x\)'$`}, appLoad...)},
		{"factory with wrong arguments", options{app: "specs:one_argument()"}, 4, append([]string{`one_argument\(\) missing 1 required positional argument: 'x'`}, appLoad...)},
		{"several workers fail", options{app: "no_such_module:app", args: []string{"-w", "3"}}, 3, workerBoot},
		{"preloaded module missing", options{app: "no_such_module:app", args: []string{"--preload"}}, 1, []string{`^ModuleNotFoundError: No module named 'no_such_module'`}},
		{"failing hook", options{conf: "def on_starting(server):\n    raise RuntimeError('hook failed')\n"}, 1, []string{`hook failed$`}},

		{"pid file in no directory", options{args: []string{"--pid", "no/dir/x.pid"}}, 1, []string{`doesn't exist\. Can't create pidfile\.`}},
		{"log file in no directory", options{args: []string{"--error-logfile", "no/dir/x.log"}}, 1, []string{`^Error: '.*no/dir/x\.log' isn't writable`}},
		{"socket path that is a file", options{bind: []string{"unix:DIR/file"}, files: map[string]string{"file": "keep me"}}, 1, []string{`'.*/file' is not a socket`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.o.app == "" {
				c.o.app = "hello:app"
			}
			s := launch(t, c.o)
			s.expectExit(c.code)
			for _, want := range c.want {
				if s.log.count(want) == 0 {
					t.Errorf("no line that matches %q", want)
				}
			}
			s.checkStacks(c.code == 2)
		})
	}
}

// checkStacks looks for tracebacks that show code of the server to people who
// only made a mistake.
func (s *server) checkStacks(none bool) {
	s.t.Helper()
	if none && s.log.count(`^Traceback`) > 0 {
		s.t.Error("a stack trace is no answer to a bad option")
	}
	for _, m := range s.log.all(`^\s*File "([^"]*)", line`) {
		file := m[1]
		if strings.Contains(file, "indrik") && !strings.HasPrefix(file, repository) && !strings.HasPrefix(file, s.dir) {
			s.t.Errorf("a stack of ours: %s", m[0])
		}
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes five seconds")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	s := launch(t, options{bind: []string{l.Addr().String()}, args: []string{"--pid", "srv.pid", "--log-level", "debug"}})
	s.expectExit(1)
	addr := regexp.QuoteMeta(fmt.Sprintf("('127.0.0.1', %d)", port))
	for re, want := range map[string]int{
		`\[ERROR\] Connection in use: ` + addr + `$`:                                                                         5,
		`\[ERROR\] connection to ` + addr + ` failed: \[Errno \d+\] Address already in use$`:                                 5,
		`\[ERROR\] Can't connect to ` + addr + `$`:                                                                           1,
		`\[ERROR\] Another program listens on 127\.0\.0\.1:\d+ \(pid \d+, test\.test\)\. Stop it, or choose another --bind$`: 1,
		`Listening at|Booting worker`:                                                                                        0,
	} {
		if got := s.log.count(re); got != want {
			t.Errorf("%d lines match %q, want %d", got, re, want)
		}
	}
}

func TestPortBecomesFree(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s := launch(t, options{bind: []string{l.Addr().String()}})
	s.log.expect(t, `Connection in use`)
	l.Close()
	s.log.expect(t, `Listening at: `)
	s.ready()
	s.terminate()
}

func TestStopWhilePortIsInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	s := launch(t, options{bind: []string{l.Addr().String()}})
	s.log.expect(t, `Connection in use`)
	s.signal(syscall.SIGTERM)
	if code := s.exit(); code != 0 && code != 1 {
		t.Errorf("exit code %d", code)
	}
	if n := s.log.count(`Connection in use`); n > 4 {
		t.Errorf("TERM was not honoured between the tries: %d of them", n)
	}
}

func TestAddressOfAnotherHost(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes five seconds")
	}
	s := launch(t, options{bind: []string{"192.0.2.1:8000"}}) // RFC 5737: nobody's
	s.expectExit(1)
	addr := regexp.QuoteMeta("('192.0.2.1', 8000)")
	if s.log.count(`\[ERROR\] Invalid address: `+addr) == 0 || s.log.count(`Can't connect to `+addr) != 1 {
		t.Error("the log does not say what is wrong")
	}
}

func TestUnknownHost(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes five seconds")
	}
	s := launch(t, options{bind: []string{"no-such-host.invalid:8000"}})
	s.expectExit(1)
	// That there is no such name does not change; that nobody could be asked may.
	unknown := s.log.count(`\[ERROR\] connection to \('no-such-host\.invalid', 8000\) failed: \[Errno -2\] `)
	unasked := s.log.count(`\[ERROR\] connection to \('no-such-host\.invalid', 8000\) failed: \[Errno -3\] `)
	if unknown+unasked != 5 && unknown != 1 {
		t.Errorf("%d tries, and %d without an answer", unknown, unasked)
	}
	s.log.expect(t, `\[ERROR\] Can't connect to \('no-such-host\.invalid', 8000\)$`)
}

func TestPermissionDenied(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes five seconds")
	}
	free, _ := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if strings.TrimSpace(string(free)) == "0" {
		t.Skip("every user may bind every port here")
	}
	o := options{bind: []string{"127.0.0.1:1"}, env: []string{"PYTHONPATH="}}
	if os.Getuid() == 0 {
		if systemPython() == "" {
			t.Skip("no python3 that everybody can run")
		}
		o.uid, o.python = 65534, systemPython()
	}
	s := launch(t, o)
	s.expectExit(1)
	addr := regexp.QuoteMeta("('127.0.0.1', 1)")
	if n := s.log.count(`\[ERROR\] connection to ` + addr + ` failed: \[Errno 13\] Permission denied$`); n != 5 {
		t.Errorf("%d tries", n)
	}
}

func TestNoPython(t *testing.T) {
	t.Parallel()
	t.Run("nowhere", func(t *testing.T) {
		s := launch(t, options{python: "-", env: []string{"PATH=/no/such/bin", "VIRTUAL_ENV=/no/such/venv"}})
		s.expectExit(1)
		for _, place := range []string{`INDRIK_PYTHON`, `/no/such/venv/bin/python`, `PATH`} {
			if s.log.count(place) == 0 {
				t.Errorf("the message does not name %s", place)
			}
		}
	})
	t.Run("as told", func(t *testing.T) {
		s := launch(t, options{python: "/no/such/python"})
		s.expectExit(1)
		if s.log.count(`/no/such/python`) == 0 {
			t.Error("the message does not name the file")
		}
	})
	t.Run("not one", func(t *testing.T) {
		s := launch(t, options{python: "/bin/false"})
		s.expectExit(1)
		if s.log.count(`/bin/false`) == 0 {
			t.Error("the message does not name the file")
		}
	})
}

func TestPythonIsFound(t *testing.T) {
	t.Parallel()
	t.Run("on PATH", func(t *testing.T) {
		s := start(t, options{python: "-"})
		s.get("/")
		s.terminate()
	})
	t.Run("in VIRTUAL_ENV", func(t *testing.T) {
		dir := tempDir(t)
		must(t, os.Mkdir(dir+"/bin", 0o755))
		must(t, os.Symlink(python(), dir+"/bin/python"))
		s := start(t, options{python: "-", env: []string{"PATH=/no/such/bin", "VIRTUAL_ENV=" + dir}})
		s.get("/")
		s.terminate()
	})
}

func TestVersionAndHelp(t *testing.T) {
	t.Parallel()
	s := launch(t, options{app: "-", args: []string{"--version"}})
	s.expectExit(0)
	s.log.expect(t, `^`+name()+` \(version \S+\)$`)
	s = launch(t, options{app: "-", args: []string{"--help"}})
	s.expectExit(0)
	s.log.expect(t, `^usage: `+name()+` \[OPTIONS\] \[APP_MODULE\]`)
	for _, flag := range []string{"--bind", "--workers", "--threads", "--preload", "--daemon"} {
		if s.log.count(flag) == 0 {
			t.Errorf("the help does not name %s", flag)
		}
	}
}
