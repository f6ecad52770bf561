package master

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/internal/oslayer"
	"indrik/internal/settings"
	"indrik/internal/wire"
)

// A clock is one that the test moves.
type clock struct {
	m      *Master
	now    time.Time
	timers []alarm
}

type alarm struct {
	at time.Time
	f  func()
	t  *time.Timer // never rings; that it was stopped shows in it
}

func (c *clock) after(d time.Duration, f func()) *time.Timer {
	a := alarm{c.now.Add(d), f, time.AfterFunc(time.Hour, func() {})}
	c.timers = append(c.timers, a)
	return a.t
}

// advance lets time pass, with all that is due on the way.
func (c *clock) advance(d time.Duration) {
	for end := c.now.Add(d); ; {
		next := -1
		for i, a := range c.timers {
			if !a.at.After(end) && (next < 0 || a.at.Before(c.timers[next].at)) {
				next = i
			}
		}
		if next < 0 {
			c.now = end
			return
		}
		a := c.timers[next]
		c.timers = append(c.timers[:next], c.timers[next+1:]...)
		if a.at.After(c.now) {
			c.now = a.at
		}
		c.ring(a)
	}
}

// jump is like advance for a process that stood still meanwhile: all that is due happens
// at its end.
func (c *clock) jump(d time.Duration) {
	c.now = c.now.Add(d)
	due := c.timers
	c.timers = nil
	for _, a := range due {
		if a.at.After(c.now) {
			c.timers = append(c.timers, a)
		} else {
			c.ring(a)
		}
	}
}

func (c *clock) ring(a alarm) {
	if a.t.Stop() {
		a.f()
	}
	for events := eventsOf(c.m); len(events) > 0; {
		(<-events)()
	}
}

// testMaster is a master whose clock the test moves, and which runs nothing else.
func testMaster(t *testing.T) (*Master, *clock, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	c := &clock{now: time.Unix(1e9, 0)}
	m := bareMaster(&log, realSystem())
	m.state = running
	c.m = m
	m.sys.now, m.sys.after = func() time.Time { return c.now }, c.after
	m.sys.stopped, m.sys.traced = func(int) bool { return false }, func(int) bool { return false }
	return m, c, &log
}

// probed is a probe of a process that does nothing.
func probed(t *testing.T, m *Master) (p *probe, asked *int) {
	t.Helper()
	proc, err := oslayer.Start(oslayer.Command{Path: "/bin/sleep", Args: []string{"sleep", "60"}})
	if err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	t.Cleanup(func() {
		proc.Signal(syscall.SIGKILL)
		syscall.Wait4(proc.Pid(), &status, 0, nil)
		proc.Release()
	})
	dump, err := wire.GrowingFile("indrik-stacks")
	if err != nil {
		t.Fatal(err)
	}
	asked = new(int)
	p = m.newProbe("Spawner", proc, dump)
	p.over, p.ask = func() bool { return false }, func(func()) { *asked++ }
	t.Cleanup(p.stop)
	p.watch()
	return p, asked
}

