package front

import (
	"os"
	"sync"
	"time"

	"indrik/internal/errlog"
)

const (
	// accessBuffer and accessDelay bound how long lines wait so that many can
	// be written at a time.
	accessBuffer = 32 << 10
	accessDelay  = 100 * time.Millisecond
	// accessKept is how many bytes of lines are kept while a write takes its time.
	accessKept = 256 << 10
	// accessClose is how long, at the end, what is kept may take to be written.
	accessClose = time.Second
)

// An accessFile writes the lines of the access log, many at a time and in the
// background: a pipe or a terminal whose reader has stopped holds up nobody for
// longer than the setting access_log_timeout says. Its methods may be called by any
// goroutine.
type accessFile struct {
	// +checklocks:mu
	log *errlog.Log

	mu sync.Mutex
	// +checklocks:mu
	file *os.File
	// +checklocks:mu
	buf []byte // lines for the next write
	// +checklocks:mu
	spare []byte // memory for those after them
	// +checklocks:mu
	delayed bool // a timer is to begin that write
	// +checklocks:mu
	writing chan struct{} // closed when the write that was begun has ended; nil: there is none
	// +checklocks:mu
	since time.Time // when it was begun
	// +checklocks:mu
	lost int // lines that found no place meanwhile
}

// set changes the file, nil for none, and takes f over. What was for the file before
// goes there yet.
func (a *accessFile) set(f *os.File) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.beginLocked()
	old := a.file
	a.file = f
	if a.writing == nil {
		if old != nil {
			old.Close()
		}
		return
	}
	// That write, which may take for ever, closes it. It is in nobody's way now.
	a.writing = nil
	a.tellLocked()
}

// room reports whether a line may be appended, and returns with the mutex held. While
// a write does not end and its memory is used up it waits, for patience since that
// write was begun; 0: as long as it takes. A line that finds no room is counted.
// +checklocksacquire:a.mu
func (a *accessFile) room(patience time.Duration) bool {
	a.mu.Lock()
	for a.file != nil && a.writing != nil && len(a.buf) >= accessKept {
		if patience == 0 {
			a.awaitLocked(nil)
			continue
		}
		left := patience - time.Since(a.since)
		if left <= 0 {
			if a.lost++; a.lost == 1 {
				go a.log.Warnf("Nobody has read the access log for %s: lines are dropped until somebody does (access_log_timeout)", patience)
			}
			return false
		}
		t := time.NewTimer(left)
		a.awaitLocked(t.C)
		t.Stop()
	}
	return a.file != nil
}

// awaitLocked waits for the end of the write, or for late, without the mutex.
// +checklocks:a.mu
func (a *accessFile) awaitLocked(late <-chan time.Time) {
	done := a.writing
	a.mu.Unlock()
	select {
	case <-done:
	case <-late:
	}
	a.mu.Lock()
}

// addedLocked is called when lines were appended to buf.
// +checklocks:a.mu
func (a *accessFile) addedLocked() {
	if len(a.buf) >= accessBuffer {
		a.beginLocked()
	} else if !a.delayed && a.writing == nil {
		a.delayed = true
		time.AfterFunc(accessDelay, a.begin)
	}
}

func (a *accessFile) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.delayed = false
	a.beginLocked()
}

// beginLocked begins a write of what is there, unless one has not ended.
// +checklocks:a.mu
func (a *accessFile) beginLocked() {
	if a.file == nil {
		a.buf = a.buf[:0]
	}
	if len(a.buf) == 0 || a.writing != nil {
		return
	}
	done, f, lines := make(chan struct{}), a.file, a.buf
	a.writing, a.since = done, time.Now()
	a.buf, a.spare = a.spare[:0], nil
	go func() {
		f.Write(lines) // there is no better place to complain than this log
		a.mu.Lock()
		defer a.mu.Unlock()
		close(done)
		if a.writing == done {
			a.writing = nil
			a.spare = lines[:0]
			a.tellLocked()
		}
		if a.file != f {
			f.Close()
		}
		a.addedLocked()
	}()
}

// tellLocked tells the operator which lines are missing.
// +checklocks:a.mu
func (a *accessFile) tellLocked() {
	if a.lost > 0 {
		go a.log.Warnf("%d lines are missing in the access log: nobody read it for %s", a.lost, time.Since(a.since).Round(time.Millisecond))
		a.lost = 0
	}
}

// close writes what is there, if that is possible soon.
func (a *accessFile) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	late := time.NewTimer(accessClose)
	defer late.Stop()
	for end := time.Now().Add(accessClose); time.Now().Before(end); {
		a.beginLocked()
		if a.writing == nil {
			return
		}
		a.awaitLocked(late.C)
	}
}
