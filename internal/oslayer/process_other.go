//go:build !linux

package oslayer

import (
	"errors"
	"fmt"
)

// Subreaper would make orphaned descendants children of this process. Only Linux can.
func Subreaper() error { return fmt.Errorf("become a subreaper: %w", errors.ErrUnsupported) }

// Conceal would keep others from reading the memory of this process.
func Conceal() error {
	return fmt.Errorf("keep others from reading the memory: %w", errors.ErrUnsupported)
}

// Executable returns the path of the file that this process was started from.
func Executable() string { return executable() }

// parentOf would be the parent of a process.
func parentOf(int) (parent int, known bool) { return 0, false }

// ended would report whether a process is a zombie.
func ended(*Process) bool { return false }
