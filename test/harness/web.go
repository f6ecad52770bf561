//go:build linux

package harness

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The ways in which net/http can speak with a server.
const (
	WebTLS = "HTTP/1.1 over TLS"
	WebH2  = "HTTP/2 over TLS"
	WebH2C = "HTTP/2 with prior knowledge"
	WebH1  = "HTTP/1.1"
)

// A Web is net/http's client for one server. It counts its connections.
type Web struct {
	*http.Client
	T     testing.TB
	URL   string
	dials atomic.Int32
}

// Web is a client for the endpoint that speaks in one of the ways WebTLS, WebH2, WebH2C and WebH1.
func (e *Endpoint) Web(way string) *Web {
	w := &Web{T: e.t, URL: "https://localhost"}
	var protocols http.Protocols
	switch way {
	case WebTLS:
		protocols.SetHTTP1(true)
	case WebH1:
		protocols.SetHTTP1(true)
		w.URL = "http://localhost"
	case WebH2:
		protocols.SetHTTP2(true)
	case WebH2C:
		protocols.SetUnencryptedHTTP2(true)
		w.URL = "http://localhost"
	}
	transport := &http.Transport{
		Protocols: &protocols, DisableCompression: true, MaxIdleConnsPerHost: 100,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			w.dials.Add(1)
			var d net.Dialer
			return d.DialContext(ctx, e.network, e.Address)
		},
	}
	if e.TLS != nil {
		transport.TLSClientConfig = e.TLS.Clone()
	}
	w.Client = &http.Client{
		Transport: transport, Timeout: Patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	e.t.Cleanup(transport.CloseIdleConnections)
	return w
}

// ExpectOneConnection checks that all requests went over one.
func (w *Web) ExpectOneConnection() {
	w.T.Helper()
	if n := w.dials.Load(); n != 1 {
		w.T.Errorf("%d connections", n)
	}
}

// A WebPage is a response of which everything was read.
type WebPage struct {
	*http.Response
	Text string
}

func (p *WebPage) String() string {
	if p == nil || p.Response == nil {
		return "no response"
	}
	return fmt.Sprintf("%s %s %v %.200q", p.Proto, p.Status, p.Header, p.Text)
}

// Try makes a request. fields are names and values by turns.
func (w *Web) Try(ctx context.Context, method, target string, body io.Reader, fields ...string) (*WebPage, error) {
	return w.Send(w.Request(ctx, method, target, body, fields...))
}

// Request makes what Send sends. fields are names and values by turns.
func (w *Web) Request(ctx context.Context, method, target string, body io.Reader, fields ...string) *http.Request {
	w.T.Helper()
	req, err := http.NewRequestWithContext(ctx, method, w.URL+target, body)
	Must(w.T, err)
	for i := 0; i < len(fields); i += 2 {
		req.Header.Add(fields[i], fields[i+1])
	}
	return req
}

// Send makes a request and reads the whole response.
func (w *Web) Send(req *http.Request) (*WebPage, error) {
	r, err := w.Do(req)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return &WebPage{r, string(b)}, err
}

// Fetch is try for a request that must be answered.
func (w *Web) Fetch(method, target string, body string, fields ...string) *WebPage {
	w.T.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	p, err := w.Try(context.Background(), method, target, r, fields...)
	if err != nil {
		w.T.Fatalf("%s %s: %v (so far: %v)", method, target, err, p)
	}
	return p
}

// A WebResult is what came of a request in the background.
type WebResult struct {
	p   *WebPage
	err error
}

// Begin makes a GET request in the background, until ctx ends.
func (w *Web) Begin(ctx context.Context, target string) <-chan WebResult {
	c := make(chan WebResult, 1)
	go func() {
		p, err := w.Try(ctx, "GET", target, nil)
		c <- WebResult{p, err}
	}()
	return c
}

// Expect waits for a response with a status.
func (w *Web) Expect(c <-chan WebResult, status int) *WebPage {
	w.T.Helper()
	select {
	case r := <-c:
		if r.err != nil || r.p.StatusCode != status {
			w.T.Errorf("the response is %v, %v, want status %d", r.p, r.err, status)
		}
		return r.p
	case <-time.After(Patience):
		w.T.Fatalf("no response after %v", Patience)
		return nil
	}
}

// WebLoad is a load whose clients are net/http's. A client of HTTP/1.1 is one
// connection at a time; those of HTTP/2 share one. They repeat a request only if it
// was lost with a connection that was closed while it was idle, or if a GOAWAY
// or RST_STREAM said that it was not begun, as RFC 9110 section 9.2.2 and RFC 9113
// section 8.7 allow.
func (e *Endpoint) WebLoad(n int, way string) *Load {
	w := e.Web(way)
	return e.load(n, func(l *Load, id int, end time.Time) {
		for n := 0; l.next(end); n++ {
			method, body := "GET", ""
			if n%10 == 9 {
				method, body = "POST", strings.Repeat(fmt.Sprintf("%d.%d ", id, n), 1+rand.IntN(3000))
			}
			target := fmt.Sprintf("/load/%d/%d", id, n)
			began := time.Now()
			p, err := w.unlessClosed(way, method, target, []byte(body))
			switch {
			case err != nil:
				l.lose(err.Error())
			case p.StatusCode != 200 || p.Text != target+"\n"+body:
				l.lose(fmt.Sprintf("status %d", p.StatusCode))
			default:
				took := time.Since(began)
				l.count(func(t *Tally) {
					t.Sent++
					t.OK++
					t.Slowest = max(t.Slowest, took)
				})
			}
		}
	})
}

// longIdle is how long a connection has to be idle before a server that is told to end may close
// it: when the next request is on its way already, no server can know.
const longIdle = 200 * time.Millisecond

// unlessClosed makes a request, and repeats it if it was lost on a connection that had been idle
// for long. net/http does so only if nothing of the request was written. In HTTP/2 a server says
// what it has not begun.
func (w *Web) unlessClosed(way, method, target string, body []byte) (p *WebPage, err error) {
	for range 3 {
		idle := false
		ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
			GotConn: func(c httptrace.GotConnInfo) { idle = c.WasIdle && c.IdleTime >= longIdle },
		})
		p, err = w.Try(ctx, method, target, bytes.NewReader(body))
		if err == nil || p != nil || !idle || way != WebTLS && way != WebH1 {
			break
		}
	}
	return p, err
}

// ExpectNoneLost stops a load and checks that every request was answered.
func (l *Load) ExpectNoneLost(t testing.TB) {
	t.Helper()
	sum := l.Finish()
	t.Logf("load: %v", sum)
	if sum.Losses() > 0 || sum.OK == 0 {
		t.Errorf("requests were lost: %v", sum)
	}
}
