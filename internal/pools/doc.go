// Package pools brings the calls of workers to the workers of pools: it is the part of the
// front that a pool is ("dirty workers" in Gunicorn's words). docs/protocol.md has the
// messages.
//
// A caller is a process with a channel to the front: any worker, also one of a pool. Over
// its channel it sends call connections, message sockets of its own making, on each of which
// one call runs at a time. A pool has workers, each of which hosts some of the pool's apps and
// has slots; a slot runs one call at a time. The front reads the head of a call, and nothing of
// its payload, gives the call to the slot that has been idle longest, and passes on what comes back.
//
//	caller ── call connection ──▶ conn ── pool ──▶ slot ── socket ──▶ thread of a pool's worker
//
// What holds, whatever the processes on both sides do:
//
//   - A call is given to one slot, and to another one only if the kernel says that the worker has
//     died without reading it. So no call runs twice.
//   - A slot that runs a call gets no other one until the worker has said that the first is over.
//     A call whose caller has gone, or whose time is over, keeps its slot until then; if
//     that takes too long the master is asked to end the worker.
//   - No message is kept: a slot is read when its caller takes what it says. A caller that
//     does not read holds up one slot, for the time limit of the pool at most.
//   - Calls that wait are bounded in number by their pool, call connections by their caller, and
//     the stash in bytes.
//
// Locks: [Set] has one for queues and slots, the stash its own; neither is held while a
// message is sent or received.
package pools
