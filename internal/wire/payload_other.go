//go:build !linux

package wire

import "os"

// CheckPayload refuses every file: there are no sealed files here.
func CheckPayload(*os.File, int64) error { return breach("a payload in a file") }

// ReadPayload is not reached without [CheckPayload].
func ReadPayload(*os.File, int64) ([]byte, error) { return nil, breach("a payload in a file") }
