package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"indrik/bench/load"
)

// eventStreams is how many streams of events are open at a time. The app sends an event of each
// every eventPause.
const (
	eventStreams = 100
	eventPause   = 50 * time.Millisecond
)

// runEvents measures how long server-sent events take from the app to their readers: each has
// the time when it was sent. The streams have a connection each, by HTTP/1.1, or one together.
func runEvents(multiplexed bool) func(context.Context, *bed) (*run, error) {
	return func(ctx context.Context, b *bed) (*run, error) {
		return b.withServer(ctx, b.setup(), func(s *server) (*run, error) {
			config := &tls.Config{InsecureSkipVerify: true}
			transport := &http.Transport{DisableCompression: true, TLSClientConfig: config, ForceAttemptHTTP2: multiplexed}
			if multiplexed {
				transport.MaxConnsPerHost = 1
			} else {
				config.NextProtos = []string{"http/1.1"}
			}
			defer transport.CloseIdleConnections()
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			r := &eventReaders{url: "https://" + s.address.String() + "/events", transport: transport, major: 1}
			if multiplexed {
				r.major = 2
			}
			r.start(ctx)
			if err := sleep(ctx, max(b.o.Warm, 4*eventPause)); err != nil {
				return nil, err
			}
			m := meter{pid: s.Process.Pid}
			m.start()
			r.record(true)
			err := sleep(ctx, b.length())
			r.record(false)
			m.stop()
			cancel()
			r.all.Wait()
			return figures(&load.Result{Groups: []load.Tally{r.tally()}, Elapsed: b.length()}, &m, err)
		})
	}
}

// eventReaders are the clients.
type eventReaders struct {
	url       string
	transport *http.Transport
	major     int
	all       sync.WaitGroup

	mu        sync.Mutex
	recording bool
	times     []time.Duration
	got       [eventStreams]bool // an event while it was recorded
	errs      []error
}

func (r *eventReaders) start(ctx context.Context) {
	for i := range eventStreams {
		r.all.Go(func() {
			if err := r.read(ctx, i); err != nil && ctx.Err() == nil {
				r.mu.Lock()
				r.errs = append(r.errs, err)
				r.mu.Unlock()
			}
		})
	}
}

func (r *eventReaders) record(on bool) {
	r.mu.Lock()
	r.recording = on
	r.mu.Unlock()
}

// read reads one stream until it ends.
func (r *eventReaders) read(ctx context.Context, number int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return err
	}
	answer, err := r.transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK || answer.ProtoMajor != r.major {
		return fmt.Errorf("the answer is %s by %s", answer.Status, answer.Proto)
	}
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		came := time.Now()
		text, isEvent := strings.CutPrefix(lines.Text(), "data: ")
		if !isEvent {
			continue
		}
		sent, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return err
		}
		r.mu.Lock()
		if r.recording {
			r.times = append(r.times, came.Sub(time.Unix(0, sent)))
			r.got[number] = true
		}
		r.mu.Unlock()
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return errors.New("the stream has ended")
}

// tally is what became of them, once all have ended.
func (r *eventReaders) tally() load.Tally {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.times)
	t := load.Tally{
		Clients: eventStreams, Connections: eventStreams, Answers: len(r.times), Latencies: r.times, Errors: map[load.Kind]int{},
	}
	for _, got := range r.got {
		if !got {
			t.Starved++
		}
	}
	if len(r.errs) > 0 {
		t.Errors[load.Lost], t.FirstError = len(r.errs), r.errs[0].Error()
	}
	return t
}
