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

	"indrik/test/harness"
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
		o    harness.Options
		code int
		want []string
	}{
		{"no app", harness.Options{App: "-"}, 1, []string{`^Error: No application module specified\.$`}},
		{"unknown option", harness.Options{Args: []string{"--no-such-option"}}, 2, []string{`^usage: ` + harness.ProgramName(), `^` + harness.ProgramName() + `: error: unrecognized arguments: --no-such-option`}},
		{"text for a number", harness.Options{Args: []string{"-w", "abc"}}, 2, []string{`^usage: ` + harness.ProgramName(), `: error: argument -w/--workers: invalid int value: 'abc'`}},
		{"negative number", harness.Options{Args: []string{"--workers=-1"}}, 1, []string{`^Error: Value must be positive: -1$`}},
		{"missing value", harness.Options{App: "-", Args: []string{"--workers"}}, 2, []string{`: error: argument -w/--workers: expected one argument`}},
		{"bad port", harness.Options{Bind: []string{"127.0.0.1:port"}}, 1, []string{`'port' is not a valid port number\.`}},
		{"unknown user", harness.Options{Args: []string{"--user", "no-such-user"}}, 1, []string{`^Error: No such user: 'no-such-user'$`}},
		{"unknown group", harness.Options{Args: []string{"--group", "no-such-group"}}, 1, []string{`^Error: No such group: 'no-such-group'$`}},
		{"chdir to nowhere", harness.Options{Args: []string{"--chdir", "/no/such/dir"}}, 1, []string{`can't chdir to '/no/such/dir'`}},
		{"bad environment setting", harness.Options{Args: []string{"--env", "NOVALUE"}}, 1, []string{`environment setting 'NOVALUE' invalid`}},
		{"unknown worker class", harness.Options{Args: []string{"-k", "no.such.Class"}}, 1, []string{`class uri 'no\.such\.Class' invalid or not found`}},
		{"bad WEB_CONCURRENCY", harness.Options{Env: []string{"WEB_CONCURRENCY=abc"}}, 1, []string{`WEB_CONCURRENCY`}},
		{"bad GUNICORN_CMD_ARGS", harness.Options{Env: []string{"GUNICORN_CMD_ARGS=--workers abc"}}, 2, []string{`invalid int value: 'abc'`}},

		{"config file missing", harness.Options{Args: []string{"-c", "nowhere.py"}}, 1, []string{`^Error: 'nowhere\.py' doesn't exist$`}},
		{"config module missing", harness.Options{Args: []string{"-c", "python:no.where"}}, 1, []string{`^Error: No module named 'no'$`}},
		{"config file broken", harness.Options{Conf: "workers = 1 +\n"}, 1, []string{`^Failed to read config file: .*gunicorn\.conf\.py`, `SyntaxError`}},
		{"config file raises", harness.Options{Conf: "def boom():\n    return 1 / 0\n\nboom()\n"}, 1, []string{`^Failed to read config file: .*gunicorn\.conf\.py`, `^Traceback`, `line 2, in boom`, `^ZeroDivisionError`}},
		{"too many addresses", harness.Options{Conf: "bind = ['unix:s%d' % n for n in range(201)]\n", Bind: []string{}}, 1, []string{`201 addresses to listen on, there can be 200$`}},
		{"config file that says too much", harness.Options{Conf: "raise Exception('\u0436' * 30000)\n"}, 1, []string{`^Failed to read config file: .*gunicorn\.conf\.py`, `^Exception: \x{436}+$`, `^\x{436}+$`}},
		{"config file with large values", harness.Options{Conf: "for name in 'a', 'b', 'c', 'd', 'e':\n    globals()['data_' + name] = name * 30000\n"}, 1, []string{`^Error: the values in .*gunicorn\.conf\.py are too large: \d+ bytes of at most \d+, 'data_a' has 30002\. `}},
		{"config file with a bad value", harness.Options{Conf: "workers = 'many'\n"}, 1, []string{`Invalid value for workers: many`, `^Error: `}},
		{"config file with a negative number", harness.Options{Conf: "timeout = -5\n"}, 1, []string{`Invalid value for timeout: -5`, `^Error: Value must be positive: -5`}},
		{"hook that takes other arguments", harness.Options{Conf: "def when_ready():\n    pass\n"}, 1, []string{`Invalid value for when_ready: `, `^Error: .*arity`}},

		{"no such module", harness.Options{App: "no_such_module:app"}, 3, append([]string{`\[ERROR\] Exception in worker process`, `ModuleNotFoundError: No module named 'no_such_module'`, `Worker exiting \(pid: \d+\)`}, workerBoot...)},
		{"module that fails", harness.Options{App: "unimportable:app"}, 3, append([]string{`RuntimeError: this module cannot be imported`, `Worker exiting \(pid: \d+\)`}, workerBoot...)},
		{"file name", harness.Options{App: "webapp.py", Files: map[string]string{"webapp.py": versioned("1")}}, 3, append([]string{`Failed to find application, did you mean 'webapp:app'\?`}, workerBoot...)},
		{"no such attribute", harness.Options{App: "hello:missing"}, 4, append([]string{`^Failed to find attribute 'missing' in 'hello'\.$`}, appLoad...)},
		{"attribute that is None", harness.Options{App: "specs:nothing"}, 4, append([]string{`^Failed to find application object: 'nothing'$`}, appLoad...)},
		{"attribute that is no app", harness.Options{App: "specs:number"}, 4, append([]string{`^Application object must be callable\.$`}, appLoad...)},
		{"unfinished call", harness.Options{App: "specs:factory("}, 4, append([]string{`^Failed to parse 'factory\(' as an attribute name or function call\.$`}, appLoad...)},
		{"call of a method", harness.Options{App: "specs:a.b()"}, 4, append([]string{`^Function reference must be a simple name: 'a\.b\(\)'$`}, appLoad...)},
		{"argument that is no literal", harness.Options{App: "specs:factory(x)"}, 4, append([]string{`^Failed to parse arguments as literal values: 'factory\(x\)'$`}, appLoad...)},
		{"factory with wrong arguments", harness.Options{App: "specs:one_argument()"}, 4, append([]string{`one_argument\(\) missing 1 required positional argument: 'x'`}, appLoad...)},
		{"several workers fail", harness.Options{App: "no_such_module:app", Args: []string{"-w", "3"}}, 3, workerBoot},
		{"preloaded module missing", harness.Options{App: "no_such_module:app", Args: []string{"--preload"}}, 1, []string{`^ModuleNotFoundError: No module named 'no_such_module'`}},
		{"failing hook", harness.Options{Conf: "def on_starting(server):\n    raise RuntimeError('hook failed')\n"}, 1, []string{`hook failed$`}},

		{"pid file in no directory", harness.Options{Args: []string{"--pid", "no/dir/x.pid"}}, 1, []string{`doesn't exist\. Can't create pidfile\.`}},
		{"log file in no directory", harness.Options{Args: []string{"--error-logfile", "no/dir/x.log"}}, 1, []string{`^Error: '.*no/dir/x\.log' isn't writable`}},
		{"socket path that is a file", harness.Options{Bind: []string{"unix:DIR/file"}, Files: map[string]string{"file": "keep me"}}, 1, []string{`'.*/file' is not a socket`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.o.App == "" {
				c.o.App = "hello:app"
			}
			s := harness.Launch(t, c.o)
			s.ExpectExit(c.code)
			for _, want := range c.want {
				if s.Log.Count(want) == 0 {
					t.Errorf("no line that matches %q", want)
				}
			}
			checkStacks(s, c.code == 2)
		})
	}
}

