package front

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"indrik/internal/errlog"
)

func TestAllowanceSpent(t *testing.T) {
	a := allowance{most: 10, rate: 100}
	ms := int64(time.Millisecond)
	for _, c := range []struct {
		at   int64
		n    int
		wait time.Duration
	}{
		{0, 10, 0},
		{0, 1, 10 * time.Millisecond},
		{10 * ms, 0, 0},
		{10 * ms, 5, 50 * time.Millisecond},
		{1000 * ms, 10, 0},
		{1000 * ms, 100, time.Second},
		{1500 * ms, 0, 500 * time.Millisecond},
	} {
		if got := a.spend(c.at, c.n); got != c.wait {
			t.Errorf("%d at %s: %s, want %s", c.n, time.Duration(c.at), got, c.wait)
		}
	}
}

// A client that floods its connection with what asks for nothing is read slowly, and the
// log says who; one that sends messages is not.
func TestFloodsAreReadSlowly(t *testing.T) {
	frames := func(n int, frame []byte) []byte { return bytes.Repeat(frame, n) }
	fragments := append(clientFrame(0x01, ""), frames(idleSocketFrames+20, clientFrame(0x00, ""))...)
	tiny := append(clientFrame(0x01, "x"), frames(idleSocketFrames+20, clientFrame(0x00, "y"))...)
	for name, c := range map[string]struct {
		flood []byte
		slow  bool
	}{
		"pings":           {frames(idleSocketFrames+20, clientFrame(0x89, "")), true},
		"pongs":           {frames(idleSocketFrames+20, clientFrame(0x8a, "x")), true},
		"empty fragments": {fragments, true},
		"tiny fragments":  {tiny, true},
		"messages":        {frames(2*idleSocketFrames, clientFrame(0x82, "x")), false},
		"a few pings":     {frames(idleSocketFrames/2, clientFrame(0x89, "")), false},
	} {
		f := opened(t, bodyWindow)
		f.sk.ex.from.remote = "192.0.2.1"
		log := &logBuffer{}
		f.sk.ex.s.log = errlog.New(log)
		begun := time.Now()
		n, _ := f.sk.take(c.flood)
		if d := time.Since(begun); n != len(c.flood) || c.slow && d < 20*time.Second/idleSocketRate/2 {
			t.Errorf("%s: %d of %d bytes were taken in %s", name, n, len(c.flood), d)
		}
		said := func() bool { return strings.Contains(log.String(), "Reading ip=192.0.2.1 more slowly") }
		if c.slow {
			eventually(t, name+": the log says who", said)
		} else if said() {
			t.Errorf("%s: read slowly", name)
		}
	}
}

// So are chunks of a few bytes.
func TestSmallPiecesAreReadSlowly(t *testing.T) {
	slowly := func(r *rig) func() bool {
		return func() bool { return strings.Contains(r.log.String(), "Reading ip=127.0.0.1 more slowly") }
	}
	const many = smallPieces + smallPieceRate/10
	chunks := "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\nx\r\n", many) + "0\r\n\r\n"
	r := serving(t)
	c := r.dial()
	begun := time.Now()
	_, err := io.WriteString(c.nc, chunks)
	must(t, err)
	c.expect(200, "*")
	if d := time.Since(begun); d < 50*time.Millisecond {
		t.Errorf("%d chunks were read in %s", many, d)
	}
	eventually(t, "the log says who", slowly(r))

	r, w := holding(t, nil)
	c = r.dial()
	go io.WriteString(c.nc, chunks)
	w.say(0, response(w.takeBody(strings.Repeat("x", many)), "200 OK", nil, ""))
	c.expect(200, "")
	eventually(t, "the log says who", slowly(r))
}

// DATA frames of a few bytes beyond the allowance have the next read wait, for as long as
// the allowance takes to grow by them; larger ones, and the last one of a body, do not.
func TestSmallDataFramesWait(t *testing.T) {
	small := &frame{kind: frameData, data: 1}
	for name, c := range map[string]struct {
		f *frame
		n int
		d time.Duration
	}{
		"within":  {small, smallPieces, 0},
		"beyond":  {small, smallPieces + smallPieceRate/10, 100 * time.Millisecond},
		"larger":  {&frame{kind: frameData, data: smallPiece}, 3 * smallPieces, 0},
		"the end": {&frame{kind: frameData, data: 1, flags: flagEndStream}, 3 * smallPieces, 0},
	} {
		var l floodLimits
		l.begin(0)
		l.small.since = 0
		for range c.n {
			l.received(c.f, 0)
		}
		if d := l.pace(); d != c.d {
			t.Errorf("%s: the next read waits for %s, want %s", name, d, c.d)
		}
		if d := l.pace(); d != 0 {
			t.Errorf("%s: and the one after it for %s", name, d)
		}
	}
}
