package front

import (
	"errors"
	"io"
	"sync"
	"time"

	"indrik/internal/http1"
)

// judgeEvery is how often the pace of a body over HTTP/2 is looked at.
const judgeEvery = time.Second

// beginFeed makes the feed of a request of HTTP/2.
func (st *stream) beginBodyStream() {
	f := &bodyStream{ex: &st.ex, source: st.r.Body, limit: st.ex.cfg.LimitRequestBody, left: st.req.ContentLength}
	f.wake, st.wanted = waker()
	f.rate = new(bodyRate)
	f.rate.start()
	st.ex.bodyStream = f
}

// runFeed feeds the body to the worker. What the worker does not want stays with the
// client: the window of the stream is not made larger.
func (st *stream) streamBody(f *bodyStream) {
	err := st.readStream(f)
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

func (st *stream) readStream(f *bodyStream) error {
	buf := partBuffers.Get().(*partBuffer)
	defer partBuffers.Put(buf)
	st.ex.holder.Hold(int64(len(buf)))
	defer st.ex.holder.Hold(-int64(len(buf)))
	u := f.rate
	if cfg := st.ex.cfg; cfg.bodyTimeout > 0 || cfg.BodyMinRate > 0 {
		defer st.judge(f, cfg)()
	}
	for {
		room, over := f.wanted()
		for room <= 0 && !over {
			since := now()
			<-st.wanted
			u.pause(now() - since)
			room, over = f.wanted()
		}
		if over {
			return nil
		}
		f.ex.AwaitBody()
		n, err := f.source.Read(buf.part(room))
		f.ex.s.queue.GotBody(&f.ex.Job)
		u.bytes.Add(int64(n))
		if _, over := f.wanted(); over {
			return nil
		}
		if slow := u.tooSlow.Load(); slow != nil && err != nil {
			return *slow
		}
		end, err := f.pass(buf, n, err)
		if end || err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
}

// judge looks after the pace of a body that is being fed, until it is stopped.
func (st *stream) judge(f *bodyStream, cfg *config) (stop func()) {
	var mu sync.Mutex
	stopped := false
	var timer *time.Timer
	look := func() {
		mu.Lock()
		defer mu.Unlock()
		if stopped {
			return
		}
		if !f.rate.measure(now(), cfg) {
			timer.Reset(judgeEvery)
			return
		}
		// The stream is there as long as somebody may want the body.
		f.mu.Lock()
		defer f.mu.Unlock()
		if !f.over {
			_ = st.control.SetReadDeadline(time.Unix(1, 0)) // if that fails, reading does
		}
	}
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(judgeEvery, look)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}
