package master

import (
	"os"
	"time"

	"indrik/internal/oslayer"
)

const (
	// dumpPoll is how often the stacks of a process are looked for, and
	// dumpGrace how long those of a worker.
	dumpPoll  = 20 * time.Millisecond
	dumpGrace = 500 * time.Millisecond
	// mostStacks is how much of them is logged, in bytes.
	mostStacks = 256 << 10
)

// stacks asks processes for their stacks.
type stacks struct {
	base
	pending int    // how many are awaited; the end of the server waits for them
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
	s.dump(w.proc, w.dump, dumpGrace, give)
}

// dump makes a process write its stacks to a file, and calls next with what it wrote
// within grace, or with "".
func (s *stacks) dump(proc process, file *os.File, grace time.Duration, next func(string)) {
	if file == nil {
		next("")
		return
	}
	dump, err := s.sys.duplicate(file) // the process may end meanwhile
	if err != nil {
		next("")
		return
	}
	before := fileSize(dump)
	if proc.Signal(oslayer.SignalDump) != nil {
		dump.Close()
		next("")
		return
	}
	s.pending++
	until := s.now().Add(grace)
	last := before
	var look func()
	look = func() {
		size := fileSize(dump)
		if s.now().Before(until) && (size == before || size != last) {
			last = size
			s.after(dumpPoll, look)
			return
		}
		// The process may have made the file any size.
		text := make([]byte, min(max(size-before, 0), mostStacks))
		n, _ := dump.ReadAt(text, before)
		dump.Close()
		s.pending--
		next(string(text[:n]))
		s.arrived()
	}
	s.after(dumpPoll, look)
}
