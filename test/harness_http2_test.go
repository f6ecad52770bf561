//go:build linux

package test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// withHTTP2 has a server speak HTTP/2 in one of the ways webH2 and webH2C; HTTP/1.1 too.
func withHTTP2(t testing.TB, way string, o options) options {
	t.Helper()
	o.args = append([]string{"--http-protocols", "h1,h2"}, o.args...)
	if way == webH2C {
		o.args = append(o.args, "--http2-cleartext", "prior-knowledge")
		return o
	}
	return withTLS(t, o)
}

// overHTTP2 runs a test over TLS and with prior knowledge.
func overHTTP2(t *testing.T, o options, test func(t *testing.T, s *server, w *web)) {
	t.Helper()
	for _, way := range []string{webH2, webH2C} {
		t.Run(way, func(t *testing.T) {
			s := start(t, withHTTP2(t, way, o))
			test(t, s, s.web(way))
		})
	}
}

// A framed is a connection of HTTP/2 on which the test writes frames.
type framed struct {
	*client
	t  testing.TB
	fr *http2.Framer

	block   bytes.Buffer
	encoder *hpack.Encoder
	last    uint32 // stream that was opened

	// What was read so far.
	streams map[uint32]*stream
	goaway  *goaway
	pongs   int
	hold    bool // no WINDOW_UPDATE is sent
}

type stream struct {
	fields  []hpack.HeaderField
	interim []string // statuses
	body    []byte
	ended   bool
	reset   *http2.ErrCode
}

func (s *stream) status() string { return s.get(":status") }

func (s *stream) get(name string) string {
	for _, f := range s.fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

func (s *stream) over() bool { return s.ended || s.reset != nil }

func (s *stream) String() string {
	reset := "not reset"
	if s.reset != nil {
		reset = "reset with " + s.reset.String()
	}
	return fmt.Sprintf("%v, %d bytes, ended %v, %s", s.fields, len(s.body), s.ended, reset)
}

type goaway struct {
	last uint32
	code http2.ErrCode
}

// framed connects and exchanges the prefaces.
func (s *server) framed(settings ...http2.Setting) *framed {
	s.t.Helper()
	c, err := s.connectPlain()
	must(s.t, err)
	if s.o.tls != nil {
		c, err = secure(c, s.config(func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} }))
		must(s.t, err)
		if got := c.Conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; got != "h2" {
			s.t.Fatalf("the server chose %q", got)
		}
	}
	s.t.Cleanup(func() { c.Close() })
	f := &framed{client: c, t: s.t, fr: http2.NewFramer(c, c.r), streams: map[uint32]*stream{}}
	f.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.fr.AllowIllegalWrites = true
	f.encoder = hpack.NewEncoder(&f.block)
	c.send(s.t, http2.ClientPreface)
	must(s.t, f.fr.WriteSettings(settings...))
	return f
}

// open begins a request; with end it has no body. fields follow the pseudo-header
// fields, or replace them.
func (f *framed) open(method, path string, end bool, fields ...hpack.HeaderField) uint32 {
	f.t.Helper()
	id, err := f.begin(method, path, end, fields...)
	must(f.t, err)
	return id
}

func (f *framed) begin(method, path string, end bool, fields ...hpack.HeaderField) (uint32, error) {
	f.last += 2
	id := f.last - 1
	return id, f.fr.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: f.head(method, path, fields...), EndHeaders: true, EndStream: end,
	})
}

// omitted is the value of a pseudo-header field that is left out.
const omitted = "\x00"

// head encodes a head. A field of fields takes the place of the one of the same
// name, or comes last.
func (f *framed) head(method, path string, fields ...hpack.HeaderField) []byte {
	all := []hpack.HeaderField{
		{Name: ":method", Value: method}, {Name: ":scheme", Value: "http"},
		{Name: ":authority", Value: "localhost"}, {Name: ":path", Value: path},
	}
	for _, field := range fields {
		at := slices.IndexFunc(all[:4], func(h hpack.HeaderField) bool { return h.Name == field.Name })
		if at < 0 {
			all = append(all, field)
		} else {
			all[at] = field
		}
	}
	f.block.Reset()
	for _, field := range all {
		if field.Value == omitted {
			continue
		}
		f.encoder.WriteField(field)
	}
	return f.block.Bytes()
}

