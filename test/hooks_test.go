//go:build linux

package test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// A call is one line of the record.
type call struct {
	name, args string
	pid        int
}

// recorder follows the record of a server.
type recorder struct {
	s    *harness.Server
	seen int
}

// calls are those since the last look, of hooks that are not about requests.
func (r *recorder) calls() []call {
	var list []call
	for line := range strings.Lines(r.s.ReadFile("record")) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		pid, args, _ := strings.Cut(rest, " ")
		if strings.HasSuffix(name, "_request") {
			continue
		}
		n, _ := strconv.Atoi(pid)
		list = append(list, call{name, args, n})
	}
	return list[r.seen:]
}

// expect waits until what came since the last look is, worker by worker and for the
// master's side, what the patterns say. The order between processes is chance, and
// that within one is not, so the calls are told apart by who makes them. Chance is also
// whether a worker that has to go ends before nworkers_changed is called.
func (r *recorder) expect(what string, side []string, workers map[int][]string) []call {
	r.s.T.Helper()
	total := len(side)
	for _, w := range workers {
		total += len(w)
	}
	harness.Eventually(r.s.T, fmt.Sprintf("%s: %d hooks were called", what, total), func() bool { return len(r.calls()) >= total })
	got := r.calls()
	r.seen += len(got)
	var master []string
	of := map[int][]string{}
	for _, c := range got {
		age := 0
		switch c.name {
		case "post_fork", "post_worker_init", "worker_int", "worker_abort", "worker_exit":
			fmt.Sscanf(c.args[strings.Index(c.args, "worker"):], "worker%d", &age)
			of[age] = append(of[age], c.name)
		default:
			master = append(master, c.name+" "+c.args)
		}
	}
	if fmt.Sprint(changesFirst(master)) != fmt.Sprint(changesFirst(side)) {
		r.s.T.Errorf("%s: the hooks of the master's side\n got %q\nwant %q", what, master, side)
	}
	if fmt.Sprint(of) != fmt.Sprint(workers) {
		r.s.T.Errorf("%s: the hooks of the workers\n got %v\nwant %v", what, of, workers)
	}
	return got
}

// changesFirst returns calls with each of nworkers_changed before those of child_exit that it
// came right after.
func changesFirst(calls []string) []string {
	calls = slices.Clone(calls)
	for i := 1; i < len(calls); i++ {
		for at := i; at > 0 && strings.HasPrefix(calls[at], "nworkers_changed") && strings.HasPrefix(calls[at-1], "child_exit"); at-- {
			calls[at], calls[at-1] = calls[at-1], calls[at]
		}
	}
	return calls
}

var (
	booted = []string{"post_fork", "post_worker_init"}
	exits  = []string{"worker_exit"}
)

func forks(ages ...int) (calls []string) {
	for _, age := range ages {
		calls = append(calls, fmt.Sprintf("pre_fork server worker%d", age))
	}
	return calls
}

func children(ages ...int) (calls []string) {
	for _, age := range ages {
		calls = append(calls, fmt.Sprintf("child_exit server worker%d", age))
	}
	return calls
}

func both(lists ...[]string) (all []string) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

func recorded(t *testing.T, o harness.Options, args ...string) (*harness.Server, *recorder) {
	t.Helper()
	o.Conf, o.Env = harness.TestFile(t, "configs/recording_hooks.py"), []string{"RECORD=DIR/record"}
	o.Args = append(append([]string{"--pid", "srv.pid"}, o.Args...), args...)
	s := harness.Start(t, o)
	return s, &recorder{s: s}
}

// allReady waits until the master, which has a control socket, knows that n workers are ready:
// one that is not is ended in another way.
func allReady(t *testing.T, s *harness.Server, n int) {
	t.Helper()
	harness.Eventually(t, fmt.Sprintf("%d workers are ready", n), func() bool {
		workers := statusOf(t, s).Workers
		for _, w := range workers {
			if w.State == "booting" {
				return false
			}
		}
		return len(workers) == n
	})
}

// forEachWorker runs a test of hooks with each kind of worker.
func forEachWorker(t *testing.T, test func(t *testing.T, o harness.Options)) {
	t.Run("sync", func(t *testing.T) { test(t, harness.Options{}) })
	t.Run("gthread", func(t *testing.T) { test(t, harness.Options{Args: []string{"--threads", "3"}}) })
	t.Run("asgi", func(t *testing.T) { test(t, harness.Options{App: "asgiapps:echo"}) })
}

