package front

import (
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"time"

	"indrik/internal/account"
	"indrik/internal/capacity"
	"indrik/internal/http1"
	"indrik/internal/metrics"
	"indrik/internal/websocket"
)

// This file bounds the memory that is held for clients, and ends connections that hold too
// much. The memory is accounted for where it is held: by connections ([conn.hold]), bodies
// (spool), messages for workers, outboxes, WebSockets and HTTP/2.

// What connections and streams cost that do nothing, in bytes, with the state of TLS.
const (
	connHeld   = 12 << 10
	tlsHeld    = 24 << 10
	http2Held  = 4 << 10
	streamHeld = 4 << 10
)

const (
	// Unless limit_memory says how much, clients may take the memoryShare-th part of the
	// memory, but at least minMemory; unknownMemory where the size of the memory is not
	// known.
	memoryShare   = 4
	minMemory     = 64 << 20
	unknownMemory = 1 << 30
)

var machine = sync.OnceValue(func() capacity.Machine { return capacity.Read(os.DirFS("/"), runtime.NumCPU()) })

// bounds returns the bounds of clients. Those that the settings do not have are shares, so
// that one client, however many connections it has, leaves something to others.
func (c *config) bounds(memory int64) account.Limits {
	l := account.Limits{
		Memory: c.LimitMemory, ClientMemory: c.LimitClientMemory,
		ClientConnections: c.LimitClientConnections, ClientStreams: c.LimitClientStreams,
	}
	if l.Memory == 0 {
		l.Memory = unknownMemory
		if memory > 0 {
			l.Memory = max(minMemory, memory/memoryShare)
		}
	}
	if l.ClientMemory == 0 {
		l.ClientMemory = l.Memory / 2
	}
	if l.ClientConnections == 0 {
		l.ClientConnections = max(1, c.limitConnections/2)
	}
	return l
}

// clientAddr returns the address of the client whose bounds apply to a connection. It is
// not valid if the connection may serve many clients: that of a unix socket, or of a
// trusted proxy.
func (c *conn) clientAddr(cfg *config) netip.Addr {
	info := &c.info
	if !info.proxied && (cfg.trusts(info.peerAddr) || cfg.mayProxyFor(info.peerAddr)) {
		return netip.Addr{}
	}
	if info.client.Is6() { // a client has a whole network of IPv6
		if p, err := info.client.WithZone("").Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return info.client
}

// hold accounts for n more bytes that are held for the client, or fewer if n is negative.
func (c *conn) hold(n int) { c.held.Hold(int64(n)) }

// holdBuffer accounts for the size of the buffer. connHeld has that of the usual one.
func (c *conn) holdBuffer() {
	if n := max(0, len(c.buf)-readBuffer); n != c.bufHeld {
		c.hold(n - c.bufHeld)
		c.bufHeld = n
	}
}

// cutOff ends a connection that holds too much.
func (c *conn) cutOff() {
	c.mu.Lock()
	c.ending = true
	c.mu.Unlock()
	if sk := c.webSocket.Load(); sk != nil && sk.dismiss(websocket.CloseTryAgainLater, "too much memory") && !c.out.IsWriting() {
		return // the client gets a close frame, and the reader ends
	}
	c.s.queue.CancelByClient(&c.ex.Job)
	c.out.Kill()
	c.Abort() // HTTP/2 does not use this outbox
}

// wasCutOff tells the operator that a connection was cut off.
func (s *server) wasCutOff(cut account.Cut) {
	s.metrics.Load().Refuse(metrics.ClientMemory)
	setting, whose := "limit_memory", "clients hold"
	if cut.Own {
		setting, whose = "limit_client_memory", "it holds"
	}
	s.cuts.say(s.log, fmt.Sprintf("Closing a connection of %s, for which %d KiB are held: %s %d KiB, more than %s allows (%d KiB)",
		cut.Name, cut.Held>>10, whose, cut.Total>>10, setting, cut.Limit>>10))
}

// refuse ends a new connection of a client that has too many.
func (c *conn) refuse(connections int, cfg *config) {
	c.s.metrics.Load().Refuse(metrics.ClientConnections)
	c.s.refusals.say(c.s.log, tooManyConnections(&c.info, connections))
	if cfg.TLS == nil {
		_ = c.sock.SetWriteDeadline(time.Now().Add(time.Second)) // the page fits the socket's buffer
		head, body := http1.ErrorPage(http.StatusServiceUnavailable, http.StatusText(http.StatusServiceUnavailable), "", date(time.Now()))
		_, _ = c.sock.Write(append(head, body...))
	}
	c.held.Close()
	c.sock.Close()
}

func tooManyConnections(info *connInfo, connections int) string {
	return fmt.Sprintf("Refusing a connection of %s: it has %d, the most that limit_client_connections allows", info.name(), connections-1)
}
