package master

import (
	"fmt"
	"os"
	"strings"
	"time"

	"indrik/internal/oslayer"
	"indrik/internal/wire"
)

const (
	// reportGrace is how long the front has to report the requests of a worker
	// that is over its time.
	reportGrace = 500 * time.Millisecond
	// dumpPoll is how often the stacks of a worker are looked for, and
	// dumpGrace how long.
	dumpPoll  = 20 * time.Millisecond
	dumpGrace = 500 * time.Millisecond
	// mostStacks is how much of them is logged, in bytes.
	mostStacks = 256 << 10
)

// timedOut is called when the front has answered a request that ran too long, or all
// those of a blocked event loop.
// The worker takes no more requests; when those in its other threads are done,
// or graceful_timeout is over, it is aborted.
func (m *Master) timedOut(msg wire.FromFront) {
	w := m.workers[msg.Age]
	if w == nil {
		return
	}
	first := !w.late
	w.late = true
	m.stacks(w, func(stacks string) {
		text := fmt.Sprintf("WORKER TIMEOUT (pid:%d): %s %s after %.1f s", w.pid, msg.Method, msg.Path, msg.Seconds)
		if msg.Method == "" {
			text = fmt.Sprintf("WORKER TIMEOUT (pid:%d): the event loop has been blocked for %.1f s, with %d requests", w.pid, msg.Seconds, msg.Blocked)
		}
		if stacks != "" {
			text += "\n" + strings.TrimRight(stacks, "\n")
		}
		m.log.Criticalf("%s", text)
		if !first {
			return
		}
		m.retire(w)
		m.balance()
		if msg.Others == 0 || w.settled {
			m.abort(w)
			return
		}
		// When the others are done, see settled, or:
		m.after(w.gen.gracefulTimeout(), func() { m.abort(w) })
	})
}

// settled is called when a worker runs nothing but requests that are over time.
func (m *Master) settled(w *worker) {
	w.settled = true
	if w.late && len(w.awaiting) == 0 {
		m.abort(w)
	}
}

// stacks has w write the Python stacks of its threads, and goes on with them;
// with nothing if it cannot. The end of the server waits for it.
//
// Requests that are over time at once are given the same stacks.
func (m *Master) stacks(w *worker, next func(string)) {
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
	m.dumpOf(w.proc, w.dump, dumpGrace, give)
}

// dumpOf makes a process write its stacks to a file, and gives next what it wrote within
// grace, or "". The end of the server waits for it.
func (m *Master) dumpOf(proc process, file *os.File, grace time.Duration, next func(string)) {
	if file == nil {
		next("")
		return
	}
	dump, err := m.sys.duplicate(file) // the process may end meanwhile
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
	m.reports++
	until := m.now().Add(grace)
	last := before
	var look func()
	look = func() {
		size := fileSize(dump)
		if m.now().Before(until) && (size == before || size != last) {
			last = size
			m.after(dumpPoll, look)
			return
		}
		// The process may have made the file any size.
		text := make([]byte, min(max(size-before, 0), mostStacks))
		n, _ := dump.ReadAt(text, before)
		dump.Close()
		m.reports--
		next(string(text[:n]))
		m.finish()
	}
	m.after(dumpPoll, look)
}
