//go:build linux

package test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"indrik/test/harness"

	"golang.org/x/net/http2"
)

// floodMemory is how much the front may grow under a flood, in KiB. The race
// detector multiplies what it takes.
const floodMemory = 100 << 10

// floodPatience is how much longer the slowest hundredth of the requests of other clients may
// take under a flood than ten times as long as before it: machines that run tests are slow.
const floodPatience = 10 * time.Second

// An h2Flood is what a client sends that costs it little.
type h2Flood struct {
	deaf  bool // the client reads nothing
	borne int  // that many frames the server bears; 0: it ends the connection
	write func(f *harness.H2Conn, n int) error
}

// opened is one of frames on one request.
func opened(write func(f *harness.H2Conn) error) func(f *harness.H2Conn, n int) error {
	return func(f *harness.H2Conn, n int) error {
		if n == 0 {
			_, err := f.Begin("POST", "/flood", false)
			return err
		}
		return write(f)
	}
}

// made is one of requests that the client has the server reset, each by another frame.
func made(write func(f *harness.H2Conn, id uint32) error) func(f *harness.H2Conn, n int) error {
	return func(f *harness.H2Conn, _ int) error {
		id, err := f.Begin("POST", "/flood", false, field("content-length", "1"))
		if err != nil {
			return err
		}
		return write(f, id)
	}
}

var h2Floods = map[string]h2Flood{
	// CVE-2023-44487: each stream is cancelled at once, so that none counts as open.
	"rapid reset": {write: func(f *harness.H2Conn, _ int) error {
		id, err := f.Begin("GET", "/flood", true)
		if err != nil {
			return err
		}
		return f.Framer.WriteRSTStream(id, http2.ErrCodeCancel)
	}},
	// CVE-2025-8671: the client has the server reset each stream.
	"made you reset by a window of 0":  {write: made(func(f *harness.H2Conn, id uint32) error { return f.Framer.WriteWindowUpdate(id, 0) })},
	"made you reset by a large window": {write: made(func(f *harness.H2Conn, id uint32) error { return f.Framer.WriteWindowUpdate(id, math.MaxInt32) })},
	"made you reset by a long body":    {write: made(func(f *harness.H2Conn, id uint32) error { return f.Framer.WriteData(id, false, []byte("12")) })},
	"made you reset by a short body":   {write: made(func(f *harness.H2Conn, id uint32) error { return f.Framer.WriteData(id, true, nil) })},
	"made you reset by a wrong PRIORITY": {write: made(func(f *harness.H2Conn, id uint32) error {
		return f.Framer.WritePriority(id, http2.PriorityParam{StreamDep: id})
	})},
	"made you reset by more behind the end": {write: made(func(f *harness.H2Conn, id uint32) error {
		if err := f.Framer.WriteData(id, true, []byte("1")); err != nil {
			return err
		}
		return f.Framer.WriteData(id, true, nil)
	})},
	// CVE-2019-9514: invalid requests, each of which draws a RST_STREAM.
	"reset": {deaf: true, write: func(f *harness.H2Conn, _ int) error {
		_, err := f.Begin("GET", "/flood", true, field("connection", "close"))
		return err
	}},
	// CVE-2023-45288: a head that never ends.
	"CONTINUATION": {write: func(f *harness.H2Conn, n int) error {
		block := f.EncodeHead("GET", "/flood", field("x-flood", "a value that is not in the table"))
		if n == 0 {
			f.Last += 2
			return f.Framer.WriteHeaders(http2.HeadersFrameParam{StreamID: f.Last - 1, BlockFragment: block})
		}
		f.Block.Reset()
		f.Encoder.WriteField(field("x-flood", "a value that is in the table"))
		return f.Framer.WriteContinuation(f.Last-1, false, f.Block.Bytes())
	}},
	"empty CONTINUATION": {write: func(f *harness.H2Conn, n int) error {
		if n == 0 {
			f.Last += 2
			return f.Framer.WriteHeaders(http2.HeadersFrameParam{StreamID: f.Last - 1, BlockFragment: f.EncodeHead("GET", "/flood")})
		}
		return f.Framer.WriteContinuation(f.Last-1, false, nil)
	}},
	// A field that is large once decoded, named by one byte as often as a head has room for.
	"HPACK bomb": {borne: 200, write: func(f *harness.H2Conn, _ int) error {
		block := f.EncodeHead("GET", "/flood", field("x-bomb", strings.Repeat("b", 3000)))
		f.Encoder.WriteField(field("x-bomb", strings.Repeat("b", 3000)))
		again := f.Block.Bytes()[f.Block.Len()-1]
		block = append(bytes.Clone(block), bytes.Repeat([]byte{again}, 12<<10)...)
		f.Last += 2
		return f.Framer.WriteHeaders(http2.HeadersFrameParam{StreamID: f.Last - 1, BlockFragment: block, EndStream: true, EndHeaders: true})
	}},
	// Requests with heads as large as they may be, whose bodies never come.
	"large heads": {borne: 300, write: func(f *harness.H2Conn, _ int) error {
		_, err := f.Begin("POST", "/flood", false, field("x-a", strings.Repeat("a", 6000)), field("x-b", strings.Repeat("b", 6000)))
		return err
	}},
	// CVE-2019-9512, 9515: each needs an answer, which nobody fetches.
	"PING":     {deaf: true, write: func(f *harness.H2Conn, _ int) error { return f.Framer.WritePing(false, [8]byte{}) }},
	"SETTINGS": {deaf: true, write: func(f *harness.H2Conn, _ int) error { return f.Framer.WriteSettings() }},
	// CVE-2019-9518: frames that say nothing.
	"empty DATA":  {write: opened(func(f *harness.H2Conn) error { return f.Framer.WriteData(f.Last-1, false, nil) })},
	"padded DATA": {write: opened(func(f *harness.H2Conn) error { return f.Framer.WriteDataPadded(f.Last-1, false, nil, make([]byte, 10)) })},
	"PRIORITY": {write: func(f *harness.H2Conn, n int) error {
		return f.Framer.WritePriority(uint32(n%1000)*2+1, http2.PriorityParam{Weight: uint8(n)})
	}},
	"PRIORITY_UPDATE": {write: func(f *harness.H2Conn, n int) error {
		return f.Framer.WriteRawFrame(http2.FramePriorityUpdate, 0, 0, append(binary.BigEndian.AppendUint32(nil, uint32(n)*2+1), "u=1, i"...))
	}},
	"WINDOW_UPDATE": {write: opened(func(f *harness.H2Conn) error { return f.Framer.WriteWindowUpdate(f.Last-1, 1) })},
	"window of all streams": {write: opened(func(f *harness.H2Conn) error {
		return f.Framer.WriteSettings(slices.Repeat([]http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 1}, {ID: http2.SettingInitialWindowSize, Val: 1 << 20}}, 50)...)
	})},
	"unknown frames": {write: func(f *harness.H2Conn, _ int) error { return f.Framer.WriteRawFrame(0x77, 0xff, 1, []byte("unknown")) }},
}

