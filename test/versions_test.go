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
	source := tempDir(t)
	archive := exec.Command("sh", "-c", "git archive "+previous+" | tar --extract --directory "+source)
	archive.Dir = repository
	if out, err := archive.CombinedOutput(); err != nil {
		t.Skipf("the history does not have %s: %s", previous, out)
	}
	if _, err := os.Stat(filepath.Join(source, "go.mod")); err != nil {
		t.Skipf("the history does not have %s", previous)
	}
	path := filepath.Join(tempDir(t), "indrik")
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
	binary := filepath.Join(tempDir(t), "indrik")
	install := func(program string) {
		t.Helper()
		output(t, "/", nil, "cp", program, binary+".new")
		must(t, os.Rename(binary+".new", binary))
	}
	install(old)
	s := start(t, options{app: "echo:app", daemon: true, args: []string{"--workers", "2"}, binary: binary})
	k, o := s.bothLoads(3)
	idle := s.client()
	idle.do(t, "GET", "/idle", "")
	for i, program := range []string{command(t)[0], old, command(t)[0]} {
		install(program)
		// A rollback first: the program that runs takes everything back.
		u := s.upgrade(2)
		s.signal(syscall.SIGWINCH)
		s.workersOf(s.pid(), 0)
		k.progress(30)
		s.signal(syscall.SIGHUP)
		s.workersOf(s.pid(), 2)
		kill(t, u.successor, syscall.SIGTERM)
		waitGone(t, u.successor)
		k.progress(30)
		// Then the upgrade.
		before := s.pid()
		u = s.upgrade(2)
		s.signal(syscall.SIGTERM)
		waitGone(t, before)
		u.become()
		k.progress(30)
		o.progress(30)
		idle.do(t, "GET", fmt.Sprintf("/idle/%d", i), "")
	}
	expectNoneLost(t, k, o)
	s.terminate()
}

// TestUpgradeToAnotherProtocol: a program that cannot talk to the server that runs says so,
// and the server goes on.
func TestUpgradeToAnotherProtocol(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(tempDir(t), "indrik")
	output(t, "/", nil, "cp", command(t)[0], binary)
	s := start(t, options{app: "echo:app", daemon: true, binary: binary})
	script := filepath.Join(tempDir(t), "later")
	must(t, os.WriteFile(script, []byte("#!/bin/sh\nINDRIK_UPGRADE=99 exec "+command(t)[0]+" \"$@\"\n"), 0o755))
	must(t, os.Rename(script, binary))
	s.signal(syscall.SIGUSR2)
	s.log.expect(t, `Upgrade failed, nothing was changed: .*speaks version 99 of the protocol of upgrades.*restart the server instead`)
	s.log.expect(t, `The successor \(pid:\d+\) exited with code 1`)
	if got := strings.TrimSpace(s.get("/still")); got != "/still" {
		t.Errorf("%q", got)
	}
	s.terminate()
}
