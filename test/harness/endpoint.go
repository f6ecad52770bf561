//go:build linux

package harness

import (
	"crypto/tls"
	"fmt"
	"io"
	"strings"
	"testing"
)

// An Endpoint is where clients reach a server, or a proxy in front of it, and how they
// speak with it.
type Endpoint struct {
	t       testing.TB
	network string
	Address string
	TLS     *tls.Config // nil: without TLS
}

// EndpointAt is where clients reach what listens on a port of 127.0.0.1, without TLS.
func EndpointAt(t testing.TB, port int) *Endpoint {
	return &Endpoint{t: t, network: "tcp", Address: fmt.Sprintf("127.0.0.1:%d", port)}
}

// MoveTo has clients come to another address, which is written as that of --bind.
func (e *Endpoint) MoveTo(bind string) {
	e.network, e.Address = "tcp", bind
	if path, ok := strings.CutPrefix(bind, "unix:"); ok {
		e.network, e.Address = "unix", path
	}
}

// Connect makes a connection, with TLS if the endpoint has it.
func (e *Endpoint) Connect() (*Client, error) {
	c, err := e.ConnectPlain()
	if err != nil || e.TLS == nil {
		return c, err
	}
	return HandshakeTLS(c, e.TLS)
}

// ConnectPlain makes a connection without TLS.
func (e *Endpoint) ConnectPlain() (*Client, error) { return Dial(e.network, e.Address) }

// Handshake connects with another configuration than the endpoint's clients have.
func (e *Endpoint) Handshake(config *tls.Config) (*Client, error) {
	c, err := e.ConnectPlain()
	if err != nil {
		return nil, err
	}
	return HandshakeTLS(c, config)
}

// TLSConfig copies the configuration of the clients of an endpoint, with changes.
func (e *Endpoint) TLSConfig(change func(*tls.Config)) *tls.Config {
	c := e.TLS.Clone()
	change(c)
	return c
}

// Client connects, and closes the connection at the end of the test.
func (e *Endpoint) Client() *Client {
	e.t.Helper()
	c, err := e.Connect()
	Must(e.t, err)
	e.t.Cleanup(func() { c.Close() })
	return c
}

// Crowd makes n connections and sends the same on each.
func (e *Endpoint) Crowd(n int, text string) []*Client {
	e.t.Helper()
	clients := make([]*Client, n)
	for i := range clients {
		clients[i] = e.Client()
		clients[i].Send(e.t, text)
	}
	return clients
}

// Request makes one request on a connection of its own.
func (e *Endpoint) Request(method, target, body string, fields ...string) (*Response, error) {
	c, err := e.Connect()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if _, err := io.WriteString(c, FormatRequest(method, target, body, append(fields, "Connection: close")...)); err != nil {
		return nil, err
	}
	return ReadResponse(c.Reader, method)
}

// Get makes a GET request that must be answered with 200, and returns the body.
func (e *Endpoint) Get(target string) string {
	e.t.Helper()
	r, err := e.Request("GET", target, "")
	if err != nil || r.Status != 200 {
		e.t.Fatalf("GET %s: %v, %v", target, r, err)
	}
	return r.Body
}

// Begin makes a GET request in the background.
func (e *Endpoint) Begin(target string) *Pending {
	p := &Pending{e.t, make(chan outcome, 1)}
	go func() {
		r, err := e.Request("GET", target, "")
		p.c <- outcome{r, err}
	}()
	return p
}
