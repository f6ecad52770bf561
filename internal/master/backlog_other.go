//go:build !linux

package master

import "indrik/internal/listen"

// waitingIn cannot be told here.
func waitingIn(*listen.Listener) int { return -1 }
