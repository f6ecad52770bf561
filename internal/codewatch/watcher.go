package codewatch

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The engines.
const (
	Auto    = "auto" // inotify where there is one
	Poll    = "poll"
	Inotify = "inotify"
)

const (
	// pollEvery is how often the engine poll looks.
	pollEvery = time.Second
	// settleTime is how long nothing may change before a change is told,
	// and settleMost how long it can be put off.
	settleTime = 50 * time.Millisecond
	settleMost = 2 * time.Second
)

// Options say what to watch, and how.
type Options struct {
	Engine  string
	Extra   []string // absolute paths, patterns and directories; see expand
	Sources []string // directories in which new modules count from the start
	// Changed is called when something has changed, from another goroutine and
	// before the look that found it is done.
	Changed func(first Change)
	// Fallback is called if inotify was asked for and cannot be had.
	Fallback func(error)
}

// A Watcher watches until it is closed. Its methods return at once.
type Watcher struct {
	o    Options
	wake chan struct{}

	mu sync.Mutex
	// +checklocks:mu
	jobs []func() // of the goroutine; nil ends it
	// +checklocks:mu
	closed bool

	// Of the goroutine.
	files    *files
	notifier *notifier // nil: the engine is poll
	noticed  atomic.Bool
}

// New begins to watch.
func New(o Options) *Watcher {
	w := &Watcher{o: o, wake: make(chan struct{}, 1)}
	w.do(func() {
		w.files = newFiles(o.Extra, o.Sources)
		if o.Engine == Poll {
			w.poll()
			return
		}
		var err error
		if w.notifier, err = newNotifier(w.notice); err != nil {
			w.fallBack(err)
			return
		}
		w.follow()
	})
	go w.run()
	return w
}

// Add watches files that were imported after since, too.
func (w *Watcher) Add(paths []string, since time.Time) {
	w.do(func() {
		w.files.add(paths, since, time.Now())
		w.follow()
		w.look()
	})
}

// Look looks for changes now; done is called from another goroutine when they
// have been told.
func (w *Watcher) Look(done func()) {
	if !w.do(func() { w.look(); done() }) {
		go done()
	}
}

// Close ends the watch. A call of Changed may still be on its way.
func (w *Watcher) Close() { w.do(nil) }

// do has the goroutine do something, and reports whether it will.
func (w *Watcher) do(job func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.jobs = append(w.jobs, job)
	w.closed = job == nil
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return true
}

func (w *Watcher) run() {
	for range w.wake {
		w.mu.Lock()
		jobs := w.jobs
		w.jobs = nil
		w.mu.Unlock()
		for _, job := range jobs {
			if job == nil {
				w.notifier.close()
				return
			}
			job()
		}
	}
}

// look tells of what has changed, once it has settled.
func (w *Watcher) look() {
	changes := w.files.look()
	if len(changes) == 0 {
		return
	}
	for until := time.Now().Add(settleMost); time.Now().Before(until); {
		time.Sleep(settleTime)
		more := w.files.look()
		if len(more) == 0 {
			break
		}
		changes = slices.Concat(changes, more)
	}
	w.follow()
	if changes = settled(changes); len(changes) > 0 {
		w.o.Changed(changes[0])
	}
}

// settled returns what changes came to: editors write to another file first, or
// delete a file and make a new one in its place.
func settled(changes []Change) []Change {
	at := map[string]int{}
	var result []Change
	for _, c := range changes {
		i, known := at[c.Path]
		if !known {
			at[c.Path] = len(result)
			result = append(result, c)
			continue
		}
		switch r := &result[i]; {
		case r.What == "added" && c.What == "deleted":
			r.What = ""
		case r.What == "":
			r.What = c.What
		case r.What == "deleted" && c.What == "added":
			r.What = "modified"
		case c.What == "deleted":
			r.What = "deleted"
		}
	}
	return slices.DeleteFunc(result, func(c Change) bool { return c.What == "" })
}

// notice looks soon: the kernel told of something.
func (w *Watcher) notice() {
	if w.noticed.CompareAndSwap(false, true) {
		w.do(func() {
			w.noticed.Store(false)
			w.look()
		})
	}
}

// follow has the kernel tell of what happens in each directory there is.
func (w *Watcher) follow() {
	if w.notifier == nil {
		return
	}
	if err := w.notifier.watch(w.files.dirs()); err != nil {
		w.notifier.close()
		w.notifier = nil
		w.fallBack(err)
	}
}

func (w *Watcher) fallBack(err error) {
	if w.o.Engine == Inotify {
		w.o.Fallback(err)
	}
	w.poll()
}

// poll looks now and then.
func (w *Watcher) poll() {
	time.AfterFunc(pollEvery, func() {
		w.do(func() {
			w.look()
			w.poll()
		})
	})
}
