//go:build linux

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"indrik/test/harness"
)

// TestAllTypes: a type checker knows what hooks get, what apps may ask, and which settings
// there are, of the installed package.
func TestAllTypes(t *testing.T) {
	t.Parallel()
	file := wheel(t)
	mypy := filepath.Join(harness.Repository, ".cache", "venv-tools", "bin", "mypy")
	if _, err := os.Stat(mypy); err != nil {
		t.Skip("needs make venv-tools")
	}
	env := filepath.Join(harness.TempDir(t), "venv")
	harness.Output(t, "/", nil, harness.Python(), "-m", "venv", env)
	pip(t, env, file)
	check := func(source string) string {
		t.Helper()
		dir := harness.TempDir(t)
		harness.Must(t, os.WriteFile(filepath.Join(dir, "source.py"), []byte(source), 0o644))
		cmd := exec.Command(mypy, "--strict", "--python-executable", filepath.Join(env, "bin", "python"), "--cache-dir", dir, "source.py")
		cmd.Dir = dir
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	if out := check(harness.TestFile(t, "apps/typed.py")); !strings.Contains(out, "Success") {
		t.Error(out)
	}
	for call, want := range map[string]string{
		`indrik.run("a:app", wrokers=2)`:        `did you mean "workers"`,
		`indrik.run("a:app", workers=object())`: `Argument "workers"`,
		`indrik.deadline(5)`:                    `Argument 1 to "deadline"`,
		`indrik.nothing`:                        `error: `,
		`from indrik import pools
pools.DirtyClient("/run/gunicorn.sock")`: `Argument 1 to "DirtyClient"`,
		`from indrik import pools
pools.execute(3, "predict")`: `expected "str"`,
	} {
		if out := check("import indrik\n\n" + call + "\n"); !strings.Contains(out, want) {
			t.Errorf("%s: %s", call, out)
		}
	}
}
