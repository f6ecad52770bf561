package master

import (
	"encoding/json"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"indrik/internal/canary"
	"indrik/internal/wire"
)

// heldUpgrade runs a test with a successor that is tried for 10 s, and whose workers are ready.
func heldUpgrade(t *testing.T, args []string, test func(w *world, before []*fakeWorker)) {
	t.Helper()
	inWorld(t, append([]string{"--canary", "5% for 10s"}, args...), func(w *world) {
		w.tried = canary.Report{Old: canary.Side{Requests: 95}}
		before := w.live()
		w.signal(syscall.SIGUSR2)
		if w.successor().env[envTrial] == "" {
			t.Error("the successor is not told that it is tried")
		}
		w.successor().conn.tell(linkMessage{Type: wire.TypeReady, Held: true})
		w.wait()
		w.expectLog("gets 5% of the connections for 10 s")
		test(w, before)
	})
}

// figures has the successor report for a time.
func (w *world) figures(d time.Duration, quarter canary.Side) {
	data, err := json.Marshal(canary.Report{Old: quarter})
	if err != nil {
		w.t.Fatal(err)
	}
	for end := w.m.now().Add(d); w.m.now().Before(end); {
		if len(w.successors) > 0 && !w.successor().proc.gone {
			w.successor().conn.tell(linkMessage{Type: typeFigures, Figures: data})
		}
		w.pass(trialEvery)
	}
}

// serves reports whether the successor was told to accept.
func (s *fakeSuccessor) serves() bool {
	return slices.ContainsFunc(s.got, func(m linkMessage) bool { return m.Type == typeServe })
}

func (w *world) expectShares(want ...[2]int) {
	w.t.Helper()
	var told [][2]int
	for _, msg := range w.front().told(wire.TypeTrial) {
		told = append(told, msg.Share)
		if msg.Handover != (msg.Share != [2]int{}) {
			w.t.Errorf("%+v", msg)
		}
	}
	if !slices.Equal(told, want) {
		w.t.Errorf("the front was told to give away %v, want %v", told, want)
	}
}

func TestUpgradeCanaryPasses(t *testing.T) {
	heldUpgrade(t, nil, func(w *world, _ []*fakeWorker) {
		w.figures(9*time.Second, canary.Side{Requests: 5})
		w.expectState(running)
		if w.successor().serves() {
			t.Error("it accepts before the verdict")
		}
		if c := w.m.status(nil).Canary; c == nil || c.Generation != 0 || c.New.Requests == 0 {
			t.Errorf("%+v", c)
		}
		w.figures(2*time.Second, canary.Side{Requests: 5})
		w.expectState(paused)
		if !w.successor().serves() {
			t.Error("it is not told to accept")
		}
		w.expectShares([2]int{1, 20}, [2]int{})
		w.expectLog("Canary passed after 10.", "graceful stop of workers")
		w.pass(time.Second)
		w.expectWorkers(0)
		w.expectReply(w.command("drain and wait"), `"workers":0`)
	})
}

func TestUpgradeCanaryFails(t *testing.T) {
	heldUpgrade(t, nil, func(w *world, before []*fakeWorker) {
		var sent []syscall.Signal
		w.successor().proc.obey = func(sig syscall.Signal) { sent = append(sent, sig) }
		w.figures(time.Second, canary.Side{Requests: 5, Errors: 2})
		w.expectState(running)
		w.expectShares([2]int{1, 20}, [2]int{})
		w.expectLog("Upgrade failed, nothing was changed: Canary failed after ", "it fails more often")
		if !slices.Equal(sent, []syscall.Signal{syscall.SIGTERM}) || w.successor().serves() {
			t.Errorf("the successor got %v", sent)
		}
		w.successor().conn.tell(linkMessage{Type: typeLeaving})
		w.wait()
		w.successor().die(exited(0))
		w.pass(time.Second)
		w.expectState(running)
		if !slices.Equal(w.live(), before) {
			t.Error("the workers are not those that there were")
		}
		if n := w.m.status(nil).Canaries; n.Failed != 1 {
			t.Errorf("%+v", n)
		}
	})
}

