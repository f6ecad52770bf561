package account

import (
	"cmp"
	"slices"
	"sync/atomic"
)

// A bound is one that may be exceeded.
type bound struct {
	held  *atomic.Int64
	limit int64 // 0: none
	own   bool  // it is that of a client
}

func (b bound) exceeded() bool { return b.limit > 0 && b.held.Load() > b.limit }

// enforce cuts off connections until the bounds hold.
func (a *Account) enforce() {
	l := a.limits.Load()
	of := func(c *Client) bound { return bound{held: &c.held, limit: l.ClientMemory, own: true} }
	for _, c := range a.greedy(func(c *Client) bool { return c.bounded() && of(c).exceeded() }) {
		a.reduce(c, 0, of(c))
	}
	all := bound{held: &a.held, limit: l.Memory}
	for all.exceeded() {
		clients := a.greedy(func(c *Client) bool { return c.held.Load() > 0 })
		if len(clients) == 0 {
			return
		}
		for i, c := range clients {
			next := int64(0)
			if i+1 < len(clients) {
				next = clients[i+1].held.Load()
			}
			a.reduce(c, next, all)
		}
	}
}

// greedy lists clients, those first that hold most.
func (a *Account) greedy(which func(*Client) bool) []*Client {
	type item struct {
		c    *Client
		held int64
	}
	var list []item
	a.mu.Lock()
	for _, c := range a.clients {
		if which(c) {
			list = append(list, item{c, c.held.Load()})
		}
	}
	for c := range a.nobody {
		if which(c) {
			list = append(list, item{c, c.held.Load()})
		}
	}
	a.mu.Unlock()
	slices.SortFunc(list, func(x, y item) int { return cmp.Compare(y.held, x.held) })
	clients := make([]*Client, len(list))
	for i := range list {
		clients[i] = list[i].c
	}
	return clients
}

// reduce cuts off connections of a client, the largest first, until it holds no more
// than to, or the bound is exceeded no more.
func (a *Account) reduce(c *Client, to int64, b bound) {
	for _, h := range a.holdersOf(c) {
		total := b.held.Load()
		if total <= b.limit {
			return
		}
		held, ok := h.writeOff()
		if !ok {
			continue
		}
		h.end()
		a.cut(Cut{Name: h.name, Held: held, Total: total, Limit: b.limit, Own: b.own})
		if c.held.Load() <= to {
			return
		}
	}
}

// holdersOf lists the connections of a client that count, the largest first.
func (a *Account) holdersOf(c *Client) []*Holder {
	type item struct {
		h    *Holder
		held int64
	}
	var list []item
	a.mu.Lock()
	for h := range c.holders {
		h.mu.Lock()
		if !h.off && h.held > 0 {
			list = append(list, item{h, h.held})
		}
		h.mu.Unlock()
	}
	a.mu.Unlock()
	slices.SortFunc(list, func(x, y item) int { return cmp.Compare(y.held, x.held) })
	holders := make([]*Holder, len(list))
	for i := range list {
		holders[i] = list[i].h
	}
	return holders
}
