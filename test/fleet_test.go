//go:build linux

package test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

// fleetRequests is how many requests there are at least while hosts are replaced.
const fleetRequests = 50000

// TestAllRollingUpdate: three hosts behind HAProxy and nginx get new code, one at a time and two
// at a time, while the balancers hear of each end two seconds after it began, and no request is
// lost. When the power of one is cut only requests that were with it are.
func TestAllRollingUpdate(t *testing.T) {
	harness.NeedsAll(t)
	harness.NeedsNetNS(t)
	harness.FindProgram(t, "haproxy")
	harness.FindProgram(t, "nginx")
	f := harness.NewFleet(t)
	loads := map[string]*fleetLoad{"HAProxy": load(f, harness.FleetHAProxy), "nginx": load(f, harness.FleetNginx)}
	began := time.Now()
	version, answered := 1, 0
	var report []string
	update := func(how string, groups ...[]*harness.FleetHost) {
		version++
		start := time.Now()
		for _, hosts := range groups {
			f.Roll(version, hosts...)
		}
		took := time.Since(start).Round(100 * time.Millisecond)
		for name, l := range loads {
			harness.Eventually(t, "the new code serves "+name, func() bool { return l.served(version) })
			sum := l.take()
			answered += sum.answered()
			report = append(report, fmt.Sprintf("%s, %s, %v: %v", how, name, took, sum))
			expectNoneLost(f, how+" by "+name, sum)
			if len(groups) > 1 && sum.restarts == 0 {
				t.Errorf("no WebSocket was closed: %v", sum)
			}
			// A balancer that can be told what to do closes no connection of a client's.
			if name == "HAProxy" && sum.idle+sum.resent > 0 {
				t.Errorf("HAProxy has closed connections: %v", sum)
			}
		}
	}
	a, b, c := f.Hosts[0:1], f.Hosts[1:2], f.Hosts[2:3]
	update("one at a time", a, b, c)
	update("two at a time", f.Hosts[:2], c)
	for i := 0; answered < fleetRequests; i++ {
		if time.Since(began) > 4*time.Minute {
			t.Fatalf("after %v there were only %d requests: is the machine busy with something else?", time.Since(began), answered)
		}
		update("one more", f.Hosts[i%3:i%3+1])
	}
	if n := f.Again(); n > 0 {
		t.Errorf("HAProxy had to send %d requests twice", n)
	}
	t.Logf("%d requests in rolling updates\n%s", answered, strings.Join(report, "\n"))
	blackout(f, version, loads)
	for _, h := range f.Hosts {
		h.Server.Signal(syscall.SIGTERM)
		h.Server.Signal(syscall.SIGTERM) // nobody is left to wait for
	}
	for _, h := range f.Hosts {
		h.Server.ExpectExit(0)
	}
}

// expectNoneLost checks a tally of a rolling update.
func expectNoneLost(f *harness.Fleet, what string, sum fleetTally) {
	f.T.Helper()
	for i, l := range sum.lost {
		if i < 10 {
			f.T.Errorf("%s: lost: %v", what, l)
		}
	}
	if len(sum.lost) > 0 {
		f.T.Errorf("%s: %d lost", what, len(sum.lost))
	}
	for _, kind := range []string{"keep-alive", "one-shot", "stream"} {
		if sum.ok[kind] == 0 {
			f.T.Errorf("%s: no request of kind %s", what, kind)
		}
	}
	if sum.messages == 0 || sum.retried > 0 {
		f.T.Errorf("%s: %v", what, sum)
	}
}

// blackout cuts the power of a host, brings it back with the next version of the code, ends the
// load, and looks whose requests were lost.
func blackout(f *harness.Fleet, version int, loads map[string]*fleetLoad) {
	t := f.T
	t.Helper()
	dead := f.Hosts[1]
	start := time.Now()
	f.CutPower(dead)
	// Until what waits for the host has been given up.
	time.Sleep(harness.FleetSilence + 4*time.Second)
	f.RestorePower(dead, version+1)
	for name, l := range loads {
		harness.Eventually(t, "the host that came back serves "+name, func() bool { return l.served(version + 1) })
	}
	for name, l := range loads {
		l.finish()
		sum := l.take()
		if name == "HAProxy" {
			sum.retried = f.Again()
		}
		t.Logf("power cut, %s, %v: %v", name, time.Since(start).Round(100*time.Millisecond), sum)
		for i, loss := range sum.lost {
			if !strings.Contains(loss.tried, dead.Addr) && loss.tried != dead.Name {
				t.Errorf("lost with a host that lives: %v", loss)
			} else if i < 3 {
				t.Logf("lost with host %s: %v", dead.Name, loss)
			}
		}
		if sum.ok["keep-alive"] == 0 || len(sum.lost) > fleetInFlight || len(sum.lost)+sum.retried == 0 {
			t.Errorf("power cut: %v", sum)
		}
	}
}
