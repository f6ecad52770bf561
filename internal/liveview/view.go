package liveview

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
	"time"
)

const (
	// Interval is the time between two samples.
	Interval = time.Second

	// Keep is how many samples there are: five minutes.
	Keep = 300

	// MaxViewers is how many may watch at a time.
	MaxViewers = 16

	// statusInterval is the time between two questions for the status, while somebody watches.
	statusInterval = 2 * time.Second

	// maxStatus is the size in bytes of the largest status that is sent to viewers.
	maxStatus = 1 << 20

	// backlog is how many messages a viewer may be behind, and writeTimeout how long it may take
	// for one.
	backlog      = 8
	writeTimeout = 10 * time.Second
)

// A Source is what a view shows. Its functions may be called by several goroutines.
type Source struct {
	Version string // of the program: a page of another one is told to load again
	Front   int    // the pid of this process: another one counts from zero

	// Counts returns the figures of the front. It is called once a second and must not wait.
	Counts func() Counts

	// Status returns the status of the server as JSON, the document of package status.
	Status func(context.Context) ([]byte, error)

	// Actions reports whether the server takes actions from those who have the token.
	Actions func() bool
}

// A View serves the page and its events. Run must run for there to be any.
type View struct {
	source   Source
	patience time.Duration // writeTimeout
	came     chan struct{} // there is a viewer who has no status yet

	mu sync.Mutex
	// +checklocks:mu
	samples []Sample // the oldest first, at most Keep
	// +checklocks:mu
	status []byte // the last one, as an event; nil while nobody watches
	// +checklocks:mu
	viewers map[*viewer]struct{}
	// +checklocks:mu
	ended bool
}

// A viewer is one open stream of events.
type viewer struct {
	events chan []byte // closed when the viewer is dropped
}

// New makes a view of a source.
func New(source Source) *View {
	return &View{source: source, patience: writeTimeout, came: make(chan struct{}, 1), viewers: map[*viewer]struct{}{}}
}

// Run takes samples and sends them until ctx ends, which ends all streams as well.
func (v *View) Run(ctx context.Context) {
	var both sync.WaitGroup
	both.Go(func() { v.sample(ctx) })
	both.Go(func() { v.follow(ctx) })
	both.Wait()
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ended = true
	for w := range v.viewers {
		v.dropLocked(w)
	}
}

// sample looks at the counters again and again.
func (v *View) sample(ctx context.Context) {
	ticker := time.NewTicker(Interval)
	defer ticker.Stop()
	before, last := v.source.Counts(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now, counts := time.Now(), v.source.Counts()
		s := newSample(now, before, counts, now.Sub(last))
		before, last = counts, now
		v.mu.Lock()
		if len(v.samples) == Keep {
			copy(v.samples, v.samples[1:])
			v.samples = v.samples[:Keep-1]
		}
		v.samples = append(v.samples, s)
		if len(v.viewers) > 0 {
			v.sendLocked(event("sample", encode(s)))
		}
		v.mu.Unlock()
	}
}

// follow asks for the status again and again while there are viewers, and at once for the
// first of them.
func (v *View) follow(ctx context.Context) {
	ticker := time.NewTicker(statusInterval)
	defer ticker.Stop()
	actions := v.source.Actions()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-v.came:
		}
		before := actions
		actions = v.source.Actions()
		v.mu.Lock()
		watched := len(v.viewers) > 0
		if !watched {
			v.status = nil
		}
		if actions != before {
			v.sendLocked(v.hello(actions))
		}
		v.mu.Unlock()
		if !watched {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, 10*time.Second)
		status, err := v.source.Status(limited)
		cancel()
		var line bytes.Buffer
		if err != nil || len(status) > maxStatus || json.Compact(&line, status) != nil {
			continue // the page shows how old the last one is
		}
		v.mu.Lock()
		v.status = event("status", line.Bytes())
		v.sendLocked(v.status)
		v.mu.Unlock()
	}
}

// watch adds a viewer, with what there is to see so far as the first messages. It returns nil
// if there are too many already, or the view has ended.
func (v *View) watch() *viewer {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.viewers) == MaxViewers || v.ended {
		return nil
	}
	w := &viewer{events: make(chan []byte, backlog)}
	w.events <- v.hello(v.source.Actions())
	w.events <- event("past", encode(append([]Sample{}, v.samples...)))
	if v.status != nil {
		w.events <- v.status
	} else {
		select {
		case v.came <- struct{}{}:
		default:
		}
	}
	v.viewers[w] = struct{}{}
	return w
}

// hello is the first event of a stream. It comes again when actions have become possible, or
// are not any more.
func (v *View) hello(actions bool) []byte {
	return event("hello", encode(map[string]any{
		"version": v.source.Version, "front": v.source.Front, "actions": actions, "interval": Interval.Seconds(), "keep": Keep,
	}))
}

// leave removes a viewer whose stream has ended.
func (v *View) leave(w *viewer) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.dropLocked(w)
}

// dropLocked ends the stream of a viewer.
//
// +checklocks:v.mu
func (v *View) dropLocked(w *viewer) {
	if _, there := v.viewers[w]; there {
		delete(v.viewers, w)
		close(w.events)
	}
}

// sendLocked gives a message to all viewers, and drops those who are too far behind.
//
// +checklocks:v.mu
func (v *View) sendLocked(message []byte) {
	for w := range v.viewers {
		select {
		case w.events <- message:
		default:
			v.dropLocked(w)
		}
	}
}

// event is a server-sent event. The data is JSON, in which a line break is written as \n.
func event(name string, data []byte) []byte {
	return append(append([]byte("event: "+name+"\ndata: "), data...), "\n\n"...)
}

func encode(value any) []byte {
	data, err := json.Marshal(value)
	if err != nil {
		panic("liveview: " + err.Error()) // what is sent has a form in JSON
	}
	return data
}
