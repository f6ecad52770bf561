package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A Client sends one request after the other.
type Client interface {
	// Do sends a request and checks its answer. Its error should be a RequestError.
	// After an error the client is closed, and another one made in its place.
	Do(timeout time.Duration) error
	Close()
}

// A RequestError is what went wrong with a request.
type RequestError struct {
	Kind Kind
	Text string
}

func (e *RequestError) Error() string { return string(e.Kind) + ": " + e.Text }

// ClientPlan is a run of clients that all do the same.
type ClientPlan struct {
	Clients int
	// New makes a client. number is that of the client, from 0.
	New func(number int) (Client, error)

	Warm, Measure  time.Duration
	Timeout        time.Duration
	Started, Ended func() // as in Plan
}

// RunClients carries out a plan, as Run does. Each client is a goroutine.
func RunClients(ctx context.Context, plan ClientPlan) (*Result, error) {
	r := &clientRun{plan: &plan, tallies: make([]Tally, plan.Clients), stop: make(chan struct{})}
	var clients sync.WaitGroup
	for i := range plan.Clients {
		clients.Go(func() { r.serve(i, &r.tallies[i]) })
	}
	err := pause(ctx, plan.Warm)
	began := time.Now()
	if err == nil {
		if plan.Started != nil {
			plan.Started()
		}
		began = time.Now()
		r.set(true)
		err = pause(ctx, plan.Measure)
	}
	r.set(false)
	elapsed := time.Since(began)
	if err == nil && plan.Ended != nil {
		plan.Ended()
	}
	close(r.stop)
	clients.Wait()
	if err != nil {
		return nil, err
	}
	return &Result{Groups: []Tally{sum(r.tallies)}, Elapsed: elapsed}, nil
}

type clientRun struct {
	plan    *ClientPlan
	tallies []Tally
	stop    chan struct{}

	mu        sync.RWMutex
	measuring bool
	begun     bool
}

func (r *clientRun) set(measuring bool) {
	r.mu.Lock()
	r.measuring, r.begun = measuring, true
	r.mu.Unlock()
}

func (r *clientRun) state() (measuring, begun bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.measuring, r.begun
}

func (r *clientRun) serve(number int, t *Tally) {
	t.Clients, t.Errors = 1, make(map[Kind]int)
	var client Client
	defer func() {
		if client != nil {
			client.Close()
		}
	}()
	for {
		select {
		case <-r.stop:
			if t.Answers == 0 {
				t.Starved = 1
			}
			return
		default:
		}
		began := time.Now()
		var err error
		if client == nil {
			client, err = r.plan.New(number)
			t.Connections++
		}
		if err == nil {
			err = client.Do(r.plan.Timeout)
		}
		if err != nil {
			t.note(err)
			if client != nil {
				client.Close()
				client = nil
			}
			time.Sleep(errorPause)
			continue
		}
		if measuring, begun := r.state(); begun {
			t.Latencies = append(t.Latencies, time.Since(began))
			if measuring {
				t.Answers++
			}
		}
	}
}

func (t *Tally) note(err error) {
	kind := Lost
	var problem *RequestError
	if errors.As(err, &problem) {
		kind = problem.Kind
	}
	t.Errors[kind]++
	if t.FirstError == "" {
		t.FirstError = err.Error()
	}
}

func sum(tallies []Tally) Tally {
	all := Tally{Errors: make(map[Kind]int)}
	for i := range tallies {
		t := &tallies[i]
		all.Clients += t.Clients
		all.Answers += t.Answers
		all.Latencies = append(all.Latencies, t.Latencies...)
		all.Connections += t.Connections
		all.Starved += t.Starved
		for kind, n := range t.Errors {
			all.Errors[kind] += n
		}
		if all.FirstError == "" {
			all.FirstError = t.FirstError
		}
	}
	slices.Sort(all.Latencies)
	return all
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("load: %w", context.Cause(ctx))
	case <-time.After(d):
		return nil
	}
}
