package pools

import (
	"context"
	"encoding/binary"
	"slices"
	"time"

	"indrik/internal/wire"
)

// A worker is a process of a pool. The lock of the set guards what changes.
type worker struct {
	age        int
	generation *generation
	pool       *pool
	apps       []string // that it hosts
	slots      []*slot

	pid      int
	active   bool // it has its apps
	retiring bool // it gets no more calls
	broken   bool // it broke the protocol
	overdue  bool // a call is over its time, and its thread has not come back
	reported bool // and the master has been told
	served   int  // calls that it has answered
}

func (w *worker) hosts(app string) bool { return slices.Contains(w.apps, app) }

func (w *worker) close() {
	for _, sl := range w.slots {
		sl.socket.File.Close()
	}
}

// A slot runs one call at a time, in a thread of a worker.
type slot struct {
	worker *worker
	socket *socket

	busy    bool // something reads its socket
	overdue bool // the time of its call is over
	left    bool // it was told to end
	call    *call
	began   time.Time
}

// leave makes a slot one that gets no more calls, and reports whether its socket is to be
// closed now; otherwise whoever reads it does so. The caller holds the lock of the set, or is the
// only one who knows the slot.
func (sl *slot) leave() bool {
	sl.left = true
	return !sl.busy
}

// takeOver takes a slot over from the front before this one, whose call may still run there.
func (s *Set) takeOver(sl *slot) {
	s.mu.Lock()
	if sl.left || sl.busy {
		s.mu.Unlock()
		return
	}
	sl.busy = true
	s.mu.Unlock()
	number := binary.BigEndian.AppendUint32(nil, s.number)
	hello := wire.PoolMessage{Kind: wire.PoolHello, Payload: number}
	if sl.socket.send(hello.Append(nil), nil, time.Time{}) != nil {
		s.discard(sl)
		return
	}
	limit := s.timeLimit(sl.worker.pool.timeout)
	for {
		data, file, err := sl.socket.recv(context.Background(), limit)
		if file != nil {
			file.Close()
		}
		switch {
		case err == nil:
		case isTimeout(err):
			s.overrun(sl, "a call of the front before")
			limit = time.Time{}
			continue
		default:
			s.discard(sl)
			return
		}
		m, err := wire.DecodePoolMessage(data)
		if err != nil {
			s.broke(sl, err.Error())
			s.discard(sl)
			return
		}
		if m.Kind == wire.PoolReady && string(m.Payload) == string(number) {
			s.release(sl)
			return
		}
	}
}

// timeLimit is when what begins now has to be over; the zero time for no limit.
func (s *Set) timeLimit(d time.Duration) time.Time {
	if d <= 0 {
		return time.Time{}
	}
	return s.now().Add(d)
}

// broke has the master end the worker of a slot, which has broken the protocol.
func (s *Set) broke(sl *slot, why string) {
	s.mu.Lock()
	w := sl.worker
	first := !w.broken
	w.broken = true
	s.dismissIdleLocked(w)
	s.mu.Unlock()
	if first {
		s.breach(callerID{w.age, true}, why)
	}
}

// overrun notes that the call of a slot is over its time and has not come back: its worker gets no
// more calls, and is ended as soon as the other calls that it runs are over.
func (s *Set) overrun(sl *slot, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := sl.worker
	if !w.overdue {
		s.host.Warnf("%s does not end in the worker (pid:%d) of the pool %s, although its time is over", what, w.pid, w.pool.name)
	}
	sl.overdue, w.overdue = true, true
	s.dismissIdleLocked(w)
	s.endOverdueLocked(w)
}

// endOverdueLocked has the master end a worker that is overdue and runs nothing whose time is not
// over.
// +checklocks:s.mu
func (s *Set) endOverdueLocked(w *worker) {
	if !w.overdue || w.reported {
		return
	}
	for _, sl := range w.slots {
		if sl.busy && !sl.overdue {
			return
		}
	}
	if !slices.ContainsFunc(w.slots, func(sl *slot) bool { return sl.overdue }) {
		return // it has come back after all, and was closed
	}
	w.reported = true
	s.host.Send(wire.FromFront{Type: wire.TypePoolTimeout, Age: w.age})
}
