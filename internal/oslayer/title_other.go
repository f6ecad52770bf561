//go:build !linux

package oslayer

// SetTitle does nothing: this system has no supported way to change a title.
func SetTitle(string) {}
