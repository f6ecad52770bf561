//go:build linux

package harness

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"

	"golang.org/x/net/http2/hpack"
)

// Bridge lets clients that know WebSocket over HTTP/1 alone talk with the server over HTTP/2: it
// answers their upgrades itself, and opens a stream by extended CONNECT (RFC 8441) for each, on a
// connection of its own. It returns the address that it listens at, and ends with the test.
func (e *Endpoint) Bridge() string {
	e.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	Must(e.t, err)
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	ended := false
	var carried sync.WaitGroup
	carried.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			carried.Go(func() {
				err := e.carry(c)
				c.Close()
				mu.Lock()
				defer mu.Unlock()
				delete(open, c)
				if err != nil && !ended {
					e.t.Errorf("the bridge: %v", err)
				}
			})
		}
	})
	e.t.Cleanup(func() {
		ln.Close()
		mu.Lock()
		ended = true
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		carried.Wait() // what they say of the test has to come before its end
	})
	return ln.Addr().String()
}

// acceptKey is the answer to a Sec-WebSocket-Key (RFC 6455 section 4.2.2).
func acceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// carry carries one WebSocket.
func (e *Endpoint) carry(c net.Conn) error {
	br := bufio.NewReader(c)
	req, err := http.ReadRequest(br)
	if err != nil {
		return err
	}
	var fields []hpack.HeaderField
	for name, values := range req.Header {
		if name = strings.ToLower(name); strings.HasPrefix(name, "sec-websocket-") && name != "sec-websocket-key" && name != "sec-websocket-version" {
			fields = append(fields, hpack.HeaderField{Name: name, Value: strings.Join(values, ", ")})
		}
	}
	h2, err := e.DialH2()
	if err != nil {
		return err
	}
	defer h2.Close()
	ws, err := h2.TryWebSocket(req.RequestURI, fields...)
	if err != nil {
		return err
	}
	defer ws.Close()
	if ws.Head.Status != 200 {
		return fmt.Errorf("%v", ws.Head)
	}
	answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + acceptKey(req.Header.Get("Sec-WebSocket-Key")) + "\r\n"
	for _, name := range []string{"Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"} {
		if ws.Head.Has(name) {
			answer += name + ": " + ws.Head.Get(name) + "\r\n"
		}
	}
	if _, err := io.WriteString(c, answer+"\r\n"); err != nil {
		return err
	}
	go func() {
		io.Copy(ws.Conn, br) //nolint:errcheck // it ends with either side
		ws.Close()
	}()
	io.Copy(c, ws.Reader) //nolint:errcheck // as above
	return nil
}
