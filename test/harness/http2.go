//go:build linux

package harness

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

// WithHTTP2 has a server speak HTTP/2 in one of the ways WebH2 and WebH2C; HTTP/1.1 too.
func WithHTTP2(t testing.TB, way string, o Options) Options {
	t.Helper()
	o.Args = append([]string{"--http-protocols", "h1,h2"}, o.Args...)
	if way == WebH2C {
		o.Args = append(o.Args, "--http2-cleartext", "prior-knowledge")
		return o
	}
	return WithTLS(t, o)
}

// OverHTTP2 runs a test over TLS and with prior knowledge.
func OverHTTP2(t *testing.T, o Options, test func(t *testing.T, s *Server, w *Web)) {
	t.Helper()
	for _, way := range []string{WebH2, WebH2C} {
		t.Run(way, func(t *testing.T) {
			s := Start(t, WithHTTP2(t, way, o))
			test(t, s, s.Web(way))
		})
	}
}

// A H2Conn is a connection of HTTP/2 on which the test writes frames.
type H2Conn struct {
	*Client
	t      testing.TB
	Framer *http2.Framer

	Block   bytes.Buffer
	Encoder *hpack.Encoder
	Last    uint32 // stream that was opened

	// What was read so far.
	Streams map[uint32]*H2Stream
	GoAway  *GoAway
	pongs   int
	Hold    bool // no WINDOW_UPDATE is sent
}

// An H2Stream is what came on a stream.
type H2Stream struct {
	fields  []hpack.HeaderField
	Interim []string // statuses
	Body    []byte
	Ended   bool
	Reset   *http2.ErrCode
}

// Status is that of the response, empty before it.
func (s *H2Stream) Status() string { return s.get(":status") }

func (s *H2Stream) get(name string) string {
	for _, f := range s.fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// Over reports whether the server has ended or reset the stream.
func (s *H2Stream) Over() bool { return s.Ended || s.Reset != nil }

func (s *H2Stream) String() string {
	reset := "not reset"
	if s.Reset != nil {
		reset = "reset with " + s.Reset.String()
	}
	return fmt.Sprintf("%v, %d bytes, ended %v, %s", s.fields, len(s.Body), s.Ended, reset)
}

// A GoAway is the GOAWAY frame that ends a connection.
type GoAway struct {
	Last uint32
	Code http2.ErrCode
}

// H2Conn connects and exchanges the prefaces.
func (e *Endpoint) H2Conn(settings ...http2.Setting) *H2Conn {
	e.t.Helper()
	f, err := e.DialH2(settings...)
	Must(e.t, err)
	e.t.Cleanup(func() { f.Close() })
	return f
}

// DialH2 is H2Conn where it may fail. The connection is the caller's to close.
func (e *Endpoint) DialH2(settings ...http2.Setting) (*H2Conn, error) {
	c, err := e.ConnectPlain()
	if err != nil {
		return nil, err
	}
	if e.TLS != nil {
		if c, err = HandshakeTLS(c, e.TLSConfig(func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} })); err != nil {
			return nil, err
		}
		if got := c.Conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; got != "h2" {
			c.Close()
			return nil, fmt.Errorf("the server chose %q", got)
		}
	}
	f := &H2Conn{Client: c, t: e.t, Framer: http2.NewFramer(c, c.Reader), Streams: map[uint32]*H2Stream{}}
	f.Framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.Framer.AllowIllegalWrites = true
	f.Encoder = hpack.NewEncoder(&f.Block)
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		c.Close()
		return nil, err
	}
	if err := f.Framer.WriteSettings(settings...); err != nil {
		c.Close()
		return nil, err
	}
	return f, nil
}

// Open begins a request; with end it has no body. fields follow the pseudo-header
// fields, or replace them.
func (f *H2Conn) Open(method, path string, end bool, fields ...hpack.HeaderField) uint32 {
	f.t.Helper()
	id, err := f.Begin(method, path, end, fields...)
	Must(f.t, err)
	return id
}

// Begin is Open on a connection that may have ended.
func (f *H2Conn) Begin(method, path string, end bool, fields ...hpack.HeaderField) (uint32, error) {
	f.Last += 2
	id := f.Last - 1
	return id, f.Framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: f.EncodeHead(method, path, fields...), EndHeaders: true, EndStream: end,
	})
}

// Omitted is the value of a pseudo-header field that is left out.
const Omitted = "\x00"

