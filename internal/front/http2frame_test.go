package front

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// filtered is what passes of input, in pieces of up to most bytes.
func filtered(input []byte, most int) ([]byte, error) {
	var limits floodLimits
	limits.init(now())
	h := http2Filter{limits: &limits}
	var out []byte
	rnd := rand.New(rand.NewPCG(uint64(len(input)), 3))
	for len(input) > 0 {
		n := min(len(input), 1+rnd.IntN(most))
		passed, err := h.filter(nil, input[:n])
		if err != nil {
			return out, err
		}
		out = append(out, passed...)
		input = input[n:]
	}
	return out, nil
}

// written is the preface and some frames.
func written(write func(f *http2.Framer)) []byte {
	b := bytes.NewBufferString(http2Preface)
	write(http2.NewFramer(b, nil))
	return b.Bytes()
}

func TestHTTP2Filter(t *testing.T) {
	window := func(n uint32) http2.Setting { return http2.Setting{ID: http2.SettingInitialWindowSize, Val: n} }
	push := http2.Setting{ID: http2.SettingEnablePush}
	others := func(f *http2.Framer) {
		f.WriteSettingsAck()
		f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}})
		f.WriteContinuation(1, true, []byte{0x84})
		f.WriteData(1, false, make([]byte, 10000))
		f.WriteDataPadded(1, false, make([]byte, 300), make([]byte, 200))
		f.WriteDataPadded(1, true, nil, nil)
		f.WriteRSTStream(1, http2.ErrCodeCancel)
		f.WriteWindowUpdate(0, 1)
		f.WritePing(false, [8]byte{1, 2, 3})
		f.WriteRawFrame(0xfe, 0xff, 5, []byte("unknown"))
	}
	for name, c := range map[string]struct{ from, to []http2.Setting }{
		"none":           {nil, nil},
		"one":            {[]http2.Setting{window(1)}, []http2.Setting{window(1)}},
		"two kinds":      {[]http2.Setting{window(1), push}, []http2.Setting{window(1), push}},
		"repeated":       {[]http2.Setting{window(1), push, window(2), window(3)}, []http2.Setting{push, window(3)}},
		"repeated alike": {[]http2.Setting{push, push}, []http2.Setting{push}},
	} {
		input := written(func(f *http2.Framer) { f.WriteSettings(c.from...); others(f); f.WriteSettings(c.from...) })
		want := written(func(f *http2.Framer) { f.WriteSettings(c.to...); others(f); f.WriteSettings(c.to...) })
		for _, most := range []int{1, 7, 100, len(input)} {
			if got, err := filtered(input, most); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s, in pieces of up to %d bytes: %v, %q, want %q", name, most, err, got, want)
			}
		}
	}
}

func TestFrameScanner(t *testing.T) {
	input := written(func(f *http2.Framer) {
		f.WriteData(1, true, make([]byte, 20))
		f.WriteDataPadded(1, false, make([]byte, 5), make([]byte, 7))
		f.WriteRSTStream(3, http2.ErrCodeEnhanceYourCalm)
		f.WriteWindowUpdate(0, 1000)
	})[len(http2Preface):]
	want := []frame{
		{kind: frameData, flags: flagEndStream, length: 20, data: 20, stream: 1},
		{kind: frameData, flags: flagPadded, length: 13, data: 5, stream: 1},
		{kind: frameReset, length: 4, code: uint32(http2.ErrCodeEnhanceYourCalm), stream: 3},
		{kind: frameUpdate, length: 4, increment: 1000},
	}
	for most := 1; most <= len(input); most++ {
		var s frameScanner
		var got []frame
		for piece := range slices.Chunk(input, most) {
			s.scan(piece, func(f *frame) { got = append(got, *f) })
		}
		if !slices.Equal(got, want) {
			t.Fatalf("in pieces of %d bytes: %+v, want %+v", most, got, want)
		}
	}
}