var errBorne = errors.New("the server has borne as much as it has to")

// TestHTTP2Floods has one client send what costs it little. The server must not let it: its
// memory is bounded, others are served, it is thrown out, and what it held is free.
func TestHTTP2Floods(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.WithHTTP2(t, harness.WebH2, harness.Options{App: "echo:app", Args: []string{"--threads", "2"}}))
	good := s.Web(harness.WebH2)
	good.Fetch("GET", "/", "")
	front := s.Role("front")[0].PID
	before := harness.ResidentKiB(front)
	for _, name := range slices.Sorted(maps.Keys(h2Floods)) {
		t.Run(name, func(t *testing.T) { flood(t, s, good, h2Floods[name]) })
	}
	if now := harness.ResidentKiB(front); now-before > 2*floodMemory {
		t.Errorf("after all of them the front has grown from %d to %d KiB", before, now)
	}
	good.Fetch("GET", "/", "")
	good.ExpectOneConnection()
	s.Terminate()
}

// flood makes a flood, and looks at the front and at other clients meanwhile.
func flood(t *testing.T, s *harness.Server, good *harness.Web, a h2Flood) {
	front := s.Role("front")[0].PID
	fetch := func() time.Duration {
		began := time.Now()
		good.Fetch("GET", "/", "")
		return time.Since(began)
	}
	calm := time.Duration(0)
	for range 10 {
		calm = max(calm, fetch())
	}
	before, files, most := harness.ResidentKiB(front), harness.OpenFiles(front), 0
	f := s.H2Conn()
	fl := f.Flood(a.deaf, func(n int) error {
		if a.borne > 0 && n == a.borne {
			return errBorne
		}
		return a.write(f, n)
	})
	var took []time.Duration
	var end error
	for waiting := true; waiting || len(took) < 20; {
		took = append(took, fetch())
		most = max(most, harness.ResidentKiB(front))
		select {
		case end = <-fl.End:
			waiting = false
		case <-time.After(5 * time.Millisecond):
		}
	}
	f.Close()
	ended := time.Now()
	harness.Eventually(t, "the connection is gone", func() bool { return harness.OpenFiles(front) <= files })
	gone := time.Since(ended)
	slices.Sort(took)
	p99 := took[(len(took)*99+99)/100-1]
	t.Logf("%d frames until %v; of %d requests of others the 99th percentile took %v, %v before; the front has grown by %d KiB; it was gone after %v",
		fl.Sent, end, len(took), p99.Round(time.Microsecond), calm.Round(time.Microsecond), most-before, gone.Round(time.Millisecond))
	switch {
	case end == nil:
		t.Errorf("the server bears the flood")
	case a.borne > 0 && !errors.Is(end, errBorne):
		t.Errorf("the server has ended the connection: %v", end)
	}
	if most-before > floodMemory {
		t.Errorf("the front has grown from %d to %d KiB", before, most)
	}
	if p99 > floodPatience+10*calm {
		t.Errorf("other clients wait for %v, %v before", p99, calm)
	}
}

func TestHTTP2DeafClients(t *testing.T) {
	t.Parallel()
	// Clients that ask for much and open no window: CVE-2019-9511, 9517.
	o := harness.Options{App: "large:app", Args: []string{"--write-timeout", "2", "--threads", "4"}}
	harness.OverHTTP2(t, o, func(t *testing.T, s *harness.Server, w *harness.Web) {
		front := s.Role("front")[0].PID
		before := harness.ResidentKiB(front)
		f := s.H2Conn(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
		for range 50 {
			f.Open("GET", "/1048576", true)
		}
		for range 20 {
			s.Get("/16")
		}
		if now := harness.ResidentKiB(front); now-before > floodMemory {
			t.Errorf("the front has grown from %d to %d KiB", before, now)
		}
		// It reads, but gives no window: its responses end, or the connection does.
		f.Hold = true
		left := func() (n int) {
			for _, r := range f.Streams {
				if !r.Over() {
					n++
				}
			}
			return n + 50 - len(f.Streams)
		}
		for left() > 0 {
			err := f.ReadOne()
			if errors.Is(err, io.EOF) || err != nil && slices.Contains([]string{"reset", "broken pipe"}, harness.Reason(err)) {
				break // it has ended, be it before a frame was answered
			}
			if err != nil {
				t.Fatalf("%d responses wait for ever: %v", left(), err)
			}
		}
		s.Terminate()
	})
}
