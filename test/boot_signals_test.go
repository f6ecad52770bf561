//go:build linux

package test

import (
	"fmt"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// gatedConf is a config file that waits at the gate "conf" when it is read, or in a hook.
const gatedConf = `import gate
%s
workers = 2
def nworkers_changed(server, new, old):
    server.log.info("told %%s, not %%s" %% (new, old))
`

// TestWorkersAreChangedWhileItStarts: TTIN and TTOU before the first worker count, whatever
// the start has come to, and the hooks are told.
func TestWorkersAreChangedWhileItStarts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		conf  string
		sigs  []syscall.Signal
		count int
		told  []string
	}{
		"reading the configuration": {`gate.wait("conf")`, []syscall.Signal{syscall.SIGTTIN}, 3, []string{"told 3, not None"}},
		"more go than there are":    {`gate.wait("conf")`, []syscall.Signal{syscall.SIGTTOU, syscall.SIGTTOU, syscall.SIGTTOU}, 1, []string{"told 1, not None"}},
		"on_starting": {
			"def on_starting(server): gate.wait('conf')", []syscall.Signal{syscall.SIGTTIN, syscall.SIGTTIN}, 4,
			[]string{"told 2, not None", "told 4, not 2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := harness.Launch(t, harness.Options{Conf: fmt.Sprintf(gatedConf, c.conf), Gates: []string{"conf"}})
			s.Gates["conf"].Entered()
			for i, sig := range c.sigs {
				s.Signal(sig)
				harness.Eventually(t, "the signal is handled", func() bool { return s.Log.Count(handling(sig)) == i+1 })
			}
			s.Gates["conf"].Release()
			s.Ready()
			s.Workers(c.count)
			s.Terminate()
			var told []string
			for _, m := range s.Log.All(`told .*$`) {
				told = append(told, m[0])
			}
			if fmt.Sprint(told) != fmt.Sprint(c.told) {
				t.Errorf("the hook was told %q, want %q", told, c.told)
			}
		})
	}
}

// TestChangesWhileItStarts: what changes before the first worker is ready makes a reload once
// it is, and needs no second change.
func TestChangesWhileItStarts(t *testing.T) {
	t.Parallel()
	s := harness.Launch(t, harness.Options{App: "waiting:app", Gates: []string{"import"}, Files: map[string]string{
		"rates.txt": "1", "waiting.py": `import gate

RATES = open("rates.txt").read()
gate.wait("import")

def app(environ, start_response):
    start_response("200 OK", [])
    return [RATES.encode()]
`,
	}, Args: []string{"--reload", "--reload-extra-file", "rates.txt"}})
	s.Gates["import"].Entered()
	harness.Eventually(t, "the master watches files", func() bool { return harness.WatchesFiles(s.PID()) })
	s.WriteFile("rates.txt", "2")
	s.Log.ExpectFrom(t, 0, `Worker reloading: .*rates\.txt modified$`)
	if s.Log.Count(`\[INFO\] Ready: `) > 0 {
		t.Error("it was ready before the change was seen")
	}
	s.Gates["import"].Release()
	expectBody(s, "2")
	s.Terminate()
}

// TestDaemonThatIsKilledBeforeItServes: the command that starts it says so and fails.
func TestDaemonThatIsKilledBeforeItServes(t *testing.T) {
	t.Parallel()
	s := harness.Launch(t, harness.Options{App: "gated:app", Conf: "def on_starting(server):\n    import gate\n    gate.wait('conf')\n",
		Gates: []string{"conf"}, Args: []string{"--daemon"}})
	s.Gates["conf"].Entered()
	daemon := s.Role("master")[0].PID
	harness.Kill(t, daemon, syscall.SIGKILL)
	s.Gates["conf"].Release()
	s.ExpectExit(1)
	s.Log.ExpectFrom(t, 0, `^Error: the daemon was sent SIGKILL`)
}

// TestStopOfADaemonThatStarts: TERM to the command ends the daemon that it waits for.
func TestStopOfADaemonThatStarts(t *testing.T) {
	t.Parallel()
	s := harness.Launch(t, harness.Options{App: "gated:app", Conf: "def on_starting(server):\n    import gate\n    gate.wait('conf')\n",
		Gates: []string{"conf"}, Args: []string{"--daemon", "--pid", "srv.pid"}})
	s.Gates["conf"].Entered()
	s.Signal(syscall.SIGTERM)
	// The command has handled it, and has passed it on to the daemon.
	for range 2 {
		s.Log.Expect(t, handling(syscall.SIGTERM))
	}
	s.Gates["conf"].Release()
	if code := s.Exit(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	harness.Eventually(t, "every process has ended", func() bool { return len(s.Tree()) == 0 })
}
