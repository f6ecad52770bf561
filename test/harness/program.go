//go:build linux

package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// NeedsAll skips a test that is part of `make test-all`.
func NeedsAll(t testing.TB) {
	t.Helper()
	if os.Getenv("INDRIK_TEST_ALL") == "" {
		t.Skip("INDRIK_TEST_ALL=1 runs it: make test-all")
	}
}

// NeedsProgram skips the test if a program is not installed.
func NeedsProgram(t *testing.T, program string) string {
	t.Helper()
	NeedsAll(t)
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("needs %s", program)
	}
	return path
}

// FindProgram looks for a program, also where only root has its programs.
func FindProgram(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/usr/local/sbin") {
		path := filepath.Join(dir, name)
		if st, err := os.Stat(path); err == nil && !st.IsDir() && st.Mode()&0o111 != 0 {
			return path
		}
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// RunProgram starts a program that stays in the foreground, in a process group of its own, and
// ends it with the test. It returns its pid.
func RunProgram(t *testing.T, dir string, env []string, args ...string) int {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	log, err := os.Create(filepath.Join(dir, "program.log"))
	Must(t, err)
	cmd.Stdout, cmd.Stderr = log, log
	Must(t, cmd.Start())
	Started.Store(cmd.Process.Pid, true)
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		done := make(chan struct{})
		go func() { _ = cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(Patience / 2): // a supervisor ends others first
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			<-done
		}
		log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("%q:\n%s", args, text)
		}
	})
	return cmd.Process.Pid
}

// Output runs a command that has to succeed, and returns its output.
func Output(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return string(out)
}
