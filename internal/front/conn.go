package front

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"indrik/internal/account"
	"indrik/internal/http1"
	"indrik/internal/outbox"
	"indrik/internal/websocket"
	"indrik/internal/wire"
)

const readBuffer = 8 << 10

// A phase is what a connection waits for. The sweep gives each its time.
type phase int32

const (
	handshaking phase = iota // the PROXY header, or TLS
	idle                     // the first byte of a request
	heading                  // the rest of a head
	reading                  // the rest of a body
	running                  // a worker
	writing                  // the client, to take the response
	closing                  // the client, to close after the last response
	multiplexed              // nothing that can be said of all of it: HTTP/2
)

// A conn is a client connection. Its goroutine, run, reads requests; responses
// are written by whoever has them, one at a time.
type conn struct {
	s             *server
	sock          net.Conn
	raw           syscall.RawConn // of sock
	held          *account.Holder
	nc            net.Conn  // what requests are read from: sock, or TLS
	tls           *tls.Conn // nil: plain text
	tlsSock       *tlsSocket
	info          connInfo
	fromPeerFront atomic.Bool // the peer gave it, and is not to have it back
	handshakeDone bool        // by the peer
	handedOver    bool        // it was given to another front
	lastAnswered  bool        // with the last response that it was to get
	http2         bool        // HTTP/2 was agreed on

	phase        atomic.Int32
	since        atomic.Int64 // when the phase began, or last made progress: nanoseconds of the monotonic clock
	served       atomic.Bool  // it has had a request
	hasBuffer    atomic.Bool  // it has a buffer while it waits
	evicted      atomic.Bool  // another connection is to have its place
	bodyRate     bodyRate     // of the body that is being read
	awaitingBody atomic.Bool  // while a worker answers: the client is waited for
	untried      atomic.Bool  // the end of what the client sends may be there, unread
	webSocket    atomic.Pointer[webSocket]

	// Of the goroutine run.
	buf         []byte // nil while nothing is there
	bufHeld     int    // bytes of it that are counted
	r, w        int    // buf[r:w] is unread
	req         http1.Request
	readBytes   int
	readErr     error
	readFn      func(fd uintptr) bool
	fastPath    bool // tryRead may hand over a request that is there as a whole
	skippedLine bool // an empty line stood before the request that is to come

	betweenFrames bool // between two frames of WebSocket: there is no request that buf is needed for

	mu      sync.Mutex
	notBusy sync.Cond // busy became false
	busy    bool      // a request is being answered
	ending  bool      // no request is read any more

	ex    exchange
	out   outbox.Outbox
	plain plainTransport

	// Of whoever answers.
	chunked     bool
	scratch     []byte // goes out with the next write
	scratchFrom *[]byte
}

var buffers = sync.Pool{New: func() any { b := make([]byte, readBuffer); return &b }}

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

var epoch = time.Now()

// now is nanoseconds of the monotonic clock. A clock is read in a tenth of a
// microsecond in many virtual machines; so times that must not be exact are taken
// once for several uses.
func now() int64 { return int64(time.Since(epoch)) }

func (c *conn) enter(p phase) {
	c.since.Store(now())
	c.phase.Store(int32(p))
}

func (c *conn) progress() { c.since.Store(now()) }

// run reads requests until the connection is over.
func (c *conn) run() {
	defer c.s.forget(c)
	defer func() { c.nc.Close() }()
	if c.handshakeDone || c.handshake() {
		c.serve()
	}
	c.mu.Lock()
	c.ending = true
	busy := c.busy
	c.mu.Unlock()
	if busy {
		c.awaitAnswer()
	}
	c.mu.Lock()
	answered := c.lastAnswered // who cuts the connection off may have said so just now
	c.mu.Unlock()
	if answered {
		c.linger()
	}
	if !c.out.HasFailed() {
		// Who makes a response that was cut off may look at the request yet.
		c.releaseBuffer()
	}
}

// serve reads requests, in the version of HTTP that was agreed on.
func (c *conn) serve() {
	if !c.http2 {
		if c.tls != nil {
			c.tlsSock.setAsync()
			c.out.SetTransport(&tlsTransport{tls: c.tls, sock: c.tlsSock})
		}
		c.enter(idle)
		for c.serveOne() {
		}
	}
	if c.http2 {
		c.s.serveHTTP2(c)
	}
}

// serveOne reads one request and hands it over; false ends the connection.
func (c *conn) serveOne() bool {
	n, cfg, err := c.readHead()
	switch {
	case errors.Is(err, errHTTP2):
		c.http2 = true
		return false
	case errors.Is(err, errInProgress):
		return c.awaitNext(true)
	case errors.Is(err, errLost):
		return false
	case err != nil:
		c.giveUp(err)
		return false
	}
	c.served.Store(true)
	c.beginExchange(cfg)
	ex := &c.ex
	c.r += n
	keep := c.req.KeepAlive && !c.req.ForceClose
	if ex.kind == wire.KindASGI && websocket.IsUpgrade(&c.req) {
		c.serveWebSocket(ex)
		return false
	}
	var f *bodyStream
	if ex.kind == wire.KindASGI && hasBody(&c.req) && !whole(&c.req) {
		f, err = c.beginBodyStream(ex)
	} else {
		err = c.readBody(ex)
	}
	if err != nil {
		ex.Release()
		c.giveUp(err)
		return false
	}
	c.enter(running)
	c.s.submit(ex, time.Now())
	if f != nil && !c.streamRest(f) {
		return false
	}
	return c.awaitNext(keep)
}