// EncodeHead encodes a head. A field of fields takes the place of the one of the same
// name, or comes last.
func (f *H2Conn) EncodeHead(method, path string, fields ...hpack.HeaderField) []byte {
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
	f.Block.Reset()
	for _, field := range all {
		if field.Value == Omitted {
			continue
		}
		f.Encoder.WriteField(field)
	}
	return f.Block.Bytes()
}

// ReadOne takes one frame, and answers what a client has to answer.
func (f *H2Conn) ReadOne() error {
	frame, err := f.Framer.ReadFrame()
	if err != nil {
		return err
	}
	switch frame := frame.(type) {
	case *http2.SettingsFrame:
		if !frame.IsAck() {
			return f.Framer.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if frame.IsAck() {
			f.pongs++
			return nil
		}
		return f.Framer.WritePing(true, frame.Data)
	case *http2.GoAwayFrame:
		f.GoAway = &GoAway{frame.LastStreamID, frame.ErrCode}
	case *http2.RSTStreamFrame:
		code := frame.ErrCode
		f.Stream(frame.StreamID).Reset = &code
	case *http2.MetaHeadersFrame:
		s := f.Stream(frame.StreamID)
		if status := frame.PseudoValue("status"); len(status) > 0 && status[0] == '1' {
			s.Interim = append(s.Interim, status)
			return nil
		}
		s.fields = append(s.fields, frame.Fields...)
		s.Ended = frame.StreamEnded()
	case *http2.DataFrame:
		s := f.Stream(frame.StreamID)
		s.Body = append(s.Body, frame.Data()...)
		s.Ended = frame.StreamEnded()
		if n := len(frame.Data()); n > 0 && !f.Hold {
			if err := f.Framer.WriteWindowUpdate(0, uint32(n)); err != nil {
				return err
			}
			if !s.Ended {
				return f.Framer.WriteWindowUpdate(frame.StreamID, uint32(n))
			}
		}
	}
	return nil
}

// Stream is what came on a stream so far.
func (f *H2Conn) Stream(id uint32) *H2Stream {
	if f.Streams[id] == nil {
		f.Streams[id] = &H2Stream{}
	}
	return f.Streams[id]
}

// Until reads frames until something holds.
func (f *H2Conn) Until(what string, holds func() bool) {
	f.t.Helper()
	for !holds() {
		if err := f.ReadOne(); err != nil {
			f.t.Fatalf("waiting for %s: %v (GOAWAY: %+v)", what, err, f.GoAway)
		}
	}
}

// Response waits for the end of a stream.
func (f *H2Conn) Response(id uint32) *H2Stream {
	f.t.Helper()
	f.Until(fmt.Sprintf("the end of stream %d", id), func() bool { return f.Stream(id).Over() })
	return f.Stream(id)
}

// Ping waits until the server has seen everything that was sent so far: it
// handles frames in their order.
func (f *H2Conn) Ping() {
	f.t.Helper()
	Must(f.t, f.Framer.WritePing(false, [8]byte{1}))
	before := f.pongs
	f.Until("the answer to a PING", func() bool { return f.pongs > before })
}

// ExpectEnd reads until the server closes the connection.
func (f *H2Conn) ExpectEnd() {
	f.t.Helper()
	for {
		err := f.ReadOne()
		switch {
		case err == nil:
			continue
		case errors.Is(err, io.EOF), Reason(err) == "reset", Reason(err) == "broken pipe":
			return
		}
		f.t.Fatalf("the connection does not end: %v", err)
	}
}

// A Flood sends frames as fast as it can until the server ends the connection.
type Flood struct {
	f    *H2Conn
	Sent int
	End  chan error // nil if time was up first
}

// floodTime is how long a server may bear a flood. While there is one, no other
// client should notice.
const floodTime = 60 * time.Second

// Flood calls write until it fails. If deaf, nothing of what the server sends is read.
func (f *H2Conn) Flood(deaf bool, write func(n int) error) *Flood {
	fl := &Flood{f: f, End: make(chan error, 1)}
	f.SetDeadline(time.Now().Add(floodTime))
	if !deaf {
		go io.Copy(io.Discard, f.Reader)
	}
	go func() {
		for n := 0; ; n++ {
			if err := write(n); err != nil {
				if Reason(err) == "no answer in time" {
					err = nil
				}
				fl.Sent = n
				fl.End <- err
				return
			}
		}
	}()
	return fl
}
