//go:build linux

package test

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

// top starts `indrik top` for a server, in a terminal of its own.
func top(t *testing.T, s *harness.Server, columns, rows int, env ...string) *harness.Terminal {
	t.Helper()
	term := harness.NewTerminal(t, columns, rows)
	cmd := exec.Command(harness.Command(t)[0], "top", "--interval", "100ms")
	cmd.Dir = s.Dir
	cmd.Env = append(append(harness.BinaryEnv(), "INDRIK_CONTROL_SOCKET=srv.ctl", "TERM=xterm-256color", "LANG=C.UTF-8"), env...)
	term.Start(cmd)
	return term
}

// expectBack checks that the terminal is as the shell had it.
func expectBack(t *testing.T, term *harness.Terminal) {
	t.Helper()
	if mode, usual := term.Mode(); !usual {
		t.Errorf("the terminal is left in mode %+v", mode)
	}
	harness.Eventually(t, "the shell's screen is back", func() bool { return !term.OtherScreen() })
}

// gatedTop is a server whose requests can be held, and its view.
func gatedTop(t *testing.T, columns, rows int, env ...string) (*harness.Server, *harness.Terminal) {
	t.Helper()
	s := harness.Start(t, harness.Options{
		App: "gated:app", Args: []string{"--workers", "2", "--control-socket", "srv.ctl"}, Gates: []string{"held"},
		Files: map[string]string{"gated.py": harness.TestFile(t, "apps/gated.py"), "gate.py": harness.TestFile(t, "apps/gate.py")},
	})
	s.Workers(2)
	return s, top(t, s, columns, rows, env...)
}

// The view shows what runs, changes its order and page, and gives the terminal back.
func TestTop(t *testing.T) {
	t.Parallel()
	s, term := gatedTop(t, 100, 24)
	term.Expect("2/2 workers")
	term.Expect("listening at " + s.Address)
	for _, pid := range s.Workers(2) {
		term.Expect(fmt.Sprint(pid, " "))
	}
	if _, usual := term.Mode(); usual || !term.OtherScreen() {
		t.Error("the terminal is as before while the view is shown")
	}
	held := s.Begin("/held?secret=1")
	s.Gates["held"].Entered()
	term.Expect("GET /held")
	term.Type("2")
	term.Expect("REQUESTS THAT RUN")
	term.Expect("GET /held  for 127.0.0.1")
	term.Type("3")
	term.Expect("No worker has died.")
	term.Type("4")
	term.Expect("There was no reload.")
	term.Type("\t")
	term.Expect("No slow request is known.")
	term.Type("\t")
	term.Expect("There was no action.")
	term.Type("?")
	term.Expect("sort by the next column")
	term.Type("1")
	term.Expect("PID▾")
	term.Type("s")
	term.Expect("AGE▾")
	term.Type("S")
	term.Expect("AGE▴")
	term.Type("\x1b[B") // down
	term.Type("\r")
	term.Expect("REQUESTS ")
	term.Expect("CPU% ")
	s.Gates["held"].Release()
	held.Expect(200)
	term.ExpectNot("GET /held")
	if strings.Contains(term.Written(), "secret") {
		t.Error("a query is shown")
	}
	term.Type("q")
	if exit := term.Exit(); exit != nil {
		t.Error(exit)
	}
	expectBack(t, term)
	s.Terminate()
}

