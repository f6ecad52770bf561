//go:build linux

package test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

// TestChaos kills processes of every role at random, reloads, resizes, upgrades and rolls
// back, under clients of four kinds. A request may be lost only if it ran in a worker that
// was killed or was in a front that was killed, and none may run twice.
//
// It takes INDRIK_TEST_CHAOS, a duration, for each kind of worker, and repeats the choices
// of INDRIK_TEST_SEED.
func TestChaos(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("INDRIK_TEST_CHAOS"))
	if err != nil {
		t.Skip("INDRIK_TEST_CHAOS is no duration such as 20s; make test-all and make nightly set it")
	}
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("INDRIK_TEST_SEED"); text != "" {
		seed, err = strconv.ParseUint(text, 10, 64)
		harness.Must(t, err)
	}
	for _, kind := range []struct {
		name, app string
		args      []string
	}{
		{"sync", "journaled:app", nil},
		{"gthread", "journaled:app", []string{"--threads", "3"}},
		{"preload", "journaled:app", []string{"--preload"}},
		{"gevent", "journaled:app", []string{"--worker-class", "gevent"}},
		{"asgi", "journaled:asgi", []string{"--worker-class", "asgi"}},
	} {
		t.Run(kind.name, func(t *testing.T) {
			t.Logf("INDRIK_TEST_SEED=%d", seed)
			binary, _ := install(t)
			s := harness.Start(t, harness.Options{
				App: kind.app, Daemon: true, Binary: binary, Python: harness.Venv(t),
				Args: append([]string{"--workers", "2", "--graceful-timeout", "10"}, kind.args...),
			})
			newChaos(s, seed).run(length, kind.name == "asgi")
		})
	}
}

// A chaos is one run: the server, what was done to it, and what its clients lost.
type chaos struct {
	*harness.Server
	random    *rand.Rand
	successor int // pid of the other master, 0 if there is none
	extra     int // TTINs that no TTOU has taken back
	done      map[string]int

	mu    sync.Mutex
	kills []killing
	lost  []loss
	ok    map[string]int // answers by kind of client
	next  int            // of the ids of requests
}

// A killing is the SIGKILL of a front or of a worker, by itself or with its master. The process
// takes connections and requests until it is gone.
type killing struct {
	at, gone time.Time
	role     string
	pid      int
}

// A loss is a request without a complete answer.
type loss struct {
	path      string
	connected time.Time // its connection
	began     time.Time
	ended     time.Time
	status    int // 0: the connection broke
	reason    string
	pid       int // of the worker, if it is known from elsewhere than the journal
}

func newChaos(s *harness.Server, seed uint64) *chaos {
	return &chaos{Server: s, random: rand.New(rand.NewPCG(seed, 0)), done: map[string]int{}, ok: map[string]int{}}
}

func (c *chaos) run(length time.Duration, sockets bool) {
	files, memory := harness.OpenFiles(c.PID()), harness.ResidentKiB(c.PID())
	stop := make(chan struct{})
	var clients sync.WaitGroup
	kinds := []func(stop chan struct{}){c.keepAliveClient, c.oneShotClient, c.streamClient}
	if sockets {
		kinds = append(kinds, c.socketClient)
	}
	for _, client := range kinds {
		for range 3 {
			clients.Go(func() { client(stop) })
		}
	}
	for end := time.Now().Add(length); time.Now().Before(end) && !c.T.Failed(); {
		c.step()
		time.Sleep(time.Duration(20+c.random.IntN(180)) * time.Millisecond) // as an operator, not for an event
	}
	close(stop)
	clients.Wait()
	c.settle()
	c.check()
	// The workers of a generation that was replaced last may yet have to leave.
	now := 0
	if !harness.Within(harness.Patience, func() bool {
		now = harness.OpenFiles(c.PID())
		return now <= files+8
	}) {
		c.T.Errorf("the master has %d open files, had %d at the beginning", now, files)
	}
	if now := harness.ResidentKiB(c.PID()); now > 2*memory+16<<10 {
		c.T.Errorf("the master has %d KiB, had %d at the beginning", now, memory)
	}
	c.Terminate()
}

