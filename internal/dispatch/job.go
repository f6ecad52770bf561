package dispatch

import (
	"net/netip"
	"sync/atomic"
	"time"

	"indrik/internal/account"
	"indrik/internal/wire"
)

// A stage is where a request is. It changes under the queue's mutex.
type stage uint8

const (
	idle       stage = iota // not submitted, or over
	waiting                 // in this process, for a worker
	handedOver              // in the queue of a generation, or with a worker
)

// A Job is the dispatcher's state of a request, which has it as a part of itself. It may
// be used for one request after another. All of it is guarded by the queue's mutex
// unless something else is said.
type Job struct {
	Start time.Time // of the request; Begin sets it, and it does not change
	PID   int       // of the process that answers; the queue sets it before Request.Reply

	request  Request
	settings *Settings // at the time of the request

	stage  stage
	queued time.Time   // when it was submitted
	check  int         // the check of the code that it waits for; see reloadGate
	left   bool        // the client has
	asked  Description // what it had asked for
	home   *Home       // of its connection

	id        uint32
	token     uint64      // in its message, if that went to the queue of a generation
	first     uint32      // the id of the first request in its message
	last      uint32      // that of the last one
	shared    bool        // there were others in it
	gen       *generation // that it was handed over to
	assigned  *worker     // the multiplexed worker that it was given to
	claimant  *worker     // the worker that has claimed it, as far as was seen
	claimSlot int         // the index of its slot that has
	began     time.Time   // handed over, or later: when its slot was free for it, as far as was seen
	waited    time.Duration
	ran       time.Duration
	deadline  time.Time  // by timeout; zero if there is none, or the claim was not seen yet
	standing  ClientWait // with a multiplexed worker: what it waits for
	answered  bool       // some of the response was sent, or is about to be
	slot      *slot      // that has said something of the response; no other may
	reply     replyStage
	revoked   bool // no worker may begin it any more
	unclaimed int  // scans in a row that did not find it claimed
	toldSlow  bool // the master was told that it is slow
	retries   int  // times that it was given to another worker for want of a claim
	hints     int  // interim responses that were asked for

	drawn drawn  // for which generation, while one is tried
	trial *trial // in which it counts, since it was handed over
	tally tally  // how it has been counted there

	toldGone atomic.Bool // the multiplexed worker knows that the client has gone
	body     bodyWait
}

// A Description is what a request is called in the log.
type Description struct {
	Method, Path string
	RequestID    string     // empty: it has none
	Client       netip.Addr // that has sent it; not valid: it is not known, and may stand for many
}

// String returns GET /path, and the id if there is one.
func (d Description) String() string {
	if d.RequestID == "" {
		return d.Method + " " + d.Path
	}
	return d.Method + " " + d.Path + " (request " + d.RequestID + ")"
}

// Begin makes the job ready for the next request of r, which has just come. home is that
// of its connection. Nothing of the one before may be with the queue.
func (j *Job) Begin(r Request, s *Settings, home *Home, pid int) {
	j.request, j.settings, j.home, j.PID = r, s, home, pid
	j.Start = time.Now()
	j.answered, j.left, j.assigned = false, false, nil
	j.retries = 0
	j.waited, j.ran = 0, 0
	j.toldSlow = false
	j.drawn = notDrawn
	j.body.before.Store(0)
	j.toldGone.Store(false)
}

// Forget lets go of what the last request had, so that it does not stay in memory.
func (j *Job) Forget() { j.gen, j.assigned, j.claimant, j.trial = nil, nil, nil, nil }

// Waited returns for how long the request has waited, from when it was submitted until a
// slot was free for it and it was handed over: 0 if that is not known, since no worker has
// said anything of it yet. Like Ran it is for the goroutine that answers, in Request.Reply,
// Fail and TimeOut or after these.
func (j *Job) Waited() time.Duration { return j.waited }

// Queued returns when the request was submitted. It is for whom Waited is for, and means
// something once Waited does.
func (j *Job) Queued() time.Time { return j.queued }

// Ran returns for how long a worker has run the request, up to what it has said last, or up
// to its end: 0 if that is not known. What a multiplexed worker has not begun yet counts,
// and replies that came in one message share the time since the one before, by their sizes.
func (j *Job) Ran() time.Duration { return j.ran }

// freedLocked moves the beginning of a request to when its slot was free for it.
func (j *Job) freedLocked(sl *slot) {
	if j.assigned == nil && sl.free.After(j.began) {
		j.began = sl.free
	}
}

// heardLocked records how long a request has waited and run by now, when a slot says
// something of the response, and returns the time until which it has run.
func (j *Job) heardLocked(sl *slot) (until time.Time) {
	j.freedLocked(sl)
	until = sl.heard
	if j.assigned == nil && sl.size < sl.unread {
		share := float64(sl.size) / float64(sl.unread)
		until = j.began.Add(time.Duration(share * float64(sl.heard.Sub(j.began))))
	}
	j.ranUntil(until)
	return until
}

// overLocked records how long a request has waited and run that ends now, without a word
// of its worker.
func (j *Job) overLocked(now time.Time) {
	if !j.answered { // otherwise the goroutine that answers may be reading them
		j.ranUntil(now)
	}
}

// ranUntil takes the clock for exact to a nanosecond: 0 would mean that nothing is known.
func (j *Job) ranUntil(t time.Time) {
	j.waited, j.ran = max(j.began.Sub(j.queued), 1), max(t.Sub(j.began), 1)
}

// unservedLocked records how long a request has waited that no worker gets.
func (j *Job) unservedLocked(now time.Time) { j.waited = max(now.Sub(j.queued), 1) }

// ID returns the number of the request, which a worker that speaks of it knows.
func (j *Job) ID() uint32 { return j.id }

// IsMultiplexed reports whether a multiplexed worker has the request.
func (j *Job) IsMultiplexed() bool { return j.assigned != nil }

// Send sends an event to the multiplexed worker that has the request. What does not fit
// the socket is a copy, and counts as held for h, which may be nil.
func (j *Job) Send(h *account.Holder, event []byte) { j.assigned.sendQueue.sendFor(h, event) }

// SendGone is Send for an event that tells of the client's end. A second one is not sent.
func (j *Job) SendGone(event []byte) {
	if !j.toldGone.Swap(true) {
		j.assigned.sendQueue.send(event)
	}
}

// notifyGone tells the multiplexed worker of a request that its client has gone. It is
// called with the queue's mutex held, or by the goroutine of the worker's slot.
func (j *Job) notifyGone() {
	if !j.toldGone.Swap(true) {
		j.assigned.sendQueue.send(wire.AppendGone(nil, j.id))
	}
}

// WorkerToken returns what stands in cookies for the worker that has the request, nil if
// it is none that requests may stay with.
func (j *Job) WorkerToken() []byte {
	if j.assigned == nil {
		return nil
	}
	return j.assigned.token
}

// describeLocked returns what the log calls the request. The connection of a client that
// has left may be forgetting the head, so what it said is kept.
func (j *Job) describeLocked() Description {
	if j.left {
		return j.asked
	}
	return j.request.DescribeLocked()
}

// begunBy returns the worker that has begun a request of the queue, nil if none was seen
// to.
func (j *Job) begunBy() *worker {
	if j.slot != nil {
		return j.slot.w
	}
	return j.claimant
}

// isBegun reports whether a request was claimed; claimed has the claims of the slots that
// read queues.
func (j *Job) isBegun(claimed map[uint32]bool) bool {
	if j.assigned != nil {
		return j.assigned.has(j)
	}
	return claimed[j.id]
}
