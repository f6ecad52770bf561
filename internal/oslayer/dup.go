package oslayer

import (
	"fmt"
	"os"
)

// Redirect makes the descriptor fd, say 2, a duplicate of f.
func Redirect(f *os.File, fd int) error {
	if err := dup2(int(f.Fd()), fd); err != nil {
		return fmt.Errorf("redirect descriptor %d to %s: %w", fd, f.Name(), err)
	}
	return nil
}