// step does one thing to the server.
func (c *chaos) step() {
	if c.successor != 0 && !harness.Alive(c.successor) {
		c.successor = 0 // it lost its spawner before it was up
	}
	switch n := c.random.IntN(14); {
	case n < 4:
		c.killOne("worker")
	case n < 6:
		c.killOne("front")
	case n < 7:
		c.killOne("spawner")
	case n < 10:
		c.note("HUP")
		c.extra = 0 // a reload forgets them
		c.Signal(syscall.SIGHUP)
	case n < 11 && c.extra < 2:
		c.note("TTIN")
		c.extra++
		c.Signal(syscall.SIGTTIN)
	case n < 11:
		c.note("TTOU")
		c.extra--
		c.Signal(syscall.SIGTTOU)
	case c.successor == 0:
		c.begin()
	default:
		c.conclude()
	}
}

func (c *chaos) note(what string) { c.done[what]++ }

// killOne kills a process of a role, whichever master it belongs to.
func (c *chaos) killOne(role string) {
	if found := c.Role(role); len(found) > 0 {
		c.note("KILL " + role)
		c.kill(role, found[c.random.IntN(len(found))].PID)
	}
}

func (c *chaos) kill(role string, pid int) {
	at := time.Now()
	_ = syscall.Kill(pid, syscall.SIGKILL) // it may have left by itself
	harness.WaitGone(c.T, pid)
	if role != "spawner" {
		c.killed(killing{at, time.Now(), role, pid})
	}
}

func (c *chaos) killed(k killing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kills = append(c.kills, k)
}

// begin starts a successor, and waits until it serves or has failed.
func (c *chaos) begin() {
	c.note("USR2")
	before := c.ReadFile("srv.pid.2")
	c.Signal(syscall.SIGUSR2)
	harness.Eventually(c.T, "there is a successor", func() bool {
		pid, _ := strconv.Atoi(strings.TrimSpace(c.ReadFile("srv.pid.2")))
		if c.ReadFile("srv.pid.2") != before && pid != 0 {
			c.successor = pid
		}
		return c.successor != 0
	})
	harness.Eventually(c.T, "the successor serves", func() bool {
		if !harness.Alive(c.successor) {
			c.successor = 0
			return true
		}
		r, err := c.Request("GET", "/probe", "")
		if err != nil || r.Status != 200 {
			return false
		}
		pid, _ := strconv.Atoi(strings.Fields(r.Body)[1])
		p, ok := harness.ReadProc(pid)
		return ok && masterOf(p) == c.successor
	})
}

// conclude ends an upgrade in one of the ways there are.
func (c *chaos) conclude() {
	old := c.PID()
	switch c.random.IntN(5) {
	case 0:
		c.note("upgrade")
		c.Signal(syscall.SIGTERM)
		c.promoted(old)
	case 1:
		c.note("upgrade with WINCH")
		c.Signal(syscall.SIGWINCH)
		workersOf(c.Server, old, 0)
		c.Signal(syscall.SIGTERM)
		c.promoted(old)
	case 2:
		c.note("rollback")
		harness.Kill(c.T, c.successor, syscall.SIGTERM)
		harness.WaitGone(c.T, c.successor)
		c.successor = 0
	case 3:
		c.note("KILL successor")
		c.killFamily(c.successor)
		c.successor = 0
	case 4:
		c.note("KILL predecessor")
		c.killFamily(old)
		c.promoted(old)
	}
}

// promoted waits until the successor has taken the place of a master.
func (c *chaos) promoted(old int) {
	harness.WaitGone(c.T, old)
	(&upgraded{c.Server, c.successor}).become()
	c.successor, c.extra = 0, 0
}

