// Package dispatch brings each request to one worker, and its response back.
//
// It promises that no request runs twice, that none is lost, and that each is answered once,
// whichever process dies at whichever point. It knows nothing of HTTP: a [Request] makes the
// message for the worker and takes what the worker says of the response; a [Host] carries
// messages to the master and lines to the log. The front is both. docs/protocol.md has the
// formats, docs/deaths.md what users see.
//
// # Where a request is
//
// The [Job] of a request says where it is, and the Queue's mutex guards it:
//
//	        Submit              handOverLocked             complete
//	[idle] --------> [waiting] ----------------> [handed over] --------> [idle]
//	                     ^                             |
//	                     +-------- requeueLocked ------+
//	                   read back, refused, or certainly unclaimed
//
// A generation is the workers of one configuration. There are two ways to them:
//
//	                +-- g.send ==> queue of g ==> a slot that is free      KindSync: reads the queue
//	Queue.waiting --+
//	                +-- sendQueue of w ==> first slot of w                 multiplexed: KindASGI, KindGevent
//
// The queue of a generation is a SEQPACKET socket, of which all workers of the generation
// have the other end. The kernel gives a message to one of them, whichever reads first, and
// this process is not told which. A multiplexed worker gets its requests by a socket of its
// own, so that this process knows which worker has a request, but not how far it has read.
//
// # What is shared with a worker
//
// Each hand-over of a request has a new id, whose upper bits are the number of the front, and
// in the queue a token, which is in no other message (token.go). A worker has a scoreboard in
// shared memory:
//
//	claim          per slot   the id and the token of the request that it runs, or ran last
//	revocations    a ring     ids that no slot of the worker may begin; this process writes them
//	reply journal  per slot   replies that are made and not sent, because others follow
//	deadline       per slot   until when it may run its request
//	gone           per slot   the request whose client has left
//
// # The algorithm
//
// A slot that has a message does, for each request in it:
//
//	C1  write the claim
//	C2  look for the id in the ring; if it is there, say REFUSED and do not run the request
//	C3  run the app
//	C4  write the reply into the journal, or send it
//
// To take a request back (revokeLocked) the Queue does:
//
//	R1  write the id into the rings of all workers that may have the message
//	R2  wait for revocationDelay, and until all that slots have said is known (hasCaughtUp)
//	R3  read the claims of all slots; a request that none shows is free
//
// C1 comes before C2, and R1 before R3: either the slot sees the revocation, or the Queue
// sees the claim, or both; never neither. If both, the slot refuses, which gives the request
// back later (refused). R2 is there because a claim shows the last request only: one that was
// answered, and whose reply is unread yet, is no longer claimed by its slot. A multiplexed
// worker claims in the order in which it reads, so its last claim tells of all before it.
//
// Several requests may be in one message (batch.go). The slot claims one after the other;
// those behind its claim are not begun, those before it are answered, in its journal at
// least.
//
// # Invariants
//
// With the Queue's mutex held these are true:
//
//   - A waiting job is in Queue.waiting, once; a job that is handed over is in
//     Queue.inFlight under its id; an idle one is in neither.
//   - An id in flight belongs to one hand-over. After requeueLocked the old id is never in
//     flight again until the ids begin anew, so what a worker says of it is dropped.
//   - A job is requeued only if no worker can begin it: its message was read back out of the
//     socket, its slot has refused it, or R1 to R3 have found it free; of a multiplexed
//     worker, if that is dead or stopped and had not begun it.
//   - Of a job that was answered in part nothing is requeued, and only its slot may say more
//     of it.
//   - Whoever removes a job (removeLocked) ends its request: by the reply that completes it,
//     by Request.Fail or Request.TimeOut after the mutex was released, or by Release if the
//     client has left. The request of a client that has left was killed, and may be ended
//     once more.
//   - generation.inFlight counts the jobs in the queue of the generation and in the slots
//     that read it; worker.inFlight those of a multiplexed worker, and worker.standing those
//     of these that wait for their clients.
//
// # What a death leaves
//
// A worker may die, or be killed, at any point (recover.go):
//
//	before it reads the message   the message stays in the queue, for another worker; once no
//	                              worker reads the queue, readBackLocked takes it out
//	between reading and C1        nothing: no claim, no message. recoverLocked reads back
//	                              what is in the queue; the rest is revoked (R1 to R3) and,
//	                              if free, given to another worker, maxRetries times
//	between C1 and C4             a claim: the request is answered with 502, or cut off
//	after C4, reply not sent      the journal: died acts on it as if it had been sent
//	after sending                 the reply is in the socket: died comes after all is read
//
// The requests behind its claim in a message are unclaimed, and so given to others. A slot
// that stays at a request is no different from a dead one to those behind it (stall.go).
//
// This process may die, too. The front that follows has another number: replies to ids of the
// old one are dropped, what is in the queue is read and dropped, and a multiplexed worker is
// told by RESET that what it was given is over.
//
// A worker that breaks the protocol is not heard any more, and the master ends it
// (breach.go). One that takes messages and does not claim them, or closes the queue for all,
// costs its generation the queue (brokenqueue.go).
//
// # Locks
//
//	slot.mu --> Queue.mu --> sendQueue.mu
//	                     --> overload.mu
//	                     --> what a Request or a Host takes
//
// A lock on the left is taken before one on the right; two of a kind are never held together.
// A function whose name ends in Locked is called with Queue.mu held, those of slot, sendQueue
// and overload with their own. Functions that take a lock release it before they return. died
// alone releases Queue.mu for a while, since acting on a journal needs the mutex of a slot.
//
// slot.mu is held while a message of the slot is acted on, thus also in Request.Reply: all
// that a slot says, directly or by its journal, is acted on in order. Other methods of Request
// are called with no lock at all, except for Release and those that say Locked.
//
// # Time
//
// Points in time are time.Time, which has a monotonic clock. There are no goroutines that
// wait for a time: time.AfterFunc calls scan every 250 ms while there are requests, probeStalls
// every 5 ms while messages are shared, review every 20 ms while requests wait for capacity of
// multiplexed workers.
//
// How long a request has waited and run (Job.Waited, Job.Ran) is told by times that are read
// in any case: of its hand-over, and of the receipt of what its slot says. A slot of the queue
// begins a request when it was handed over and the one before was answered.
package dispatch
