//go:build !linux

package oslayer

import (
	"errors"
	"fmt"
	"time"
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
// Descends reports whether a process is below one of roots; that is not known here.
func Descends(int, ...int) (below, known bool) { return false, false }

// Usage returns what a process uses; it is not known here.
func Usage(int) (rss, pss int64, cpu time.Duration) { return 0, 0, 0 }

// RSS returns the resident memory of a process; it is not known here.
func RSS(int) int64 { return 0 }

// PSS returns the proportional memory of a process; it is not known here.
func PSS(int) int64 { return 0 }

// CPU returns the processor time of a process; it is not known here.
func CPU(int) time.Duration { return 0 }

func parentOf(int) (parent int, known bool) { return 0, false }

// ended would report whether a process is a zombie.
func ended(*Process) bool { return false }

// Stopped would report whether a process was stopped. Only Linux tells.
func Stopped(int) bool { return false }

// Traced would report whether a debugger is attached to a process. Only Linux tells.
func Traced(int) bool { return false }