// Each action asks first and says what came of it; a reload that fails shows its traceback.
func TestTopActions(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{
		App: "webapp:app", Args: []string{"--workers", "1", "--control-socket", "srv.ctl", "--error-logfile", "err.log"},
		Files: map[string]string{"webapp.py": versioned("1")},
	})
	pid := s.Workers(1)[0]
	term := top(t, s, 90, 20)
	term.Expect("1/1 workers")
	s.WriteFile("webapp.py", versioned("2"))
	term.Type("r")
	term.Expect(fmt.Sprintf("Reload pid %d?", s.PID()))
	term.Type("n")
	term.ExpectNot("Reload pid")
	term.Type("r")
	term.Expect("y/n Reload")
	term.Type("y")
	term.Expect("generation 2 serves, with 1 workers")
	s.WriteFile("webapp.py", "def deep(n):\n    if not n:\n        raise ValueError('broken \\x1b[2Jfor \\x9b a test')\n    return deep(n - 1) + 1\ndeep(30)\n")
	term.Type("r")
	term.Expect("y/n Reload")
	term.Type("y")
	term.Expect("RESULT OF THE LAST ACTION  1-")
	term.Expect("Reload failed, nothing was changed")
	term.Type("\x1b[F") // end
	term.Expect("ValueError: broken ")
	if text := term.Written(); strings.Contains(text, "\x1b[2Jfor") || strings.Contains(text, "\u009b") {
		t.Error("what the app has raised goes to the terminal as it is")
	}
	if text := done(t, s, "status"); strings.ContainsAny(text, "\x1b\u009b") || !strings.Contains(text, "ValueError: broken \ufffd[2Jfor ") {
		t.Errorf("indrik status: %q", text)
	}
	if text := done(t, s, "status", "--json"); strings.ContainsAny(text, "\x1b\u009b") || !strings.Contains(text, "broken \ufffd[2Jfor") {
		t.Errorf("indrik status --json: %q", text)
	}
	s.WriteFile("webapp.py", versioned("3"))
	term.Type("\x1b")
	term.Expect("PID▾")
	term.Type("+")
	term.Expect("Have 2 workers instead of 1?")
	term.Type("+")
	term.Expect("Have 3 workers instead of 1?")
	term.Type("y")
	term.Expect("3 workers serve")
	term.Expect("3/3 workers")
	term.Type("-")
	term.Expect("Have 2 workers instead of 3?")
	term.Type("-")
	term.Expect("Have 1 workers instead of 3?")
	term.Type("y")
	term.Expect("1 workers serve")
	before := s.Workers(1)[0] // the others have left
	if before == pid {
		t.Error("the worker from before the reload serves")
	}
	term.Expect(fmt.Sprint("> ", before))
	term.Type("k")
	term.Expect(fmt.Sprintf("(pid %d) after its requests?", before))
	term.Type("y")
	term.Expect(fmt.Sprintf("worker %d has ended", before))
	harness.Must(t, os.Rename(s.Path("err.log"), s.Path("old.log")))
	term.Type("o")
	term.Expect("y/n Open the log files anew")
	term.Type("y")
	term.Expect("reopened")
	harness.Eventually(t, "the log is there anew", func() bool { _, err := os.Stat(s.Path("err.log")); return err == nil })
	term.Type("q")
	term.Exit()
	s.Terminate()
}

// Small terminals and such without colour get what fits, and a new size gets all of it.
func TestTopInSmallTerminals(t *testing.T) {
	t.Parallel()
	s, term := gatedTop(t, 40, 10, "NO_COLOR=1")
	term.Expect("2/2 workers")
	term.Expect("q quit")
	term.Type("+")
	term.Expect("Have 3 workers instead of 2?")
	term.Type("n")
	term.Resize(110, 30)
	term.Expect("listening at " + s.Address)
	term.Expect("roll back")
	term.Resize(20, 4)
	term.ExpectNot("listening")
	term.Type("\x03")
	if exit := term.Exit(); exit != nil {
		t.Error(exit)
	}
	expectBack(t, term)
	if colour := regexp.MustCompile(`\x1b\[[0-9;]*[34][0-9][0-9;]*m`).FindString(term.Written()); colour != "" {
		t.Errorf("%q is written with NO_COLOR", colour)
	}
	s.Terminate()
}

// Where there is no terminal that text can be placed in, a line says what to use instead.
func TestTopWithoutATerminal(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Args: []string{"--control-socket", "srv.ctl"}})
	for command, want := range map[string]struct {
		code int
		text string
	}{
		"top":                    {1, "indrik top: the standard output is no terminal: `indrik status` shows the same once\n"},
		"top -s nothing.ctl":     {1, "there is no control socket at nothing.ctl"},
		"top extra":              {2, "Usage: indrik top"},
		"top --interval 1ms":     {1, "--interval 1ms is too short: from 100ms on"},
		"top --interval 3":       {2, "invalid value"},
		"top -p a -s b":          {1, "not both"},
		"top -s srv.ctl --json":  {2, "flag provided but not defined"},
		"top --interval 1s more": {2, "Usage: indrik top"},
	} {
		out, errs, code := indrik(t, s, strings.Fields(command)...)
		if code != want.code || out != "" || !strings.Contains(errs, want.text) {
			t.Errorf("indrik %s: exit code %d, %s%s", command, code, out, errs)
		}
	}
	for _, kind := range []string{"TERM=dumb", "TERM="} {
		term := top(t, s, 120, 24, kind)
		exit := term.Exit()
		if exit == nil || exit.ExitCode() != 1 {
			t.Errorf("%s: %v", kind, exit)
		}
		term.Expect("(TERM) cannot place text: `indrik status` shows the same once")
		if strings.Contains(term.Written(), "\x1b") {
			t.Errorf("%s: %q is written", kind, term.Written())
		}
	}
	s.Terminate()
}

