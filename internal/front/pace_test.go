package front

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"indrik/internal/errlog"
	"indrik/internal/http2"
	"indrik/internal/wire"
)

func TestTokenBucket(t *testing.T) {
	a := tokenBucket{burst: 10, rate: 100}
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
		f := opened(t, wire.BodyWindow)
		f.sk.ex.info.remote = "192.0.2.1"
		log := &logBuffer{}
		f.sk.ex.s.log = errlog.New(log)
		begun := time.Now()
		n, _ := f.sk.receive(c.flood)
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

// So are chunks of a few bytes. They are counted here and not sent: how fast a machine
// reads them must not decide.
func TestSmallPiecesAreReadSlowly(t *testing.T) {
	const many = smallPieces + smallPieceRate/10
	for name, c := range map[string]struct {
		chunks, bytes int
		slow          bool
	}{
		"of a byte":      {many, many, true},
		"not too many":   {smallPieces, smallPieces, false},
		"of many bytes":  {many, many * smallPiece, false},
		"half and half":  {2 * many, many*(smallPiece-1) + many, true},
		"a large upload": {10, 10 << 20, false},
	} {
		r := serving(t)
		conn := &conn{s: r.s}
		conn.info.remote = "192.0.2.1"
		begun := time.Now()
		(&bodyReader{c: conn, pace: piecePace()}).slowDown(c.chunks, c.bytes)
		if d := time.Since(begun); c.slow && d < 20*time.Millisecond {
			t.Errorf("%s: %d chunks were read in %s", name, c.chunks, d)
		}
		if said := strings.Contains(r.log.String(), "Reading ip=192.0.2.1 more slowly: it sends too many chunks"); said != c.slow {
			t.Errorf("%s: the log has\n%s", name, r.log.String())
		}
	}
}

// DATA frames of a few bytes, when the bucket is empty, delay what is read next until it has
// refilled; larger ones, and the last one of a body, do not.
func TestSmallDataFramesWait(t *testing.T) {
	small := &http2.Event{Frame: http2.FrameData, First: true, Size: 1}
	for name, c := range map[string]struct {
		ev *http2.Event
		n  int
		d  time.Duration
	}{
		"within":     {small, smallPieces, 0},
		"beyond":     {small, smallPieces + smallPieceRate/10, 100 * time.Millisecond},
		"larger":     {&http2.Event{Frame: http2.FrameData, First: true, Size: smallPiece}, 3 * smallPieces, 0},
		"the end":    {&http2.Event{Frame: http2.FrameData, First: true, Size: 1, Ended: true}, 3 * smallPieces, 0},
		"not begins": {&http2.Event{Frame: http2.FrameData, Size: 1}, 3 * smallPieces, 0},
	} {
		var l floodLimits
		l.init(0)
		l.small.refilled = 0
		var d time.Duration
		for range c.n {
			d, _ = l.allow(c.ev, 0)
		}
		if d != c.d {
			t.Errorf("%s: a pause of %s, want %s", name, d, c.d)
		}
	}
}

// TestFloodLimits: frames that ask for nothing are borne up to a number, and as many more as
// requests and responses are a reason for.
func TestFloodLimits(t *testing.T) {
	ping := &http2.Event{Frame: http2.FramePing, First: true}
	flood := func(l *floodLimits, ev *http2.Event) (n int) {
		for n = 0; n < 20*idleFrames; n++ {
			if _, ok := l.allow(ev, 0); !ok {
				break
			}
		}
		return n
	}
	for name, c := range map[string]struct {
		ev   *http2.Event
		want int
	}{
		"pings":             {ping, idleFrames},
		"empty DATA":        {&http2.Event{Frame: http2.FrameData, First: true}, idleFrames},
		"the rest of DATA":  {&http2.Event{Frame: http2.FrameData}, 20 * idleFrames},
		"resets":            {&http2.Event{Frame: http2.FrameReset, First: true}, resets},
		"resets by us":      {&http2.Event{Frame: http2.FrameWindowUpdate, First: true, ByUs: true}, resets},
		"requests":          {&http2.Event{Frame: http2.FrameHeaders, First: true}, 20 * idleFrames},
		"DATA with an end":  {&http2.Event{Frame: http2.FrameData, First: true, Ended: true}, 20 * idleFrames},
		"DATA of some size": {&http2.Event{Frame: http2.FrameData, First: true, Size: smallPiece}, 20 * idleFrames},
	} {
		var l floodLimits
		l.init(0)
		if n := flood(&l, c.ev); n != c.want {
			t.Errorf("%s: %d are borne, want %d", name, n, c.want)
		}
	}
	var l floodLimits
	l.init(0)
	flood(&l, ping)
	if _, ok := l.allow(ping, int64(time.Second)); !ok {
		t.Error("after a second it is not forgotten")
	}
	l.init(0)
	for range idleFrames {
		l.allow(ping, 0)
	}
	l.countSent(100 * bytesPerUpdate)
	if n := flood(&l, ping); n != 101 {
		t.Errorf("for a response of 100 updates %d frames are borne", n)
	}
}
