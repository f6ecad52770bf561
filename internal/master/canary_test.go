package master

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/internal/canary"
	"indrik/internal/wire"
)

// Figures of a quarter of a second, at 400 requests a second of which 5 % are new.
var (
	goodQuarter = canary.Report{New: canary.Side{Requests: 5}, Old: canary.Side{Requests: 95}}
	badQuarter  = canary.Report{New: canary.Side{Requests: 5, Errors: 1}, Old: canary.Side{Requests: 95}}
)

// judged runs a test with a candidate that is tried for 10 s, once its workers are ready.
func judged(t *testing.T, args []string, test func(w *world, before []*fakeWorker)) {
	t.Helper()
	inWorld(t, append([]string{"--canary", "5% for 10s"}, args...), func(w *world) {
		w.tried = goodQuarter
		before := w.live()
		w.signal(syscall.SIGHUP)
		w.expectState(reloading)
		w.pass(w.boot + time.Second)
		w.expectState(judging)
		w.expectWorkers(4)
		test(w, before)
	})
}

// trials are what the front was told of trials.
func (w *world) trials() (told []string) {
	for _, msg := range w.front().told(wire.TypeTrial) {
		switch {
		case msg.Generation != 0:
			told = append(told, "begins")
		case msg.Passed:
			told = append(told, "passed")
		default:
			told = append(told, "failed")
		}
	}
	return told
}

func (w *world) expectTrials(want ...string) {
	w.t.Helper()
	if told := w.trials(); !slices.Equal(told, want) {
		w.t.Errorf("the front was told of trials: %q, want %q", told, want)
	}
}

func TestCanaryPasses(t *testing.T) {
	judged(t, nil, func(w *world, before []*fakeWorker) {
		if msg := w.front().told(wire.TypeTrial)[0]; msg.Generation != 2 || msg.Share != [2]int{1, 20} {
			t.Errorf("%+v", msg)
		}
		if n := len(w.front().told(wire.TypeActivate)); n != 4 {
			t.Errorf("%d workers get requests", n)
		}
		if n := len(w.front().told(wire.TypeRetire)); n != 0 {
			t.Errorf("%d workers were retired before the verdict", n)
		}
		if c := w.m.status(nil).Canary; c == nil || c.Generation != 2 || c.Share != 0.05 || c.Window != 10 || c.New.Requests == 0 || c.Old.Requests == 0 {
			t.Errorf("status: %+v", c)
		}
		w.pass(5 * time.Second)
		w.expectState(judging)
		w.pass(5 * time.Second)
		w.expectState(running)
		w.expectTrials("begins", "passed")
		for _, worker := range w.expectWorkers(2) {
			if slices.Contains(before, worker) {
				t.Error("an old worker is still there")
			}
		}
		if len(w.m.spawners.byPid) != 1 {
			t.Error("the old spawner is still there")
		}
		w.expectLog("Canary: generation 2 gets 5% of the requests for 10 s", "Canary passed after 10.", "New: 205 requests, 0 failed (0.00 %). Old: 3895 requests", "Ready: 2 workers")
		if s := w.m.status(nil); s.Canary != nil || s.Canaries.Passed != 1 || !strings.Contains(s.LastReload.Canary, "Canary passed") {
			t.Errorf("status: %+v, %+v, %+v", s.Canary, s.Canaries, s.LastReload)
		}
	})
}

func TestCanaryFails(t *testing.T) {
	judged(t, nil, func(w *world, before []*fakeWorker) {
		w.tried = badQuarter
		w.pass(time.Second)
		w.expectState(running)
		w.expectTrials("begins", "failed")
		if !slices.Equal(w.live(), before) {
			t.Error("the workers are not those that there were")
		}
		w.pass(time.Minute)
		if len(w.m.spawners.byPid) != 1 || w.m.candidate != nil {
			t.Error("something is left of it")
		}
		w.expectLog("Reload failed, nothing was changed: the workers that were there go on.", "Canary failed after 1.", "it fails more often", "New: 40 requests, 3 failed (7.50 %). Old: 760 requests, 0 failed (0.00 %)")
		if s := w.m.status(nil); s.Canaries.Failed != 1 || s.LastReload.OK || !strings.Contains(s.LastReload.Reason, "Canary failed") {
			t.Errorf("status: %+v, %+v", s.Canaries, s.LastReload)
		}
		w.signal(syscall.SIGHUP) // and the next one is tried anew
		w.tried = goodQuarter
		w.pass(20 * time.Second)
		w.expectState(running)
		w.expectTrials("begins", "failed", "begins", "passed")
	})
}

