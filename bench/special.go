package main

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"

	"indrik/bench/load"
	"indrik/bench/proctree"
)

// Names of values.
const (
	valueStart   = "start_milliseconds"
	valueServer  = "server_pss_mib"
	valueWorker  = "worker_pss_mib"
	valueHeld    = "connections_held"
	valueIdle    = "connection_kib"
	valueFresh   = "first_new_milliseconds"
	valueOld     = "last_old_milliseconds"
	valueClosed  = "closed_percent"
	idleClients  = 10_000
	idleRamp     = 3 * time.Second
	idleSettle   = 6 * time.Second // in which a server may give memory back
	moreWorkers  = 6
	pidInterval  = 10 * time.Millisecond
	startsPerRun = 3
	closeRuns    = 10
	closeWait    = time.Second // for a server that calls close() when the client has its answer
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

// runClose finds out whether the server calls close() of responses.
func runClose(ctx context.Context, b *bed) (*run, error) {
	if err := os.Remove(b.e.calls); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return b.withServer(ctx, b.setup(), func(s *server) (*run, error) {
		for range closeRuns {
			if err := s.ask(); err != nil {
				return nil, err
			}
		}
		for waited := time.Duration(0); ; waited += pidInterval {
			calls, err := os.ReadFile(b.e.calls)
			if err != nil {
				return nil, err
			}
			called, closed := bytes.Count(calls, []byte("a")), bytes.Count(calls, []byte("c"))
			if closed == called || waited >= closeWait {
				return &run{Values: map[string]float64{valueClosed: 100 * float64(closed) / float64(called)}}, nil
			}
			if err := sleep(ctx, pidInterval); err != nil {
				return nil, err
			}
		}
	})
}

// runReload sends HUP to a server under load.
func runReload(ctx context.Context, b *bed) (*run, error) {
	return b.withServer(ctx, b.setup(), func(s *server) (*run, error) {
		watch := &pidWatch{server: s, end: make(chan struct{}), done: make(chan struct{})}
		r, err := b.load(ctx, s, func() {
			go watch.run(hupAfter)
		})
		if err != nil {
			return nil, err
		}
		close(watch.end)
		<-watch.done
		r.Values = map[string]float64{}
		if watch.fresh == 0 {
			r.Trouble = join(r.Trouble, "no new process has answered: it has not reloaded")
		} else {
			r.Values[valueFresh], r.Values[valueOld] = millis(watch.fresh), millis(watch.old)
		}
		return r, nil
	})
}

// pidWatch finds out which processes answer, from before HUP on.
type pidWatch struct {
	server     *server
	end, done  chan struct{}
	fresh, old time.Duration // since HUP
}

func (w *pidWatch) run(hup time.Duration) {
	defer close(w.done)
	begin := time.Now().Add(hup)
	sent := false
	known := make(map[string]bool)
	for {
		select {
		case <-w.end:
			return
		case <-time.After(pidInterval):
		}
		text, err := w.server.get("/pid")
		pid := string(text)
		if err != nil {
			continue // the other clients count what is lost
		}
		switch since := time.Since(begin); {
		case !sent:
			known[pid] = true
			if since > 0 {
				begin, sent = time.Now(), true
				_ = w.server.Process.Signal(syscall.SIGHUP)
			}
		case known[pid]:
			w.old = since
		case w.fresh == 0:
			w.fresh = since
		}
	}
}