// killFamily kills a master. Its front and its workers end with it.
func (c *chaos) killFamily(master int) {
	at := time.Now()
	var family []killing
	for _, role := range []string{"front", "worker"} {
		for _, p := range c.Role(role) {
			if masterOf(p) == master {
				family = append(family, killing{at: at, role: role, pid: p.PID})
			}
		}
	}
	_ = syscall.Kill(master, syscall.SIGKILL)
	harness.WaitGone(c.T, master)
	for _, k := range family {
		harness.WaitGone(c.T, k.pid)
		k.gone = time.Now()
		c.killed(k)
	}
}

// settle waits until one whole server is left.
func (c *chaos) settle() {
	if c.successor != 0 && harness.Alive(c.successor) {
		old := c.PID()
		c.Signal(syscall.SIGTERM)
		c.promoted(old)
	}
	// There are as many workers as the settings say after a reload that succeeded; one
	// that was under way may have failed for what was killed.
	harness.Eventually(c.T, "a reload succeeds", func() bool {
		c.Signal(syscall.SIGHUP)
		return harness.Within(15*time.Second, func() bool { return len(c.Role("worker")) == 2 && len(c.Tree()) == 5 })
	})
	waitWhole(c.Server, 2)
}

// check judges each loss by what was killed.
func (c *chaos) check() {
	c.mu.Lock()
	defer c.mu.Unlock()
	ran := c.journal()
	excused := map[string]int{}
	for _, l := range c.lost {
		why := c.excuse(l, ran[l.path])
		if why == "" {
			c.T.Errorf("lost without a cause: %s, %s, status %d, in %v, ran in %d, from %s to %s (connected %s)", l.path, l.reason, l.status,
				l.ended.Sub(l.began).Round(time.Millisecond), ran[l.path], clock(l.began), clock(l.ended), clock(l.connected))
		}
		excused[why]++
	}
	c.T.Logf("answers: %v; lost: %v; done: %v", c.ok, excused, c.done)
	for kind, n := range c.ok {
		if n == 0 {
			c.T.Errorf("no answer to a client of the kind %s", kind)
		}
	}
	if c.T.Failed() {
		for _, k := range c.kills {
			c.T.Logf("%s killed %s %d", clock(k.at), k.role, k.pid)
		}
	}
}

func clock(t time.Time) string { return t.Format("15:04:05.000") }

// journal returns in which process each request ran, and fails if one ran twice.
func (c *chaos) journal() map[string]int {
	ran := map[string]int{}
	for line := range strings.Lines(c.ReadFile("journal")) {
		path, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		pid, _ := strconv.Atoi(text)
		if before, twice := ran[path]; twice && path != "/" && path != "/probe" {
			c.T.Errorf("%s ran in %d and in %d", path, before, pid)
		}
		ran[path] = pid
	}
	return ran
}

// excuse says why a request may be lost, "" if it may not.
func (c *chaos) excuse(l loss, pid int) string {
	if pid == 0 {
		pid = l.pid
	}
	for _, k := range c.kills {
		switch {
		case k.role == "front" && l.status == 0 && k.liesIn(l.connected, l.ended):
			return "front killed"
		case k.role == "worker" && (l.status == 502 || l.status == 0) && k.pid == pid:
			return "worker killed"
		case k.role == "worker" && l.status == 502 && pid == 0 && k.liesIn(l.began, l.ended):
			return "worker killed before the app began"
		}
	}
	return ""
}

// liesIn reports whether a part of the killing lies in the time from one instant to another.
func (k killing) liesIn(from, to time.Time) bool { return !k.gone.Before(from) && !k.at.After(to) }

func (c *chaos) answered(kind string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ok[kind]++
}

func (c *chaos) lose(l loss) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.ended = time.Now()
	c.lost = append(c.lost, l)
}

// newPath returns a path that no other request has.
func (c *chaos) newPath(prefix string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	return fmt.Sprintf("/%s/%d", prefix, c.next)
}