// TestCanaryWorkersFinish checks that workers which were sent back end as others that are
// replaced: they are not told to end at once.
func TestCanaryWorkersFinish(t *testing.T) {
	judged(t, nil, func(w *world, before []*fakeWorker) {
		w.stubborn, w.tried = true, badQuarter
		w.pass(time.Second)
		w.expectState(running)
		w.pass(10 * time.Second)
		w.expectWorkers(4)
		if n := len(w.front().told(wire.TypeRetire)); n != 2 {
			t.Errorf("%d workers were retired", n)
		}
		w.stubborn = false
		w.pass(10 * time.Second)
		if !slices.Equal(w.live(), before) {
			t.Error("the workers are not those that there were")
		}
	})
}

func TestCanaryDryRun(t *testing.T) {
	judged(t, []string{"--selfcare-dry-run", "canary"}, func(w *world, before []*fakeWorker) {
		w.tried = badQuarter
		w.pass(time.Second)
		w.expectState(running)
		w.expectTrials("begins", "passed")
		w.expectLog("(dry run: it takes over in any case)", "Canary (dry run) would have failed after 1.")
		if slices.Contains(w.live(), before[0]) {
			t.Error("it has not taken over")
		}
		if n := w.m.status(nil).Canaries; n.WouldFail != 1 || n.Failed+n.Passed != 0 {
			t.Errorf("%+v", n)
		}
	})
}

// TestCanaryDeaths checks that workers which die while they are tried are counted and replaced,
// and that an operator may end one.
func TestCanaryDeaths(t *testing.T) {
	judged(t, nil, func(w *world, before []*fakeWorker) {
		die := func(status int) {
			all := w.live()
			all[len(all)-1].die(status)
			w.pass(w.boot + 500*time.Millisecond)
			w.expectWorkers(4)
		}
		die(signaled(syscall.SIGTERM))
		if n := w.m.candidate.trial.New.Deaths; n != 0 {
			t.Fatalf("%d deaths", n)
		}
		die(signaled(syscall.SIGSEGV))
		w.live()[0].die(exited(1)) // an old one
		w.pass(w.boot + 500*time.Millisecond)
		if c := w.m.candidate.trial; c.New.Deaths != 1 || c.Old.Deaths != 1 {
			t.Fatalf("%+v", c)
		}
		w.expectState(judging)
		if all := w.expectWorkers(4); len(w.front().told(wire.TypeActivate)) != 2+2+3 {
			t.Errorf("%d of %d workers get requests", len(w.front().told(wire.TypeActivate)), len(all))
		}
	})
	judged(t, nil, func(w *world, before []*fakeWorker) {
		for range 4 {
			if w.m.state != judging {
				break
			}
			all := w.live()
			all[len(all)-1].die(signaled(syscall.SIGSEGV))
			w.pass(2 * time.Second)
		}
		w.expectState(running)
		w.expectLog("deaths")
		w.expectTrials("begins", "failed")
	})
}

// TestCanaryMeetsOtherEvents checks what else may happen while a candidate is tried.
func TestCanaryMeetsOtherEvents(t *testing.T) {
	for name, c := range map[string]struct {
		do    func(w *world)
		state state
		told  string
		says  string
	}{
		"TERM":             {func(w *world) { w.busy = true; w.signal(syscall.SIGTERM) }, draining, "failed", ""},
		"HUP":              {func(w *world) { w.stuck = true; w.signal(syscall.SIGHUP) }, reloading, "failed", ""},
		"USR2":             {func(w *world) { w.signal(syscall.SIGUSR2) }, judging, "", ""},
		"TTIN":             {func(w *world) { w.signal(syscall.SIGTTIN) }, judging, "", ""},
		"WINCH":            {func(w *world) { w.signal(syscall.SIGWINCH) }, judging, "", "SIGWINCH ignored"},
		"its spawner dies": {func(w *world) { w.spawner().die(signaled(syscall.SIGSEGV)) }, running, "failed", "the spawner was sent SIGSEGV"},
		"a worker breaks the protocol": {func(w *world) {
			all := w.live()
			worker := all[len(all)-1]
			worker.channel.tell(fromWorker{Sender: worker.proc.pid, Breach: "rubbish"})
		}, running, "failed", "of the new configuration broke the protocol."},
		"its queue breaks": {func(w *world) {
			w.front().conn.tell(wire.FromFront{Type: wire.TypeBroken, Generation: 2, Reason: "it is closed"})
		}, running, "failed", "The queue of the new workers is broken: it is closed"},
		"the old spawner dies": {func(w *world) { w.spawners[0].die(signaled(syscall.SIGSEGV)) }, judging, "", ""},
		"the front lies":       {func(w *world) { w.tried = canary.Report{New: canary.Side{Requests: -1}} }, running, "failed", "cannot be judged"},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			judged(t, nil, func(w *world, before []*fakeWorker) {
				c.do(w)
				w.pass(300 * time.Millisecond)
				w.expectState(c.state)
				told := []string{"begins"}
				if c.told != "" {
					told = append(told, c.told)
				}
				w.expectTrials(told...)
				w.expectLog(c.says)
				if c.state == running {
					w.pass(time.Minute)
					if !slices.Equal(w.live(), before) {
						t.Error("the workers are not those that there were")
					}
				}
			})
		})
	}
}