// takeOver begins the exchange of a request whose head is there.
func (c *conn) beginExchange(cfg *config) {
	c.setBusy(true)
	c.skippedLine = false
	c.ex.begin(cfg)
	c.out.Begin(c.ex.kind != wire.KindSync)
}

// giveUp answers a request that cannot be read, as far as there is somebody to
// answer.
func (c *conn) giveUp(err error) {
	var bad *http1.Error
	var status statusError
	switch {
	case errors.As(err, &bad):
		c.s.log.Warnf("Invalid request from ip=%s: %s", c.info.remote, bad.Text)
		head, body := http1.ErrorPage(bad.Status, bad.Reason, bad.Message, date(time.Now()))
		if c.isBusy() { // it has a head
			c.ex.logRefusal(bad.Status, len(body))
		}
		c.answer(head, body)
	case errors.As(err, &status):
		if status.log {
			c.s.log.Errorf("%s", err)
		}
		if c.isBusy() { // it has a head
			c.ex.logCut(status)
			c.ex.closeAfter = true
			c.ex.writeError(status.code)
			c.out.Finish(false)
		} else {
			c.answer(http1.ErrorPage(status.code, http.StatusText(status.code), "", date(time.Now())))
		}
	default:
		c.setBusy(false)
	}
}

// awaitNext waits until the response is complete and more bytes are there;
// false if the connection is not to serve another request.
func (c *conn) awaitNext(keep bool) bool {
	if !keep {
		// Reading on tells whether the client is still there.
		c.watch()
		return false
	}
	for {
		c.skipEmptyLine()
		if c.r < c.w || c.w >= len(c.buf) {
			break
		}
		// The usual case: the client sends its next request when it has the
		// response, and this goroutine waits for that.
		err := c.readNext()
		if isTimeout(err) {
			if c.isBusy() {
				continue
			}
			break // readHead decides what becomes of an idle connection
		}
		if err != nil {
			c.lost(err)
			return false
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.busy {
		c.notBusy.Wait()
	}
	return !c.ending
}

// readHead reads one head into c.req, and returns its length, and the settings
// that hold for the request.
func (c *conn) readHead() (int, *config, error) {
	var cfg *config
	for {
		c.skipEmptyLine()
		if c.w > c.r {
			if cfg == nil {
				<-c.s.known
				cfg = c.s.config()
				if c.evicted.Load() {
					c.cancelEviction()
				}
			}
			n, err := 0, error(nil)
			clear := cfg.HTTP2Cleartext && c.tls == nil
			if begins := clear && !c.served.Load() && beginsHTTP2(c.buf[c.r:c.w]); !begins && clear && !cfg.HTTP1 {
				err = errNotHTTP2
			} else if !begins {
				n, err = http1.ParseRequest(&cfg.http, c.buf[c.r:c.w], &c.req)
			} else if c.w-c.r >= len(http2Preface) {
				err = errHTTP2
			}
			if n > 0 || err != nil {
				return n, cfg, err
			}
			if c.phase.Load() != int32(heading) {
				c.enter(heading)
			}
		} else {
			if c.isEnding() {
				return 0, nil, io.EOF
			}
			c.r, c.w = 0, 0
			if err := c.checkIdle(); err != nil {
				return 0, nil, err
			}
		}
		if c.w == len(c.buf) && c.buf != nil {
			c.growBuffer(cfg)
		}
		var err error
		if c.r == c.w {
			if err = c.readNext(); c.isBusy() {
				return 0, nil, c.inProgress(err)
			}
		} else {
			err = c.read()
		}
		if isTimeout(err) {
			if c.r == c.w {
				err = c.checkIdle()
			} else {
				err = c.inTime(cfg.headerTimeout)
			}
		}
		if err != nil {
			return 0, nil, err
		}
	}
}

// skipEmptyLine passes over one empty line before a request: some clients send one
// too many after a body (RFC 9112 section 2.2). It is no part of a request, so that
// a connection where nothing follows it is idle.
func (c *conn) skipEmptyLine() {
	if !c.skippedLine && c.w-c.r >= 2 && c.buf[c.r] == '\r' && c.buf[c.r+1] == '\n' {
		c.r += 2
		c.skippedLine = true
	}
}

// inTime tells whether the phase has not taken longer than d. A deadline that
// has passed proves nothing: others set it to have this goroutine look around,
// and the client may have been faster.
func (c *conn) inTime(d time.Duration) error {
	if d > 0 && now()-c.since.Load() > int64(d) {
		return errTooSlow
	}
	return nil
}

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

// wake has run look at what has changed, instead of waiting for the client.
func (c *conn) wake() { c.sock.SetReadDeadline(time.Unix(1, 0)) }

var errConnEnds = errors.New("the connection is over")

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
