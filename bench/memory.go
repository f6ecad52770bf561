package main

import (
	"context"
	"errors"
	"time"

	"indrik/bench/load"
	"indrik/bench/proctree"
)

const (
	valueServer = "server_pss_mib"
	valueWorker = "worker_pss_mib"
	valueHeld   = "connections_held"
	valueIdle   = "connection_kib"

	moreWorkers = 6
	idleClients = 10_000
	idleRamp    = 3 * time.Second
	idleSettle  = 3 * time.Second // in which a server may give memory back
)

// runMemory compares the server with itself with more workers: a way to find out
// what a worker takes that needs to know nothing of the server.
func runMemory(ctx context.Context, b *bed) (*run, error) {
	few, r, err := b.used(ctx, workers)
	if err != nil {
		return nil, err
	}
	many, _, err := b.used(ctx, moreWorkers)
	if err != nil {
		return nil, err
	}
	r.Values = map[string]float64{
		valueServer: mebibytes(few), valueWorker: mebibytes(many-few) / (moreWorkers - workers),
	}
	return r, nil
}

// used is the memory of the server with n workers that have all served.
func (b *bed) used(ctx context.Context, n int) (int64, *run, error) {
	config := b.setup()
	config.Workers = n
	var bytes int64
	r, err := b.withServer(ctx, config, func(s *server) (*run, error) {
		r, err := b.warm(ctx, s)
		if err == nil {
			bytes, err = proctree.PSS("/proc", s.Process.Pid)
		}
		return r, err
	})
	return bytes, r, err
}

// warm has the server answer some requests, so that what it makes on its first
// ones is there.
func (b *bed) warm(ctx context.Context, s *server) (*run, error) {
	m := meter{pid: s.Process.Pid}
	result, err := load.Run(ctx, load.Plan{
		Server: s.address, Groups: []load.Group{{Clients: 32, Request: request("GET", "/", nil, true), Want: s.want, OneShot: true}},
		Source: b.source, Timeout: timeout, Measure: 300 * time.Millisecond, Started: m.start, Ended: m.stop,
	})
	r, err := figures(result, &m, err)
	if err != nil {
		return nil, err
	}
	return &run{Failed: r.Failed, FirstError: r.FirstError, OthersCPU: 0}, nil
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// runIdle opens many connections that have had one answer each, and holds them.
func runIdle(ctx context.Context, b *bed) (*run, error) {
	return b.withServer(ctx, b.setup(), func(s *server) (*run, error) {
		if _, err := b.warm(ctx, s); err != nil {
			return nil, err
		}
		before, err := proctree.PSS("/proc", s.Process.Pid)
		if err != nil {
			return nil, err
		}
		m := meter{pid: s.Process.Pid}
		var after int64
		var failed error
		result, err := load.Run(ctx, load.Plan{
			Server: s.address, Source: b.source, Timeout: timeout, Ramp: idleRamp, Measure: idleRamp + idleSettle, Started: m.start,
			Groups: []load.Group{{Clients: idleClients, Request: request("GET", "/", nil, false), Want: hello, Pause: time.Hour}},
			Ended: func() {
				after, failed = proctree.PSS("/proc", s.Process.Pid)
				m.stop()
			},
		})
		r, err := figures(result, &m, errors.Join(err, failed))
		if err != nil {
			return nil, err
		}
		held := result.Groups[0].Held
		r = &run{Failed: r.Failed, FirstError: r.FirstError, Values: map[string]float64{valueHeld: float64(held)}}
		if held > 0 {
			r.Values[valueIdle] = float64(after-before) / 1024 / float64(held)
		}
		return r, nil
	})
}
