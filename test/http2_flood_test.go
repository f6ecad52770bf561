//go:build linux

package test

import (
	"errors"
	"io"
	"testing"
	"time"

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
		write func(f *framed, n int) error
	}{
		// CVE-2023-44487: each stream is cancelled at once, so that none counts as open.
		"rapid reset": {false, func(f *framed, _ int) error {
			id, err := f.begin("GET", "/flood", true)
			if err != nil {
				return err
			}
			return f.fr.WriteRSTStream(id, http2.ErrCodeCancel)
		}},
		// CVE-2025-8671: the client has the server reset each stream.
		"made you reset": {false, func(f *framed, _ int) error {
			id, err := f.begin("POST", "/flood", false)
			if err != nil {
				return err
			}
			return f.fr.WriteWindowUpdate(id, 0)
		}},
		// CVE-2023-45288: a head that never ends.
		"CONTINUATION": {false, func(f *framed, n int) error {
			block := f.head("GET", "/flood", field("x-flood", "a value that is not in the table"))
			if n == 0 {
				f.last += 2
				return f.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: f.last - 1, BlockFragment: block})
			}
			f.block.Reset()
			f.encoder.WriteField(field("x-flood", "a value that is in the table"))
			return f.fr.WriteContinuation(f.last-1, false, f.block.Bytes())
		}},
		"empty CONTINUATION": {false, func(f *framed, n int) error {
			if n == 0 {
				f.last += 2
				return f.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: f.last - 1, BlockFragment: f.head("GET", "/flood")})
			}
			return f.fr.WriteContinuation(f.last-1, false, nil)
		}},
		// CVE-2019-9512, 9515: each needs an answer, which nobody fetches.
		"PING":     {true, func(f *framed, _ int) error { return f.fr.WritePing(false, [8]byte{}) }},
		"SETTINGS": {true, func(f *framed, _ int) error { return f.fr.WriteSettings() }},
		// CVE-2019-9514: invalid requests, each of which draws a RST_STREAM.
		"reset": {true, func(f *framed, _ int) error {
			_, err := f.begin("GET", "/flood", true, field("connection", "close"))
			return err
		}},
		// CVE-2019-9518: frames that say nothing.
		"empty DATA": {false, func(f *framed, n int) error {
			if n == 0 {
				_, err := f.begin("POST", "/flood", false)
				return err
			}
			return f.fr.WriteData(f.last-1, false, nil)
		}},
		"padded DATA": {false, func(f *framed, n int) error {
			if n == 0 {
				_, err := f.begin("POST", "/flood", false)
				return err
			}
			return f.fr.WriteDataPadded(f.last-1, false, nil, make([]byte, 10))
		}},
		"PRIORITY": {false, func(f *framed, n int) error {
			return f.fr.WritePriority(uint32(n%1000)*2+1, http2.PriorityParam{Weight: uint8(n)})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, withHTTP2(t, webH2, options{app: "echo:app", args: []string{"--threads", "2"}}))
			front := s.role("front")[0].pid
			good := s.web(webH2)
			good.do("GET", "/", "")
			before, most := residentKiB(front), 0
			f := s.framed()
			fl := f.flood(c.deaf, func(n int) error { return c.write(f, n) })
			var end error
			for waiting := true; waiting; {
				began := time.Now()
				good.do("GET", "/", "")
				s.get("/")
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("other clients wait for %v", took)
				}
				most = max(most, residentKiB(front))
				select {
				case end = <-fl.end:
					waiting = false
				case <-time.After(20 * time.Millisecond):
				}
			}
			t.Logf("%d frames until %v; the front has grown from %d to %d KiB", fl.sent, end, before, most)
			if end == nil {
				t.Errorf("the server bears the flood")
			}
			if most-before > floodMemory {
				t.Errorf("the front has grown from %d to %d KiB", before, most)
			}
			good.do("GET", "/", "")
			good.expectOneConnection()
			s.terminate()
		})
	}
}

func TestHTTP2DeafClients(t *testing.T) {
	t.Parallel()
	// Clients that ask for much and open no window: CVE-2019-9511, 9517.
	o := options{app: "large:app", args: []string{"--write-timeout", "2", "--threads", "4"}}
	overHTTP2(t, o, func(t *testing.T, s *server, w *web) {
		front := s.role("front")[0].pid
		before := residentKiB(front)
		f := s.framed(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
		for range 50 {
			f.open("GET", "/1048576", true)
		}
		for range 20 {
			s.get("/16")
		}
		if now := residentKiB(front); now-before > floodMemory {
			t.Errorf("the front has grown from %d to %d KiB", before, now)
		}
		// It reads, but gives no window: its responses end, or the connection does.
		f.hold = true
		left := func() (n int) {
			for _, r := range f.streams {
				if !r.over() {
					n++
				}
			}
			return n + 50 - len(f.streams)
		}
		for left() > 0 {
			err := f.read()
			if errors.Is(err, io.EOF) || err != nil && reason(err) == "reset" {
				break
			}
			if err != nil {
				t.Fatalf("%d responses wait for ever: %v", left(), err)
			}
		}
		s.terminate()
	})
}
