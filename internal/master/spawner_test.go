package master

import (
	"syscall"
	"testing"
	"time"

	"indrik/internal/wire"
)

// When a spawner dies its workers go on, and a new generation takes their place.
func TestSpawnerDies(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		before := w.live()
		w.spawner().die(signaled(syscall.SIGSEGV))
		w.pass(10 * time.Millisecond)
		w.expectState(reloading)
		if before[0].proc.gone || before[1].proc.gone {
			t.Error("its workers were ended")
		}
		w.expectLog("Spawner (pid:", "was sent SIGSEGV")
		w.pass(time.Second)
		w.expectState(running)
		for _, worker := range w.expectWorkers(2) {
			if worker.parent == w.spawners[0] {
				t.Error("a worker of the generation before is there")
			}
		}
	})
}

// A spawner that keeps dying is started after longer and longer pauses.
func TestSpawnerKeepsDying(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.failures[wire.TypeConfigure] = "broken"
		w.spawner().die(signaled(syscall.SIGKILL))
		w.pass(time.Minute)
		if n := len(w.spawners); n < 8 || n > 20 {
			t.Errorf("%d spawners in a minute", n)
		}
		w.expectWorkers(2)
		w.failures[wire.TypeConfigure] = ""
		w.pass(longestPause + time.Second)
		w.expectState(running)
		if w.m.gen.sp.dead {
			t.Error("no other spawner serves")
		}
	})
}

// A worker whose end the spawner has collected, and did not tell of, is not waited for.
func TestSpawnerTakesTheNewsWithIt(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		worker := w.live()[0]
		worker.proc.gone = true // nobody tells
		worker.channel.Close()
		w.spawner().die(signaled(syscall.SIGKILL))
		w.pass(time.Second)
		w.expectState(running)
		if w.m.pool.workers[worker.age] != nil {
			t.Error("the master takes it for alive")
		}
	})
}

// A spawner that does not answer, and runs no code of the app's, is killed with its stacks
// in the log.
func TestHangingSpawner(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.mute["spawner"] = true
		w.pass(probeEvery + strikesMost*strikeEvery + stackGrace + 100*time.Millisecond)
		w.mute["spawner"] = false
		w.expectLog("has not answered for 6 s", "is replaced")
		w.pass(time.Second)
		w.expectState(running)
		if len(w.spawners) != 2 {
			t.Errorf("%d spawners", len(w.spawners))
		}
	})
}

// A front that hangs is killed, and replaced.
func TestHangingFront(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.mute["front"] = true
		w.pass(probeEvery + strikesMost*strikeEvery + stackGrace + 100*time.Millisecond)
		w.mute["front"] = false
		w.expectLog("Front (pid:", "has not answered for 6 s")
		w.pass(time.Second)
		if len(w.fronts) != 2 {
			t.Errorf("%d fronts", len(w.fronts))
		}
	})
}

// A spawner that says that it is busy is not asked.
func TestBusySpawner(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.mute["spawner"] = true
		w.spawner().conn.tell(wire.FromSpawner{Type: wire.TypeBusy})
		w.pass(longCall + probeEvery)
		w.expectLog("has run code of the configuration or the app for 6")
		if len(w.spawners) != 1 {
			t.Error("it was ended")
		}
		w.mute["spawner"] = false
		w.spawner().conn.tell(wire.FromSpawner{Type: wire.TypeIdle})
		w.pass(time.Minute)
		if len(w.spawners) != 1 {
			t.Error("it was ended later")
		}
	})
}

// A signal that was meant for the master, and came to the spawner, is told of.
func TestSignalToTheSpawnerAlone(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.spawner().conn.tell(wire.FromSpawner{Type: wire.TypeSignalled, Signal: int(syscall.SIGHUP)})
		w.pass(2 * time.Second)
		w.expectLog("SIGHUP was sent to the spawner")
	})
}

// What is asked of hooks' attributes must not hold up a reload.
func TestAttributesAreNotWaitedFor(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.failures[wire.TypeAttributes] = "silent"
		w.signal(syscall.SIGHUP)
		w.pass(attributesTime + time.Second)
		w.expectState(running)
		w.expectWorkers(2)
	})
}
