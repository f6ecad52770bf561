package master

import (
	"syscall"
	"testing"
	"time"

	"indrik/internal/wire"
)

// A front that dies is replaced, and the next one is told of all that there is.
func TestFrontDies(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.front().die(signaled(syscall.SIGSEGV))
		w.pass(100 * time.Millisecond)
		w.expectLog("Front (pid:", "was sent SIGSEGV")
		f := w.front()
		if len(w.fronts) != 2 || len(f.told(wire.TypeGeneration)) != 1 || len(f.told(wire.TypeWorker)) != 2 || len(f.told(wire.TypeActivate)) != 2 || len(f.told(wire.TypeListen)) != 1 {
			t.Errorf("%d fronts; the last one was told %+v", len(w.fronts), f.got)
		}
		w.live()[0].die(exited(0)) // and workers are made as before
		w.pass(time.Second)
		w.expectWorkers(2)
	})
}

// The next front is told of both generations, and of the kind of the app.
func TestFrontDiesDuringReload(t *testing.T) {
	atStart(t, []string{"app:app"}, func(w *world) {
		w.kind = wire.KindASGI
		w.start()
		w.pass(time.Second)
		w.stuck = true
		w.signal(syscall.SIGHUP)
		w.front().die(signaled(syscall.SIGKILL))
		w.pass(time.Second)
		told := w.front().told(wire.TypeGeneration)
		if len(told) != 2 || told[0].Config.Kind != wire.KindASGI {
			t.Errorf("the front was told %+v", told)
		}
		for _, worker := range w.live()[2:] {
			worker.ready()
		}
		w.pass(time.Second)
		w.expectState(running)
		w.expectWorkers(2)
	})
}

// A front that does not get ready is started again after longer and longer pauses; so is
// one that cannot be started.
func TestFrontKeepsDying(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		for range 5 {
			w.front().die(exited(1))
			w.pass(0)
		}
		n := len(w.fronts)
		w.pass(longestPause)
		if n >= 5 || len(w.fronts) == n {
			t.Errorf("%d fronts at once, %d later", n, len(w.fronts))
		}
		w.refuse["start front"] = syscall.EAGAIN
		w.front().die(signaled(syscall.SIGKILL))
		w.pass(time.Second)
		w.expectLog("cannot start the front")
		w.refuse["start front"] = nil
		n = len(w.fronts)
		w.pass(longestPause)
		if len(w.fronts) != n+1 {
			t.Error("it was not tried again")
		}
		w.expectState(running)
	})
}

// A front that cannot take the serving generation is replaced by another one.
func TestFrontCannotTakeTheGeneration(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.refusals[wire.TypeGeneration] = "no room"
		w.front().die(signaled(syscall.SIGKILL))
		w.pass(time.Second)
		w.expectLog("is replaced: Error: the front cannot take it: no room")
		w.refusals[wire.TypeGeneration] = ""
		w.pass(longestPause)
		w.live()[0].die(exited(0))
		w.pass(time.Second)
		w.expectWorkers(2)
	})
}

// A worker that a second front cannot take is replaced: what it answers reaches nobody.
func TestFrontCannotTakeAWorker(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		before := w.live()
		w.refusals[wire.TypeWorker] = "no room"
		w.front().die(signaled(syscall.SIGKILL))
		w.pass(50 * time.Millisecond)
		w.refusals[wire.TypeWorker] = ""
		w.pass(longestPause)
		w.expectWorkers(2)
		if !before[0].proc.gone || !before[1].proc.gone {
			t.Error("they are still there")
		}
	})
}

// Generations that are leaving are no reason to replace a front.
func TestFrontCannotTakeAnOldGeneration(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.stubborn = true
		w.signal(syscall.SIGHUP)
		w.pass(time.Second)
		w.refusals[wire.TypeGeneration] = "no room"
		w.front().die(signaled(syscall.SIGKILL))
		w.pass(10 * time.Millisecond)
		w.expectLog("Workers that are leaving cannot answer any more: ")
		w.refusals[wire.TypeGeneration] = ""
		w.pass(longestPause)
		w.stubborn = false
	})
}

// A queue that is of no use takes a new generation, also of a preloaded app.
func TestQueueBroken(t *testing.T) {
	inWorld(t, []string{"--preload"}, func(w *world) {
		broken := wire.FromFront{Type: wire.TypeBroken, Generation: 1, Reason: "a worker has closed it"}
		w.front().conn.tell(broken)
		w.front().conn.tell(broken)
		w.front().conn.tell(wire.FromFront{Type: wire.TypeBroken, Generation: 9})
		w.pass(time.Second)
		w.expectState(running)
		w.expectWorkers(2)
		w.expectLog("The queue of the workers is broken: a worker has closed it. New workers take their place")
		if w.m.gen.number != 2 {
			t.Errorf("generation %d serves", w.m.gen.number)
		}
	})
}

// A worker that breaks the protocol towards the front is ended at once.
func TestFrontReportsABreach(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		worker := w.live()[0]
		worker.stubborn = true
		w.front().conn.tell(wire.FromFront{Type: wire.TypeBroken, Age: worker.age, Reason: "it sent rubbish"})
		w.pass(time.Second)
		w.expectWorkers(2)
		w.expectLog("is ended: it sent rubbish")
		if !worker.proc.gone {
			t.Error("it is still there")
		}
	})
}

// Without a front there is nothing to wait for at the end.
func TestFrontDiesDuringDrain(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.busy = true
		w.signal(syscall.SIGTERM)
		w.front().die(signaled(syscall.SIGKILL))
		w.pass(time.Second)
		w.expectEnd(0)
	})
	inWorld(t, nil, func(w *world) {
		w.refuse["start front"] = syscall.EAGAIN
		w.front().die(signaled(syscall.SIGKILL))
		w.pass(time.Second)
		w.signal(syscall.SIGTERM)
		w.pass(time.Second)
		w.expectEnd(0)
	})
}
