package front

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"indrik/internal/http1"
	"indrik/internal/metrics"
	"indrik/internal/proxyproto"
	"indrik/internal/tlsconf"
	"indrik/internal/wire"
)

var errNoTLS = errors.New("TLS is not configured as it should be")

// handshake reads what comes before the first request: the PROXY header, and TLS. It
// reports whether HTTP follows.
func (c *conn) handshake() bool {
	<-c.s.known
	cfg := c.s.config()
	if cfg.proxyProtocol == proxyproto.Off && cfg.TLS == nil {
		c.info.encode(nil)
		return true
	}
	c.enter(handshaking)
	if cfg.proxyProtocol != proxyproto.Off {
		if err := c.readProxy(cfg); err != nil {
			c.giveUp(err)
			return false
		}
	}
	var vars [][2]string
	if cfg.TLS != nil {
		if err := c.handshakeTLS(cfg); err != nil {
			c.refuseTLS(err)
			return false
		}
		state := c.tls.ConnectionState()
		c.info.secure = true
		c.http2 = state.NegotiatedProtocol == "h2"
		vars = tlsconf.Vars(&state)
		c.info.encodeTLS(&state, tlsconf.ClientName(&state))
	}
	c.info.encode(vars)
	c.enter(idle)
	return true
}

// readProxy reads the PROXY header, if there is one, and nothing after it.
func (c *conn) readProxy(cfg *config) error {
	var buf [proxyproto.MaxLen]byte
	var header proxyproto.Header
	var n int
	var perr error
	for {
		seen, ended := 0, false
		err := c.raw.Read(func(fd uintptr) bool {
			for {
				var err error
				seen, _, err = unix.Recvfrom(int(fd), buf[:], unix.MSG_PEEK)
				if err == unix.EINTR {
					continue
				}
				if err == unix.EAGAIN {
					return false
				}
				if err != nil || seen == 0 {
					seen, perr = 0, io.EOF
					return true
				}
				header, n, perr = proxyproto.Parse(cfg.proxyProtocol, buf[:seen])
				if n > 0 || perr != nil {
					return true
				}
				if ended {
					perr = io.EOF
					return true
				}
				// What was peeked at stays in the socket, so the end behind it does
				// not show by itself.
				if ended = wire.HasEnded(fd); !ended {
					return false
				}
			}
		})
		if isTimeout(err) {
			c.clearWake()
			if err = c.checkPhase(cfg.handshakeTimeout); err == nil {
				continue
			}
		}
		if err != nil {
			return err
		}
		break
	}
	switch {
	case errors.Is(perr, proxyproto.ErrNone):
		return nil
	case errors.Is(perr, io.EOF):
		return perr
	case !cfg.mayProxy(c.info.peerAddr):
		return http1.NewError(http1.ForbiddenProxyRequest, nil)
	case perr != nil:
		if buf[0] == 'P' {
			return http1.NewError(http1.InvalidProxyLine, []byte(perr.Error()))
		}
		return http1.NewError(http1.InvalidProxyHeader, []byte(perr.Error()))
	}
	if _, err := io.ReadFull(c.nc, buf[:n]); err != nil {
		return err
	}
	if header.Local {
		return nil
	}
	c.info.setProxied(header.Source, header.Dest)
	if connections, ok := c.held.Move(c.clientAddr(cfg), c.info.name()); !ok {
		c.s.metrics.Load().Refuse(metrics.ClientConnections)
		c.s.refusals.say(c.s.log, tooManyConnections(&c.info, connections))
		return errCrowded
	}
	return nil
}

// handshakeTLS puts TLS between the socket and HTTP.
func (c *conn) handshakeTLS(cfg *config) error {
	if cfg.tls == nil {
		return errNoTLS // never in plain text instead
	}
	c.tlsSock = &tlsSocket{Conn: c.sock, c: c}
	c.tls = tls.Server(c.tlsSock, cfg.tls.Config())
	c.hold(tlsHeld)
	if err := c.tls.Handshake(); err != nil {
		return err
	}
	c.nc = c.tls
	return nil
}

// refuseTLS is called when the TLS handshake has failed. A client that speaks plain HTTP
// is told so.
func (c *conn) refuseTLS(err error) {
	if isTimeout(err) && c.checkPhase(c.s.config().handshakeTimeout) != nil {
		c.s.metrics.Load().TimeOut(metrics.Handshake)
	}
	var header tls.RecordHeaderError
	if errors.As(err, &header) && header.Conn != nil && looksLikeHTTP(header.RecordHeader) {
		c.s.log.Warnf("Invalid request from ip=%s: plain HTTP on a port for HTTPS", c.info.remote)
		c.tls = nil
		c.s.metrics.Load().RecordUnread(metrics.HTTP1, 400)
		c.answerError(400, "Bad Request", "This port is for HTTPS, the request was sent in plain HTTP")
		return
	}
	c.s.log.Debugf("TLS handshake with ip=%s: %s", c.info.remote, err)
}

// looksLikeHTTP reports whether the header of a TLS record is the start of a request.
func looksLikeHTTP(header [5]byte) bool {
	switch string(header[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH", "PRI *":
		return true
	}
	return false
}

// setSecrets gives c its certificates and session ticket keys. It takes f over.
func (c *config) setSecrets(f *os.File) error {
	defer f.Close()
	secrets, err := tlsconf.Load(f)
	if err == nil && c.tls == nil {
		err = errNoTLS
	}
	if err == nil {
		err = c.tls.Update(secrets)
	}
	if err != nil {
		return fmt.Errorf("secrets for TLS: %w", err)
	}
	return nil
}
