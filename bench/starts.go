package main

import (
	"context"
	"slices"
)

const (
	valueStart   = "start_milliseconds"
	startsPerRun = 3
)

// runStart starts the server several times.
func runStart(ctx context.Context, b *bed) (*run, error) {
	var times []float64
	for range startsPerRun {
		config := b.setup()
		config.Hasty = true
		_, err := b.withServer(ctx, config, func(s *server) (*run, error) {
			times = append(times, millis(s.Started))
			return nil, nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(times)
	return &run{Values: map[string]float64{valueStart: times[len(times)/2]}}, nil
}
