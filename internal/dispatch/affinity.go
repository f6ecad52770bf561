package dispatch

import (
	"bytes"
	"container/list"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
)

// This file keeps requests with a worker, by the setting worker_affinity: those of a
// connection, those with the same cookie, or those from the same address. A request stays
// with its worker while that takes requests, also if it has to wait for it. When the worker
// has ended, or is about to, another one takes its place.
//
// A client can choose a worker among those that it was once given, and no other: a cookie
// cannot be made up, and which worker an address gets depends on how busy they are.

// maxHomes is how many addresses are remembered; beyond that those are forgotten that have
// not been seen for the longest time. One takes some 200 bytes.
const maxHomes = 1 << 16

// cookieToken returns what a cookie has that stands for the worker of an age.
func cookieToken(key []byte, age int) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(age)))
	return hex.AppendEncode(nil, mac.Sum(nil)[:12])
}

// A Home is the worker that the requests of a connection stay with. It is guarded by the
// mutex of [Queue].
type Home struct{ age int }

// homes are the workers of addresses, those seen last first.
type homes struct {
	byAddr map[netip.Addr]*list.Element
	order  list.List // of *addrHome
}

type addrHome struct {
	addr netip.Addr
	age  int // of the worker
}

// get returns the age of the worker, 0 if there is none.
func (h *homes) get(addr netip.Addr) int {
	e := h.byAddr[addr]
	if e == nil {
		return 0
	}
	h.order.MoveToFront(e)
	return e.Value.(*addrHome).age
}

func (h *homes) set(addr netip.Addr, age int) {
	if e := h.byAddr[addr]; e != nil {
		e.Value.(*addrHome).age = age
		h.order.MoveToFront(e)
		return
	}
	if h.byAddr == nil {
		h.byAddr = map[netip.Addr]*list.Element{}
	}
	h.byAddr[addr] = h.order.PushFront(&addrHome{addr, age})
	if h.order.Len() > maxHomes {
		last := h.order.Back()
		h.order.Remove(last)
		delete(h.byAddr, last.Value.(*addrHome).addr)
	}
}

// isKept reports whether a request is to stay with a worker.
func (j *Job) isKept() bool {
	return j.settings.WorkerAffinity != "" && j.settings.WorkerAffinity != "none"
}

// homeLocked returns the worker that a request has to go to, nil if any will do.
// +checklocks:q.mu
func (q *Queue) homeLocked(j *Job) *worker {
	var w *worker
	switch j.settings.WorkerAffinity {
	case "connection":
		w = q.workers[j.home.age]
	case "address":
		w = q.workers[q.homes.get(j.request.ClientAddr())]
	case "cookie":
		if token := j.request.AffinityToken(); token != nil {
			w = q.workerOfLocked(token)
		}
	}
	if w == nil || !w.active || !w.multiplexed.Load() {
		return nil
	}
	return w
}

// +checklocks:q.mu
func (q *Queue) workerOfLocked(token []byte) *worker {
	for _, g := range q.gens {
		for _, w := range g.multiplexed {
			if bytes.Equal(w.token, token) {
				return w
			}
		}
	}
	return nil
}

// keepLocked records that a request went to w.
// +checklocks:q.mu
func (q *Queue) keepLocked(j *Job, w *worker) {
	switch j.settings.WorkerAffinity {
	case "connection":
		j.home.age = w.age
	case "address":
		if addr := j.request.ClientAddr(); addr.IsValid() {
			q.homes.set(addr, w.age)
		}
	}
}

// takerLocked returns who gets a request: if that has a home, its home has to take it. waits says that its home has no capacity now.
// +checklocks:q.mu
func (q *Queue) takerLocked(j *Job) (g *generation, w *worker, waits bool) {
	if j.isKept() {
		if home := q.homeLocked(j); home != nil {
			if !home.hasCapacity() {
				return nil, nil, true
			}
			return home.gen, home, false
		}
	}
	g, w = q.drawLocked(j)
	return g, w, false
}
