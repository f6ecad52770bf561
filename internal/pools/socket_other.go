//go:build !linux

package pools

import "os"

// isMessageSocket reports false: there are pools on Linux alone.
func isMessageSocket(*os.File) bool { return false }

// unreadOf is not reached: see isMessageSocket.
func unreadOf(uintptr) int { return 0 }
