package front

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/http1"
)

const (
	readBuffer = 8 << 10
	// lingering is how long a connection is read after the last response, so
	// that the client can read that before a reset comes for what it still
	// sends (RFC 9112 section 9.6); and at most so many bytes of it.
	lingering      = 2 * time.Second
	lingeringBytes = 256 << 10
)

// A phase is what a connection waits for. The sweep gives each its time.
type phase int32

const (
	idle    phase = iota // the first byte of a request
	heading              // the rest of a head
	reading              // the rest of a body
	running              // a worker
	writing              // the client, to take the response
	closing              // the client, to close after the last response
)

// A conn is a client connection. Its goroutine, run, reads requests; responses
// are written by whoever has them, one at a time.
type conn struct {
	s        *server
	nc       net.Conn
	raw      syscall.RawConn
	bind     string
	network  string
	fromPeer atomic.Bool // the peer gave it, and is not to have it back
	given    bool        // it was given to another front
	answered bool        // with the last response it was to get

	peerAddr netip.Addr // invalid on a unix socket
	remote   string     // as REMOTE_ADDR
	named    bool       // constant has SERVER_NAME
	constant []byte

	phase   atomic.Int32
	since   atomic.Int64 // when the phase began, or last made progress: nanoseconds of the monotonic clock
	served  atomic.Bool  // it has had a request
	holding atomic.Bool  // it has a buffer while it waits

	// Of the goroutine run.
	buf    []byte // nil while nothing is there
	r, w   int    // buf[r:w] is unread
	req    http1.Request
	name   []byte            // scratch
	fields []http1.Field     // scratch: those that the app may see
	names  map[string][]byte // what is left of a head with many fields
	readN  int
	readE  error
	readFn func(fd uintptr) bool

	mu     sync.Mutex
	over   *sync.Cond // busy became false
	busy   bool       // a request is being answered
	ending bool       // no request is read any more

	ex  exchange
	out outbox
}

var buffers = sync.Pool{New: func() any { b := make([]byte, readBuffer); return &b }}

func newConn(s *server, nc net.Conn, bind, network string, fromPeer bool) (*conn, error) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil, errors.New("not a socket")
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &conn{s: s, nc: nc, raw: raw, bind: bind, network: network}
	c.fromPeer.Store(fromPeer)
	c.over = sync.NewCond(&c.mu)
	c.ex.conn, c.ex.req = c, &c.req
	c.out.init(c)
	c.readFn = c.tryRead
	c.describe()
	c.enter(idle)
	return c, nil
}

var epoch = time.Now()

func now() int64 { return int64(time.Since(epoch)) }

func (c *conn) enter(p phase) {
	c.since.Store(now())
	c.phase.Store(int32(p))
}

func (c *conn) progress() { c.since.Store(now()) }

// run reads requests until the connection is over.
func (c *conn) run() {
	defer c.s.forget(c)
	defer c.nc.Close()
	for c.serveOne() {
	}
	c.mu.Lock()
	c.ending = true
	for c.busy {
		c.over.Wait()
	}
	c.mu.Unlock()
	if c.answered {
		c.linger()
	}
	if !c.out.broken() {
		// Who makes a response that was cut off may look at the request yet.
		c.releaseBuffer()
	}
}

// serveOne reads one request and hands it over; false ends the connection.
func (c *conn) serveOne() bool {
	n, cfg, err := c.readHead()
	if err != nil {
		c.giveUp(err)
		return false
	}
	c.served.Store(true)
	c.mu.Lock()
	c.busy = true
	c.mu.Unlock()
	ex := &c.ex
	ex.begin(cfg)
	c.r += n
	keep := c.req.KeepAlive && !c.req.ForceClose
	if err := c.readBody(ex); err != nil {
		ex.release()
		c.idleAgain()
		c.giveUp(err)
		return false
	}
	c.enter(running)
	c.s.queue.submit(ex)
	return c.awaitNext(keep)
}

// giveUp answers a request that cannot be read, as far as there is somebody to
// answer.
func (c *conn) giveUp(err error) {
	var bad *http1.Error
	switch {
	case errors.As(err, &bad):
		c.refuse(bad)
	case errors.Is(err, errTooSlow):
		c.answerError(408, "Request Timeout")
	case errors.Is(err, errSpool):
		c.s.log.Errorf("%s", err)
		c.answerError(503, "Service Unavailable")
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
	for c.r == c.w && c.w < len(c.buf) {
		// The usual case: the client sends its next request when it has the
		// response, and this goroutine waits for that.
		err := c.fill()
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
		c.over.Wait()
	}
	return !c.ending
}

// watch reads while the last response is being made.
func (c *conn) watch() {
	for {
		if !c.isBusy() || c.w == len(c.buf) {
			return
		}
		if err := c.fill(); err != nil && !isTimeout(err) {
			c.lost(err)
			return
		}
	}
}

// lost is called when reading failed while a request is in progress. The end of
// what the client sends does not mean that it does not want its response; a
// reset does.
func (c *conn) lost(err error) {
	if errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE) {
		c.s.queue.abandon(&c.ex)
	}
}

