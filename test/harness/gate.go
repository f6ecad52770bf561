//go:build linux

package harness

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A Gate holds up an app at a point that apps/gate.py names. The app opens a
// named pipe for reading and reads to its end, so that both sides wait for
// events: entered returns once an app is there, and release lets it go.
type Gate struct {
	t    testing.TB
	path string
	w    *os.File
}

// Gate makes a gate; until that is done apps pass it freely.
func (d *Directory) Gate(name string) *Gate {
	d.t.Helper()
	g := &Gate{t: d.t, path: filepath.Join(d.Path("gates"), name)}
	Must(d.t, syscall.Mkfifo(g.path, 0o666))
	Must(d.t, os.Chmod(g.path, 0o666))
	d.t.Cleanup(g.Release)
	return g
}

// Reached says whether an app has opened the gate, which is then held for writing.
func (g *Gate) Reached() bool {
	if g.w != nil {
		return true
	}
	// Opening for writing fails while nobody reads (fifo(7)).
	fd, err := syscall.Open(g.path, syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errors.Is(err, syscall.ENXIO) {
		return false
	}
	Must(g.t, err)
	g.w = os.NewFile(uintptr(fd), g.path)
	return true
}

// Entered waits until an app is at the gate.
func (g *Gate) Entered() {
	g.t.Helper()
	Eventually(g.t, "the app has come to gate "+filepath.Base(g.path), g.Reached)
}

// Release removes the gate and lets those through who are at it. It may be
// called again.
func (g *Gate) Release() {
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
