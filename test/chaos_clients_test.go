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

	"indrik/test/harness"
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
	var conn *harness.Client
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
			if conn, err = c.Connect(); err != nil {
				l.connected, l.reason, conn = connected, "connect: "+harness.Reason(err), nil
				c.lose(l)
				continue
			}
		}
		l.connected = connected
		fields := []string{}
		if !keeps {
			fields = append(fields, "Connection: close")
		}
		conn.SetDeadline(time.Now().Add(harness.Patience))
		r, err := c.exchange(conn, l.path, fields)
		switch {
		case err != nil:
			l.reason = harness.Reason(err)
			if r != nil && r.Status != 200 {
				l.status = r.Status
			}
			c.lose(l)
			leave()
		case r.Status != 200:
			l.status, l.reason = r.Status, r.Reason
			c.lose(l)
		default:
			c.answered(kind)
		}
		if conn != nil && (!keeps || r.Closes()) {
			leave()
		}
	}
}

// exchange makes one request, and checks that the answer is the one to it.
func (c *chaos) exchange(conn *harness.Client, path string, fields []string) (*harness.Response, error) {
	if _, err := io.WriteString(conn, harness.FormatRequest("GET", path, "", fields...)); err != nil && !errors.Is(err, syscall.EPIPE) {
		return nil, err
	}
	r, err := harness.ReadResponse(conn.Reader, "GET")
	if err != nil || r.Status != 200 {
		return r, err
	}
	parts := strings.Count(r.Body, "\n")
	if want := strings.HasPrefix(path, "/stream"); parts == 0 || want && parts != 5 || !want && parts != 1 {
		return r, errors.New("an incomplete body")
	}
	for line := range strings.Lines(r.Body) {
		if !strings.HasPrefix(line, path+" ") {
			// Never to be excused: it is somebody else's.
			c.T.Errorf("the answer to %s is %q", path, r.Body)
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
		ws, err := c.TryWebSocket(l.path)
		if err != nil {
			l.reason = "handshake: " + harness.Reason(err)
			c.lose(l)
			continue
		}
		if ws.Head.Status != 101 {
			l.status, l.reason = ws.Head.Status, "handshake"
			c.lose(l)
			ws.Close()
			continue
		}
		l.pid, _ = strconv.Atoi(ws.Head.Get("X-Pid"))
		if err := c.talk(ws, stop); err != nil {
			l.reason = "socket: " + harness.Reason(err)
			c.lose(l)
		}
		ws.Close()
	}
}

var errForeignMessage = errors.New("a message that was not sent")

// talk sends messages until the server closes the connection in the proper way, or until
// it is told to stop.
func (c *chaos) talk(ws *harness.WebSocket, stop chan struct{}) error {
	for n := 0; !stopped(stop); n++ {
		message := "message " + strconv.Itoa(n)
		ws.SetDeadline(time.Now().Add(harness.Patience))
		if err := ws.TryFrame(harness.Fin|harness.OpText, message); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
			return err
		}
		f, err := ws.ReadFrame()
		switch {
		case err != nil:
			return err
		case f.First == harness.Fin|harness.OpClose && bytes.HasPrefix(f.Payload, harness.CloseFrame(1012, "").Payload):
			_ = ws.TryFrame(harness.Fin|harness.OpClose, string(f.Payload[:2]))
			return nil
		case f.First == harness.Fin|harness.OpClose:
			return errors.New("closed with " + strconv.Quote(string(f.Payload)))
		case f.First != harness.Fin|harness.OpText || string(f.Payload) != message:
			return errForeignMessage
		}
		c.answered("socket")
	}
	_ = ws.TryFrame(harness.Fin|harness.OpClose, string(harness.CloseFrame(1000, "").Payload))
	return nil
}
