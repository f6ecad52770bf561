//go:build linux

package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"indrik/test/harness"
)

// TestAllGunicornPools: Gunicorn's own tests of its dirty workers pass. They start the server
// in containers of Docker, in whose place is test/clients/docker.py.
func TestAllGunicornPools(t *testing.T) {
	t.Parallel()
	harness.NeedsProgram(t, "ps")
	if out, err := exec.Command("unshare", "--fork", "--pid", "--mount-proc", "nsenter", "--version").CombinedOutput(); err != nil {
		t.Skipf("cannot make a pid namespace: %v: %s", err, out)
	}
	source, python := gunicornSource(t)
	for suite, passed := range map[string]string{
		"dirty_arbiter":      "7 passed",
		"dirty_ttin_ttou":    "7 passed",
		"per_app_allocation": "10 passed",
	} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			from := filepath.Join(source, "tests/docker", suite)
			dir := harness.TempDir(t)
			bin := filepath.Join(dir, "bin")
			port := harness.FreePort(t)
			adapt := strings.NewReplacer(
				"0.0.0.0:8000", fmt.Sprintf("127.0.0.1:%d", port),
				"127.0.0.1:18000", fmt.Sprintf("127.0.0.1:%d", port),
				"127.0.0.1:28001", fmt.Sprintf("127.0.0.1:%d", port),
				// They sleep, and then expect that something has happened: on a busy machine it takes longer.
				"time.sleep(2)", "time.sleep(4)", "time.sleep(3)", "time.sleep(6)", "timeout=5)", "timeout=20)", "timeout=10)", "timeout=30)",
			)
			files, err := filepath.Glob(filepath.Join(from, "*.py"))
			harness.Must(t, err)
			for _, file := range files {
				text, err := os.ReadFile(file)
				harness.Must(t, err)
				harness.Must(t, os.WriteFile(filepath.Join(dir, filepath.Base(file)), []byte(adapt.Replace(string(text))), 0o644))
			}
			harness.Must(t, os.Mkdir(bin, 0o755))
			docker := harness.TestFile(t, "clients/docker.py")
			harness.Must(t, os.WriteFile(filepath.Join(bin, "docker.py"), []byte(docker), 0o644))
			for name, command := range map[string]string{
				"docker":   fmt.Sprintf("%q %q", harness.Python(), filepath.Join(bin, "docker.py")),
				"gunicorn": fmt.Sprintf("%q", harness.Command(t)[0]),
			} {
				script := fmt.Sprintf("#!/bin/sh\nexec %s \"$@\"\n", command)
				harness.Must(t, os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755))
			}
			cmd := exec.Command(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", dir)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "DOCKER_DIR="+dir, "PATH="+bin+":"+os.Getenv("PATH"), "PYTHONDONTWRITEBYTECODE=1")
			cmd.Env = append(cmd.Env, harness.BinaryEnv()...)
			defer func() {
				for _, name := range []string{"composed", "gunicorn-test", "gunicorn-per-app-test"} {
					rm := exec.Command(filepath.Join(bin, "docker"), "rm", "-f", name)
					rm.Env = cmd.Env
					harness.Must(t, rm.Run())
				}
			}()
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), passed) || strings.Contains(string(out), "skipped") {
				t.Errorf("want %s: %v\n%s", passed, err, out)
			}
		})
	}
}

// TestAllGunicornEncoding: the encoding of calls is that of Gunicorn, on random values.
func TestAllGunicornEncoding(t *testing.T) {
	t.Parallel()
	source, python := gunicornSource(t)
	modules := source + ":" + filepath.Join(harness.Repository, "python")
	script := filepath.Join(harness.Repository, "test/clients/tlv_against.py")
	t.Log(harness.Output(t, "/", []string{"PYTHONPATH=" + modules, "PYTHONDONTWRITEBYTECODE=1"}, python, script, "27", "50000"))
}
