//go:build linux

package harness

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A Directory is the one that a server runs in.
type Directory struct {
	t   testing.TB
	Dir string
}

// Path is that of a file in the directory.
func (d *Directory) Path(name string) string { return filepath.Join(d.Dir, name) }

// WriteFile makes or replaces a file in the directory, at once.
func (d *Directory) WriteFile(name, text string) {
	d.t.Helper()
	Must(d.t, os.MkdirAll(filepath.Dir(d.Path(name)), 0o755))
	Must(d.t, os.WriteFile(d.Path(name+".new"), []byte(text), 0o644))
	Must(d.t, os.Rename(d.Path(name+".new"), d.Path(name)))
}

// ReadFile returns the text of a file, empty if there is none.
func (d *Directory) ReadFile(name string) string {
	data, _ := os.ReadFile(d.Path(name))
	return string(data)
}

// WaitPIDFile waits for a pid file and returns the pid in it.
func (d *Directory) WaitPIDFile(name string) int {
	d.t.Helper()
	var pid int
	Eventually(d.t, name+" names a process", func() bool {
		pid, _ = strconv.Atoi(strings.TrimSpace(d.ReadFile(name)))
		return pid != 0
	})
	return pid
}

// TestFile returns the text of a file in the directory test, such as apps/hello.py.
func TestFile(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Repository, "test", name))
	Must(t, err)
	return string(text)
}
