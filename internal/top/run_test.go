package top

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
	"testing"
)

// What nohup has the program ignore does not end it, and is not waited for.
func TestIgnoredSignalsEndNothing(t *testing.T) {
	signal.Reset(syscall.SIGTERM)
	if !slices.Contains(ending(), os.Signal(syscall.SIGTERM)) {
		t.Error("TERM does not end it")
	}
	signal.Ignore(syscall.SIGTERM)
	defer signal.Reset(syscall.SIGTERM)
	if slices.Contains(ending(), os.Signal(syscall.SIGTERM)) {
		t.Error("TERM ends it although it is ignored")
	}
}
