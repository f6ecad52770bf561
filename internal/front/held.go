package front

import (
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"indrik/internal/account"
	"indrik/internal/capacity"
	"indrik/internal/http1"
	"indrik/internal/websocket"
)

// This file is about the memory that is held for clients: who is bounded by what, what
// becomes of those that hold too much, and how the garbage collector follows. What is
// held is said where it is: by connections ([conn.hold]), bodies (spool), messages for
// workers, outboxes, sockets and HTTP/2.

// What is counted besides what is said of each thing, in bytes: what connections and
// streams cost that do nothing, the state of TLS and of net/http included.
const (
	connHeld   = 12 << 10
	tlsHeld    = 24 << 10
	http2Held  = 48 << 10
	streamHeld = 20 << 10
)

const (
	// memoryShare is which part of the memory clients may take, unless it is said;
	// memoryLeast the least that makes, memoryUnknown what it is where nobody knows how
	// much memory there is.
	memoryShare   = 4
	memoryLeast   = 64 << 20
	memoryUnknown = 1 << 30
)

var machine = sync.OnceValue(func() capacity.Machine { return capacity.Read(os.DirFS("/"), runtime.NumCPU()) })

// bounds are those of clients. Where the settings have none they are shares: so that
// one client, however many connections it has, leaves something to others.
func (c *config) bounds(memory int64) account.Limits {
	l := account.Limits{
		Memory: c.LimitMemory, ClientMemory: c.LimitClientMemory,
		ClientConnections: c.LimitClientConnections, ClientStreams: c.LimitClientStreams,
	}
	if l.Memory == 0 {
		l.Memory = memoryUnknown
		if memory > 0 {
			l.Memory = max(memoryLeast, memory/memoryShare)
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

// clientAddr is the address whose bounds hold for a connection; none for one that may
// stand for many clients: of a unix socket, or of a proxy that is trusted.
func (c *conn) clientAddr(cfg *config) netip.Addr {
	info := &c.info
	if !info.proxied && (cfg.trusts(info.peerAddr) || cfg.mayProxyFor(info.peerAddr)) {
		return netip.Addr{}
	}
	if info.client.Is6() { // of IPv6 a client has a network
		if p, err := info.client.WithZone("").Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return info.client
}

// name is what the log calls the client.
func (info *connInfo) name() string {
	if info.remote == "" {
		return "a connection of " + info.bind
	}
	return "ip=" + info.remote
}

// hold notes that n more bytes are held for the client, or, if that is negative, less.
func (c *conn) hold(n int) { c.held.Hold(int64(n)) }

// holdBuffer notes the size of the buffer, of which the usual one is counted already.
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
		return // it has a close frame, and the reader ends
	}
	c.s.queue.CancelByClient(&c.ex.Job)
	c.out.Kill()
	c.Abort() // also of HTTP/2, which has no outbox here
}

// wasCutOff tells the operator.
func (s *server) wasCutOff(cut account.Cut) {
	setting, whose := "limit_memory", "clients hold"
	if cut.Own {
		setting, whose = "limit_client_memory", "it holds"
	}
	s.cuts.say(s.log, fmt.Sprintf("Closing a connection of %s, for which %d KiB are held: %s %d KiB, more than %s allows (%d KiB)",
		cut.Name, cut.Held>>10, whose, cut.Total>>10, setting, cut.Limit>>10))
}

// refuse ends a connection of a client that has too many.
func (c *conn) refuse(connections int, cfg *config) {
	c.s.refusals.say(c.s.log, tooManyConnections(&c.info, connections))
	if cfg.TLS == nil {
		_ = c.sock.SetWriteDeadline(time.Now().Add(time.Second)) // it fits what the kernel keeps
		head, body := http1.ErrorPage(503, http.StatusText(503), "", date(time.Now()))
		_, _ = c.sock.Write(append(head, body...))
	}
	c.held.Close()
	c.sock.Close()
}

func tooManyConnections(info *connInfo, connections int) string {
	return fmt.Sprintf("Refusing a connection of %s: it has %d, the most that limit_client_connections allows", info.name(), connections-1)
}

// A complaint is a line of the log that is written at once, and if there are more of
// its kind only once in complaintEvery, with how many there were.
type complaint struct {
	mu sync.Mutex
	// +checklocks:mu
	pending bool
	// +checklocks:mu
	more int
	// +checklocks:mu
	last string
}

const complaintEvery = time.Second

type warner interface{ Warnf(string, ...any) }

func (c *complaint) say(log warner, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending {
		c.more++
		c.last = text
		return
	}
	c.pending = true
	go log.Warnf("%s", text)
	time.AfterFunc(complaintEvery, func() { c.tell(log) })
}

func (c *complaint) tell(log warner) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = false
	if c.more > 0 {
		go log.Warnf("%s; %d others within %s", c.last, c.more-1, complaintEvery)
		c.more = 0
	}
}

// watchHeld has the collector follow.
func (s *server) watchHeld(held int64) (mark int64) { return s.collector.Load().follow(held) }

const (
	// The collector runs when the heap has grown by usualGarbage per cent since it ran
	// last: the live heap is small, a few kilobytes for each connection, so that at its
	// usual 100 collecting would be all that this process does. As more is held for
	// clients that gets less, down to leastGarbage, so that garbage stays below
	// mostGarbage for as long as that is possible.
	usualGarbage = 400
	leastGarbage = 50
	mostGarbage  = 64 << 20
	// ownMemory is what this process needs besides what is held for clients.
	ownMemory = 64 << 20
	// muchHeld is how much must have been held for it to be worth giving memory back.
	muchHeld = 8 << 20
)

// A collector sets how often garbage is collected.
type collector struct {
	mu sync.Mutex
	// +checklocks:mu
	percent int  // 0: it is not for this process to say
	limited bool // so is the limit of all memory
}

// newCollector takes over from the environment what is not said there: GOGC and
// GOMEMLIMIT go before what would be good.
func newCollector(getenv func(string) string) *collector {
	g := &collector{limited: getenv("GOMEMLIMIT") == ""}
	if getenv("GOGC") == "" {
		g.percent = usualGarbage
		debug.SetGCPercent(g.percent)
	}
	return g
}

// garbage is how many per cent of garbage there may be where so much is held.
func garbage(held int64) int {
	return int(min(max(leastGarbage, 100*mostGarbage/max(held, 1)), usualGarbage))
}

// follow sets the percentage, and returns how much is to be held when it is to be
// looked at again.
func (g *collector) follow(held int64) (mark int64) {
	mark = held + held/4 + mostGarbage/8
	if g == nil {
		return mark
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if p := garbage(held); g.percent != 0 && p != g.percent {
		g.percent = p
		debug.SetGCPercent(p)
	}
	return mark
}

// limit sets a bound for all memory of this process, which collects more often than
// that when it comes near.
func (g *collector) limit(held int64) {
	if g != nil && g.limited {
		debug.SetMemoryLimit(held + held/4 + ownMemory)
	}
}
