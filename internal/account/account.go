// Package account keeps what a server holds for its clients within bounds: memory of
// all clients together, and memory, connections and streams of each client address.
//
// A [Client] is an address, or a connection that stands for many clients, such as one
// of a proxy, and has no address of its own. A [Holder] is a connection; it says how
// much it holds with [Holder.Hold], which costs a few atomic additions and waits for
// nobody. When a bound is exceeded a goroutine of the account looks for the client that
// holds most and cuts off its connection that holds most, until the rest is within the
// bounds.
//
// An Account may be used by any number of goroutines. Try it with go test
// ./internal/account.
package account

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

// Limits are the bounds of an account; 0 is none.
type Limits struct {
	Memory            int64 // bytes that all clients may hold together
	ClientMemory      int64 // bytes that one client may hold
	ClientConnections int
	ClientStreams     int
}

// A Cut says what was cut off, and why.
type Cut struct {
	Name  string // of the connection
	Held  int64  // bytes by the connection
	Total int64  // bytes by all clients, or by that one
	Limit int64  // what Total exceeds
	Own   bool   // Total and Limit are those of the client
}

// An Account adds up what clients hold. Make one with [New].
type Account struct {
	cut    func(Cut)
	limits atomic.Pointer[Limits]
	held   atomic.Int64
	mark   atomic.Int64 // from here on Watch looks
	busy   atomic.Bool  // a goroutine looks
	again  atomic.Bool  // there is reason to look once more
	peak   atomic.Int64 // the most that was held since Fallen said so
	watch  func(held int64) (mark int64)

	mu sync.Mutex
	// +checklocks:mu
	clients map[netip.Addr]*Client
	// +checklocks:mu
	nobody map[*Client]struct{} // clients without an address
}

// New makes an account. cut is told what was cut off; watch is called when more is held
// than the mark that it returned last, 0 at first. Both are called by a goroutine of
// the account's, one call at a time.
func New(cut func(Cut), watch func(held int64) (mark int64)) *Account {
	a := &Account{cut: cut, watch: watch, clients: map[netip.Addr]*Client{}, nobody: map[*Client]struct{}{}}
	a.limits.Store(&Limits{})
	return a
}

// SetLimits changes the bounds. Connections and streams that are there stay.
func (a *Account) SetLimits(l Limits) {
	a.limits.Store(&l)
	a.look()
}

// Held is how many bytes all clients hold.
func (a *Account) Held() int64 { return a.held.Load() }

// Fallen reports whether clients hold less than half of what they did since it last
// reported so, and they held at least as many bytes as least says.
func (a *Account) Fallen(least int64) bool {
	held, peak := a.held.Load(), a.peak.Load()
	return peak >= least && held < peak/2 && a.peak.CompareAndSwap(peak, held)
}

// Peak is the most that was held since [Account.Fallen] last reported true.
func (a *Account) Peak() int64 { return a.peak.Load() }

// A Client is who holds something.
type Client struct {
	addr    netip.Addr // invalid: it has no bounds of its own
	held    atomic.Int64
	streams atomic.Int64
	holders map[*Holder]struct{} // under the account's mutex
}

// bounded reports whether the bounds of one client hold for c.
func (c *Client) bounded() bool { return c.addr.IsValid() }

// A Holder is a connection.
type Holder struct {
	a      *Account
	name   string
	end    func()
	client *Client

	mu sync.Mutex
	// +checklocks:mu
	held int64
	// +checklocks:mu
	off bool // it counts no more: it was cut off, or has ended
}

// Open notes a connection of a client, which has no address where that is not valid. It
// reports false, and how many there are, if the client has too many; such a connection
// counts all the same until it is closed. end cuts it off, is called once at most, by a
// goroutine of the account's, and may take locks.
func (a *Account) Open(addr netip.Addr, name string, end func()) (h *Holder, connections int, ok bool) {
	h = &Holder{a: a, name: name, end: end}
	a.mu.Lock()
	defer a.mu.Unlock()
	connections, ok = a.joinLocked(h, addr)
	return h, connections, ok
}

