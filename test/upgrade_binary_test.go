//go:build linux

package test

import (
	"os"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// TestUpgradeOfABinaryWithoutAPath: a server that was started by a relative path, or by a
// name that was looked up in PATH, finds its successor where it was found itself, although
// chdir has moved it since.
func TestUpgradeOfABinaryWithoutAPath(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"relative": `cp "$0" indrik && exec ./indrik "$@"`,
		"in PATH":  `mkdir bin && cp "$0" bin/indrik && PATH=$PWD/bin:$PATH && exec indrik "$@"`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{App: "echo:app", Files: map[string]string{"elsewhere/file": ""}, Wrap: []string{"sh", "-c", script}, Args: []string{"--pid", "DIR/srv.pid", "--chdir", "DIR/elsewhere"}})
			before := s.PID()
			u := upgrade(s, 1)
			s.Signal(syscall.SIGTERM)
			if code := s.Exit(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			u.become()
			if u.successor == before {
				t.Error("it is still the same process")
			}
			u.Get("/")
			u.Terminate()
		})
	}
}

// TestUpgradeWithoutABinary: when the file is gone the log says so, and the server goes on.
func TestUpgradeWithoutABinary(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Wrap: []string{"sh", "-c", `cp "$0" indrik && PATH=$PWD:$PATH && exec indrik "$@"`}})
	s.WriteFile("indrik", "") // what is not executable is no program of PATH
	s.Signal(syscall.SIGUSR2)
	s.Log.Expect(t, `\[ERROR\] Upgrade failed, nothing was changed: .*"indrik": executable file not found in \$PATH$`)
	s.Get("/")
	s.Terminate()
}

// TestStrangeInheritance: variables that no master can have left are told, and nothing is
// served on sockets of whoever set them.
func TestStrangeInheritance(t *testing.T) {
	t.Parallel()
	null, err := os.Open(os.DevNull) // descriptor 3 of the server
	harness.Must(t, err)
	t.Cleanup(func() { null.Close() })
	for name, c := range map[string]struct {
		env  []string
		want string
	}{
		"no pid":         {[]string{"INDRIK_PID=init"}, `^Error: INDRIK_PID: "init" is not a pid$`},
		"no descriptors": {[]string{"INDRIK_PID=1", "INDRIK_FD=stdin"}, `^Error: INDRIK_FD: "stdin" is not a list of descriptors$`},
		"no link":        {[]string{"INDRIK_PID=1"}, `^Error: INDRIK_LINK, INDRIK_PEER: not two descriptors$`},
		"no socket":      {[]string{"INDRIK_PID=1", "INDRIK_FD=3", "INDRIK_LINK=4", "INDRIK_PEER=5"}, `^Error: take over the listening socket at descriptor 3: .*non-socket$`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := harness.Launch(t, harness.Options{Env: c.env, Extra: []*os.File{null}})
			s.ExpectExit(1)
			if s.Log.Count(c.want) != 1 {
				t.Errorf("the log has no line that matches %q", c.want)
			}
		})
	}
}