// Each hook is called as often as it should, where it should and with what it should.
func TestHookSequence(t *testing.T) { forEachWorker(t, hookSequence) }

func hookSequence(t *testing.T, o harness.Options) {
	s, r := recorded(t, o, "--workers", "2", "--control-socket", "srv.ctl")
	s.Workers(2)
	got := r.expect("start", both(
		[]string{"nworkers_changed server 2 None", "on_starting server", "when_ready server"}, forks(1, 2),
	), map[int][]string{1: booted, 2: booted})
	spawner := s.Role("spawner")[0].PID
	for _, c := range got {
		inWorker := strings.HasPrefix(c.name, "post_")
		if inWorker == (c.pid == spawner) {
			t.Errorf("%s was called in process %d; the spawner is %d", c.name, c.pid, spawner)
		}
	}

	s.Signal(syscall.SIGTTIN)
	s.Workers(3)
	r.expect("TTIN", both([]string{"nworkers_changed server 3 2"}, forks(3)), map[int][]string{3: booted})
	allReady(t, s, 3)
	s.Signal(syscall.SIGTTOU)
	s.Workers(2)
	gone := r.dead(1 + len(exits))
	r.expect("TTOU", both([]string{"nworkers_changed server 2 3"}, children(gone)), map[int][]string{gone: exits})
	var old []int
	for age := 1; age <= 3; age++ {
		if age != gone {
			old = append(old, age)
		}
	}

	// A reload forks all the new ones, and only then ends the old.
	s.Reload(2)
	got = r.expect("HUP", both(
		[]string{"on_reload server"}, forks(4, 5), []string{"nworkers_changed server 2 2"}, ends(r, old...),
	), map[int][]string{old[0]: exits, old[1]: exits, 4: booted, 5: booted})
	for _, c := range got {
		if c.name == "child_exit" != (c.pid == spawner) && !strings.HasPrefix(c.name, "worker_") {
			t.Errorf("%s was called in process %d; the spawner before was %d", c.name, c.pid, spawner)
		}
	}

	// A worker that is killed calls nothing more; one that was told to quit does.
	for i, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGABRT} {
		allReady(t, s, 2)
		pids := s.Workers(2)
		harness.Kill(t, pids[0], sig)
		harness.WaitGone(t, pids[0])
		s.Workers(2)
		s.Get("/")
		own := map[syscall.Signal][]string{
			syscall.SIGKILL: nil, syscall.SIGTERM: exits,
			syscall.SIGQUIT: {"worker_int", "worker_exit"}, syscall.SIGABRT: {"worker_abort", "worker_exit"},
		}[sig]
		next := 6 + i
		dead := r.dead(len(own) + len(booted) + 1)
		workers := map[int][]string{next: booted}
		if own != nil {
			workers[dead] = own
		}
		side := both(children(dead), forks(next))
		if sig != syscall.SIGKILL && first(r, "child_exit", "pre_fork") == "pre_fork" {
			side = both(forks(next), children(dead)) // it said that it leaves, and its replacement does not wait for the end
		}
		r.expect(sig.String(), side, workers)
	}

	// After a reload every worker is ready: one that is not is told to quit.
	s.Reload(2)
	harness.Eventually(t, "the reload is over", func() bool { return len(r.calls()) >= 2*len(booted)+2+2*2+2 })
	r.seen += len(r.calls())
	s.Terminate()
	harness.Eventually(t, "the last hook was called", func() bool { return strings.Contains(s.ReadFile("record"), "on_exit") })
	var names []string
	for _, c := range r.calls() {
		names = append(names, c.name)
	}
	if counts := count(names); counts["worker_exit"] != 2 || counts["child_exit"] != 2 || counts["on_exit"] != 1 || len(names) != 5 || names[4] != "on_exit" {
		t.Errorf("at the end: %q", names)
	}
}

// first is the name of the first call of any of these hooks.
func first(r *recorder, names ...string) string {
	for _, c := range r.calls() {
		if slices.Contains(names, c.name) {
			return c.name
		}
	}
	return ""
}

// dead waits for so many calls besides one of child_exit, and returns the number of
// the worker that this one is about.
func (r *recorder) dead(others int) (age int) {
	r.s.T.Helper()
	harness.Eventually(r.s.T, "a worker has ended", func() bool {
		for _, c := range r.calls() {
			if c.name == "child_exit" {
				fmt.Sscanf(c.args, "server worker%d", &age)
			}
		}
		return age != 0 && len(r.calls()) > others
	})
	return age
}

