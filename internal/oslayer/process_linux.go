package oslayer

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Subreaper makes orphaned descendants children of this process, so that [Reap]
// collects them: the workers of a spawner that died (prctl(2)).
func Subreaper() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become a subreaper: %w", err)
	}
	return nil
}

const self = "/proc/self/exe"

// Executable returns a path to the file that this process runs, also when it was
// replaced or removed since.
func Executable() string {
	if _, err := os.Stat(self); err == nil {
		return self
	}
	return executable()
}
