package http2

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"indrik/internal/http1"
	"indrik/internal/http2/http2test"
)

// A reader is a client that holds a Conn to what the client has allowed, and puts together
// what it is sent.
type reader struct {
	t       *testing.T
	conn    *Conn
	out     bytes.Buffer
	framer  *http2.Framer
	window  int64 // of the connection
	initial int64
	frame   uint32 // the largest
	streams map[uint32]*received
}

// A received is what has come, and is to come, on a stream.
type received struct {
	window    int64
	got, want strings.Builder
	ended     bool
	toEnd     bool
}

// read reads all that the Conn sends.
func (r *reader) read() {
	r.out.Write(r.conn.TakeOutput(nil))
	for r.out.Len() > 0 {
		if f := parseFrame(r.out.Bytes()); f.length > int(r.frame) {
			r.t.Fatalf("a frame of %d bytes, %d are allowed", f.length, r.frame)
		}
		frame, err := r.framer.ReadFrame()
		if err != nil {
			r.t.Fatal(err)
		}
		s := r.streams[frame.Header().StreamID]
		if s != nil && s.ended {
			r.t.Fatalf("%v behind the end", frame)
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			for _, h := range f.Fields {
				fmt.Fprintf(&s.got, "%s=%s\n", h.Name, h.Value)
			}
			s.ended = f.StreamEnded()
		case *http2.DataFrame:
			n := int64(len(f.Data()))
			if s.window, r.window = s.window-n, r.window-n; n > 0 && (s.window < 0 || r.window < 0) {
				r.t.Fatalf("%d bytes too many, %d for the connection", -s.window, -r.window)
			}
			s.got.Write(f.Data())
			s.ended = f.StreamEnded()
		}
	}
}

// settings changes settings of the client.
func (r *reader) settings(table, window, frame uint32) {
	payload := appendSetting(nil, settingHeaderTableSize, table)
	payload = appendSetting(payload, settingInitialWindow, window)
	payload = appendSetting(payload, settingMaxFrameSize, frame)
	for _, s := range r.streams {
		s.window += int64(window) - r.initial
	}
	r.initial = int64(window)
	r.frame = max(r.frame, frame) // until it is acknowledged either holds
	r.tell(http2test.Frame(FrameSettings, 0, 0, payload...))
	r.read()
	r.frame = frame
	r.framer.ReadMetaHeaders.SetAllowedMaxDynamicTableSize(table)
}

func (r *reader) tell(frame []byte) {
	for {
		n, ev, err := r.conn.Next(frame)
		if err != nil {
			r.t.Fatal(err)
		}
		if frame = frame[n:]; n == 0 && ev.Kind == Nothing {
			return
		}
	}
}

// FuzzResponses has a Conn send heads, bodies and trailers while the client changes its settings
// and windows: it gets what was sent, and never more than it has allowed.
func FuzzResponses(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x00\x01\x02\x03\x04\x05\x06\x07"))
	f.Add(bytes.Repeat([]byte("\x03\x40\x01\x04\x90\x02\x02\x07\x05\x33\x00\x80"), 20))
	f.Fuzz(func(t *testing.T, b []byte) {
		p := newPeer(t, nil)
		r := &reader{t: t, conn: p.conn, window: defaultWindow, initial: defaultWindow, frame: minMaxFrame, streams: map[uint32]*received{}}
		r.framer = http2.NewFramer(nil, &r.out)
		r.framer.SetMaxReadFrameSize(maxMaxFrame)
		r.framer.ReadMetaHeaders = hpack.NewDecoder(tableSize, nil)
		s := http2test.New(b)
		last := uint32(1)
		open := func() *Stream {
			for id, st := range p.conn.streams {
				if id == last {
					return st
				}
			}
			last += 2
			p.frame(FrameHeaders, endAll, last, p.get())
			p.events()
			r.streams[last] = &received{window: r.initial}
			return p.conn.streams[last]
		}
		for s.Left() {
			st := open()
			in := r.streams[st.ID()]
			switch s.Next() % 8 {
			case 0, 1:
				fields := []http1.Field{field("X-Name", strings.Repeat("v", int(s.Next())*int(s.Next()%80))), field("Set-Cookie", fmt.Sprint(s.Next()%4))}
				fields = append(fields, field(fmt.Sprint("x-", s.Next()%20), fmt.Sprint(s.Next()%3)))
				in.toEnd = s.Next() > 200
				p.conn.SendHead(st, 200, fields, in.toEnd)
				fmt.Fprintf(&in.want, ":status=200\n")
				for _, f := range fields {
					fmt.Fprintf(&in.want, "%s=%s\n", strings.ToLower(string(f.Name)), f.Value)
				}
			case 2, 3:
				data := bytes.Repeat([]byte{'a' + s.Next()%26}, min(p.conn.Writable(st), int(s.Next())*300))
				in.toEnd = s.Next() > 200
				p.conn.SendData(st, data, in.toEnd)
				in.want.Write(data)
			case 4:
				sum := fmt.Sprint(s.Next())
				p.conn.SendTrailers(st, []http1.Field{field("Sum", sum)})
				fmt.Fprintf(&in.want, "sum=%s\n", sum)
				in.toEnd = true
			case 5:
				r.settings(uint32(s.Next())*32, uint32(s.Next())*1000, minMaxFrame+uint32(s.Next())*64)
				// A head says the size of the table; the decoder of hpack takes no two of them
				// in one block, which RFC 7541 section 4.2 allows.
				p.conn.SendHead(st, 103, nil, false)
				in.want.WriteString(":status=103\n")
			case 6:
				more := 1 + uint32(s.Next())*200
				r.window += int64(more)
				r.tell(http2test.Frame(FrameWindowUpdate, 0, 0, binary.BigEndian.AppendUint32(nil, more)...))
			case 7:
				more := 1 + uint32(s.Next())*200
				in.window += int64(more)
				r.tell(http2test.Frame(FrameWindowUpdate, 0, st.ID(), binary.BigEndian.AppendUint32(nil, more)...))
			}
			r.read()
			if in.got.String() != in.want.String() || in.ended != in.toEnd {
				t.Fatalf("stream %d: got %.300q, ended %v; want %.300q, %v", st.ID(), in.got.String(), in.ended, in.want.String(), in.toEnd)
			}
		}
	})
}
