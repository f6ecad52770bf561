//go:build linux

package test

import (
	"errors"
	"io"
	"testing"
	"time"

	"indrik/test/harness"

	"golang.org/x/net/http2"
)

// floodMemory is how much the front may grow under a flood, in KiB. The race
// detector multiplies what it takes.
const floodMemory = 100 << 10

// TestHTTP2Floods has one client send what costs it little. The server must not
// let it: its memory is bounded, others are served, and it is thrown out.
func TestHTTP2Floods(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		deaf  bool // the client reads nothing
		write func(f *harness.H2Conn, n int) error
	}{
		// CVE-2023-44487: each stream is cancelled at once, so that none counts as open.
		"rapid reset": {false, func(f *harness.H2Conn, _ int) error {
			id, err := f.Begin("GET", "/flood", true)
			if err != nil {
				return err
			}
			return f.Framer.WriteRSTStream(id, http2.ErrCodeCancel)
		}},
		// CVE-2025-8671: the client has the server reset each stream.
		"made you reset": {false, func(f *harness.H2Conn, _ int) error {
			id, err := f.Begin("POST", "/flood", false)
			if err != nil {
				return err
			}
			return f.Framer.WriteWindowUpdate(id, 0)
		}},
		// CVE-2023-45288: a head that never ends.
		"CONTINUATION": {false, func(f *harness.H2Conn, n int) error {
			block := f.EncodeHead("GET", "/flood", field("x-flood", "a value that is not in the table"))
			if n == 0 {
				f.Last += 2
				return f.Framer.WriteHeaders(http2.HeadersFrameParam{StreamID: f.Last - 1, BlockFragment: block})
			}
			f.Block.Reset()
			f.Encoder.WriteField(field("x-flood", "a value that is in the table"))
			return f.Framer.WriteContinuation(f.Last-1, false, f.Block.Bytes())
		}},
		"empty CONTINUATION": {false, func(f *harness.H2Conn, n int) error {
			if n == 0 {
				f.Last += 2
				return f.Framer.WriteHeaders(http2.HeadersFrameParam{StreamID: f.Last - 1, BlockFragment: f.EncodeHead("GET", "/flood")})
			}
			return f.Framer.WriteContinuation(f.Last-1, false, nil)
		}},
		// CVE-2019-9512, 9515: each needs an answer, which nobody fetches.
		"PING":     {true, func(f *harness.H2Conn, _ int) error { return f.Framer.WritePing(false, [8]byte{}) }},
		"SETTINGS": {true, func(f *harness.H2Conn, _ int) error { return f.Framer.WriteSettings() }},
		// CVE-2019-9514: invalid requests, each of which draws a RST_STREAM.
		"reset": {true, func(f *harness.H2Conn, _ int) error {
			_, err := f.Begin("GET", "/flood", true, field("connection", "close"))
			return err
		}},
		// CVE-2019-9518: frames that say nothing.
		"empty DATA": {false, func(f *harness.H2Conn, n int) error {
			if n == 0 {
				_, err := f.Begin("POST", "/flood", false)
				return err
			}
			return f.Framer.WriteData(f.Last-1, false, nil)
		}},
		"padded DATA": {false, func(f *harness.H2Conn, n int) error {
			if n == 0 {
				_, err := f.Begin("POST", "/flood", false)
				return err
			}
			return f.Framer.WriteDataPadded(f.Last-1, false, nil, make([]byte, 10))
		}},
		"PRIORITY": {false, func(f *harness.H2Conn, n int) error {
			return f.Framer.WritePriority(uint32(n%1000)*2+1, http2.PriorityParam{Weight: uint8(n)})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := harness.Start(t, harness.WithHTTP2(t, harness.WebH2, harness.Options{App: "echo:app", Args: []string{"--threads", "2"}}))
			front := s.Role("front")[0].PID
			good := s.Web(harness.WebH2)
			good.Fetch("GET", "/", "")
			before, most := harness.ResidentKiB(front), 0
			f := s.H2Conn()
			fl := f.Flood(c.deaf, func(n int) error { return c.write(f, n) })
			var end error
			for waiting := true; waiting; {
				began := time.Now()
				good.Fetch("GET", "/", "")
				s.Get("/")
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("other clients wait for %v", took)
				}
				most = max(most, harness.ResidentKiB(front))
				select {
				case end = <-fl.End:
					waiting = false
				case <-time.After(20 * time.Millisecond):
				}
			}
			t.Logf("%d frames until %v; the front has grown from %d to %d KiB", fl.Sent, end, before, most)
			if end == nil {
				t.Errorf("the server bears the flood")
			}
			if most-before > floodMemory {
				t.Errorf("the front has grown from %d to %d KiB", before, most)
			}
			good.Fetch("GET", "/", "")
			good.ExpectOneConnection()
			s.Terminate()
		})
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
			if errors.Is(err, io.EOF) || err != nil && harness.Reason(err) == "reset" {
				break
			}
			if err != nil {
				t.Fatalf("%d responses wait for ever: %v", left(), err)
			}
		}
		s.Terminate()
	})
}
