package main

import (
	"context"
	"syscall"
	"time"
)

const (
	valueFresh  = "first_new_milliseconds"
	valueOld    = "last_old_milliseconds"
	pidInterval = 10 * time.Millisecond
)

// runReload sends HUP to a server under load.
func runReload(ctx context.Context, b *bed) (*run, error) {
	return b.withServer(ctx, b.setup(), func(s *server) (*run, error) {
		watch := &pidWatch{server: s, end: make(chan struct{}), done: make(chan struct{})}
		started := false
		r, err := b.load(ctx, s, b.w.Groups, func() {
			started = true
			go watch.run(hupAfter)
		})
		close(watch.end)
		if started {
			<-watch.done
		}
		if err != nil {
			return nil, err
		}
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
