//go:build !linux

package oslayer

import (
	"context"
	"errors"
	"syscall"
	"time"
)

// AwaitEnd waits until a process that need not be a child of this one has ended. The error is
// that of ctx.
func AwaitEnd(ctx context.Context, pid int) error {
	for {
		if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}