func TestFloodLimits(t *testing.T) {
	const second = int64(time.Second)
	ping, headers, reset := &frame{kind: 6}, &frame{kind: frameHeaders}, &frame{kind: frameReset}
	empty, update := &frame{kind: frameData}, &frame{kind: 8}
	until := func(f *frame, also func(l *floodLimits)) int {
		var l floodLimits
		l.init(0)
		for n := range 100000 {
			if also != nil {
				also(&l)
			}
			if !l.allow(f, 0) {
				return n
			}
		}
		return -1
	}
	for name, c := range map[string]struct {
		frame *frame
		also  func(l *floodLimits)
		want  int
	}{
		"PING":          {ping, nil, idleFrames},
		"empty DATA":    {empty, nil, idleFrames},
		"RST_STREAM":    {reset, nil, resets},
		"rapid reset":   {reset, func(l *floodLimits) { l.allow(headers, 0) }, resets},
		"DATA":          {&frame{kind: frameData, length: 1, data: 1}, nil, -1},
		"last DATA":     {&frame{kind: frameData, flags: flagEndStream}, nil, -1},
		"requests":      {headers, nil, -1},
		"with PRIORITY": {&frame{kind: 2}, func(l *floodLimits) { l.allow(headers, 0) }, -1},
		"WINDOW_UPDATE": {update, nil, idleFrames},
		"a download":    {update, func(l *floodLimits) { l.countSent(&frame{kind: frameData, length: 512, data: 512}, 0) }, -1},
		// The server's own reset of a stream, for something that the client did.
		"made you reset":  {headers, func(l *floodLimits) { l.countSent(&frame{kind: frameReset, code: 1}, 0) }, resets},
		"answered early":  {headers, func(l *floodLimits) { l.countSent(&frame{kind: frameReset}, 0) }, -1},
		"PING in between": {ping, func(l *floodLimits) { l.allow(&frame{kind: frameData, length: 9, data: 9}, 0) }, idleFrames},
	} {
		if got := until(c.frame, c.also); got != c.want {
			t.Errorf("%s: the flood is found after %d frames, want %d", name, got, c.want)
		}
	}

	// What comes slowly is no flood, and what was spared does not pile up.
	var l floodLimits
	l.init(0)
	t0 := int64(0)
	for range 50000 {
		t0 += second / idleRate
		if !l.allow(ping, t0) {
			t.Fatal("the rate is not given")
		}
	}
	n := 0
	for l.allow(ping, t0) {
		n++
	}
	if n < idleFrames-2 || n > idleFrames {
		t.Errorf("%d at once after that, want %d", n, idleFrames)
	}
}

// FuzzHTTP2Filter checks that what passes does not depend on how the input was
// cut, and is the input but for repeated settings.
func FuzzHTTP2Filter(f *testing.F) {
	f.Add([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x0c\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x01\x00\x04\x00\x00\x00\x02"))
	f.Add([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x03\x00\x08\x00\x00\x00\x01\x01\x00\x00\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08"))
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) > 16<<10 {
			return
		}
		whole, err := filtered(input, len(input)+1)
		pieces, err2 := filtered(input, 3)
		if (err == nil) != (err2 == nil) || err == nil && !bytes.Equal(whole, pieces) {
			t.Fatalf("%v, %q in one piece; %v, %q in pieces", err, whole, err2, pieces)
		}
		if err != nil {
			return
		}
		fr, passed := http2.NewFramer(nil, bytes.NewReader(cutPreface(input))), http2.NewFramer(nil, bytes.NewReader(cutPreface(whole)))
		for {
			a, err := fr.ReadFrame()
			if err != nil {
				return
			}
			if s, ok := a.(*http2.SettingsFrame); ok && s.HasDuplicates() && s.NumSettings() <= 100 {
				return
			}
			b, err := passed.ReadFrame()
			if err != nil || a.Header().String() != b.Header().String() {
				t.Fatalf("%v, %v, want %v", b, err, a)
			}
		}
	})
}

func cutPreface(b []byte) []byte { return b[min(len(b), len(http2Preface)):] }