// checkStacks looks for tracebacks that show code of the server to people who
// only made a mistake.
func checkStacks(s *harness.Server, none bool) {
	s.T.Helper()
	if none && s.Log.Count(`^Traceback`) > 0 {
		s.T.Error("a stack trace is no answer to a bad option")
	}
	for _, m := range s.Log.All(`^\s*File "([^"]*)", line`) {
		file := m[1]
		if strings.Contains(file, "indrik") && !strings.HasPrefix(file, harness.Repository) && !strings.HasPrefix(file, s.Dir) {
			s.T.Errorf("a stack of ours: %s", m[0])
		}
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes five seconds")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	harness.Must(t, err)
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	s := harness.Launch(t, harness.Options{Bind: []string{l.Addr().String()}, Args: []string{"--pid", "srv.pid", "--log-level", "debug"}})
	s.ExpectExit(1)
	addr := regexp.QuoteMeta(fmt.Sprintf("('127.0.0.1', %d)", port))
	for re, want := range map[string]int{
		`\[ERROR\] Connection in use: ` + addr + `$`:                                                                         5,
		`\[ERROR\] connection to ` + addr + ` failed: \[Errno \d+\] Address already in use$`:                                 5,
		`\[ERROR\] Can't connect to ` + addr + `$`:                                                                           1,
		`\[ERROR\] Another program listens on 127\.0\.0\.1:\d+ \(pid \d+, test\.test\)\. Stop it, or choose another --bind$`: 1,
		`Listening at|Booting worker`:                                                                                        0,
	} {
		if got := s.Log.Count(re); got != want {
			t.Errorf("%d lines match %q, want %d", got, re, want)
		}
	}
}

func TestPortBecomesFree(t *testing.T) {
	t.Parallel()
	// Not one of those that connections of others may have as soon as it is free.
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t)))
	harness.Must(t, err)
	s := harness.Launch(t, harness.Options{Bind: []string{l.Addr().String()}})
	s.Log.Expect(t, `Connection in use`)
	l.Close()
	s.Log.Expect(t, `Listening at: `)
	s.Ready()
	s.Terminate()
}

func TestStopWhilePortIsInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	harness.Must(t, err)
	defer l.Close()
	s := harness.Launch(t, harness.Options{Bind: []string{l.Addr().String()}})
	s.Log.Expect(t, `Connection in use`)
	s.Signal(syscall.SIGTERM)
	if code := s.Exit(); code != 0 && code != 1 {
		t.Errorf("exit code %d", code)
	}
	if n := s.Log.Count(`Connection in use`); n > 4 {
		t.Errorf("TERM was not honoured between the tries: %d of them", n)
	}
}

func TestAddressOfAnotherHost(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes five seconds")
	}
	s := harness.Launch(t, harness.Options{Bind: []string{"192.0.2.1:8000"}}) // RFC 5737: nobody's
	s.ExpectExit(1)
	addr := regexp.QuoteMeta("('192.0.2.1', 8000)")
	if s.Log.Count(`\[ERROR\] Invalid address: `+addr) == 0 || s.Log.Count(`Can't connect to `+addr) != 1 {
		t.Error("the log does not say what is wrong")
	}
}

func TestUnknownHost(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes five seconds")
	}
	s := harness.Launch(t, harness.Options{Bind: []string{"no-such-host.invalid:8000"}})
	s.ExpectExit(1)
	// That there is no such name does not change; that nobody could be asked may.
	unknown := s.Log.Count(`\[ERROR\] connection to \('no-such-host\.invalid', 8000\) failed: \[Errno -2\] `)
	unasked := s.Log.Count(`\[ERROR\] connection to \('no-such-host\.invalid', 8000\) failed: \[Errno -3\] `)
	if unknown+unasked != 5 && unknown != 1 {
		t.Errorf("%d tries, and %d without an answer", unknown, unasked)
	}
	s.Log.Expect(t, `\[ERROR\] Can't connect to \('no-such-host\.invalid', 8000\)$`)
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
	o := harness.Options{Bind: []string{"127.0.0.1:1"}, Env: []string{"PYTHONPATH="}}
	if os.Getuid() == 0 {
		if harness.SystemPython() == "" {
			t.Skip("no python3 that everybody can run")
		}
		o.UID, o.Python = 65534, harness.SystemPython()
	}
	s := harness.Launch(t, o)
	s.ExpectExit(1)
	addr := regexp.QuoteMeta("('127.0.0.1', 1)")
	if n := s.Log.Count(`\[ERROR\] connection to ` + addr + ` failed: \[Errno 13\] Permission denied$`); n != 5 {
		t.Errorf("%d tries", n)
	}
}

func TestNoPython(t *testing.T) {
	t.Parallel()
	t.Run("nowhere", func(t *testing.T) {
		s := harness.Launch(t, harness.Options{Python: "-", Env: []string{"PATH=/no/such/bin", "VIRTUAL_ENV=/no/such/venv"}})
		s.ExpectExit(1)
		for _, place := range []string{`INDRIK_PYTHON`, `/no/such/venv/bin/python`, `PATH`} {
			if s.Log.Count(place) == 0 {
				t.Errorf("the message does not name %s", place)
			}
		}
	})
	t.Run("as told", func(t *testing.T) {
		s := harness.Launch(t, harness.Options{Python: "/no/such/python"})
		s.ExpectExit(1)
		if s.Log.Count(`/no/such/python`) == 0 {
			t.Error("the message does not name the file")
		}
	})
	t.Run("not one", func(t *testing.T) {
		s := harness.Launch(t, harness.Options{Python: "/bin/false"})
		s.ExpectExit(1)
		if s.Log.Count(`/bin/false`) == 0 {
			t.Error("the message does not name the file")
		}
	})
}

func TestPythonIsFound(t *testing.T) {
	t.Parallel()
	t.Run("on PATH", func(t *testing.T) {
		s := harness.Start(t, harness.Options{Python: "-"})
		s.Get("/")
		s.Terminate()
	})
	t.Run("in VIRTUAL_ENV", func(t *testing.T) {
		dir := harness.TempDir(t)
		harness.Must(t, os.Mkdir(dir+"/bin", 0o755))
		harness.Must(t, os.Symlink(harness.Python(), dir+"/bin/python"))
		s := harness.Start(t, harness.Options{Python: "-", Env: []string{"PATH=/no/such/bin", "VIRTUAL_ENV=" + dir}})
		s.Get("/")
		s.Terminate()
	})
}

func TestVersionAndHelp(t *testing.T) {
	t.Parallel()
	s := harness.Launch(t, harness.Options{App: "-", Args: []string{"--version"}})
	s.ExpectExit(0)
	s.Log.Expect(t, `^`+harness.ProgramName()+` \(version \S+\)$`)
	s = harness.Launch(t, harness.Options{App: "-", Args: []string{"--help"}})
	s.ExpectExit(0)
	s.Log.Expect(t, `^usage: `+harness.ProgramName()+` \[OPTIONS\] \[APP_MODULE\]`)
	for _, flag := range []string{"--bind", "--workers", "--threads", "--preload", "--daemon"} {
		if s.Log.Count(flag) == 0 {
			t.Errorf("the help does not name %s", flag)
		}
	}
}
