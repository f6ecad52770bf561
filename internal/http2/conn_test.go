package http2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"

	"indrik/internal/http1"
)

// A peer is a client of a Conn.
type peer struct {
	t     *testing.T
	conn  *Conn
	enc   *hpack.Encoder
	block bytes.Buffer
	in    []byte // that the Conn has not read
	heads []*Head
}

func newPeer(t *testing.T, change func(*Settings)) *peer {
	p := &peer{t: t}
	s := Settings{MaxStreams: 3, Window: 1000, ConnWindow: 100_000, MaxFrame: minMaxFrame, MaxHeaderList: 2000}
	s.Open = func() (*Stream, *Head) {
		h := new(Head)
		p.heads = append(p.heads, h)
		return &Stream{Owner: h}, h
	}
	if change != nil {
		change(&s)
	}
	p.conn = NewConn(s)
	p.enc = hpack.NewEncoder(&p.block)
	p.in = []byte(Preface)
	p.frame(FrameSettings, 0, 0, "")
	p.events()
	p.conn.TakeOutput(nil)
	return p
}

func (p *peer) frame(kind, flags byte, stream uint32, payload string) {
	p.in = append(appendFrame(p.in, len(payload), kind, flags, stream), payload...)
}

// fields returns fields, given as name=value, encoded.
func (p *peer) fields(list ...string) string {
	p.block.Reset()
	for _, f := range list {
		name, value, _ := strings.Cut(f, "=")
		p.enc.WriteField(hpack.HeaderField{Name: name, Value: value})
	}
	return p.block.String()
}

// get is the head of a request.
func (p *peer) get(more ...string) string {
	return p.fields(append([]string{":method=GET", ":scheme=http", ":path=/", ":authority=shop"}, more...)...)
}

// events lets the Conn read all there is, and returns what that means.
func (p *peer) events() string {
	var list []string
	for {
		n, ev, err := p.conn.Next(p.in)
		p.in = p.in[n:]
		if err != nil {
			var e *ConnError
			if !errors.As(err, &e) {
				p.t.Fatalf("%T", err)
			}
			return strings.Join(append(list, fmt.Sprintf("error %d", e.Code)), ", ")
		}
		id := uint32(0)
		if ev.Stream != nil {
			id = ev.Stream.ID()
		}
		end := ""
		if ev.End {
			end = " end"
		}
		switch ev.Kind {
		case Nothing:
			if n > 0 {
				continue
			}
			return strings.Join(list, ", ")
		case Other:
		case Request:
			list = append(list, fmt.Sprintf("request %d %s %s%s", id, ev.Head.Method, ev.Head.Path, end))
		case Data:
			list = append(list, fmt.Sprintf("data %d %q%s", id, ev.Data, end))
		case Trailers:
			list = append(list, fmt.Sprintf("trailers %d%s", id, end))
		case Reset:
			list = append(list, fmt.Sprintf("reset %d %d", id, ev.Code))
		case Window:
			list = append(list, fmt.Sprintf("window %d", id))
		case PingAck:
			list = append(list, "ping ack")
		case GoAway:
			list = append(list, "goaway")
		}
	}
}

