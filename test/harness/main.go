//go:build linux

package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

var (
	// Repository is the root of this tree. Main sets it.
	Repository string

	// Scratch is a directory for what all tests share. Main makes it and removes it.
	Scratch string
)

// Main prepares this process for servers, runs the tests of the package in whose directory
// it is, and returns what to exit with. Its working directory is one below the root of the tree.
func Main(m *testing.M) int {
	dir, err := os.Getwd()
	if err != nil {
		fmt.Fprintln(os.Stderr, "test:", err)
		return 1
	}
	Repository = filepath.Dir(dir)
	Scratch, err = os.MkdirTemp("", "servers-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "test:", err)
		return 1
	}
	defer os.RemoveAll(Scratch)
	// Daemons come back to this process, which can then see them end.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintln(os.Stderr, "test: become a subreaper:", err)
		return 1
	}
	// The memory of this process is of no interest, its time is.
	debug.SetGCPercent(400)
	// The race detector has every process wait a second before it ends.
	os.Setenv("GORACE", strings.TrimSpace("atexit_sleep_ms=0 "+os.Getenv("GORACE")))
	return m.Run()
}