func TestCanaryAndTheNumberOfWorkers(t *testing.T) {
	judged(t, nil, func(w *world, _ []*fakeWorker) {
		w.signal(syscall.SIGTTIN)
		w.pass(w.boot + time.Second)
		w.expectWorkers(5) // one more of the old ones, at once
		w.signal(syscall.SIGUSR2)
		w.pass(10 * time.Second)
		w.expectState(running)
		w.expectWorkers(3) // and of the new ones when these serve
		if len(w.successors) != 1 {
			t.Error("USR2 was forgotten")
		}
	})
}

// TestCanaryOutlivesTheFront checks that another front goes on with the trial.
func TestCanaryOutlivesTheFront(t *testing.T) {
	judged(t, nil, func(w *world, _ []*fakeWorker) {
		before := w.m.candidate.trial.New.Requests
		w.front().die(signaled(syscall.SIGKILL))
		w.pass(2 * time.Second)
		w.expectState(judging)
		w.expectTrials("begins")
		begins := slices.IndexFunc(w.front().got, func(m wire.ToFront) bool { return m.Type == wire.TypeTrial })
		activates := slices.IndexFunc(w.front().got, func(m wire.ToFront) bool { return m.Type == wire.TypeActivate })
		if begins > activates {
			t.Error("the front was told of workers before it was told that they are tried")
		}
		if w.m.candidate.trial.New.Requests <= before {
			t.Error("its figures do not count")
		}
		w.pass(10 * time.Second)
		w.expectState(running)
		w.expectTrials("begins", "passed")
	})
}

// TestNoCanary checks when there is none: there is nothing to compare with, or somebody edits.
func TestNoCanary(t *testing.T) {
	inWorld(t, []string{"--canary", "5% for 10s", "--reload"}, func(w *world) {
		w.signal(syscall.SIGHUP)
		w.pass(time.Second)
		w.expectState(running)
		w.expectTrials()
	})
	inWorld(t, []string{"--canary", "5% for 10s"}, func(w *world) {
		w.spawner().die(signaled(syscall.SIGKILL)) // which makes a new generation
		w.pass(2 * time.Second)
		w.expectState(running)
		w.expectTrials()
	})
}

func TestReloadCanaryCommand(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.tried = goodQuarter
		r := w.command("reload and wait canary")
		w.pass(30 * time.Second)
		if r.done {
			t.Error("it was answered before the verdict")
		}
		w.expectState(judging)
		w.expectLog("5% of the requests for 60 s")
		w.pass(time.Minute)
		w.expectReply(r, "Canary passed after 60.")

		w.tried = badQuarter
		r = w.command("reload and wait canary 10% for 5s")
		w.pass(3 * time.Second)
		w.expectReply(r, "Canary failed after ")
		w.expectLog("10% of the requests for 5 s")
		w.expectReply(w.command("reload and wait canary often"), "such as 5% for 60s")
		w.expectReply(w.command("reload and wait dog"), "is not canary")
	})
}

// A worker of a candidate that takes far too much memory is killed while it is tried, and counts
// against it.
func TestCanaryTakesTooMuchMemory(t *testing.T) {
	judged(t, []string{"--max-worker-memory-hard", "200M", "--canary", "5% for 1h"}, func(w *world, before []*fakeWorker) {
		tried := w.live()[2]
		w.grow(tried, 300)
		w.pass(3 * time.Second)
		if !tried.proc.gone {
			t.Error("it was not killed")
		}
		w.expectLog("is killed: its RSS was 300 MiB, max_worker_memory_hard is 200 MiB")
		w.expectWorkers(4)
		if c := w.m.status(nil).Canary; c == nil || c.New.Deaths != 1 || c.Old.Deaths != 0 {
			t.Errorf("%+v", c)
		}
		w.grow(before[0], 300)
		w.pass(3 * time.Second)
		if !before[0].proc.gone {
			t.Error("one of the old ones was not killed")
		}
	})
}
