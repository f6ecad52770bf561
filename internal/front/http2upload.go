package front

import (
	"errors"
	"io"
	"sync"
	"time"

	"indrik/internal/http1"
)

// measureEvery is how often the rate of a body over HTTP/2 is measured.
const measureEvery = time.Second

// readBody reads the whole body of a stream.
func (st *stream) readBody(body *spool) error {
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	st.ex.holder.Hold(copyBuffer)
	defer st.ex.holder.Hold(-copyBuffer)
	rate := new(bodyRate)
	rate.start()
	defer st.watchRate(rate, func(interrupt func()) { interrupt() })()
	for {
		n, err := st.readPart(rate, *buf)
		if werr := body.add((*buf)[:n]); werr != nil {
			return werr
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// readPart reads some of the body of a stream.
func (st *stream) readPart(rate *bodyRate, p []byte) (int, error) {
	n, err := st.r.Body.Read(p)
	rate.bytes.Add(int64(n))
	if slow := rate.tooSlow.Load(); slow != nil && err != nil && !errors.Is(err, io.EOF) {
		return n, *slow
	}
	return n, err
}

// watchRate measures the rate of a body until stop is called. Once the body is too slow it
// makes reading fail: it passes a function that does so to whileOpen, which must call it
// only while the stream is open.
func (st *stream) watchRate(rate *bodyRate, whileOpen func(interrupt func())) (stop func()) {
	cfg := st.ex.cfg
	if cfg.bodyTimeout == 0 && cfg.BodyMinRate == 0 {
		return func() {}
	}
	interrupt := func() { _ = st.control.SetReadDeadline(time.Unix(1, 0)) } // if that fails, reading does
	var mu sync.Mutex
	stopped := false
	var timer *time.Timer
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(measureEvery, func() {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case stopped:
		case rate.measure(now(), cfg):
			whileOpen(interrupt)
		default:
			timer.Reset(measureEvery)
		}
	})
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}

// beginBodyStream prepares to stream the body of a request.
func (st *stream) beginBodyStream() {
	b := &bodyStream{ex: &st.ex, limit: st.ex.cfg.LimitRequestBody, unread: st.req.ContentLength}
	b.wake, st.bodyWoken = waker()
	b.rate = new(bodyRate)
	b.rate.start()
	st.ex.bodyStream = b
}

// streamBody streams the body to the worker. Bytes that the worker gives no credit for stay
// with the client: the window of the HTTP/2 stream is not made larger.
func (st *stream) streamBody(b *bodyStream) {
	err := st.streamParts(b)
	if err == nil {
		return
	}
	var bad *http1.Error
	var status statusError
	if errors.As(err, &bad) || errors.As(err, &status) {
		if st.s.queue.TakeBack(&st.ex.Job) {
			st.giveUp(err)
			return
		}
		st.ex.logCut(status)
	}
	st.s.queue.CancelByClient(&st.ex.Job)
}

func (st *stream) streamParts(b *bodyStream) error {
	p := partBuffers.Get().(*partBuffer)
	defer partBuffers.Put(p)
	st.ex.holder.Hold(int64(len(p)))
	defer st.ex.holder.Hold(-int64(len(p)))
	defer st.watchRate(b.rate, b.whileNeeded)()
	for {
		window, stopped := b.state()
		for window <= 0 && !stopped {
			since := now()
			<-st.bodyWoken
			b.rate.pause(now() - since)
			window, stopped = b.state()
		}
		if stopped {
			return nil
		}
		b.ex.AwaitBody()
		n, err := st.readPart(b.rate, p.part(window))
		st.s.metrics.Load().Receive(int64(n))
		st.s.queue.GotBody(&b.ex.Job)
		if b.isStopped() {
			return nil
		}
		if end, err := b.forward(p, n, err); end || err != nil {
			return err
		}
	}
}

// whileNeeded calls f unless the body stream is stopped: until then the HTTP/2 stream is
// open.
func (b *bodyStream) whileNeeded(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.stopped {
		f()
	}
}