// ends gives the calls of child_exit in the order in which they came, which is
// chance, after a check that there is one for each.
func ends(r *recorder, ages ...int) []string {
	r.s.T.Helper()
	want := count(children(ages...))
	var got []string
	harness.Eventually(r.s.T, "the old workers have ended", func() bool {
		got = nil
		for _, c := range r.calls() {
			if c.name == "child_exit" {
				got = append(got, c.name+" "+c.args)
			}
		}
		return len(got) >= len(ages)
	})
	if fmt.Sprint(count(got)) != fmt.Sprint(want) {
		r.s.T.Errorf("child_exit: %q", got)
	}
	return got
}

func count(names []string) map[string]int {
	n := map[string]int{}
	for _, name := range names {
		n[name]++
	}
	return n
}

func TestHooksOfRequests(t *testing.T) { forEachWorker(t, hooksOfRequests) }

func hooksOfRequests(t *testing.T, o harness.Options) {
	s, r := recorded(t, o, "--max-requests", "3")
	first := s.Workers(1)[0]
	for range 6 {
		s.Get("/")
	}
	harness.WaitGone(t, first)
	s.Get("/")
	harness.Eventually(t, "each request was recorded", func() bool { return strings.Count(s.ReadFile("record"), "post_request ") >= 8 })
	text := s.ReadFile("record")
	// start's own request is one of them.
	if a, b := strings.Count(text, "pre_request "), strings.Count(text, "post_request "); a != b || a < 8 {
		t.Errorf("pre_request was called %d times, post_request %d times", a, b)
	}
	if !regexp.MustCompile(`(?m)^pre_request \d+ worker\d+ Request$`).MatchString(text) ||
		!regexp.MustCompile(`(?m)^post_request \d+ worker\d+ Request dict Response$`).MatchString(text) {
		t.Errorf("%s", text)
	}
	s.Terminate()
	// Each worker that max_requests replaced was booted and has ended once.
	ages := map[string]map[string]int{}
	for _, c := range r.calls() {
		if i := strings.Index(c.args, "worker"); i >= 0 {
			if ages[c.args[i:]] == nil {
				ages[c.args[i:]] = map[string]int{}
			}
			ages[c.args[i:]][c.name]++
		}
	}
	if len(ages) < 2 {
		t.Errorf("there were %d workers", len(ages))
	}
	for age, n := range ages {
		for _, name := range []string{"pre_fork", "post_fork", "worker_exit", "child_exit"} {
			if n[name] != 1 {
				t.Errorf("%s: %s was called %d times", age, name, n[name])
			}
		}
	}
}

func TestHooksOfAnUpgrade(t *testing.T) {
	t.Parallel()
	s, r := recorded(t, harness.Options{App: "gated:app"})
	s.Workers(1)
	r.expect("start", both([]string{"nworkers_changed server 1 None", "on_starting server", "when_ready server"}, forks(1)),
		map[int][]string{1: booted})
	u := upgrade(s, 1)
	got := r.expect("USR2", both(
		[]string{"pre_exec server", "nworkers_changed server 1 None", "on_starting server", "when_ready server"}, forks(1),
	), map[int][]string{1: booted})
	if got[0].pid == got[1].pid {
		t.Errorf("pre_exec was called in the new server: %+v", got)
	}
	s.Signal(syscall.SIGWINCH)
	workersOf(s, s.PID(), 0)
	r.expect("WINCH", both([]string{"nworkers_changed server 0 1"}, children(1)), map[int][]string{1: exits})
	s.Signal(syscall.SIGHUP)
	back := workersOf(s, s.PID(), 1)
	r.expect("HUP", both([]string{"nworkers_changed server 1 0"}, forks(2)), map[int][]string{2: booted})
	// One that the master does not know to be ready is ended by SIGQUIT, with worker_int.
	harness.Eventually(t, "the worker serves", func() bool { return strings.HasPrefix(s.Get("/"), fmt.Sprint(back[0])) })
	s.Signal(syscall.SIGTERM)
	harness.WaitGone(t, s.PID())
	u.become()
	r.expect("TERM", both(children(2), []string{"on_exit server"}), map[int][]string{2: exits})
	harness.Kill(t, u.successor, syscall.SIGTERM)
	harness.WaitGone(t, u.successor)
	r.expect("the end", both(children(1), []string{"on_exit server"}), map[int][]string{1: exits})
}

