//go:build !linux

package listen

import (
	"os"
	"syscall"
)

// RefuseNew does nothing: only Linux can ignore new connections on one socket.
func RefuseNew(*os.File) error { return nil }

// Admit frees a connection of what [RefuseNew] left on it.
func Admit(syscall.Conn) error { return nil }
