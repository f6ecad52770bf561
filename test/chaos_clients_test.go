//go:build linux

package test

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The clients of TestChaos. Each notes what it was answered and what it lost.

// chaosPause is how long a client waits between two requests.
const chaosPause = 2 * time.Millisecond

func stopped(stop chan struct{}) bool {
	select {
	case <-stop:
		return true
	case <-time.After(chaosPause):
		return false
	}
}

func (c *chaos) keepAliveClient(stop chan struct{}) { c.httpClient(stop, "keep", true) }

func (c *chaos) oneShotClient(stop chan struct{}) { c.httpClient(stop, "once", false) }

func (c *chaos) streamClient(stop chan struct{}) { c.httpClient(stop, "stream", true) }

// httpClient makes one request after the other, whose path begins with kind.
func (c *chaos) httpClient(stop chan struct{}, kind string, keeps bool) {
	var conn *client
	var connected time.Time
	leave := func() {
		if conn != nil {
			conn.Close()
			conn = nil
		}
	}
	defer leave()
	for !stopped(stop) {
		l := loss{path: c.newPath(kind), began: time.Now()}
		if conn == nil {
			connected = time.Now()
			var err error
			if conn, err = c.connect(); err != nil {
				l.connected, l.reason, conn = connected, "connect: "+reason(err), nil
				c.lose(l)
				continue
			}
		}
		l.connected = connected
		fields := []string{}
		if !keeps {
			fields = append(fields, "Connection: close")
		}
		conn.SetDeadline(time.Now().Add(patience))
		r, err := c.exchange(conn, l.path, fields)
		switch {
		case err != nil:
			l.reason = reason(err)
			if r != nil && r.status != 200 {
				l.status = r.status
			}
			c.lose(l)
			leave()
		case r.status != 200:
			l.status, l.reason = r.status, r.reason
			c.lose(l)
		default:
			c.answered(kind)
		}
		if conn != nil && (!keeps || r.closes()) {
			leave()
		}
	}
}

// exchange makes one request, and checks that the answer is the one to it.
func (c *chaos) exchange(conn *client, path string, fields []string) (*response, error) {
	if _, err := io.WriteString(conn, format("GET", path, "", fields...)); err != nil && !errors.Is(err, syscall.EPIPE) {
		return nil, err
	}
	r, err := readResponse(conn.r, "GET")
	if err != nil || r.status != 200 {
		return r, err
	}
	parts := strings.Count(r.body, "\n")
	if want := strings.HasPrefix(path, "/stream"); parts == 0 || want && parts != 5 || !want && parts != 1 {
		return r, errors.New("an incomplete body")
	}
	for line := range strings.Lines(r.body) {
		if !strings.HasPrefix(line, path+" ") {
			// Never to be excused: it is somebody else's.
			c.t.Errorf("the answer to %s is %q", path, r.body)
		}
	}
	return r, nil
}

// socketClient keeps a WebSocket connection on which it sends messages, each when the one
// before has come back, and makes another when the server has closed it for a restart.
func (c *chaos) socketClient(stop chan struct{}) {
	for !stopped(stop) {
		l := loss{path: c.newPath("socket"), began: time.Now()}
		l.connected = l.began
		ws, err := c.trySocket(l.path)
		if err != nil {
			l.reason = "handshake: " + reason(err)
			c.lose(l)
			continue
		}
		if ws.head.status != 101 {
			l.status, l.reason = ws.head.status, "handshake"
			c.lose(l)
			ws.Close()
			continue
		}
		l.pid, _ = strconv.Atoi(ws.head.get("X-Pid"))
		if err := c.talk(ws, stop); err != nil {
			l.reason = "socket: " + reason(err)
			c.lose(l)
		}
		ws.Close()
	}
}

var errForeignMessage = errors.New("a message that was not sent")

// talk sends messages until the server closes the connection in the proper way, or until
// it is told to stop.
func (c *chaos) talk(ws *socket, stop chan struct{}) error {
	for n := 0; !stopped(stop); n++ {
		message := "message " + strconv.Itoa(n)
		ws.SetDeadline(time.Now().Add(patience))
		if err := ws.tryFrame(fin|opText, message); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
			return err
		}
		f, err := ws.readFrame()
		switch {
		case err != nil:
			return err
		case f.first == fin|opClose && bytes.HasPrefix(f.payload, closeFrame(1012, "").payload):
			_ = ws.tryFrame(fin|opClose, string(f.payload[:2]))
			return nil
		case f.first == fin|opClose:
			return errors.New("closed with " + strconv.Quote(string(f.payload)))
		case f.first != fin|opText || string(f.payload) != message:
			return errForeignMessage
		}
		c.answered("socket")
	}
	_ = ws.tryFrame(fin|opClose, string(closeFrame(1000, "").payload))
	return nil
}
