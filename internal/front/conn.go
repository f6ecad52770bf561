package front

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"indrik/internal/account"
	"indrik/internal/http1"
	"indrik/internal/outbox"
)

// A phase is what a connection waits for. The deadline sweep gives each phase its time.
type phase int32

const (
	handshaking phase = iota // the PROXY header, or TLS
	idle                     // the first byte of a request
	heading                  // the rest of a head
	reading                  // the rest of a body
	running                  // a worker
	writing                  // the client, to take the response
	closing                  // the client, to close after the last response
	multiplexed              // HTTP/2: each stream waits for something else
)

// A conn is a client connection. Its goroutine, run, reads requests; responses are written
// by the goroutine of the worker's slot that answers, or of whatever else answers, one at
// a time.
type conn struct {
	s             *server
	sock          net.Conn
	raw           syscall.RawConn // of sock
	held          *account.Holder
	nc            net.Conn  // what requests are read from: sock, or TLS
	tls           *tls.Conn // nil: plain text
	tlsSock       *tlsSocket
	gateway       *gatewayConn // nil: HTTP
	info          connInfo
	fromPeerFront atomic.Bool // the peer front gave it, and is not to have it back
	handshakeDone bool        // by the peer front
	handedOver    bool        // it was given to another front
	http2         bool        // HTTP/2 was agreed on

	phase        atomic.Int32
	since        atomic.Int64 // when the phase began, or last made progress, as [now] has it
	served       atomic.Bool  // it has had a request
	hasBuffer    atomic.Bool  // it has a buffer while it waits
	evicted      atomic.Bool  // it is to end for another connection
	bodyRate     bodyRate     // of the body that is being read
	awaitingBody atomic.Bool  // the client is waited for while a worker answers
	untried      atomic.Bool  // the end of what the client sends may be there, unread
	webSocket    atomic.Pointer[webSocket]
	h2           atomic.Pointer[http2Conn] // nil: HTTP/1

	// Of the goroutine run.
	buf           []byte // nil while there is nothing to read
	bufHeld       int    // bytes of buf that are accounted for
	endsWithIt    bool   // the client has said that it sends nothing after this request, all of which is here
	roomy         bool   // the last request was larger than the usual buffer
	r, w          int    // buf[r:w] is unread
	req           http1.Request
	readBytes     int   // of tryRead
	readErr       error // of tryRead
	readFn        func(fd uintptr) bool
	fastPath      bool // tryRead may submit a request that comes in one read
	skippedLine   bool // an empty line stood before the request that is to come
	betweenFrames bool // of WebSocket: buf holds nothing that is needed

	mu      sync.Mutex // the last one to be locked
	notBusy sync.Cond  // busy became false
	// +checklocks:mu
	busy bool // a request is being answered
	// +checklocks:mu
	ending       bool // no request is read any more
	lastAnswered bool // the last response was sent

	ex    exchange
	out   outbox.Outbox
	plain plainTransport

	// Of the goroutine that answers.
	chunked     bool
	scratch     []byte // goes out with the next write
	scratchFrom *[]byte
}

var errNoSocket = errors.New("not a socket")

func newConn(s *server, nc net.Conn, from *endpoint) (*conn, error) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil, errNoSocket
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &conn{s: s, sock: nc, nc: nc, raw: raw}
	c.notBusy.L = &c.mu
	c.info.endpoint = from
	c.info.setAddrs(nc)
	c.ex.s, c.ex.info, c.ex.to, c.ex.req = s, &c.info, c, &c.req
	c.plain.c = c
	c.plain.tryFn = c.plain.tryWrite
	c.out.Init(&c.plain, c)
	c.readFn = c.tryRead
	c.enter(handshaking)
	return c, nil
}

// enter begins a phase.
func (c *conn) enter(p phase) {
	c.since.Store(now())
	c.phase.Store(int32(p))
}

// webSockets returns the WebSockets of the connection: one of HTTP/1, or the streams of HTTP/2
// that are.
func (c *conn) webSockets() []*webSocket {
	if sk := c.webSocket.Load(); sk != nil {
		return []*webSocket{sk}
	}
	if h := c.h2.Load(); h != nil {
		return h.webSockets()
	}
	return nil
}

// progress notes that the phase makes progress.
func (c *conn) progress() { c.since.Store(now()) }

func (c *conn) isBusy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.busy
}

func (c *conn) setBusy(busy bool) {
	c.mu.Lock()
	c.busy = busy
	c.mu.Unlock()
}

func (c *conn) isEnding() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ending
}

// wake wakes the goroutine that reads, or will read, from the client. The read deadline of
// the socket is the doorbell: reading fails by a time-out, and the goroutine checks what
// has changed. That the deadline has passed says nothing by itself.
func (c *conn) wake() { c.sock.SetReadDeadline(time.Unix(1, 0)) }

// clearWake makes reading possible again. The goroutine calls it after it was woken, and
// before it checks what has changed.
func (c *conn) clearWake() { c.sock.SetReadDeadline(time.Time{}) }

// errConnEnds ends a connection without an answer.
var errConnEnds = errors.New("the connection is over")

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
