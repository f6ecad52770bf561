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
// background: a pipe or a terminal whose reader has stopped delays requests for no
// longer than the setting access_log_timeout says. Its methods may be called by any
// goroutine.
type accessFile struct {
	log *errlog.Log

	mu sync.Mutex
	// +checklocks:mu
	file *os.File
	// +checklocks:mu
	buf []byte // lines for the next write
	// +checklocks:mu
	spare []byte // memory for those after them
	// +checklocks:mu
	delayed bool // a timer is to start that write
	// +checklocks:mu
	writing chan struct{} // closed when the write in progress has ended; nil: there is none
	// +checklocks:mu
	since time.Time // when that write was started
	// +checklocks:mu
	lost int // lines that were dropped meanwhile
}

// set changes the file, nil for none, and takes f over. The lines so far still go to the
// file before, unless a write to that one is in progress.
func (a *accessFile) set(f *os.File) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.startLocked()
	old := a.file
	a.file = f
	if a.writing == nil {
		if old != nil {
			old.Close()
		}
		return
	}
	// The write in progress, which may never end, closes the old file.
	a.writing = nil
	a.reportLostLocked()
	a.startLocked()
}

// awaitSpaceLocked reports whether a line may be appended. While a write does not end and
// the memory is used up it waits, without the mutex, until patience after the start of that
// write; 0: as long as it takes. It counts a line that may not be appended.
// +checklocks:a.mu
func (a *accessFile) awaitSpaceLocked(patience time.Duration) bool {
	for a.file != nil && a.writing != nil && len(a.buf) >= accessKept {
		if patience == 0 {
			a.awaitLocked(nil)
			continue
		}
		rest := patience - time.Since(a.since)
		if rest <= 0 {
			if a.lost++; a.lost == 1 {
				go a.log.Warnf("Nobody has read the access log for %s: lines are dropped until somebody does (access_log_timeout)", patience)
			}
			return false
		}
		t := time.NewTimer(rest)
		a.awaitLocked(t.C)
		t.Stop()
	}
	return a.file != nil
}

// awaitLocked waits, without the mutex, for the end of the write in progress, or for late.
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
		a.startLocked()
	} else if !a.delayed && a.writing == nil {
		a.delayed = true
		time.AfterFunc(accessDelay, a.start)
	}
}

// start starts a delayed write.
func (a *accessFile) start() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.delayed = false
	a.startLocked()
}

// startLocked starts to write the lines so far, unless a write is in progress.
// +checklocks:a.mu
func (a *accessFile) startLocked() {
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
		f.Write(lines) // an error could only be reported in this log
		a.mu.Lock()
		defer a.mu.Unlock()
		close(done)
		if a.writing == done {
			a.writing = nil
			a.spare = lines[:0]
			a.reportLostLocked()
		}
		if a.file != f {
			f.Close()
		}
		a.addedLocked()
	}()
}

// reportLostLocked tells the operator how many lines are missing.
// +checklocks:a.mu
func (a *accessFile) reportLostLocked() {
	if a.lost > 0 {
		go a.log.Warnf("%d lines are missing in the access log: nobody read it for %s", a.lost, time.Since(a.since).Round(time.Millisecond))
		a.lost = 0
	}
}

// finish writes the lines so far, if that is possible soon.
func (a *accessFile) finish() {
	a.mu.Lock()
	defer a.mu.Unlock()
	late := time.NewTimer(accessClose)
	defer late.Stop()
	for end := time.Now().Add(accessClose); time.Now().Before(end); {
		a.startLocked()
		if a.writing == nil {
			return
		}
		a.awaitLocked(late.C)
	}
}
