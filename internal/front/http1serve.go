package front

import (
	"errors"
	"io"
	"net/http"
	"time"

	"indrik/internal/http1"
	"indrik/internal/http2"
	"indrik/internal/outbox"
	"indrik/internal/websocket"
	"indrik/internal/wire"
)

// This file serves the requests of a connection of HTTP/1, one after the other.

// run reads requests until the connection is over.
func (c *conn) run() {
	defer c.s.forget(c)
	defer c.awaitStreams()
	defer c.close()
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
	answered := c.lastAnswered // it may have become true while the answer was awaited
	c.mu.Unlock()
	if answered && !c.out.HasFailed() {
		c.linger()
	}
	if !c.out.HasFailed() {
		// The goroutine that answers may still look at the request of a response that was
		// cut off.
		c.releaseBuffer()
	}
}

// close closes the connection. One that was aborted ends with a reset: not even TLS says that
// nothing more comes, which would make the response look complete.
func (c *conn) close() {
	if c.out.HasFailed() {
		c.sock.Close()
	} else {
		c.nc.Close()
	}
}

// serve reads requests in the version of HTTP that was agreed on.
func (c *conn) serve() {
	var t outbox.Transport = &c.plain
	if c.tls != nil {
		c.tlsSock.setAsync()
		t = &tlsTransport{tls: c.tls, sock: c.tlsSock}
		c.out.SetTransport(t)
	}
	if !c.http2 {
		c.setProtocol(t)
		c.enter(idle)
		for c.serveOne() {
		}
	}
	if c.http2 {
		c.s.serveHTTP2(c)
	}
}

// serveOne reads one request and submits it. It reports whether the connection may serve
// another one.
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
	size := int64(n) + max(c.req.ContentLength, 0)
	c.roomy = size > readBuffer && size < roomyBuffer
	keep := c.req.KeepAlive && !c.req.ForceClose
	if websocket.IsUpgrade(&c.req) && c.serveWebSocket(ex) {
		return false
	}
	c.endsWithIt = !c.req.KeepAlive && !hasBody(&c.req) && c.tls == nil && c.gateway == nil
	goOn := true
	if ex.kind == wire.KindASGI && hasBody(&c.req) && !isReadWhole(&c.req) {
		goOn, err = c.streamRequest(ex)
	} else if err = c.readBody(ex); err == nil {
		c.submit(ex)
	}
	if err != nil {
		ex.Release()
		c.giveUp(err)
		return false
	}
	return goOn && c.awaitNext(keep)
}

// submit submits a request that was read.
func (c *conn) submit(ex *exchange) {
	c.enter(running)
	c.s.submit(ex, time.Now())
}

// beginExchange begins the exchange of a request whose head has come.
func (c *conn) beginExchange(cfg *config) {
	c.setBusy(true)
	c.skippedLine = false
	c.ex.begin(cfg)
	c.out.Begin(c.ex.kind != wire.KindSync)
	c.ex.introduce()
}

// giveUp answers a request that cannot be read, unless the client has gone.
func (c *conn) giveUp(err error) {
	var bad *http1.Error
	var status statusError
	id, idField := c.idOfRefused()
	switch {
	case errors.As(err, &bad):
		c.s.log.Warnf("Invalid request from ip=%s: %s%s", c.info.remote, bad.Text, idForLog(id))
		page := http1.ErrorBody(bad.Reason, bad.Message)
		if c.isBusy() { // it has a head
			c.ex.logRefusal(bad.Status, len(page))
		} else {
			c.s.metrics.Load().RecordUnread(protocolKinds[c.info.protocol], bad.Status)
		}
		c.answerError(bad.Status, bad.Reason, bad.Message, idField...)
	case errors.As(err, &status):
		if status.log {
			c.s.log.Errorf("%s%s", err, idForLog(id))
		}
		if c.isBusy() { // it has a head
			c.ex.logCut(status)
			c.ex.closeAfter = true
			c.ex.writeError(status.code)
			c.out.Finish(false)
		} else {
			c.observeUnread(status)
			c.answerError(status.code, http.StatusText(status.code), "", idField...)
		}
	default:
		c.ex.cutSpan()
		c.setBusy(false)
	}
}

// awaitNext waits until the response is complete and more bytes have come. It reports
// whether the connection serves another request.
func (c *conn) awaitNext(keep bool) bool {
	if !keep {
		// Reading on shows whether the client is still there.
		c.watch()
		return false
	}
	for {
		c.skipEmptyLine()
		if c.r < c.w || c.w >= len(c.buf) {
			break
		}
		// Usually the client sends its next request when it has the response, and
		// this goroutine waits for that.
		err := c.readNext()
		if isTimeout(err) {
			if c.isBusy() {
				continue
			}
			break // readHead decides whether an idle connection stays
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

// readHead reads one head into c.req. It returns the length of the head, and the settings
// for the request.
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
			clear := cfg.HTTP2Cleartext && c.tls == nil && c.gateway == nil
			if begins := clear && !c.served.Load() && beginsHTTP2(c.buf[c.r:c.w]); !begins && clear && !cfg.HTTP1 {
				err = errNotHTTP2
			} else if !begins {
				n, err = c.parseHead(cfg)
			} else if c.w-c.r >= len(http2.Preface) {
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
				return 0, nil, c.endOfNext(err)
			}
		} else {
			err = c.read()
		}
		if isTimeout(err) {
			if c.r == c.w {
				err = c.checkIdle()
			} else {
				err = c.checkPhase(cfg.headerTimeout)
			}
		}
		if err != nil {
			return 0, nil, err
		}
	}
}

// skipEmptyLine skips one empty line before a request: some clients send one too many
// after a body (RFC 9112 section 2.2). The line is not a part of a request, so a
// connection on which nothing follows it is idle.
func (c *conn) skipEmptyLine() {
	if !c.skippedLine && c.w-c.r >= 2 && c.buf[c.r] == '\r' && c.buf[c.r+1] == '\n' {
		c.r += 2
		c.skippedLine = true
	}
}

// checkPhase returns an error if the phase has taken longer than d. The read deadline
// does not prove that: it is set to wake this goroutine, and the client may have been
// faster.
func (c *conn) checkPhase(d time.Duration) error {
	if d > 0 && now()-c.since.Load() > int64(d) {
		return errTooSlow
	}
	return nil
}
