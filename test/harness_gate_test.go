//go:build linux

package test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A gate holds up an app at a point that apps/gate.py names. The app opens a
// named pipe for reading and reads to its end, so that both sides wait for
// events: entered returns once an app is there, and release lets it go.
type gate struct {
	t    testing.TB
	path string
	w    *os.File
}

// gate makes a gate; until that is done apps pass it freely.
func (s *server) gate(name string) *gate {
	s.t.Helper()
	g := &gate{t: s.t, path: filepath.Join(s.path("gates"), name)}
	must(s.t, syscall.Mkfifo(g.path, 0o666))
	must(s.t, os.Chmod(g.path, 0o666))
	s.t.Cleanup(g.release)
	return g
}

// reached says whether an app has opened the gate, which is then held for writing.
func (g *gate) reached() bool {
	if g.w != nil {
		return true
	}
	// Opening for writing fails while nobody reads (fifo(7)).
	fd, err := syscall.Open(g.path, syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errors.Is(err, syscall.ENXIO) {
		return false
	}
	must(g.t, err)
	g.w = os.NewFile(uintptr(fd), g.path)
	return true
}

// entered waits until an app is at the gate.
func (g *gate) entered() {
	g.t.Helper()
	eventually(g.t, "the app has come to gate "+filepath.Base(g.path), g.reached)
}

// release removes the gate and lets those through who are at it. It may be
// called again.
func (g *gate) release() {
	// Opening for reading and writing never blocks, and wakes whoever waits
	// in open(2) for a writer (fifo(7)).
	w, err := os.OpenFile(g.path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err == nil {
		os.Remove(g.path)
		w.Close()
	}
	if g.w != nil {
		g.w.Close()
		g.w = nil
	}
}
