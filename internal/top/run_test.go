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
	defer func() {
		// Reset alone leaves it among the signals that are ignored.
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		signal.Stop(c)
	}()
	if slices.Contains(ending(), os.Signal(syscall.SIGTERM)) {
		t.Error("TERM ends it although it is ignored")
	}
}