// readHead reads one head into c.req, and returns its length, and the settings
// that hold for the request.
func (c *conn) readHead() (int, *config, error) {
	var cfg *config
	for {
		if c.w > c.r {
			if cfg == nil {
				<-c.s.known
				cfg = c.s.config()
			}
			n, err := http1.ParseRequest(&cfg.http, c.buf[c.r:c.w], &c.req)
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
			if c.s.isDraining() {
				if err := c.stay(); err != nil {
					return 0, nil, err
				}
			}
		}
		if c.w == len(c.buf) && c.buf != nil {
			c.makeRoom(cfg)
		}
		err := c.fill()
		if isTimeout(err) {
			if c.r == c.w {
				err = c.stay()
			} else {
				err = c.inTime(headTime)
			}
		}
		if err != nil {
			return 0, nil, err
		}
	}
}

// inTime tells whether the phase has not taken longer than d. A deadline that
// has passed proves nothing: others set it to have this goroutine look around,
// and the client may have been faster.
func (c *conn) inTime(d time.Duration) error {
	if now()-c.since.Load() > int64(d) {
		return errTooSlow
	}
	return nil
}

func (c *conn) isBusy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.busy
}

func (c *conn) isEnding() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ending
}

// makeRoom moves the unread bytes to the start of the buffer, or to a larger
// one. The parser bounds how large a head gets.
func (c *conn) makeRoom(cfg *config) {
	if c.r > 0 {
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
		return
	}
	bigger := make([]byte, min(2*len(c.buf), cfg.maxHead+readBuffer))
	if len(bigger) <= len(c.buf) {
		bigger = make([]byte, 2*len(c.buf))
	}
	copy(bigger, c.buf[:c.w])
	c.buf = bigger
}

// fill waits for bytes and reads them into the buffer. A timeout means only that
// there may be something else to do.
func (c *conn) fill() error {
	if err := c.raw.Read(c.readFn); err != nil {
		if isTimeout(err) {
			c.nc.SetReadDeadline(time.Time{})
		}
		return err
	}
	if c.readE != nil {
		return c.readE
	}
	if c.readN == 0 {
		return io.EOF
	}
	c.w += c.readN
	return nil
}

// tryRead reads without waiting. A connection that waits for its next request
// holds no buffer.
func (c *conn) tryRead(fd uintptr) bool {
	if c.buf == nil {
		c.buf = *buffers.Get().(*[]byte)
		c.r, c.w = 0, 0
	}
	for {
		c.readN, c.readE = unix.Read(int(fd), c.buf[c.w:])
		if c.readE != unix.EINTR {
			break
		}
	}
	if c.readE == unix.EAGAIN {
		c.mu.Lock()
		free := !c.busy && c.r == c.w
		c.mu.Unlock()
		if free {
			c.releaseBuffer()
		}
		c.holding.Store(!free)
		return false
	}
	return true
}

func (c *conn) releaseBuffer() {
	if len(c.buf) == readBuffer {
		b := c.buf
		buffers.Put(&b)
	}
	c.buf, c.r, c.w = nil, 0, 0
}

// responseDone is called by whoever answered, when all of the response is with
// the kernel. keep: another request may follow.
func (c *conn) responseDone(keep bool) {
	c.mu.Lock()
	c.enter(idle) // before run can enter another phase
	c.busy = false
	if !keep {
		c.ending, c.answered = true, true
	}
	c.over.Broadcast()
	c.mu.Unlock()
	if !keep {
		c.wake()
	} else if c.s.isDraining() {
		c.s.settleIdle(c)
	}
}

func (c *conn) idleAgain() {
	c.mu.Lock()
	c.busy = false
	c.mu.Unlock()
}

// wake has run look at what has changed, instead of waiting for the client.
func (c *conn) wake() { c.nc.SetReadDeadline(time.Unix(1, 0)) }

// linger ends the connection in a way that the client can read the last
// response: by closing the sending side, and reading what still comes.
func (c *conn) linger() {
	c.enter(closing)
	if hc, ok := c.nc.(interface{ CloseWrite() error }); !ok || hc.CloseWrite() != nil {
		return
	}
	c.nc.SetReadDeadline(time.Now().Add(lingering))
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	for total := 0; total < lingeringBytes; {
		n, err := c.nc.Read(*b)
		total += n
		if err != nil {
			return
		}
	}
}

// abort closes the connection at once. The client sees that its response is
// not complete.
func (c *conn) abort() {
	c.mu.Lock()
	c.ending = true
	c.mu.Unlock()
	if l, ok := c.nc.(interface{ SetLinger(int) error }); ok {
		l.SetLinger(0)
	}
	c.nc.Close()
}

// refuse answers a request that is malformed.
func (c *conn) refuse(e *http1.Error) {
	c.s.log.Warnf("Invalid request from ip=%s: %s", c.remote, e.Text)
	c.write(http1.AppendErrorPage(nil, e.Status, e.Reason, e.Message))
}

// answerError answers with a page of the server's own, and without a next
// request.
func (c *conn) answerError(status int, reason string) {
	c.write(http1.AppendErrorPage(nil, status, reason, ""))
}

// write is for short answers of the goroutine run, when nothing else is to be
// written.
func (c *conn) write(page []byte) {
	c.answered = true
	c.nc.SetWriteDeadline(time.Now().Add(lingering))
	c.nc.Write(page)
}

var errOver = errors.New("the connection is over")

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
