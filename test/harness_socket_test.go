//go:build linux

package test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// The opcodes of WebSocket frames.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa
	fin            = 0x80
)

// A socket is a WebSocket connection on which the test writes and reads frames.
type socket struct {
	*client
	t    testing.TB
	head *response // of the handshake
}

// A frame is one that the server has sent.
type frame struct {
	first   byte // with FIN and reserved bits
	payload []byte
}

func (f frame) String() string { return fmt.Sprintf("%#x %.100q", f.first, f.payload) }

// closeFrame is what a close frame with that code and reason looks like.
func closeFrame(code int, reason string) frame {
	return frame{fin | opClose, append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)}
}

const socketKey = "dGhlIHNhbXBsZSBub25jZQ=="

// upgrade is the request for a WebSocket connection.
func upgrade(target string, fields ...string) string {
	return format("GET", target, "", append([]string{
		"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + socketKey,
	}, fields...)...)
}

// trySocket asks for a WebSocket connection. Without an error the head says whether
// there is one.
func (s *server) trySocket(target string, fields ...string) (*socket, error) {
	c, err := s.connect()
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, upgrade(target, fields...)); err != nil {
		c.Close()
		return nil, err
	}
	head, err := readHead(c.r)
	if err != nil {
		c.Close()
		return nil, err
	}
	return &socket{client: c, t: s.t, head: head}, nil
}

// socket opens a WebSocket connection.
func (s *server) socket(target string, fields ...string) *socket {
	s.t.Helper()
	ws, err := s.trySocket(target, fields...)
	must(s.t, err)
	s.t.Cleanup(func() { ws.Close() })
	if ws.head.status != 101 {
		s.t.Fatalf("no WebSocket: %v", ws.head)
	}
	return ws
}

// sendFrame writes a frame, masked as a client's are.
func (ws *socket) sendFrame(first byte, payload string) {
	ws.t.Helper()
	if err := ws.tryFrame(first, payload); err != nil {
		ws.t.Fatalf("send a frame: %v", err)
	}
}

func (ws *socket) tryFrame(first byte, payload string) error {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	key := []byte{1, 2, 3, 4}
	b = append(b, key...)
	at := len(b)
	b = append(b, payload...)
	for i := range len(payload) {
		b[at+i] ^= key[i%4]
	}
	_, err := ws.Write(b)
	return err
}

// readFrame reads a frame.
func (ws *socket) readFrame() (frame, error) {
	var head [10]byte
	if _, err := io.ReadFull(ws.r, head[:2]); err != nil {
		return frame{}, err
	}
	if head[1]&0x80 != 0 {
		return frame{}, fmt.Errorf("a masked frame from the server: %x", head[:2])
	}
	size := uint64(head[1])
	switch size {
	case 126:
		if _, err := io.ReadFull(ws.r, head[2:4]); err != nil {
			return frame{}, err
		}
		size = uint64(binary.BigEndian.Uint16(head[2:]))
	case 127:
		if _, err := io.ReadFull(ws.r, head[2:10]); err != nil {
			return frame{}, err
		}
		size = binary.BigEndian.Uint64(head[2:])
	}
	payload := make([]byte, size)
	_, err := io.ReadFull(ws.r, payload)
	return frame{head[0], payload}, err
}

func (ws *socket) expect(want frame) {
	ws.t.Helper()
	ws.SetReadDeadline(time.Now().Add(patience))
	got, err := ws.readFrame()
	if err != nil {
		ws.t.Fatalf("instead of %v: %v", want, err)
	}
	if got.first != want.first || !bytes.Equal(got.payload, want.payload) {
		ws.t.Fatalf("%v, not %v", got, want)
	}
}

// expectMessage reads a message, of as many frames as it has.
func (ws *socket) expectMessage(opcode byte, want string) {
	ws.t.Helper()
	ws.SetReadDeadline(time.Now().Add(patience))
	var data []byte
	for first := true; ; first = false {
		f, err := ws.readFrame()
		if err != nil {
			ws.t.Fatalf("a message: %v", err)
		}
		wanted := byte(opContinuation)
		if first {
			wanted = opcode
		}
		if f.first&^fin != wanted {
			ws.t.Fatalf("%v in a message of %#x", f, opcode)
		}
		data = append(data, f.payload...)
		if f.first&fin != 0 {
			break
		}
	}
	if string(data) != want {
		ws.t.Fatalf("a message of %d bytes, %.100q, not %d, %.100q", len(data), data, len(want), want)
	}
}

// expectClose reads the server's close frame, answers it, and expects the end.
func (ws *socket) expectClose(code int, reason string) {
	ws.t.Helper()
	ws.expect(closeFrame(code, reason))
	ws.tryFrame(fin|opClose, string(closeFrame(code, "").payload))
	ws.expectEOF(ws.t)
}

// ended waits until the app has seen a connection end so.
func (s *server) ended(path string, code int, reason string) {
	s.t.Helper()
	line := fmt.Sprintf("%s %d %s\n", path, code, reason)
	var got string
	if !within(patience, func() bool {
		got = s.get("/")
		return strings.Contains(got, line)
	}) {
		s.t.Errorf("the app has seen %q, not %q", got, line)
	}
}
