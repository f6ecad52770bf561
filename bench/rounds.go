package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// measureTimeout ends a measurement that does not end by itself.
	measureTimeout = 90 * time.Second
	// maxStarts is how many workloads in a row a server may fail to start for; it
	// is not tried with those after them.
	maxStarts = 3
)

// A startError says that a server could not be started.
type startError struct{ err error }

func (e *startError) Error() string { return e.err.Error() }
func (e *startError) Unwrap() error { return e.err }

// starts has the last workloads in a row that a server could not be started for.
type starts map[string][]string // by server

// skip says why a server is not tried once more; "": it is.
func (s starts) skip(p *peer, w *workload) string {
	failed := s[p.Name]
	if len(failed) == 0 {
		return ""
	}
	if failed[len(failed)-1] == w.Name {
		return "not tried again"
	}
	if len(failed) >= maxStarts {
		return fmt.Sprintf("not tried: it did not start for %d workloads in a row", len(failed))
	}
	return ""
}

// note takes the outcome of a measurement.
func (s starts) note(p *peer, w *workload, err error) {
	var start *startError
	switch {
	case errors.As(err, &start):
		s[p.Name] = append(s[p.Name], w.Name)
	case err == nil:
		delete(s, p.Name)
	}
}

// measureAll runs each workload with each server, round by round, and calls save
// after each workload. A server that fails is noted in the report; the error is
// the cause of ctx's end, or that of save.
func measureAll(ctx context.Context, o options, e *environment, peers []peer, works []workload, report *report, save func() error) error {
	source := 0
	failed := make(starts)
	began := time.Now()
	for i := range works {
		w := &works[i]
		for round := 1; round <= w.rounds(&o); round++ {
			for j := range peers {
				p := &peers[j]
				if !o.takes(p, w, round) || e.lacks(p.Needs) || e.lacks(appNeeds[w.app(p)]) {
					continue
				}
				source++
				progress("%5.0fs %-14s round %d  %s", time.Since(began).Seconds(), w.Name, round, p.Name)
				r, err := &run{Failure: failed.skip(p, w)}, error(nil)
				if r.Failure == "" {
					r, err = measureOnce(ctx, &bed{o: &o, e: e, p: p, w: w, base: baseOf(w), source: source, report: report})
				}
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if r == nil || r.Failure == "" {
					failed.note(p, w, err)
				}
				if err != nil {
					progress("%v", err)
					r = &run{Failure: err.Error()}
				}
				r.Workload, r.Peer, r.Round = w.Name, p.Name, round
				report.Runs = append(report.Runs, r)
			}
		}
		if err := save(); err != nil {
			return err
		}
	}
	return nil
}

// measureOnce is measure with a limit.
func measureOnce(ctx context.Context, b *bed) (*run, error) {
	limited, cancel := context.WithTimeoutCause(ctx, measureTimeout, fmt.Errorf("not done after %v", measureTimeout))
	defer cancel()
	r, err := measure(limited, b)
	if limited.Err() != nil {
		return nil, context.Cause(limited)
	}
	return r, err
}

// baseOf returns the workload by whose rate that of w is set, nil if there is none.
func baseOf(w *workload) *workload {
	if w.Half == "" {
		return nil
	}
	return workloadOf(w.Half)
}