// TestUpgradeCanaryIsGivenUp checks what ends the trial without a verdict: somebody needs the
// successor, or it is gone.
func TestUpgradeCanaryIsGivenUp(t *testing.T) {
	for name, c := range map[string]struct {
		do     func(w *world)
		serves bool
		state  state
	}{
		"TERM":               {func(w *world) { w.busy = true; w.signal(syscall.SIGTERM) }, true, draining},
		"WINCH":              {func(w *world) { w.signal(syscall.SIGWINCH) }, true, paused},
		"HUP":                {func(w *world) { w.signal(syscall.SIGHUP) }, false, running},
		"the front dies":     {func(w *world) { w.front().die(signaled(syscall.SIGKILL)) }, false, running},
		"the successor ends": {func(w *world) { w.successor().die(exited(0)) }, false, running},
		"it leaves":          {func(w *world) { w.successor().conn.tell(linkMessage{Type: typeLeaving}) }, false, running},
		"its figures are none": {func(w *world) {
			w.successor().conn.tell(linkMessage{Type: typeFigures, Figures: json.RawMessage(`{"old":{"requests":-5}}`)})
		}, false, running},
	} {
		t.Run(name, func(t *testing.T) {
			heldUpgrade(t, nil, func(w *world, _ []*fakeWorker) {
				c.do(w)
				w.pass(2 * time.Second)
				w.expectState(c.state)
				if w.successor().serves() != c.serves {
					t.Errorf("it was told to accept: %t", w.successor().serves())
				}
				gone := name == "the successor ends" || name == "it leaves"
				if trial := w.m.upgrader.trial != nil; trial == (c.serves || gone) {
					t.Errorf("it is tried: %t", trial)
				}
				if name == "the front dies" {
					w.expectShares([2]int{1, 20})
				}
			})
		})
	}
}

// TestUpgradeWithoutCanary checks successors that cannot be tried, or need not be.
func TestUpgradeWithoutCanary(t *testing.T) {
	inWorld(t, []string{"--canary", "5% for 10s"}, func(w *world) {
		w.signal(syscall.SIGUSR2)
		w.successor().conn.tell(linkMessage{Type: wire.TypeReady}) // of a version without
		w.wait()
		w.expectLog("is of a version that cannot be tried: it serves at once")
		w.expectShares()
	})
	inWorld(t, []string{"--canary", "5% for 10s"}, func(w *world) {
		w.signal(syscall.SIGUSR2)
		w.signal(syscall.SIGWINCH) // the old workers are to leave in any case
		w.successor().conn.tell(linkMessage{Type: wire.TypeReady, Held: true})
		w.pass(time.Second)
		w.expectState(paused)
		if !w.successor().serves() {
			t.Error("nobody accepts")
		}
	})
	inWorld(t, nil, func(w *world) {
		w.signal(syscall.SIGUSR2)
		if w.successor().env[envTrial] != "" {
			t.Error("it is held without the setting")
		}
	})
}

// TestHeldSuccessor checks the other side: it accepts when it is told to, or when it is alone.
func TestHeldSuccessor(t *testing.T) {
	for _, alone := range []bool{false, true} {
		atStart(t, []string{"app:app"}, func(w *world) {
			inherit(w, strconv.Itoa(upgradeProtocol))
			w.env[envTrial] = "1"
			w.tried = canary.Report{Old: canary.Side{Requests: 7}}
			told := w.runAsSuccessor()
			w.expectState(running)
			if len(w.front().told(wire.TypeListen)) != 0 {
				t.Error("it accepts before it is told to")
			}
			if len(*told) < 2 || (*told)[0].Type != wire.TypeReady || !(*told)[0].Held || (*told)[1].Type != typeFigures {
				t.Fatalf("the predecessor was told %+v", *told)
			}
			if r, err := canary.DecodeReport((*told)[1].Figures); err != nil || r.Old.Requests != 7 {
				t.Errorf("%+v, %v", r, err)
			}
			w.live()[0].die(signaled(syscall.SIGSEGV))
			w.pass(time.Second)
			deaths := 0
			for _, msg := range (*told)[1:] {
				r, _ := canary.DecodeReport(msg.Figures)
				deaths += r.Old.Deaths
			}
			if deaths != 1 {
				t.Errorf("%d deaths were told", deaths)
			}
			w.front().die(signaled(syscall.SIGKILL)) // another one counts, and accepts nothing either
			w.pass(2 * time.Second)
			if len(w.front().told(wire.TypeListen)) != 0 || len(w.front().told(wire.TypeTrial)) != 1 {
				t.Errorf("the next front was told %+v", w.front().got)
			}
			if alone {
				w.link.Close()
			} else {
				w.link.tell(linkMessage{Type: typeServe})
			}
			w.pass(time.Second)
			if len(w.front().told(wire.TypeListen)) == 0 {
				t.Error("it does not accept")
			}
			n := len(*told)
			w.pass(time.Second)
			if len(*told) > n+1 {
				t.Error("it goes on to tell its figures")
			}
		})
	}
}