// output returns the frames that the Conn sends.
func (p *peer) output() string {
	var list []string
	for b := p.conn.TakeOutput(nil); len(b) > 0; {
		f := parseFrame(b)
		payload := b[frameHeader : frameHeader+f.length]
		b = b[frameHeader+f.length:]
		text := map[byte]string{FrameData: "DATA", FrameHeaders: "HEADERS", FrameReset: "RST_STREAM", FrameSettings: "SETTINGS", FramePing: "PING", FrameGoAway: "GOAWAY", FrameWindowUpdate: "WINDOW_UPDATE", FrameContinuation: "CONTINUATION"}[f.kind]
		text = fmt.Sprintf("%s %d", text, f.stream)
		switch f.kind {
		case FrameReset, FrameWindowUpdate:
			text += fmt.Sprintf(" %d", binary.BigEndian.Uint32(payload))
		case FrameGoAway:
			text += fmt.Sprintf(" last %d code %d", binary.BigEndian.Uint32(payload), binary.BigEndian.Uint32(payload[4:]))
		case FrameData:
			text += fmt.Sprintf(" %q", payload)
		case FrameSettings, FramePing:
			if f.has(flagAck) {
				text += " ack"
			}
		}
		if (f.kind == FrameData || f.kind == FrameHeaders) && f.has(flagEndStream) {
			text += " end"
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}

func (p *peer) expect(events, output string) {
	p.t.Helper()
	if got := p.events(); got != events {
		p.t.Errorf("events: %s; want %s", got, events)
	}
	if got := p.output(); got != output {
		p.t.Errorf("output: %s; want %s", got, output)
	}
}

const endAll = flagEndStream | flagEndHeaders

func field(name, value string) http1.Field {
	return http1.Field{Name: []byte(name), Value: []byte(value)}
}

// TestExchange: a request with a body and trailers, and its response.
func TestExchange(t *testing.T) {
	p := newPeer(t, nil)
	p.frame(FrameHeaders, flagEndHeaders, 1, p.fields(":method=POST", ":scheme=https", ":path=/a?b", ":authority=shop", "cookie=a=1", "x-y=z", "cookie=b=2"))
	p.frame(FrameData, 0, 1, "hello ")
	p.frame(FrameData, flagPadded, 1, "\x03world\x00\x00\x00")
	p.frame(FrameHeaders, endAll, 1, p.fields("checksum=1"))
	p.expect(`request 1 POST /a?b, data 1 "hello ", data 1 "world", trailers 1 end`, "")
	h := p.heads[0]
	var fields []string
	for _, f := range h.Fields {
		fields = append(fields, fmt.Sprintf("%s: %s", f.Name, f.Value))
	}
	if got := strings.Join(fields, ", "); got != "host: shop, cookie: a=1; b=2, x-y: z" || string(h.Scheme) != "https" {
		t.Errorf("fields %s", got)
	}
	s := p.conn.streams[1]
	p.conn.SendHead(s, 103, []http1.Field{field("Link", "</x>")}, false)
	p.conn.SendHead(s, 200, []http1.Field{field("Content-Type", "text/plain")}, false)
	if n := p.conn.Writable(s); n != defaultWindow {
		t.Errorf("%d bytes may be sent", n)
	}
	p.conn.SendData(s, []byte("answer"), false)
	p.conn.SendTrailers(s, []http1.Field{field("Sum", "2")})
	p.expect("", `HEADERS 1, HEADERS 1, DATA 1 "answer", HEADERS 1 end`)
	if p.conn.Streams() != 0 || !p.conn.IsIdle() {
		t.Error("the stream is not over")
	}
}

// TestInPieces: the same comes of the same bytes, wherever they are cut.
func TestInPieces(t *testing.T) {
	prepare := func() *peer {
		p := newPeer(t, nil)
		p.frame(FramePing, 0, 0, "12345678")
		block := p.get("x=1")
		p.frame(FrameHeaders, flagEndStream, 1, block[:10])
		p.frame(FrameContinuation, 0, 1, block[10:12])
		p.frame(FrameContinuation, flagEndHeaders, 1, block[12:])
		p.frame(FrameHeaders, flagEndHeaders, 3, p.get())
		p.frame(FrameData, flagPadded|flagEndStream, 3, "\x04body\x00\x00\x00\x00")
		return p
	}
	whole := prepare()
	want := whole.events()
	wantOut := whole.output()
	if want != `request 1 GET / end, request 3 GET /, data 3 "body", data 3 "" end` && want != `request 1 GET / end, request 3 GET /, data 3 "body" end` {
		t.Fatalf("events: %s", want)
	}
	join := func(s string) string {
		return strings.NewReplacer(`", data 3 "`, "", `data 3 "" end`, "end").Replace(s)
	}
	for cut := 1; cut < 40; cut++ {
		p := prepare()
		all := p.in
		var got []string
		p.in = nil
		for start := 0; start < len(all); start += cut {
			p.in = append(p.in, all[start:min(len(all), start+cut)]...)
			if e := p.events(); e != "" {
				got = append(got, e)
			}
		}
		if a, b := join(strings.Join(got, ", ")), join(want); a != b {
			t.Errorf("in pieces of %d: %s; want %s", cut, a, b)
		}
		if out := p.output(); out != wantOut {
			t.Errorf("in pieces of %d the output is %s; want %s", cut, out, wantOut)
		}
	}
}

// TestConnect: CONNECT has no path, and its extended form is a setting.
func TestConnect(t *testing.T) {
	p := newPeer(t, func(s *Settings) { s.Connect = true })
	p.frame(FrameHeaders, flagEndHeaders, 1, p.fields(":method=CONNECT", ":authority=a:1"))
	p.frame(FrameHeaders, flagEndHeaders, 3, p.fields(":method=CONNECT", ":authority=a", ":path=/ws", ":scheme=https", ":protocol=websocket"))
	p.expect("request 1 CONNECT , request 3 CONNECT /ws", "")
	if string(p.heads[1].Protocol) != "websocket" || p.heads[0].Protocol != nil {
		t.Errorf("protocols %q, %q", p.heads[0].Protocol, p.heads[1].Protocol)
	}
}

// TestLengths: a body is what Content-Length says.
func TestLengths(t *testing.T) {
	for _, test := range []struct{ body, events string }{
		{"four", `request 1 POST /, data 1 "four" end`},
		{"thr", "request 1 POST /, reset 1 1"},
		{"fiver", "request 1 POST /, reset 1 1"},
	} {
		p := newPeer(t, nil)
		p.frame(FrameHeaders, flagEndHeaders, 1, p.fields(":method=POST", ":scheme=http", ":path=/", "content-length=4"))
		p.frame(FrameData, flagEndStream, 1, test.body)
		if got := p.events(); got != test.events {
			t.Errorf("%q: %s; want %s", test.body, got, test.events)
		}
	}
	p := newPeer(t, nil)
	p.frame(FrameHeaders, flagEndHeaders, 1, p.fields(":method=POST", ":scheme=http", ":path=/", "content-length=4"))
	p.frame(FrameHeaders, endAll, 1, p.fields("sum=1"))
	p.expect("request 1 POST /, reset 1 1", "RST_STREAM 1 1")
}

// TestHeadLimits: a head that is too large is told of, and one that has no end ends the
// connection.
func TestHeadLimits(t *testing.T) {
	p := newPeer(t, nil)
	p.frame(FrameHeaders, endAll, 1, p.get("x="+strings.Repeat("x", 2000)))
	p.frame(FrameHeaders, endAll, 3, p.get())
	p.expect("request 1 GET / end, request 3 GET / end", "")
	if !p.heads[0].TooLarge || p.heads[1].TooLarge || p.heads[0].Size() > 2000 {
		t.Errorf("too large: %v, %v; %d bytes kept", p.heads[0].TooLarge, p.heads[1].TooLarge, p.heads[0].Size())
	}
	p = newPeer(t, nil)
	p.frame(FrameHeaders, flagEndStream, 1, p.get())
	for range 3 {
		p.frame(FrameContinuation, 0, 1, p.fields("x="+strings.Repeat("~", 9000)))
	}
	if got := p.events(); got != "error 11" {
		t.Errorf("a head without an end: %s", got)
	}
}

// TestStreams: more than are allowed at a time are refused, and none is opened after GOAWAY.
func TestStreams(t *testing.T) {
	p := newPeer(t, nil)
	for id := uint32(1); id <= 7; id += 2 {
		p.frame(FrameHeaders, endAll, id, p.get())
	}
	p.expect("request 1 GET / end, request 3 GET / end, request 5 GET / end", "RST_STREAM 7 7")
	p.frame(FrameReset, 0, 3, "\x00\x00\x00\x08")
	p.frame(FrameHeaders, endAll, 9, p.get())
	p.expect("reset 3 8, request 9 GET / end", "")
	p.conn.Retire()
	p.expect("", "GOAWAY 0 last 2147483647 code 0")
	p.frame(FrameReset, 0, 1, "\x00\x00\x00\x08")
	p.frame(FrameHeaders, endAll, 11, p.get())
	p.expect("reset 1 8, request 11 GET / end", "")
	p.conn.GoAway(NoError, "")
	p.conn.GoAway(NoError, "")
	p.expect("", "GOAWAY 0 last 11 code 0")
	p.frame(FrameHeaders, flagEndHeaders, 13, p.get())
	p.frame(FrameData, flagEndStream, 13, "for nobody")
	p.expect("", "")
}

// TestFramesAfterAReset: what was on its way when the server reset a stream is no error.
func TestFramesAfterAReset(t *testing.T) {
	p := newPeer(t, nil)
	p.frame(FrameHeaders, flagEndHeaders, 1, p.get())
	p.events()
	p.conn.ResetStream(p.conn.streams[1], Cancel)
	p.frame(FrameData, 0, 1, "late")
	p.frame(FrameHeaders, endAll, 1, p.fields("trailer=1"))
	p.frame(FrameWindowUpdate, 0, 1, "\x00\x00\x00\x03")
	p.frame(FrameReset, 0, 1, "\x00\x00\x00\x08")
	p.frame(FrameHeaders, endAll, 3, p.get("trailer=1")) // the table of fields has gone on
	p.expect("request 3 GET / end", "RST_STREAM 1 8")
}

// TestPing: a ping is answered, and an answer is told of; unknown frames are passed over.
func TestPing(t *testing.T) {
	p := newPeer(t, nil)
	p.frame(FramePing, 0, 0, "12345678")
	p.frame(0x77, 0xff, 5, "of the future")
	p.frame(FramePing, flagAck, 0, "12345678")
	p.frame(FrameGoAway, 0, 0, "12345678")
	p.expect("ping ack, goaway", "PING 0 ack")
	p.conn.Ping()
	p.expect("", "PING 0")
}

func TestPriority(t *testing.T) {
	for text, want := range map[string]Priority{
		"":             {3, false},
		"u=0":          {0, false},
		"i":            {3, true},
		"u=7, i":       {7, true},
		"i=?0, u=1;x":  {1, false},
		"u=9, i=1, z":  {3, false},
		"u = 1":        {3, false},
		"U=1":          {3, false},
		"u=1,u=2,i=?1": {2, true},
	} {
		if got := parsePriority(text); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
	p := newPeer(t, nil)
	p.frame(FramePriorityUpdate, 0, 0, "\x00\x00\x00\x03u=6")
	p.frame(FrameHeaders, endAll, 1, p.get("priority=u=1"))
	p.frame(FrameHeaders, endAll, 3, p.get("priority=u=1, i"))
	p.frame(FrameHeaders, endAll, 5, p.get())
	p.events()
	if a, b, c := p.conn.streams[1].Priority, p.conn.streams[3].Priority, p.conn.streams[5].Priority; a != (Priority{1, false}) || b != (Priority{6, false}) || c != unsaid {
		t.Errorf("%+v, %+v, %+v", a, b, c)
	}
	p.frame(FramePriorityUpdate, 0, 0, "\x00\x00\x00\x01u=5, i")
	p.events()
	if got := p.conn.streams[1].Priority; got != (Priority{5, true}) {
		t.Errorf("updated to %+v", got)
	}
}

// TestLargeResponse: what does not fit a frame goes in several.
func TestLargeResponse(t *testing.T) {
	p := newPeer(t, nil)
	p.frame(FrameHeaders, endAll, 1, p.get())
	p.frame(FrameHeaders, endAll, 3, p.get())
	p.events()
	p.conn.SendHead(p.conn.streams[1], 200, []http1.Field{field("x", strings.Repeat("~", 40_000))}, true)
	p.conn.SendData(p.conn.streams[3], make([]byte, 40_000), true)
	out := p.output()
	if strings.Count(out, "CONTINUATION 1") != 2 || strings.Count(out, "DATA 3") != 3 || strings.Count(out, " end") != 2 {
		t.Errorf("%d bytes of output", len(out))
	}
}

// FuzzConn: no input, in pieces of any size, makes a Conn panic, keep more than it may, or give
// back more of the windows than has come.
func FuzzConn(f *testing.F) {
	p := newPeer(&testing.T{}, nil)
	p.frame(FrameSettings, 0, 0, "\x00\x04\x00\x00\x10\x00")
	p.frame(FrameHeaders, flagEndHeaders, 1, p.get("x=1", "content-length=5"))
	p.frame(FrameData, flagEndStream, 1, "hello")
	p.frame(FrameHeaders, 0, 3, p.get())
	p.frame(FrameContinuation, endAll, 3, "")
	p.frame(FramePriorityUpdate, 0, 0, "\x00\x00\x00\x05u=6")
	p.frame(FrameWindowUpdate, 0, 0, "\x00\x00\x10\x00")
	p.frame(FrameReset, 0, 3, "\x00\x00\x00\x08")
	f.Add(p.in, uint8(7))
	f.Fuzz(func(t *testing.T, in []byte, cut uint8) {
		run := func(piece int) {
			p := newPeer(t, func(s *Settings) { s.Connect = true })
			for start := 0; start < len(in); start += piece {
				p.in = append(p.in, in[start:min(len(in), start+piece)]...)
				if strings.Contains(p.events(), "error ") {
					break
				}
				for _, s := range p.conn.streams {
					p.conn.Take(s, int(s.untaken))
				}
			}
			if len(p.conn.streams) > 3 || p.conn.recvWindow+p.conn.recvPending > 100_000 {
				t.Fatalf("%d streams, window %d and %d", len(p.conn.streams), p.conn.recvWindow, p.conn.recvPending)
			}
		}
		run(len(in) + 1)
		run(int(cut) + 1)
	})
}