// A signal ends the view, and finds the terminal as the shell had it, also when the terminal
// takes nothing any more.
func TestTopEndedBySignals(t *testing.T) {
	t.Parallel()
	s, _ := gatedTop(t, 80, 24)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT} {
		for _, reads := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, terminal reads: %v", sig, reads), func(t *testing.T) {
				if signal.Ignored(sig) {
					t.Skip("the tests were started to ignore it, as by nohup")
				}
				if sig == syscall.SIGQUIT && !reads {
					t.Skip("stacks cannot be written then")
				}
				t.Parallel()
				term := top(t, s, 80, 24)
				term.Expect("2/2 workers")
				if !reads {
					term.Stop()
				}
				term.Signal(sig)
				exit := term.Exit()
				dumped := sig == syscall.SIGQUIT && exit.ExitCode() == 2 // with stacks, as Go programs do
				if !dumped && (exit == nil || exit.Sys().(syscall.WaitStatus).Signal() != sig) {
					t.Errorf("it ended with %v", exit)
				}
				if mode, usual := term.Mode(); !usual {
					t.Errorf("the terminal is left in mode %+v", mode)
				}
				if reads {
					expectBack(t, term)
				}
			})
		}
	}
}

// The view follows an upgrade to the new server, and says so; of a server that has ended it
// says that, and finds one that is started in its place.
func TestTopAcrossUpgrade(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{
		App: "webapp:app", Daemon: true, Args: []string{"--control-socket", "srv.ctl"}, Files: map[string]string{"webapp.py": versioned("1")},
	})
	old := s.PID()
	term := top(t, s, 110, 24)
	term.Expect("1/1 workers")
	term.Type("u")
	term.Expect(fmt.Sprintf("Start the new server beside pid %d?", old))
	term.Type("y")
	term.Expect("the new server serves beside this one")
	successor := statusOf(t, s).Successor
	term.Expect(fmt.Sprintf("new server: pid %d (v)", successor))
	term.Type("v")
	term.Expect(fmt.Sprintf("another server answers: pid %d, before it %d", successor, old))
	term.Expect("the new server of an upgrade")
	term.Type("v")
	term.Expect(fmt.Sprintf("another server answers: pid %d, before it %d", old, successor))
	term.Type("d")
	term.Expect("y/n End the workers")
	term.Type("y")
	term.Expect("the workers have left")
	term.Type("b")
	term.Expect("y/n End the new server")
	term.Type("y")
	term.Expect("rolled back: 1 workers serve")
	done(t, s, "upgrade")
	done(t, s, "drain")
	done(t, s, "stop")
	term.Expect(fmt.Sprintf("before it %d", old))
	term.Expect("1/1 workers")
	done(t, s, "stop")
	term.Expect("there is no control socket at srv.ctl")
	term.Expect("as of ")
	term.Type("r")
	term.Expect("no server answers")
	term.Type("q")
	term.Exit()
	expectBack(t, term)
	s.ExpectExit(0)
}

// A path of a client's that would change the terminal is shown without doing so. (What the app
// says is in TestTopActions.)
func TestTopAndHostileClients(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{
		App: "anypath:app", Args: []string{"--control-socket", "srv.ctl"}, Gates: []string{"held"},
		Files: map[string]string{
			"anypath.py": "import gated\n\ndef app(environ, start_response):\n    return gated.app(dict(environ, PATH_INFO=environ['PATH_INFO'][:5]), start_response)\n",
			"gated.py":   harness.TestFile(t, "apps/gated.py"), "gate.py": harness.TestFile(t, "apps/gate.py"),
		},
	})
	term := top(t, s, 100, 24)
	held := s.Begin("/held/%1b]0;gone%07%c2%9b2J%0agone")
	s.Gates["held"].Entered()
	term.Expect("GET /held/")
	term.Type("2")
	term.Expect("for 127.0.0.1")
	shown := []string{term.Written(), done(t, s, "status"), done(t, s, "status", "--json")}
	for _, text := range shown {
		if strings.Contains(text, "\x1b]0;") || strings.Contains(text, "\u009b") || strings.Contains(text, "\ngone") || !strings.Contains(text, "GET") {
			t.Errorf("a client's control characters are shown: %q", text)
		}
	}
	s.Gates["held"].Release()
	held.Expect(200)
	term.Type("q")
	term.Exit()
	s.Terminate()
}

// With the pid file of the server the view needs no socket's name; a file without a server is
// a line.
func TestTopByPidFile(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Args: []string{"--control-socket", "srv.ctl", "--pid", "srv.pid"}})
	term := harness.NewTerminal(t, 80, 24)
	cmd := exec.Command(harness.Command(t)[0], "top", "-p", filepath.Join(s.Dir, "srv.pid"))
	cmd.Env = append(harness.BinaryEnv(), "TERM=xterm")
	began := time.Now()
	term.Start(cmd)
	term.Expect(fmt.Sprintf("pid %d", s.PID()))
	if took := time.Since(began); took > harness.Patience/2 {
		t.Errorf("the first status took %s", took)
	}
	s.Terminate()
	term.Expect("srv.pid: no such file or directory")
	term.Type("q")
	term.Exit()
}
