// Package autoscale decides how many workers there should be, between two bounds, by what the
// requests need: the policy of workers = MIN..MAX.
//
// It is pure: no clock, no processes. A [Scaler] is told what was counted ([Sample]) and what
// there is ([Pool]), each with its time, and says how many there should be and why ([Verdict]).
// Its tests play loads against a model of a server.
//
// # What is needed
//
// The measure is the offered load: the slots that would be busy if no request had to wait
// (A. K. Erlang's measure of traffic). While the workers keep up, it is the number of busy
// slots. While they do not, or work off what has gathered, all slots are busy whatever comes; then
// it is the rate at which requests come times the time that one takes. Requests that wait are not part of it, so that
// what has gathered while new workers started does not count as demand; it adds a bounded share,
// only once all workers are there and it does not go away.
//
// # When something is done
//
// Workers are added when requests wait for longer than [GrowWait] on average, for [GrowAfter], or
// the slots are busier than [GrowBusy], for [BusyAfter]; as many as bring the busy share down to
// [AimBusy], but no more than there are already. They leave when for the whole of Bounds.DownDelay fewer would
// have been no busier than [KeepBusy]; half of them at most at a time, [ShrinkEvery] apart.
// Between the two thresholds nothing happens.
package autoscale

import "time"

// The policy.
const (
	// GrowWait is how long requests may wait for a slot on average, or WaitShare of the time
	// that they take, if that is longer. If they wait for longer for GrowAfter workers are added, unless the slots are no busier than AimBusy: then the
	// wait has another reason. Bursts that are shorter start no workers: these would come too
	// late.
	GrowWait  = 50 * time.Millisecond
	WaitShare = 0.25
	GrowAfter = time.Second
	// GrowBusy is the share of slots that are busy above which workers are added before
	// requests wait, if it is so for BusyAfter. A few slots are all busy now and then
	// without any need.
	GrowBusy  = 0.8
	BusyAfter = 5 * time.Second
	// AimBusy is the share of slots that are busy once the new workers are there.
	AimBusy = 0.7
	// KeepBusy is the share that may not be exceeded after workers have left. What lies
	// between it and AimBusy is the hysteresis.
	KeepBusy = 0.5
	// ShrinkEvery is the least time between two times when workers leave, or DownDelay if
	// that is shorter.
	ShrinkEvery = 10 * time.Second
	// What is looked at for the load that is offered now: between leastWindow and mostWindow,
	// so long that windowRequests came meanwhile. Fewer than enoughRequests say nothing of the
	// rate at which they come, nor of the time that one takes, which is averaged over
	// serviceMemory.
	leastWindow    = 2 * time.Second
	mostWindow     = 15 * time.Second
	windowRequests = 100
	enoughRequests = 20
	serviceMemory  = 300
	// pauseTurns is how many requests each slot answers between two additions, if that takes
	// longer than leastWindow.
	pauseTurns = 2
	// saturated is the share of slots that are busy from which on that number does not say
	// any more what the load is, and maxRatio bounds how far the load may be from it.
	saturated = 0.95
	maxRatio  = 8.0
	// turnover is how much of the busy time requests that have ended must have taken, so that the
	// time that one takes is known.
	turnover = 0.7
	// startingShare is how many times as many workers are needed as there are to be, for more to
	// be added while some of these start: what is known of the load is not exact, and would only
	// be added up.
	startingShare = 1.25
	// drainWithin is the time within which those that wait should be gone, once all workers
	// are there; new workers for them need the time of a start besides. backlogShare bounds
	// what they add to the offered load.
	drainWithin  = 10 * time.Second
	backlogShare = 0.25
	// CPUBusy is the share of the processors above which no worker is added: it could only
	// take time from the others.
	CPUBusy = 0.95
)