// soon waits until ok holds: nothing tells of it. It reports whether that came.
func soon(ok func() bool) bool {
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

func TestProbeOfOneThatLives(t *testing.T) {
	m, c, log := testMaster(t)
	p, asked := probed(t, m)
	delay := time.Duration(0)
	p.ask = func(done func()) {
		*asked++
		m.after(delay, done)
	}
	c.advance(10 * time.Minute)
	if want := int(10 * time.Minute / probeEvery); *asked != want {
		t.Errorf("asked %d times in ten minutes, want %d", *asked, want)
	}
	delay = strikesMost*strikeEvery - time.Millisecond // slow, but it answers
	c.advance(10 * time.Minute)
	if log.Len() > 0 || p.proc.Ended() {
		t.Errorf("%s", log)
	}
}

func TestProbeOfOneThatHangs(t *testing.T) {
	m, c, log := testMaster(t)
	p, asked := probed(t, m)
	c.advance(probeEvery + strikesMost*strikeEvery - time.Millisecond)
	if log.Len() > 0 || p.proc.Ended() || p.hangs() {
		t.Fatalf("too early: %s", log)
	}
	// It writes its stacks; the signal for that would end this one.
	m.sys.duplicate = func(f *os.File) (*os.File, error) { return nil, syscall.EMFILE }
	c.advance(time.Millisecond)
	if !soon(p.proc.Ended) || *asked != 1 {
		t.Errorf("it lives, and was asked %d times", *asked)
	}
	if text := log.String(); !strings.Contains(text, fmt.Sprintf("Spawner (pid:%d) has not answered for 6 s", p.proc.Pid())) || !strings.Contains(text, "is replaced") {
		t.Errorf("%s", text)
	}
}

func TestProbeShowsStacks(t *testing.T) {
	m, c, log := testMaster(t)
	p, _ := probed(t, m)
	// A shell stands for a process that writes its stacks when it gets the signal. It says
	// when it has its trap.
	r, ready, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	proc, err := oslayer.Start(oslayer.Command{
		Path: "/bin/sh", Args: []string{"sh", "-c", fmt.Sprintf("trap 'echo the stacks >&3' %d; echo >&4; while :; do sleep 0.01; done", oslayer.SignalDump)},
		Files: []*os.File{nil, nil, nil, p.dump, ready},
	})
	ready.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		proc.Signal(syscall.SIGKILL)
		var status syscall.WaitStatus
		syscall.Wait4(proc.Pid(), &status, 0, nil)
	}()
	if n, err := r.Read(make([]byte, 1)); n != 1 {
		t.Fatal(err)
	}
	p.proc = proc
	c.advance(probeEvery + strikesMost*strikeEvery)
	// The clock, by which it has a moment for that, stands still until it has written.
	if !soon(func() bool { n, _ := p.dump.ReadAt(make([]byte, 1), 0); return n > 0 }) {
		t.Fatal("it writes no stacks")
	}
	c.advance(stackGrace)
	if !strings.Contains(log.String(), "is replaced") {
		t.Error("it is not replaced")
	}
	if text := log.String(); !strings.Contains(text, "\nthe stacks\n") {
		t.Errorf("%s", text)
	}
}

// What makes everything stand still is no hang: a suspend, a frozen cgroup, a machine
// without time. Nor is a debugger.
func TestProbeIsNoFalseAlarm(t *testing.T) {
	m, c, log := testMaster(t)
	p, asked := probed(t, m)
	c.advance(probeEvery)
	for range 20 {
		c.jump(strikeEvery + lateLook) // each look comes too late
	}
	if log.Len() > 0 || p.hangs() || *asked != 1 {
		t.Errorf("after looks that were late: %s", log)
	}
	m.sys.traced = func(int) bool { return true }
	c.advance(time.Hour)
	if log.Len() > 0 || p.hangs() {
		t.Errorf("in a debugger: %s", log)
	}
	p.answered()
	m.sys.traced = func(int) bool { return false }
	p.busy = func() time.Duration { return time.Second }
	c.advance(time.Hour)
	if log.Len() > 0 || p.hangs() || *asked != 1 {
		t.Errorf("busy, asked %d times: %s", *asked, log)
	}
}

// One that was stopped is continued, also while it cannot be asked, and if it answers
// then it goes on: what it holds is not lost.
func TestProbeOfOneThatWasStopped(t *testing.T) {
	for _, busy := range []bool{false, true} {
		m, c, log := testMaster(t)
		p, _ := probed(t, m)
		m.sys.stopped = func(int) bool { return true }
		m.sys.duplicate = func(f *os.File) (*os.File, error) { p.answered(); return nil, syscall.EMFILE }
		if busy {
			p.busy = func() time.Duration { return time.Second }
		}
		p.proc.Signal(syscall.SIGSTOP)
		c.advance(3 * probeEvery)
		if p.proc.Ended() || p.hangs() {
			t.Errorf("busy %v: it was ended", busy)
		}
		want := "since it was stopped (SIGSTOP)"
		if busy {
			want = "was stopped (SIGSTOP) and is continued"
		}
		if text := log.String(); !strings.Contains(text, want) {
			t.Errorf("busy %v: %s", busy, text)
		}
		if !soon(func() bool { return !oslayer.Stopped(p.proc.Pid()) }) {
			t.Fatalf("busy %v: it is still stopped", busy)
		}
	}
}

