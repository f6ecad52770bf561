//go:build linux

package harness

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
	OpContinuation = 0x0
	OpText         = 0x1
	OpBinary       = 0x2
	OpClose        = 0x8
	OpPing         = 0x9
	OpPong         = 0xa
	Fin            = 0x80
)

// A WebSocket is a WebSocket connection on which the test writes and reads frames.
type WebSocket struct {
	*Client
	T     testing.TB
	Head  *Response // of the handshake
	Pings bool      // the test reads and answers those of the server itself
}

// A Frame is one that the server has sent.
type Frame struct {
	First   byte // with FIN and reserved bits
	Payload []byte
}

func (f Frame) String() string { return fmt.Sprintf("%#x %.100q", f.First, f.Payload) }

// CloseFrame is what a close frame with that code and reason looks like.
func CloseFrame(code int, reason string) Frame {
	return Frame{Fin | OpClose, append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)}
}

// WebSocketKey is the Sec-WebSocket-Key of each handshake, that of RFC 6455.
const WebSocketKey = "dGhlIHNhbXBsZSBub25jZQ=="

// UpgradeRequest is the request for a WebSocket connection.
func UpgradeRequest(target string, fields ...string) string {
	return FormatRequest("GET", target, "", append([]string{
		"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + WebSocketKey,
	}, fields...)...)
}

// TryWebSocket asks for a WebSocket connection. Without an error the head says whether
// there is one.
func (e *Endpoint) TryWebSocket(target string, fields ...string) (*WebSocket, error) {
	c, err := e.Connect()
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(c, UpgradeRequest(target, fields...)); err != nil {
		c.Close()
		return nil, err
	}
	head, err := ReadHead(c.Reader)
	if err != nil {
		c.Close()
		return nil, err
	}
	return &WebSocket{Client: c, T: e.t, Head: head}, nil
}

// WebSocket opens a WebSocket connection.
func (e *Endpoint) WebSocket(target string, fields ...string) *WebSocket {
	e.t.Helper()
	ws, err := e.TryWebSocket(target, fields...)
	Must(e.t, err)
	e.t.Cleanup(func() { ws.Close() })
	if ws.Head.Status != 101 {
		e.t.Fatalf("no WebSocket: %v", ws.Head)
	}
	return ws
}

// SendFrame writes a frame, masked as a client's are.
func (ws *WebSocket) SendFrame(first byte, payload string) {
	ws.T.Helper()
	if err := ws.TryFrame(first, payload); err != nil {
		ws.T.Fatalf("send a frame: %v", err)
	}
}

// TryFrame is SendFrame on a connection that may have ended.
func (ws *WebSocket) TryFrame(first byte, payload string) error {
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

// ReadFrame reads a frame. A client that is asked now and then whether it is there says so,
// unless the test does.
func (ws *WebSocket) ReadFrame() (Frame, error) {
	for {
		f, err := ws.readFrame()
		if err != nil || ws.Pings || f.First != Fin|OpPing || len(f.Payload) > 0 {
			return f, err
		}
		_ = ws.TryFrame(Fin|OpPong, "") // where that fails the next read does
	}
}

func (ws *WebSocket) readFrame() (Frame, error) {
	var head [10]byte
	if _, err := io.ReadFull(ws.Reader, head[:2]); err != nil {
		return Frame{}, err
	}
	if head[1]&0x80 != 0 {
		return Frame{}, fmt.Errorf("a masked frame from the server: %x", head[:2])
	}
	size := uint64(head[1])
	switch size {
	case 126:
		if _, err := io.ReadFull(ws.Reader, head[2:4]); err != nil {
			return Frame{}, err
		}
		size = uint64(binary.BigEndian.Uint16(head[2:]))
	case 127:
		if _, err := io.ReadFull(ws.Reader, head[2:10]); err != nil {
			return Frame{}, err
		}
		size = binary.BigEndian.Uint64(head[2:])
	}
	payload := make([]byte, size)
	_, err := io.ReadFull(ws.Reader, payload)
	return Frame{head[0], payload}, err
}

// Expect reads a frame, which has to be this one.
func (ws *WebSocket) Expect(want Frame) {
	ws.T.Helper()
	ws.SetReadDeadline(time.Now().Add(Patience))
	got, err := ws.ReadFrame()
	if err != nil {
		ws.T.Fatalf("instead of %v: %v", want, err)
	}
	if got.First != want.First || !bytes.Equal(got.Payload, want.Payload) {
		ws.T.Fatalf("%v, not %v", got, want)
	}
}

// ExpectMessage reads a message, of as many frames as it has.
func (ws *WebSocket) ExpectMessage(opcode byte, want string) {
	ws.T.Helper()
	ws.SetReadDeadline(time.Now().Add(Patience))
	var data []byte
	for first := true; ; first = false {
		f, err := ws.ReadFrame()
		if err != nil {
			ws.T.Fatalf("a message: %v", err)
		}
		wanted := byte(OpContinuation)
		if first {
			wanted = opcode
		}
		if f.First&^Fin != wanted {
			ws.T.Fatalf("%v in a message of %#x", f, opcode)
		}
		data = append(data, f.Payload...)
		if f.First&Fin != 0 {
			break
		}
	}
	if string(data) != want {
		ws.T.Fatalf("a message of %d bytes, %.100q, not %d, %.100q", len(data), data, len(want), want)
	}
}

// ExpectClose reads the server's close frame, answers it, and expects the end.
func (ws *WebSocket) ExpectClose(code int, reason string) {
	ws.T.Helper()
	ws.Expect(CloseFrame(code, reason))
	ws.TryFrame(Fin|OpClose, string(CloseFrame(code, "").Payload))
	ws.ExpectEOF(ws.T)
}

// ExpectEnded waits until the app sockets:app has seen a connection end so.
func (e *Endpoint) ExpectEnded(path string, code int, reason string) {
	e.t.Helper()
	line := fmt.Sprintf("%s %d %s\n", path, code, reason)
	var got string
	if !Within(Patience, func() bool {
		got = e.Get("/")
		return strings.Contains(got, line)
	}) {
		e.t.Errorf("the app has seen %q, not %q", got, line)
	}
}
