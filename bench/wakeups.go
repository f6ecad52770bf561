package main

import (
	"context"
	"time"

	"indrik/bench/proctree"
)

const (
	valueWakeUps  = "wake_ups_per_second"
	wakeUpsSettle = 2 * time.Second
	wakeUpsLength = 5 * time.Second
	// wakeUpsMoment is what counts as one: threads that wake each other wake the machine once.
	wakeUpsMoment = 50 * time.Millisecond
	// wakeUpsWarm requests have every worker used before it rests.
	wakeUpsWarm = 40
)

// runWakeUps counts how often a server that nobody uses wakes up.
func runWakeUps(ctx context.Context, b *bed) (*run, error) {
	return b.withServer(ctx, b.setup(), func(s *server) (*run, error) {
		for range wakeUpsWarm {
			if err := s.ask(); err != nil {
				return nil, err
			}
		}
		if err := sleep(ctx, wakeUpsSettle); err != nil {
			return nil, err
		}
		table, err := proctree.Read("/proc")
		if err != nil {
			return nil, err
		}
		pids := append(table.Below(s.Process.Pid), s.Process.Pid)
		perSecond, err := moments(ctx, wakeUpsLength, func() (int64, error) { return proctree.WakeUps("/proc", pids) })
		return &run{Values: map[string]float64{valueWakeUps: perSecond}}, err
	})
}

// moments returns in how many moments of a second the counter grows, over a time.
func moments(ctx context.Context, length time.Duration, counter func() (int64, error)) (perSecond float64, err error) {
	last, err := counter()
	if err != nil {
		return 0, err
	}
	grown, began := 0, time.Now()
	for time.Since(began) < length {
		if err := sleep(ctx, wakeUpsMoment); err != nil {
			return 0, err
		}
		n, err := counter()
		if err != nil {
			return 0, err
		}
		if n > last {
			grown++
		}
		last = n
	}
	return float64(grown) / time.Since(began).Seconds(), nil
}