// One that was stopped may answer later than it shows its stacks. If it does not even then, it
// hangs.
func TestProbeOfOneThatIsSlowToGoOn(t *testing.T) {
	m, c, log := testMaster(t)
	p, _ := probed(t, m)
	stopped := true
	m.sys.stopped = func(int) bool { return stopped }
	m.sys.duplicate = func(f *os.File) (*os.File, error) { stopped = false; return nil, syscall.EMFILE }
	p.proc.Signal(syscall.SIGSTOP)
	c.advance(probeEvery + strikesMost*strikeEvery)
	if text := log.String(); !strings.Contains(text, "since it was stopped (SIGSTOP)") || strings.Contains(text, "goes on") || p.proc.Ended() {
		t.Fatalf("%s", text)
	}
	c.advance(strikesMost*strikeEvery - time.Millisecond)
	p.answered()
	if text := log.String(); strings.Count(text, "answers again, and goes on") != 1 || strings.Contains(text, "is replaced") || p.proc.Ended() {
		t.Fatalf("%s", text)
	}

	p.answered() // nothing was asked
	stopped = true
	c.advance(probeEvery + strikesMost*strikeEvery)
	c.advance(strikesMost*strikeEvery - time.Millisecond)
	if text := log.String(); strings.Contains(text, "is replaced") || strings.Count(text, "goes on") != 1 {
		t.Fatalf("too early: %s", text)
	}
	c.advance(time.Millisecond)
	if text := log.String(); !strings.Contains(text, "is replaced") || !soon(p.proc.Ended) {
		t.Errorf("it lives: %s", text)
	}
}

// A hook may take any time; the log shows once what it does.
func TestProbeShowsLongCalls(t *testing.T) {
	m, c, log := testMaster(t)
	p, _ := probed(t, m)
	begun := c.now
	m.sys.duplicate = func(f *os.File) (*os.File, error) { return nil, syscall.EMFILE }
	p.busy = func() time.Duration { return c.now.Sub(begun) }
	c.advance(longCall - time.Second)
	if log.Len() > 0 {
		t.Errorf("too early: %s", log)
	}
	c.advance(time.Hour)
	if n := strings.Count(log.String(), "has run code of the configuration or the app for 6"); n != 1 || p.proc.Ended() {
		t.Errorf("%d lines: %s", n, log)
	}
}

// The watchdog of the service manager is fed only as long as there is progress.
func TestStandsStill(t *testing.T) {
	m, c, _ := testMaster(t)
	cfg, err := settings.Resolve("app:app")
	if err != nil {
		t.Fatal(err)
	}
	m.cfg, m.pool.target = cfg, 1
	m.front.current = &frontProcess{probe: &probe{}}
	m.pool.workers = map[int]*worker{1: {ready: true}}
	expect := func(want string) {
		t.Helper()
		if got := m.standsStill(); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	expect("")
	m.front.current.probe.strikes = strikesMost
	expect("the front hangs")
	m.front.current.probe.strikes = strikesMost - 1
	expect("")
	m.front.current.stalled = 61 * time.Second // timeout is 30
	expect("none was finished")
	m.front.current.stalled = 60 * time.Second
	expect("")
	m.pool.workers[1].ready = false
	c.now = c.now.Add(workersGrace)
	expect("")
	c.now = c.now.Add(time.Second)
	expect("there has been no worker for 31 s")
	m.pool.target = 0
	expect("")
	m.pool.target, m.state = 1, booting
	expect("")
	m.front.current = nil
	expect("")
	m.state = running
	expect("there is no front")
}

// A signal that came to the spawner alone is in the log once, with what to do. One that
// was sent to every process is not.
func TestSignalsToTheSpawner(t *testing.T) {
	m, c, log := testMaster(t)
	sp := &spawner{proc: &fakeProcess{pid: 4711}}
	const hup, term = syscall.SIGHUP, syscall.SIGTERM
	m.inbox.handled = map[syscall.Signal]time.Time{hup: c.now}
	m.spawnerSignalled(sp, hup) // the master had it just before
	c.advance(2 * sameSignal)
	m.spawnerSignalled(sp, hup)
	m.inbox.handled[hup] = c.now.Add(sameSignal / 2) // and just after
	c.advance(2 * sameSignal)
	if log.Len() > 0 {
		t.Errorf("sent to all: %s", log)
	}
	for range 3 {
		m.spawnerSignalled(sp, hup)
		m.spawnerSignalled(sp, term)
		c.advance(2 * sameSignal)
	}
	for _, name := range []string{"SIGHUP", "SIGTERM"} {
		want := fmt.Sprintf("%s was sent to the spawner (pid:4711)", name)
		if n := strings.Count(log.String(), want); n != 1 || !strings.Contains(log.String(), fmt.Sprintf("os.kill(%d, signal.%s)", os.Getpid(), name)) {
			t.Errorf("%d times %q in %s", n, want, log)
		}
	}
	log.Reset()
	m.state = quitting
	m.spawnerSignalled(sp, syscall.SIGINT)
	c.advance(2 * sameSignal)
	if log.Len() > 0 {
		t.Errorf("at the end: %s", log)
	}
}
