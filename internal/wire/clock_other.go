//go:build !linux

package wire

// clockID is CLOCK_UPTIME_RAW, see clock_gettime(3) of macOS.
const clockID = 8