// joinLocked makes h a holder of the client with that address, and reports false if the client
// then has more connections than it may have.
// +checklocks:a.mu
func (a *Account) joinLocked(h *Holder, addr netip.Addr) (connections int, ok bool) {
	c := a.clients[addr]
	if !addr.IsValid() {
		c = &Client{holders: map[*Holder]struct{}{}}
		a.nobody[c] = struct{}{}
	} else if c == nil {
		c = &Client{addr: addr, holders: map[*Holder]struct{}{}}
		a.clients[addr] = c
	}
	c.holders[h] = struct{}{}
	h.client = c
	limit := a.limits.Load().ClientConnections
	return len(c.holders), !c.bounded() || limit == 0 || len(c.holders) <= limit
}

// leaveLocked takes h away from its client.
// +checklocks:a.mu
func (a *Account) leaveLocked(h *Holder) {
	c := h.client
	delete(c.holders, h)
	if len(c.holders) == 0 {
		delete(a.nobody, c)
		if a.clients[c.addr] == c {
			delete(a.clients, c.addr)
		}
	}
}

// Move says that the connection is of another client than was thought. It is called
// before it holds anything but what [Holder.Hold] was told by the same goroutine.
func (h *Holder) Move(addr netip.Addr, name string) (connections int, ok bool) {
	h.a.mu.Lock()
	defer h.a.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.off {
		return 0, false
	}
	h.client.held.Add(-h.held)
	h.a.leaveLocked(h)
	connections, ok = h.a.joinLocked(h, addr)
	h.client.held.Add(h.held)
	h.name = name
	return connections, ok
}

// Hold notes that the connection holds n more bytes, or, if that is negative, less. A
// nil Holder has no account.
func (h *Holder) Hold(n int64) {
	if h == nil || n == 0 {
		return
	}
	h.mu.Lock()
	h.held += n
	if h.off {
		h.mu.Unlock()
		return
	}
	own := h.client.held.Add(n)
	total := h.a.held.Add(n)
	bounded := h.client.bounded()
	h.mu.Unlock()
	if n < 0 {
		return
	}
	l := h.a.limits.Load()
	if total > h.a.mark.Load() || l.Memory > 0 && total > l.Memory || bounded && l.ClientMemory > 0 && own > l.ClientMemory {
		h.a.look()
	}
	if peak := h.a.peak.Load(); total > peak {
		h.a.peak.CompareAndSwap(peak, total) // it may miss one of several that come together
	}
}

// OpenStream notes a stream of the connection; false if its client has too many. Each
// is to be closed with [Holder.CloseStream], also one too many.
func (h *Holder) OpenStream() bool {
	n := h.client.streams.Add(1)
	limit := h.a.limits.Load().ClientStreams
	return !h.client.bounded() || limit == 0 || n <= int64(limit)
}

// CloseStream ends what OpenStream began.
func (h *Holder) CloseStream() { h.client.streams.Add(-1) }

// Close ends a connection: from then on it holds nothing.
func (h *Holder) Close() {
	h.writeOff()
	h.a.mu.Lock()
	defer h.a.mu.Unlock()
	h.a.leaveLocked(h)
}

// writeOff has the holder count no more, and returns what it held; false if it did not
// count already.
func (h *Holder) writeOff() (held int64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.off {
		return 0, false
	}
	h.off = true
	h.client.held.Add(-h.held)
	h.a.held.Add(-h.held)
	return h.held, true
}

// Review calls watch and enforces the bounds although nothing has grown.
func (a *Account) Review() { a.look() }

// look has a goroutine see to the bounds.
func (a *Account) look() {
	a.again.Store(true)
	if a.busy.CompareAndSwap(false, true) {
		go a.keep()
	}
}

func (a *Account) keep() {
	for a.again.Swap(false) {
		a.enforce()
		a.mark.Store(a.watch(a.held.Load()))
	}
	a.busy.Store(false)
	if a.again.Load() {
		a.look()
	}
}