// read takes one frame, and answers what a client has to answer.
func (f *framed) read() error {
	frame, err := f.fr.ReadFrame()
	if err != nil {
		return err
	}
	switch frame := frame.(type) {
	case *http2.SettingsFrame:
		if !frame.IsAck() {
			return f.fr.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if frame.IsAck() {
			f.pongs++
			return nil
		}
		return f.fr.WritePing(true, frame.Data)
	case *http2.GoAwayFrame:
		f.goaway = &goaway{frame.LastStreamID, frame.ErrCode}
	case *http2.RSTStreamFrame:
		code := frame.ErrCode
		f.stream(frame.StreamID).reset = &code
	case *http2.MetaHeadersFrame:
		s := f.stream(frame.StreamID)
		if status := frame.PseudoValue("status"); len(status) > 0 && status[0] == '1' {
			s.interim = append(s.interim, status)
			return nil
		}
		s.fields = append(s.fields, frame.Fields...)
		s.ended = frame.StreamEnded()
	case *http2.DataFrame:
		s := f.stream(frame.StreamID)
		s.body = append(s.body, frame.Data()...)
		s.ended = frame.StreamEnded()
		if n := len(frame.Data()); n > 0 && !f.hold {
			if err := f.fr.WriteWindowUpdate(0, uint32(n)); err != nil {
				return err
			}
			if !s.ended {
				return f.fr.WriteWindowUpdate(frame.StreamID, uint32(n))
			}
		}
	}
	return nil
}

func (f *framed) stream(id uint32) *stream {
	if f.streams[id] == nil {
		f.streams[id] = &stream{}
	}
	return f.streams[id]
}

// until reads frames until something holds.
func (f *framed) until(what string, holds func() bool) {
	f.t.Helper()
	for !holds() {
		if err := f.read(); err != nil {
			f.t.Fatalf("waiting for %s: %v (GOAWAY: %+v)", what, err, f.goaway)
		}
	}
}

// response waits for the end of a stream.
func (f *framed) response(id uint32) *stream {
	f.t.Helper()
	f.until(fmt.Sprintf("the end of stream %d", id), func() bool { return f.stream(id).over() })
	return f.stream(id)
}

// ping waits until the server has seen everything that was sent so far: it
// handles frames in their order.
func (f *framed) ping() {
	f.t.Helper()
	must(f.t, f.fr.WritePing(false, [8]byte{1}))
	before := f.pongs
	f.until("the answer to a PING", func() bool { return f.pongs > before })
}

// expectEnd reads until the server closes the connection.
func (f *framed) expectEnd() {
	f.t.Helper()
	for {
		err := f.read()
		switch {
		case err == nil:
			continue
		case errors.Is(err, io.EOF), reason(err) == "reset", reason(err) == "broken pipe":
			return
		}
		f.t.Fatalf("the connection does not end: %v", err)
	}
}

// A flood sends frames as fast as it can until the server ends the connection.
type flood struct {
	f    *framed
	sent int
	end  chan error // nil if time was up first
}

// floodTime is how long a server may bear a flood. While there is one, no other
// client should notice.
const floodTime = 30 * time.Second

// flood calls write until it fails. If deaf, nothing of what the server sends is read.
func (f *framed) flood(deaf bool, write func(n int) error) *flood {
	fl := &flood{f: f, end: make(chan error, 1)}
	f.SetDeadline(time.Now().Add(floodTime))
	if !deaf {
		go io.Copy(io.Discard, f.r)
	}
	go func() {
		for n := 0; ; n++ {
			if err := write(n); err != nil {
				if reason(err) == "no answer in time" {
					err = nil
				}
				fl.sent = n
				fl.end <- err
				return
			}
		}
	}()
	return fl
}
