//go:build linux

package harness

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// connectWindow is what a stream may send before the server has opened its window, and
// connectFrame how much of it goes in a frame.
const (
	connectWindow = 65535
	connectFrame  = 16 << 10
)

// A connectStream joins a stream of extended CONNECT with a pipe: what is written to the other
// end of the pipe goes out as DATA, and what comes as DATA can be read there.
type connectStream struct {
	f    *H2Conn
	id   uint32
	pipe net.Conn

	mu     sync.Mutex // of the framer's writes, and of window
	opened sync.Cond
	window int
	over   bool
}

// WebSocket opens a WebSocket by extended CONNECT (RFC 8441) on a stream of its own
// connection, and acts as a bridge: the test writes and reads frames of WebSocket.
func (f *H2Conn) WebSocket(target string, fields ...hpack.HeaderField) *WebSocket {
	f.t.Helper()
	ws, err := f.TryWebSocket(target, fields...)
	Must(f.t, err)
	f.t.Cleanup(func() { ws.Close() })
	ws.SetDeadline(time.Now().Add(connectionLife))
	return ws
}

// TryWebSocket is WebSocket where it may fail. It has no deadline, and is the caller's to close.
func (f *H2Conn) TryWebSocket(target string, fields ...hpack.HeaderField) (*WebSocket, error) {
	if err := f.awaitConnect(); err != nil {
		return nil, err
	}
	id, err := f.Begin("CONNECT", target, false, append([]hpack.HeaderField{
		{Name: ":protocol", Value: "websocket"}, {Name: "sec-websocket-version", Value: "13"},
	}, fields...)...)
	for err == nil && f.Stream(id).Status() == "" && !f.Stream(id).Over() {
		err = f.ReadOne()
	}
	if err != nil {
		return nil, fmt.Errorf("no answer to CONNECT: %w", err)
	}
	head := &Response{Proto: "HTTP/2.0"}
	head.Status, _ = strconv.Atoi(f.Stream(id).Status())
	for _, field := range f.Stream(id).fields {
		head.Fields = append(head.Fields, [2]string{field.Name, field.Value})
	}
	ours, theirs := net.Pipe()
	s := &connectStream{f: f, id: id, pipe: theirs, window: connectWindow}
	s.opened.L = &s.mu
	go s.send()
	go s.receive()
	return &WebSocket{Client: &Client{ours, bufio.NewReader(ours)}, T: f.t, Head: head}, nil
}

// awaitConnect waits until the server has announced extended CONNECT.
func (f *H2Conn) awaitConnect() error {
	for {
		frame, err := f.Framer.ReadFrame()
		if err != nil {
			return err
		}
		if s, ok := frame.(*http2.SettingsFrame); ok && !s.IsAck() {
			if value, known := s.Value(http2.SettingEnableConnectProtocol); !known || value != 1 {
				return errors.New("the server does not announce extended CONNECT")
			}
			return f.Framer.WriteSettingsAck()
		}
	}
}

// send sends what comes from the pipe, as far as the window allows.
func (s *connectStream) send() {
	b := make([]byte, connectFrame)
	for {
		n, err := s.pipe.Read(b)
		s.mu.Lock()
		for s.window < n && !s.over {
			s.opened.Wait()
		}
		s.window -= n
		if werr := s.f.Framer.WriteData(s.id, err != nil, b[:n]); werr != nil || err != nil || s.over {
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
	}
}

// receive takes what comes on the connection.
func (s *connectStream) receive() {
	defer s.pipe.Close()
	defer func() {
		s.mu.Lock()
		s.over = true
		s.opened.Broadcast()
		s.mu.Unlock()
	}()
	for {
		frame, err := s.f.Framer.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.WindowUpdateFrame:
			s.mu.Lock()
			if frame.StreamID == s.id {
				s.window += int(frame.Increment)
			}
			s.opened.Broadcast()
			s.mu.Unlock()
		case *http2.DataFrame:
			if _, err := s.pipe.Write(frame.Data()); err != nil {
				return
			}
			s.mu.Lock()
			if n := len(frame.Data()); n > 0 {
				err = s.f.Framer.WriteWindowUpdate(0, uint32(n))
				if err == nil && !frame.StreamEnded() {
					err = s.f.Framer.WriteWindowUpdate(s.id, uint32(n))
				}
			}
			s.mu.Unlock()
			if err != nil || frame.StreamEnded() {
				return
			}
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			if r, ok := frame.(*http2.RSTStreamFrame); ok && r.StreamID == s.id {
				return
			}
		}
	}
}
