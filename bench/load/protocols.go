package load

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"
)

// Target is where the clients of RunClients connect to, and what they want.
type Target struct {
	Server netip.AddrPort
	Source int // as in Plan
	// Request and Want are as in Group. For WebSocket they are a message, which the server
	// sends back.
	Request, Want []byte
	// Path of a WebSocket.
	Path string
}

const dialTimeout = 3 * time.Second

func (t *Target) dial(number int) (net.Conn, error) {
	source := t.Source*8 + number%8
	d := net.Dialer{Timeout: dialTimeout, LocalAddr: &net.TCPAddr{
		IP: net.IPv4(127, byte(1+source>>16&0x7f), byte(source>>8), byte(source)),
	}}
	c, err := d.Dial("tcp4", t.Server.String())
	if err != nil {
		return nil, &RequestError{Refused, err.Error()}
	}
	return c, nil
}

// anyCertificate: what is measured is the server of this machine, whose
// certificate was made for that.
func anyCertificate(protocols ...string) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", NextProtos: protocols}
}

// TLS returns what makes clients of HTTP/1.1 by TLS, one connection each.
func TLS(t Target) func(int) (Client, error) {
	return func(number int) (Client, error) {
		c, err := t.dial(number)
		if err != nil {
			return nil, err
		}
		secure := tls.Client(c, anyCertificate("http/1.1"))
		if err := secure.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
			return nil, err
		}
		if err := secure.Handshake(); err != nil {
			c.Close()
			return nil, &RequestError{Refused, err.Error()}
		}
		return &streamClient{c: secure, t: &t, buf: make([]byte, 0, len(t.Want)+4096)}, nil
	}
}

type streamClient struct {
	c   net.Conn
	t   *Target
	buf []byte
}

func (s *streamClient) Close() { s.c.Close() }

func (s *streamClient) Do(timeout time.Duration) error {
	if err := s.c.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if _, err := s.c.Write(s.t.Request); err != nil {
		return problem(err)
	}
	s.buf = s.buf[:0]
	for {
		if len(s.buf) == cap(s.buf) {
			s.buf = append(s.buf, 0)[:len(s.buf)]
		}
		n, err := s.c.Read(s.buf[len(s.buf):cap(s.buf)])
		s.buf = s.buf[:len(s.buf)+n]
		h, body, size, bad := response(s.buf, errors.Is(err, io.EOF))
		switch {
		case bad != nil:
			return &RequestError{Malformed, bad.Error()}
		case size > 0 && size < len(s.buf):
			return &RequestError{Malformed, fmt.Sprintf("%d bytes after the answer", len(s.buf)-size)}
		case size > 0 && (h.status != 200 || !bytes.Equal(body, s.t.Want)):
			return &RequestError{Wrong, fmt.Sprintf("status %d, body of %d bytes: %.80q", h.status, len(body), body)}
		case size > 0:
			return nil
		case err != nil && len(s.buf) > 0:
			return &RequestError{Truncated, err.Error()}
		case err != nil:
			return problem(err)
		}
	}
}

func problem(err error) error {
	if known := (*RequestError)(nil); errors.As(err, &known) {
		return err
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &RequestError{TimedOut, err.Error()}
	}
	return &RequestError{Lost, err.Error()}
}

// WebSocket returns what makes clients that have messages echoed (RFC 6455).
func WebSocket(t Target) func(int) (Client, error) {
	return func(number int) (Client, error) {
		c, err := t.dial(number)
		if err != nil {
			return nil, err
		}
		s := &socketClient{c: c, in: bufio.NewReader(c), t: &t, frame: maskedFrame(t.Request)}
		if err := s.open(); err != nil {
			c.Close()
			return nil, err
		}
		return s, nil
	}
}

type socketClient struct {
	c     net.Conn
	in    *bufio.Reader
	t     *Target
	frame []byte
}

func (s *socketClient) Close() { s.c.Close() }

func (s *socketClient) open() error {
	if err := s.c.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(s.c, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n", s.t.Path)
	if err != nil {
		return problem(err)
	}
	answer, err := http.ReadResponse(s.in, nil)
	if err != nil {
		return problem(err)
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return &RequestError{Refused, answer.Status}
	}
	return nil
}

func (s *socketClient) Do(timeout time.Duration) error {
	if err := s.c.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if _, err := s.c.Write(s.frame); err != nil {
		return problem(err)
	}
	opcode, payload, err := readFrame(s.in)
	for ; err == nil && opcode == 0x9; opcode, payload, err = readFrame(s.in) { // ping
	}
	if err != nil {
		return problem(err)
	}
	if opcode != 0x2 || !bytes.Equal(payload, s.t.Want) {
		return &RequestError{Wrong, fmt.Sprintf("frame of opcode %d, %d bytes: %.80q", opcode, len(payload), payload)}
	}
	return nil
}

// maskedFrame is a binary message of one frame; the mask is 0, which is as much
// work for the server as any other.
func maskedFrame(payload []byte) []byte {
	frame := []byte{0x82}
	if len(payload) < 126 {
		frame = append(frame, 0x80|byte(len(payload)))
	} else {
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(len(payload)))
	}
	return append(append(frame, 0, 0, 0, 0), payload...)
}

// readFrame reads a frame of a server, which is not masked.
func readFrame(in *bufio.Reader) (opcode byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return 0, nil, err
	}
	size := int(head[1] & 0x7f)
	switch size {
	case 126:
		var length [2]byte
		if _, err := io.ReadFull(in, length[:]); err != nil {
			return 0, nil, err
		}
		size = int(binary.BigEndian.Uint16(length[:]))
	case 127:
		return 0, nil, &RequestError{Wrong, "a frame of more than 64 KiB"}
	}
	payload = make([]byte, size)
	_, err = io.ReadFull(in, payload)
	return head[0] & 0x0f, payload, err
}
