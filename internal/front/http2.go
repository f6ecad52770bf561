package front

import (
	"bytes"
	"context"
	"errors"
	"log" //nolint:depguard // the HTTP/2 server wants one; what it writes goes to internal/errlog
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// http2Preface is what a client of HTTP/2 sends first (RFC 9113 section 3.4).
const http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// http2Ping is how long a connection may be silent before the client is asked
// whether it is there, and how long it has to answer.
const http2Ping = 15 * time.Second

var (
	errHTTP2    = errors.New("the client speaks HTTP/2")
	errNotHTTP2 = errors.New("the client does not speak HTTP/2")
)

// beginsHTTP2 reports whether b is the start of the preface, or starts with it.
func beginsHTTP2(b []byte) bool {
	n := min(len(b), len(http2Preface))
	return string(b[:n]) == http2Preface[:n]
}

// An http2Server serves HTTP/2 on the connections that it is given. net/http speaks the
// protocol; the requests become exchanges, like those of HTTP/1.
type http2Server struct {
	params http2Params
	http   *http.Server
	conns  *handedConns
}

// http2Params are the settings that hold for a connection as a whole.
type http2Params struct {
	streams, window, frame, headers int
	idle, write                     time.Duration
}

// serveHTTP2 serves a connection until it is closed.
func (s *server) serveHTTP2(c *conn) {
	c.enter(multiplexed)
	closed := make(chan struct{})
	nc := newHTTP2Conn(c, sync.OnceFunc(func() { close(closed) }))
	if !s.http2For(s.config()).conns.offer(nc) {
		return
	}
	<-closed
}

// http2For returns the server for new connections with the settings of cfg.
func (s *server) http2For(cfg *config) *http2Server {
	p := http2Params{
		streams: cfg.HTTP2MaxConcurrentStreams, window: cfg.HTTP2InitialWindowSize, frame: cfg.HTTP2MaxFrameSize, headers: cfg.HTTP2MaxHeaderListSize,
		idle: cfg.http2IdleTimeout, write: cfg.writeTimeout,
	}
	if p.headers == 0 {
		p.headers = cfg.http2.MaxHead()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.http2 {
		if h.params == p {
			return h
		}
	}
	h := &http2Server{params: p, conns: newHandedConns()}
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	h.http = &http.Server{
		Handler:     http.HandlerFunc(s.serveStream),
		ConnContext: withConn,
		Protocols:   &protocols,
		IdleTimeout: p.idle,
		// The limit that is announced is larger by the overhead of ten fields.
		MaxHeaderBytes: max(1, p.headers-10*32),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          p.streams,
			MaxReadFrameSize:              p.frame,
			MaxReceiveBufferPerStream:     p.window,
			MaxReceiveBufferPerConnection: max(1<<20, p.window),
			SendPingTimeout:               http2Ping,
			PingTimeout:                   http2Ping,
			WriteByteTimeout:              p.write,
		},
		ErrorLog: log.New(debugWriter{s}, "", 0),
	}
	s.http2 = append(s.http2, h)
	go h.http.Serve(h.conns)
	return h
}

// endHTTP2Locked tells all clients of HTTP/2 to finish the streams that they have begun.
// +checklocks:s.mu
func (s *server) endHTTP2Locked() {
	for _, h := range s.http2 {
		go h.http.Shutdown(context.Background())
	}
	s.http2 = nil
}

// A debugWriter takes the complaints of net/http.
type debugWriter struct{ s *server }

func (w debugWriter) Write(p []byte) (int, error) {
	w.s.log.Debugf("%s", bytes.TrimSpace(p))
	return len(p), nil
}

type connKey struct{}

// withConn adds the connection to the context of its requests.
func withConn(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, nc.(*http2Conn).c)
}

// handedConns is a listener that accepts the connections that it is offered.
type handedConns struct {
	conns chan net.Conn
	done  chan struct{}
	close func()
}

func newHandedConns() *handedConns {
	l := &handedConns{conns: make(chan net.Conn), done: make(chan struct{})}
	l.close = sync.OnceFunc(func() { close(l.done) })
	return l
}

// offer hands a connection over. It reports false if the listener is closed.
func (l *handedConns) offer(nc net.Conn) bool {
	select {
	case l.conns <- nc:
		return true
	case <-l.done:
		return false
	}
}

func (l *handedConns) Accept() (net.Conn, error) {
	select {
	case nc := <-l.conns:
		return nc, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *handedConns) Close() error {
	l.close()
	return nil
}

func (l *handedConns) Addr() net.Addr { return &net.UnixAddr{Name: "http2", Net: "unix"} }

// appendRequest appends the head of a request as HTTP/1.1 has it, so that the same rules
// are applied to it.
func appendRequest(b []byte, r *http.Request) []byte {
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, r.RequestURI...)
	b = append(b, " HTTP/1.1\r\n"...)
	field := func(name, value string) {
		b = append(b, name...)
		b = append(b, ": "...)
		b = append(b, value...)
		b = append(b, "\r\n"...)
	}
	if r.Host != "" {
		field("Host", r.Host) // of :authority, if there is one
	}
	names := make([]string, 0, len(r.Header))
	for name := range r.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		values := r.Header[name]
		if name == "Host" && len(values) == 1 && strings.EqualFold(values[0], r.Host) {
			continue // :authority says the same; another Host makes two, which are refused
		}
		for _, value := range values {
			field(name, value)
		}
	}
	return append(b, "\r\n"...)
}
