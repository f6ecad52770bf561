//go:build linux

package test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The ways in which net/http can speak with a server.
const (
	webTLS = "HTTP/1.1 over TLS"
	webH2  = "HTTP/2 over TLS"
	webH2C = "HTTP/2 with prior knowledge"
	webH1  = "HTTP/1.1"
)

// A web is net/http's client for one server. It counts its connections.
type web struct {
	*http.Client
	t     testing.TB
	url   string
	dials atomic.Int32
}

func (s *server) web(way string) *web {
	w := &web{t: s.t, url: "https://localhost"}
	var protocols http.Protocols
	switch way {
	case webTLS:
		protocols.SetHTTP1(true)
	case webH1:
		protocols.SetHTTP1(true)
		w.url = "http://localhost"
	case webH2:
		protocols.SetHTTP2(true)
	case webH2C:
		protocols.SetUnencryptedHTTP2(true)
		w.url = "http://localhost"
	}
	transport := &http.Transport{
		Protocols: &protocols, DisableCompression: true, MaxIdleConnsPerHost: 100,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			w.dials.Add(1)
			var d net.Dialer
			return d.DialContext(ctx, "tcp", s.addr())
		},
	}
	if s.o.tls != nil {
		transport.TLSClientConfig = s.o.tls.Clone()
	}
	w.Client = &http.Client{
		Transport: transport, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return w
}

// expectOneConnection checks that all requests went over one.
func (w *web) expectOneConnection() {
	w.t.Helper()
	if n := w.dials.Load(); n != 1 {
		w.t.Errorf("%d connections", n)
	}
}

// A page is a response of which everything was read.
type page struct {
	*http.Response
	body string
}

func (p *page) String() string {
	if p == nil || p.Response == nil {
		return "no response"
	}
	return fmt.Sprintf("%s %s %v %.200q", p.Proto, p.Status, p.Header, p.body)
}

// try makes a request. fields are names and values by turns.
func (w *web) try(ctx context.Context, method, target string, body io.Reader, fields ...string) (*page, error) {
	return w.send(w.request(ctx, method, target, body, fields...))
}

func (w *web) request(ctx context.Context, method, target string, body io.Reader, fields ...string) *http.Request {
	w.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, w.url+target, body)
	must(w.t, err)
	for i := 0; i < len(fields); i += 2 {
		req.Header.Add(fields[i], fields[i+1])
	}
	return req
}

func (w *web) send(req *http.Request) (*page, error) {
	r, err := w.Do(req)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return &page{r, string(b)}, err
}

// do is try for a request that must be answered.
func (w *web) do(method, target string, body string, fields ...string) *page {
	w.t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	p, err := w.try(context.Background(), method, target, r, fields...)
	if err != nil {
		w.t.Fatalf("%s %s: %v (so far: %v)", method, target, err, p)
	}
	return p
}

// A webResult is what came of a request in the background.
type webResult struct {
	p   *page
	err error
}

// begin makes a GET request in the background, until ctx ends.
func (w *web) begin(ctx context.Context, target string) <-chan webResult {
	c := make(chan webResult, 1)
	go func() {
		p, err := w.try(ctx, "GET", target, nil)
		c <- webResult{p, err}
	}()
	return c
}

// expect waits for a response with a status.
func (w *web) expect(c <-chan webResult, status int) *page {
	w.t.Helper()
	select {
	case r := <-c:
		if r.err != nil || r.p.StatusCode != status {
			w.t.Errorf("the response is %v, %v, want status %d", r.p, r.err, status)
		}
		return r.p
	case <-time.After(patience):
		w.t.Fatalf("no response after %v", patience)
		return nil
	}
}

// webLoad is a load whose clients are net/http's. A client of HTTP/1.1 is one
// connection at a time; those of HTTP/2 share one. They repeat a request only if it
// was lost with a connection that was closed while it was idle, or if a GOAWAY
// or RST_STREAM said that it was not begun, as RFC 9110 section 9.2.2 and RFC 9113
// section 8.7 allow.
func (s *server) webLoad(n int, way string) *load {
	w := s.web(way)
	return s.load(n, func(l *load, id int, end time.Time) {
		for n := 0; l.next(end); n++ {
			method, body := "GET", ""
			if n%10 == 9 {
				method, body = "POST", strings.Repeat(fmt.Sprintf("%d.%d ", id, n), 1+rand.IntN(3000))
			}
			target := fmt.Sprintf("/load/%d/%d", id, n)
			began := time.Now()
			p, err := w.try(context.Background(), method, target, bytes.NewReader([]byte(body)))
			switch {
			case err != nil:
				l.lose(err.Error())
			case p.StatusCode != 200 || p.body != target+"\n"+body:
				l.lose(fmt.Sprintf("status %d", p.StatusCode))
			default:
				took := time.Since(began)
				l.count(func(t *tally) {
					t.sent++
					t.ok++
					t.slowest = max(t.slowest, took)
				})
			}
		}
	})
}

// expectNoneLost stops a load and checks that every request was answered.
func (l *load) expectNoneLost(t testing.TB) {
	t.Helper()
	sum := l.finish()
	t.Logf("load: %v", sum)
	if sum.losses() > 0 || sum.ok == 0 {
		t.Errorf("requests were lost: %v", sum)
	}
}