// A hook that raises is told with its traceback. What happens then is Gunicorn's
// where that loses nothing, see docs/hooks.md.
func TestHooksThatRaise(t *testing.T) {
	t.Parallel()
	raising := func(name, args string) string {
		return fmt.Sprintf("def %s(%s):\n    raise RuntimeError('broken %s')\n", name, args, name)
	}
	for name, c := range map[string]struct {
		args string
		code int
	}{
		"nworkers_changed": {"server, new, old", 1}, "on_starting": {"server", 1}, "when_ready": {"server", 1},
		"pre_fork": {"server, worker", 255}, "post_fork": {"server, worker", 3}, "post_worker_init": {"worker", 3},
	} {
		t.Run(name, func(t *testing.T) {
			s := harness.Launch(t, harness.Options{Conf: raising(name, c.args), Args: []string{"--pid", "srv.pid"}})
			s.ExpectExit(c.code)
			if s.Log.Count(`RuntimeError: broken `+name) == 0 || s.Log.Count(`Traceback`) == 0 {
				t.Errorf("the log does not say why:\n%s", s.Log)
			}
		})
	}

	// Later they cost nothing but what they were to do.
	conf := "import os\nLATE = os.path.exists('late')\nif LATE:\n"
	for name, args := range map[string]string{
		"on_reload": "server", "pre_fork": "server, worker", "post_fork": "server, worker",
	} {
		t.Run("reload "+name, func(t *testing.T) {
			s := harness.Start(t, harness.Options{Conf: conf + "    " + strings.ReplaceAll(raising(name, args), "\n    ", "\n        ")})
			before := s.Workers(1)
			s.WriteFile("late", "")
			s.Signal(syscall.SIGHUP)
			s.Log.Expect(t, `Reload failed, nothing was changed`)
			s.Log.ExpectFrom(t, 0, `RuntimeError: broken `+name)
			if got := s.Workers(1); got[0] != before[0] {
				t.Error("the worker was replaced")
			}
			s.Get("/")
			s.Terminate()
		})
	}
	t.Run("running", func(t *testing.T) {
		s := harness.Start(t, harness.Options{Args: []string{"--pid", "srv.pid"}, Conf: raising("child_exit", "server, worker") + raising("worker_exit", "server, worker") +
			raising("pre_exec", "server") + raising("on_exit", "server") + raising("post_request", "worker, req") + `
import os
def nworkers_changed(server, new, old):
    if new == 2:
        raise RuntimeError('broken nworkers_changed')
def pre_request(worker, req):
    if req.path == "/fail":
        raise RuntimeError('broken pre_request')
def pre_fork(server, worker):
    if os.path.exists("late"):
        os.unlink("late")
        raise RuntimeError('broken pre_fork')
`})
		if r, err := s.Request("GET", "/fail", ""); err != nil || r.Status != 500 {
			t.Errorf("%v, %v", r, err)
		}
		s.Log.ExpectFrom(t, 0, `RuntimeError: broken pre_request`)
		s.Log.ExpectFrom(t, 0, `\[ERROR\] Exception in post_request hook`)
		old := s.Workers(1)[0]
		s.Signal(syscall.SIGTTIN)
		s.Workers(2)
		s.Log.ExpectFrom(t, 0, `\[ERROR\] Exception in nworkers_changed hook`)
		s.WriteFile("late", "")
		harness.Kill(t, old, syscall.SIGTERM)
		harness.WaitGone(t, old)
		s.Log.ExpectFrom(t, 0, `\[ERROR\] Cannot start a worker: broken pre_fork`)
		s.Log.ExpectFrom(t, 0, `\[WARNING\] Exception during worker exit:`)
		s.Log.ExpectFrom(t, 0, `\[ERROR\] Exception in child_exit hook`)
		s.Workers(2)
		s.Signal(syscall.SIGUSR2)
		s.Log.ExpectFrom(t, 0, `\[ERROR\] Exception in pre_exec hook`)
		s.Get("/")
		s.Terminate()
		s.Log.ExpectFrom(t, 0, `\[ERROR\] Exception in on_exit hook`)
		s.Log.ExpectFrom(t, 0, `Shutting down: Master$`)
	})
}

func TestHooksAsStrings(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{
		Conf:  "on_starting = 'myhooks.started'\npost_fork = 'myhooks.forked'\n",
		Files: map[string]string{"myhooks.py": "def started(server): server.log.info('hook started')\ndef forked(server, worker): worker.log.info('hook forked')\n"},
	})
	s.Log.ExpectFrom(t, 0, `hook started$`)
	s.Log.ExpectFrom(t, 0, `hook forked$`)
	s.Terminate()
}
