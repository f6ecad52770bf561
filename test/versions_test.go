//go:build linux

package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// previous is the commit of the release before this one, from which an upgrade has to lose
// nothing, in both directions.
const previous = "0e827f8"

// buildPrevious compiles the release before this one from the history.
func buildPrevious(t *testing.T) string {
	t.Helper()
	if os.Getenv("INDRIK_TEST_ALL") == "" {
		t.Skip("needs INDRIK_TEST_ALL=1")
	}
	source := harness.TempDir(t)
	archive := exec.Command("sh", "-c", "git archive "+previous+" | tar --extract --directory "+source)
	archive.Dir = harness.Repository
	if out, err := archive.CombinedOutput(); err != nil {
		t.Skipf("the history does not have %s: %s", previous, out)
	}
	if _, err := os.Stat(filepath.Join(source, "go.mod")); err != nil {
		t.Skipf("the history does not have %s", previous)
	}
	path := filepath.Join(harness.TempDir(t), "indrik")
	build := exec.Command("go", "build", "-o", path, "./cmd/indrik")
	build.Dir = source
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", previous, err, out)
	}
	return path
}

// TestAllUpgradeFromPrevious upgrades a server of the release before this one under load,
// goes back by a rollback and by an upgrade to the old program, and forward again.
func TestAllUpgradeFromPrevious(t *testing.T) {
	t.Parallel()
	old := buildPrevious(t)
	binary := filepath.Join(harness.TempDir(t), "indrik")
	install := func(program string) {
		t.Helper()
		harness.Output(t, "/", nil, "cp", program, binary+".new")
		harness.Must(t, os.Rename(binary+".new", binary))
	}
	install(old)
	s := harness.Start(t, harness.Options{App: "echo:app", Daemon: true, Args: []string{"--workers", "2"}, Binary: binary})
	k, o := s.BothLoads(3)
	idle := s.Client()
	idle.Do(t, "GET", "/idle", "")
	for i, program := range []string{harness.Command(t)[0], old, harness.Command(t)[0]} {
		install(program)
		// A rollback first: the program that runs takes everything back.
		u := upgrade(s, 2)
		s.Signal(syscall.SIGWINCH)
		workersOf(s, s.PID(), 0)
		k.Progress(30)
		s.Signal(syscall.SIGHUP)
		workersOf(s, s.PID(), 2)
		harness.Kill(t, u.successor, syscall.SIGTERM)
		harness.WaitGone(t, u.successor)
		k.Progress(30)
		// Then the upgrade.
		before := s.PID()
		u = upgrade(s, 2)
		s.Signal(syscall.SIGTERM)
		harness.WaitGone(t, before)
		u.become()
		k.Progress(30)
		o.Progress(30)
		idle.Do(t, "GET", fmt.Sprintf("/idle/%d", i), "")
	}
	harness.ExpectNoneLost(t, k, o)
	s.Terminate()
}

// TestUpgradeToAnotherProtocol: a program that cannot talk to the server that runs says so,
// and the server goes on.
func TestUpgradeToAnotherProtocol(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(harness.TempDir(t), "indrik")
	harness.Output(t, "/", nil, "cp", harness.Command(t)[0], binary)
	s := harness.Start(t, harness.Options{App: "echo:app", Daemon: true, Binary: binary})
	// Not written by this process: its children, which other tests start, could have the file open
	// for writing when it is to be run.
	script := filepath.Join(harness.TempDir(t), "later")
	text := "#!/bin/sh\nINDRIK_UPGRADE=99 exec " + harness.Command(t)[0] + " \"$@\"\n"
	harness.Output(t, "/", nil, "sh", "-c", `printf %s "$1" >"$0" && chmod 755 "$0"`, script, text)
	harness.Must(t, os.Rename(script, binary))
	s.Signal(syscall.SIGUSR2)
	// Its end and what it said last come by different ways.
	s.Log.ExpectFrom(t, 0, `Upgrade failed, nothing was changed: .*speaks version 99 of the protocol of upgrades.*restart the server instead`)
	s.Log.ExpectFrom(t, 0, `The successor \(pid:\d+\) exited with code 1`)
	if got := strings.TrimSpace(s.Get("/still")); got != "/still" {
		t.Errorf("%q", got)
	}
	s.Terminate()
}
