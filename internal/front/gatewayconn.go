package front

import (
	"bytes"
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"indrik/internal/gateway"
	"indrik/internal/http1"
	"indrik/internal/outbox"
)

// This file serves connections of web servers that pass requests on by uwsgi, SCGI or
// FastCGI. The variables of a request become the head of an HTTP request, which the engine
// for HTTP/1 reads; from then on nothing is different but the form of the response.

// A gatewayConn is what a conn has besides for such a connection.
type gatewayConn struct {
	protocol gateway.Protocol
	vars     []gateway.Variable
	head     gateway.Head // its Text is what the request of the connection is a part of
	fastCGI  gateway.FastCGIHead
}

// setProtocol finds out which protocol the connection has, whose responses t carries.
func (c *conn) setProtocol(t outbox.Transport) {
	<-c.s.known
	p := c.s.config().protocols[c.info.bind]
	if p == gateway.HTTP {
		return
	}
	c.gateway, c.info.protocol = &gatewayConn{protocol: p}, p
	if p == gateway.FastCGI {
		c.out.SetTransport(&recordTransport{Transport: t, c: c})
	}
}

// parseHead parses a head at the start of what was read, as [http1.ParseRequest] does.
func (c *conn) parseHead(cfg *config) (n int, err error) {
	if c.gateway == nil {
		return http1.ParseRequest(&cfg.http, c.buf[c.r:c.w], &c.req)
	}
	n, err = c.parseVariables(cfg)
	return n, asRequestError(err)
}

// asRequestError returns an error of package gateway as one of package http1; any other as it
// is.
func asRequestError(err error) error {
	var bad *gateway.Error
	if !errors.As(err, &bad) {
		return err
	}
	return &http1.Error{Status: bad.Status, Reason: http.StatusText(bad.Status), Message: bad.Text, Text: bad.Text}
}

// parseVariables makes a request of the variables at the start of what was read, and returns
// their length.
func (c *conn) parseVariables(cfg *config) (n int, err error) {
	g := c.gateway
	if !cfg.uwsgiAllowIPs.contain(c.info.peerAddr) {
		return 0, &gateway.Error{Status: 403, Text: "uwsgi_allow_ips does not name this address"}
	}
	managed := false
	switch g.protocol {
	case gateway.FastCGI:
		return c.parseFastCGI(cfg)
	case gateway.SCGI:
		g.vars, n, err = gateway.ParseSCGI(c.buf[c.r:c.w], g.vars[:0])
	default:
		g.vars, n, managed, err = gateway.ParseUWSGI(c.buf[c.r:c.w], g.vars[:0])
	}
	if n > 0 && err == nil {
		err = c.setHead(cfg, managed)
	}
	return n, err
}

// setHead makes a request of the variables.
func (c *conn) setHead(cfg *config, managed bool) error {
	g := c.gateway
	if err := g.head.Set(g.vars, managed); err != nil {
		return err
	}
	c.req.Reset()
	if _, err := http1.ParseRequest(&cfg.http, g.head.Text, &c.req); err != nil {
		return err
	}
	c.req.KeepAlive = g.fastCGI.KeepConn
	c.req.Minor = g.head.Minor
	c.info.setGateway(&g.head)
	return nil
}

// parseFastCGI parses a request of FastCGI up to its body, and answers what concerns other
// requests or none.
func (c *conn) parseFastCGI(cfg *config) (n int, err error) {
	g := c.gateway
	f := &g.fastCGI
	f.Variables = g.vars[:0]
	n, err = gateway.ParseFastCGI(c.buf[c.r:c.w], f)
	g.vars = f.Variables
	if err == nil && n > 0 {
		if err = c.setHead(cfg, false); err == nil {
			more, known := c.startStdin(n)
			if !known {
				return 0, nil
			}
			n += more
		}
	}
	if len(f.Answer) > 0 {
		c.out.Write(f.Answer)
	}
	if n == 0 {
		c.r += f.Passed
	}
	return n, err
}

// startStdin finds out whether a body follows the variables, which end at n. It returns the
// length of the record that says that there is none.
func (c *conn) startStdin(n int) (more int, known bool) {
	g := c.gateway
	if c.req.ContentLength <= 0 {
		more, ends, known := gateway.EndsBody(c.buf[c.r+n:c.w], g.fastCGI.ID)
		if ends || !known {
			return more, known
		}
	}
	c.req.Chunked = true // in records
	return 0, true
}

// form returns the form that the heads of responses have.
func (g *gatewayConn) form() http1.Form {
	switch {
	case g == nil:
		return http1.ForClient
	case g.protocol == gateway.UWSGI:
		return http1.ForGateway
	case g.protocol == gateway.FastCGI:
		return http1.ForFastCGI
	}
	return http1.ForCGI
}

// hasRecords reports whether responses are sent in records of FastCGI.
func (g *gatewayConn) hasRecords() bool { return g != nil && g.protocol == gateway.FastCGI }

// setGateway sets what a web server says of a request.
func (info *connInfo) setGateway(h *gateway.Head) {
	if h.Client.IsValid() {
		info.setClient(h.Client)
	} else if info.peerAddr.IsValid() {
		info.setClient(netip.AddrPortFrom(info.peerAddr, 0))
	}
	info.secure, info.script = h.Secure, h.Script
	if h.Server != "" {
		info.endpoint = info.endpoint.withName(h.Server, h.Port)
	}
	info.encode(h.Extra)
}

// A recordTransport sends files of the app in records of FastCGI; all else, also what waited
// in a file, is in records already.
type recordTransport struct {
	outbox.Transport
	c *conn
}

// SendFile implements [outbox.Transport].
func (t *recordTransport) SendFile(head []byte, p outbox.FilePart) (int, error) {
	if !p.Encode {
		return t.Transport.SendFile(head, p)
	}
	return copyPart(p, func(data []byte) error {
		return t.Send(gateway.AppendStdout(bytes.Clone(head), t.c.gateway.fastCGI.ID, data))
	})
}

// errorPage returns a whole response for a request that is refused.
func (g *gatewayConn) errorPage(status int, reason, message string, more []http1.Field) []byte {
	body := http1.ErrorBody(reason, message)
	page, _, err := http1.AppendResponseHead(nil, &http1.Head{
		Form: g.form(), Status: strconv.AppendInt(nil, int64(status), 10), KnownLength: int64(len(body)),
		Fields: append(more, http1.Field{Name: []byte("Content-Type"), Value: []byte("text/html")}), NoServer: true, Date: date(time.Now()),
	})
	if err != nil {
		panic("front: error page: " + err.Error()) // nothing of it comes from outside
	}
	page = append(page, body...)
	if g.hasRecords() {
		page = gateway.AppendEnd(gateway.AppendStdout(nil, g.fastCGI.ID, page), g.fastCGI.ID)
	}
	return page
}
