package master

import (
	"io"
	"os"
	"time"

	"indrik/internal/oslayer"
	"indrik/internal/stacktext"
)

const (
	// dumpPoll is how often the stacks of a process are looked for, and
	// dumpGrace how long those of a worker.
	dumpPoll  = 20 * time.Millisecond
	dumpGrace = 500 * time.Millisecond
	// dumpQuiet is how long nothing more has come when stacks are complete: they are
	// written a word at a time, by a process that may have to wait for a processor.
	dumpQuiet = 100 * time.Millisecond
	// mostStacks is how much of them is read, in bytes.
	mostStacks = 256 << 10
	// mostDump is how large a dump file may grow.
	mostDump = 1 << 20
	// threadGrace is how long a worker has for the stacks of its threads, which need nothing of
	// its interpreter or its loop: only a processor, of which an overloaded machine has few.
	threadGrace = 2 * time.Second
)

// stacks asks processes for their stacks.
type stacks struct {
	base
	pending int    // how many are awaited; the end of the server waits for them
	traces  int    // so far: the number of the last one
	arrived func() // called whenever one is not awaited any more
}

// of makes w write the Python stacks of its threads, and calls next with them, or with
// nothing if it cannot. Requests that are over time at once are given the same stacks.
func (s *stacks) of(w *worker, next func(string)) {
	w.awaiting = append(w.awaiting, next)
	if len(w.awaiting) > 1 {
		return
	}
	give := func(text string) {
		awaiting := w.awaiting
		w.awaiting = nil
		for _, next := range awaiting {
			next(text)
		}
	}
	if w.proc == nil {
		give("")
		return
	}
	s.dump(w.proc, w.dump, threadGrace, give)
}

// dump makes a process write its stacks to a file, and calls next with what it wrote
// within grace, or with "".
func (s *stacks) dump(proc process, file *os.File, grace time.Duration, next func(string)) {
	var last int64
	var grown time.Time
	s.watch(file, grace, func() bool { return proc.Signal(oslayer.SignalDump) == nil }, func(text func() string, size int64, over bool) (string, bool) {
		if size != last {
			last, grown = size, s.now()
		}
		if !over && (size == 0 || s.now().Sub(grown) < dumpQuiet) {
			return "", false
		}
		return stacktext.Clean(text()), true
	}, next)
}

// section has a process write the trace of a number to a file, which begin asks it for, and
// calls next with it, or with "" if it is not there within dumpGrace.
func (s *stacks) section(file *os.File, number int, begin func(), next func(string)) {
	s.watch(file, dumpGrace, func() bool { begin(); return true }, func(text func() string, _ int64, over bool) (string, bool) {
		part, complete := stacktext.Section(text(), number)
		if !complete {
			return "", over
		}
		return part, true
	}, next)
}

// watch looks at what a process writes to a file after begin, until look is content or says
// that this was in vain: look gets the text so far, its size, and whether grace is over.
func (s *stacks) watch(file *os.File, grace time.Duration, begin func() bool, look func(text func() string, size int64, over bool) (string, bool), next func(string)) {
	if file == nil {
		next("")
		return
	}
	dump, err := s.sys.duplicate(file) // the process may end meanwhile
	if err != nil {
		next("")
		return
	}
	before := trimmed(dump)
	if !begin() {
		dump.Close()
		next("")
		return
	}
	s.pending++
	until := s.now().Add(grace)
	var again func()
	again = func() {
		size := min(max(fileSize(dump)-before, 0), mostStacks) // the process may have made the file any size
		text := func() string {
			b := make([]byte, size)
			n, _ := dump.ReadAt(b, before)
			return string(b[:n])
		}
		found, done := look(text, size, !s.now().Before(until))
		if !done {
			s.after(dumpPoll, again)
			return
		}
		dump.Close()
		s.pending--
		next(found)
		s.arrived()
	}
	s.after(dumpPoll, again)
}

// trimmed returns the size of a dump file, which it empties if it has grown large: a worker may
// be asked for its stacks again and again. The process writes at the offset that both share.
func trimmed(dump *os.File) int64 {
	size := fileSize(dump)
	if size > mostDump && dump.Truncate(0) == nil {
		_, _ = dump.Seek(0, io.SeekStart)
		return 0
	}
	return size
}
