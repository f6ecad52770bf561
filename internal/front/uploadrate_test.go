package front

import (
	"strings"
	"testing"
	"time"

	"indrik/internal/wire"
)

func TestBodyRate(t *testing.T) {
	begun := int64(0)
	begin := func() *bodyRate {
		u := &bodyRate{}
		u.start()
		begun = u.window.Load()
		return u
	}
	after := func(d time.Duration) int64 { return begun + int64(d) }
	cfg := &config{FrontConfig: &wire.FrontConfig{BodyMinRate: 240}}
	u := begin()
	u.bytes.Store(10)
	if u.measure(after(rateWindow-time.Second), cfg) || u.tooSlow.Load() != nil {
		t.Error("too early")
	}
	if !u.measure(after(rateWindow+time.Second), cfg) || !strings.Contains(u.tooSlow.Load().Error(), "body_min_rate (240 a second)") {
		t.Errorf("10 bytes: %v", u.tooSlow.Load())
	}
	u = begin()
	u.bytes.Store(240 * 22)
	if u.measure(after(rateWindow+time.Second), cfg) {
		t.Errorf("enough bytes: %v", u.tooSlow.Load())
	}
	if !u.measure(after(2*rateWindow+2*time.Second), cfg) {
		t.Error("no bytes after that")
	}
	// An app that answers while the body comes in sets the pace itself.
	u = begin()
	u.answering.Store(true)
	for i := range 10 {
		if u.measure(after(time.Duration(i)*rateWindow), cfg) {
			t.Errorf("answered: %v", u.tooSlow.Load())
		}
	}
	cfg = &config{FrontConfig: &wire.FrontConfig{}, bodyTimeout: 3 * time.Second}
	if !u.measure(after(5*time.Second), cfg) || !strings.Contains(u.tooSlow.Load().Error(), "body_timeout (3s)") {
		t.Errorf("body_timeout: %v", u.tooSlow.Load())
	}
}

// The pace of a body does not count from the start of the response on.
func TestBodyRateOfAnsweredRequest(t *testing.T) {
	r, g := asgiRig(t, nil)
	w := r.asgiWorker(g)
	c := r.dial()
	c.send("POST /echo HTTP/1.1\nHost: h\nTransfer-Encoding: chunked\n\n")
	id, _, _ := w.begin()
	u := &r.onlyConn().bodyRate
	if u.answering.Load() {
		t.Error("answered too early")
	}
	w.say(0, start(id, "200 OK", nil, "a"))
	eventually(t, "the response begins", u.answering.Load)
}
