package http2

import (
	"strings"
	"testing"
)

// TestWindows: the client may send as much as was taken, and gets as much as it has room for.
func TestWindows(t *testing.T) {
	p := newPeer(t, nil)
	p.frame(FrameHeaders, flagEndHeaders, 1, p.get())
	p.frame(FrameData, 0, 1, strings.Repeat("x", 600))
	p.events()
	s := p.conn.streams[1]
	p.conn.Take(s, 400)
	p.expect("", "")
	p.conn.Take(s, 200)
	p.expect("", "WINDOW_UPDATE 1 600")
	p.frame(FrameData, 0, 1, strings.Repeat("x", 1001))
	p.expect("reset 1 3", "RST_STREAM 1 3")
	p.conn.Take(s, 1001) // too late: nothing is given back twice
	if p.conn.recvWindow+p.conn.recvPending != 100_000 {
		t.Errorf("the window of the connection is %d and %d to come", p.conn.recvWindow, p.conn.recvPending)
	}

	p = newPeer(t, func(s *Settings) { s.Window = 1 << 20 })
	p.frame(FrameHeaders, flagEndHeaders, 1, p.get())
	for range 8 {
		p.frame(FrameData, 0, 1, strings.Repeat("x", 13_000))
	}
	if got := p.events(); !strings.HasSuffix(got, "error 3") {
		t.Errorf("more than the window of the connection: …%s", got[max(0, len(got)-40):])
	}

	p = newPeer(t, nil)
	p.frame(FrameHeaders, endAll, 1, p.get())
	p.frame(FrameSettings, 0, 0, "\x00\x04\x00\x00\x00\x05")
	p.expect("request 1 GET / end", "SETTINGS 0 ack")
	s = p.conn.streams[1]
	if n := p.conn.Writable(s); n != 5 {
		t.Errorf("%d bytes may be sent, want 5", n)
	}
	p.conn.SendData(s, []byte("12345"), false)
	p.frame(FrameWindowUpdate, 0, 1, "\x00\x00\x00\x03")
	p.expect("window 1", `DATA 1 "12345"`)
	if n := p.conn.Writable(s); n != 3 {
		t.Errorf("%d bytes may be sent, want 3", n)
	}
	p.frame(FrameWindowUpdate, 0, 1, "\x7f\xff\xff\xff")
	p.expect("reset 1 3", "RST_STREAM 1 3")
	p.frame(FrameWindowUpdate, 0, 0, "\x7f\xff\xff\xff")
	p.expect("error 3", "GOAWAY 0 last 1 code 3")
}
