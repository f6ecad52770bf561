package front

import (
	"errors"
	"io"
	"time"

	"indrik/internal/http1"
)

// beginFeed makes the feed of a request of HTTP/2.
func (st *stream) beginFeed() {
	f := &feed{ex: &st.ex, source: st.r.Body, limit: st.ex.cfg.LimitRequestBody, left: st.req.ContentLength}
	f.wake, st.wanted = waker()
	st.ex.feed = f
}

// runFeed feeds the body to the worker. What the worker does not want stays with the
// client: the window of the stream is not made larger.
func (st *stream) runFeed(f *feed) {
	err := st.feedBody(f)
	if err == nil {
		return
	}
	var bad *http1.Error
	var status statusError
	if (errors.As(err, &bad) || errors.As(err, &status)) && st.s.queue.retract(&st.ex) {
		st.giveUp(err)
		return
	}
	st.s.queue.abandon(&st.ex)
}

func (st *stream) feedBody(f *feed) error {
	cfg := st.ex.cfg
	buf := feedBuffers.Get().(*feedBuffer)
	defer feedBuffers.Put(buf)
	var u upload
	u.begin()
	for {
		room, over := f.wanted()
		for room <= 0 && !over {
			since := now()
			<-st.wanted
			u.excuse(now() - since)
			room, over = f.wanted()
		}
		if over {
			return nil
		}
		if cfg.bodyTimeout > 0 || cfg.BodyMinRate > 0 {
			deadline := time.Now().Add(rateWindow)
			if left := cfg.bodyTimeout - time.Duration(now()-u.start.Load()); cfg.bodyTimeout > 0 && left < rateWindow {
				deadline = time.Now().Add(left)
			}
			_ = st.control.SetReadDeadline(deadline) // if that fails, reading does
		}
		n, err := f.source.Read(buf.part(room))
		u.bytes.Add(int64(n))
		if _, over := f.wanted(); over {
			return nil
		}
		if isTimeout(err) || err == nil && u.judge(now(), cfg.bodyTimeout, cfg.BodyMinRate) {
			return errTooSlow
		}
		end, err := f.pass(buf, n, err)
		if end || err != nil && err != io.EOF {
			return err
		}
	}
}
