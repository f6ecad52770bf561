//go:build linux

package harness

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// Venv returns the interpreter of the environment that `make venv` made of
// requirements.txt, for tests of what comes from PyPI. `make test` always has
// it; without it, or when it is not of these requirements, the test is skipped.
func Venv(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(Repository, ".cache", "venv")
	want, err := os.ReadFile(filepath.Join(Repository, "test", "requirements.txt"))
	Must(t, err)
	// The copy is made last, so it says what is installed.
	have, err := os.ReadFile(filepath.Join(dir, "requirements.txt"))
	if err != nil {
		t.Skip("needs packages from PyPI: run `make venv` first")
	}
	if !bytes.Equal(have, want) {
		t.Skip("requirements.txt has changed: run `make venv` first")
	}
	return filepath.Join(dir, "bin", "python")
}
