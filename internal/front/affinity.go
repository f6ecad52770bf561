package front

import (
	"bytes"
	"container/list"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/netip"

	"indrik/internal/http1"
)

// This file keeps requests with a worker, by the setting worker_affinity: those of a
// connection, those with the same cookie, or those from the same address. A request
// stays with its worker while that takes requests, also if it has to wait for it. When
// the worker has ended, or is about to, another one takes its place.
//
// A client can choose a worker among those that it was once given, and no other: a
// cookie cannot be made up, and which worker an address gets depends on how busy they
// are.

const (
	affinityCookie = "indrik-worker"

	// homesMost is how many addresses are remembered; beyond that those are forgotten
	// that have not been seen for the longest time. One takes some 200 bytes.
	homesMost = 1 << 16
	// With IPv6 a client has a network of that size, at least (RFC 6177).
	clientPrefix = 64
)

// tokenOf is what a cookie has that stands for a worker.
func tokenOf(key []byte, worker int) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(worker)))
	return hex.AppendEncode(nil, mac.Sum(nil)[:12])
}

// homes are the workers of addresses, those seen last first.
type homes struct {
	byAddr map[netip.Addr]*list.Element
	order  list.List // of *home
}

type home struct {
	addr   netip.Addr
	worker int // its number
}

// get is the number of the worker, 0 if there is none.
func (h *homes) get(addr netip.Addr) int {
	e := h.byAddr[addr]
	if e == nil {
		return 0
	}
	h.order.MoveToFront(e)
	return e.Value.(*home).worker
}

func (h *homes) set(addr netip.Addr, worker int) {
	if e := h.byAddr[addr]; e != nil {
		e.Value.(*home).worker = worker
		h.order.MoveToFront(e)
		return
	}
	if h.byAddr == nil {
		h.byAddr = map[netip.Addr]*list.Element{}
	}
	h.byAddr[addr] = h.order.PushFront(&home{addr, worker})
	if h.order.Len() > homesMost {
		last := h.order.Back()
		h.order.Remove(last)
		delete(h.byAddr, last.Value.(*home).addr)
	}
}

// isKept reports whether ex is to stay with a worker.
func (ex *exchange) isKept() bool {
	return ex.cfg.WorkerAffinity != "" && ex.cfg.WorkerAffinity != "none"
}

// homeAddr is the address that ex is kept by; invalid if it has none.
func (ex *exchange) homeAddr() netip.Addr {
	addr := ex.from.client
	if ex.sifted.forwarded {
		addr = ex.sifted.client.Addr()
	}
	if addr.Is6() {
		if p, err := addr.Prefix(clientPrefix); err == nil {
			return p.Addr()
		}
	}
	return addr
}

// homeLocked is the worker that ex has to go to, nil if any will do.
func (q *queue) homeLocked(ex *exchange) *worker {
	var w *worker
	switch ex.cfg.WorkerAffinity {
	case "connection":
		w = q.workers[ex.from.home]
	case "address":
		w = q.workers[q.homes.get(ex.homeAddr())]
	case "cookie":
		if token := ex.affinityToken(); token != nil {
			w = q.workerOfLocked(token)
		}
	}
	if w == nil || !w.active || !w.asgi.Load() {
		return nil
	}
	return w
}

func (q *queue) workerOfLocked(token []byte) *worker {
	for _, g := range q.gens {
		for _, w := range g.asgi {
			if bytes.Equal(w.token, token) {
				return w
			}
		}
	}
	return nil
}

// keepLocked notes that ex went to w.
func (q *queue) keepLocked(ex *exchange, w *worker) {
	switch ex.cfg.WorkerAffinity {
	case "connection":
		ex.from.home = w.number
	case "address":
		if addr := ex.homeAddr(); addr.IsValid() {
			q.homes.set(addr, w.number)
		}
	}
}

// placeLocked is free for one request: what it stays with has to take it. waits: that
// has no room now.
func (q *queue) placeLocked(ex *exchange) (g *generation, w *worker, waits bool) {
	if ex.isKept() {
		if w := q.homeLocked(ex); w != nil {
			if !w.hasRoom() {
				return nil, nil, true
			}
			return w.gen, w, false
		}
	}
	g, w = q.free()
	return g, w, false
}

// affinityToken is the value of the client's cookie, nil if it has none.
func (ex *exchange) affinityToken() []byte {
	for i := range ex.req.Fields {
		f := &ex.req.Fields[i]
		if len(f.Name) != 6 || !bytes.EqualFold(f.Name, []byte("Cookie")) {
			continue
		}
		for pair := range bytes.SplitSeq(f.Value, []byte(";")) {
			name, value, _ := bytes.Cut(bytes.TrimSpace(pair), []byte("="))
			if string(name) == affinityCookie {
				return value
			}
		}
	}
	return nil
}

// appendAffinity appends the cookie by which the client comes back to the worker that
// answers, unless it has that.
func (ex *exchange) appendAffinity(fields []http1.Field) []http1.Field {
	if ex.cfg.WorkerAffinity != "cookie" || ex.at == nil || bytes.Equal(ex.affinityToken(), ex.at.token) {
		return fields
	}
	// From other sites, say in a frame, browsers send cookies only over TLS, and those
	// that ask for it.
	attributes := "; Path=/; HttpOnly; SameSite=Lax"
	if string(ex.urlScheme()) == "https" {
		attributes = "; Path=/; HttpOnly; Secure; SameSite=None"
	}
	value := append(append([]byte(affinityCookie+"="), ex.at.token...), attributes...)
	return append(fields, http1.Field{Name: []byte("Set-Cookie"), Value: value})
}
