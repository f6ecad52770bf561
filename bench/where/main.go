// Command where measures where the time of a request goes in a server that runs one of the
// bench's apps: user and system time, switches, wake-ups and migrations of the front and of the
// workers for each request, their system calls, and the time of the app itself, in a worker and
// in a loop (docs/performance.md). Linux only: it reads /proc, and counts system calls with
// strace, if that is there.
//
// Half load is half of the rate that was found with all clients asking at once. What the app
// takes in a loop is measured three times: with the other processors idle, with one of them
// busy adding numbers, and with the same loop on another one; the difference between these is
// what processors share, and no work of the server.
//
//	go run ./bench/where -indrik bin/indrik -python .cache/bench/venv/bin/python
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"indrik/bench/load"
	"indrik/bench/proctree"
	"indrik/bench/serve"
	"indrik/bench/stats"
)

// A workload is an app of bench/apps.
type workload struct {
	app  string // its module
	args []string
	want string // the answer
}

var workloads = map[string]workload{
	"hello":   {"hello", nil, "Hello, World!\n"},
	"asgi":    {"hello_asgi", []string{"-k", "asgi"}, "Hello, World!\n"},
	"flask":   {"flask_app", nil, "{\"message\":\"Hello, World!\"}\n"},
	"django":  {"django_app", nil, `{"message": "Hello, World!"}`},
	"fastapi": {"fastapi_app", []string{"-k", "asgi"}, `{"message":"Hello, World!"}`},
}

type options struct {
	indrik, python, apps string
	workers, clients     int
	length               time.Duration
	brief, full          bool
	dir                  string
}

func main() {
	var o options
	var names string
	flag.StringVar(&o.indrik, "indrik", "bin/indrik", "the `program` to measure")
	flag.StringVar(&o.python, "python", ".cache/bench/venv/bin/python", "the `interpreter` of the apps")
	flag.StringVar(&o.apps, "apps", "bench/apps", "`directory` of the apps")
	flag.StringVar(&names, "workloads", "flask,fastapi", "`names`, separated by commas: hello, asgi, flask, django, fastapi")
	flag.IntVar(&o.workers, "workers", 2, "how many")
	flag.IntVar(&o.clients, "clients", 64, "how many")
	flag.DurationVar(&o.length, "duration", 5*time.Second, "length of each measurement")
	flag.BoolVar(&o.brief, "brief", false, "count no system calls, and call no app in a loop")
	flag.BoolVar(&o.full, "full", false, "ask at no other rate than as fast as it goes")
	flag.Parse()
	if err := o.run(strings.Split(names, ",")); err != nil {
		fmt.Fprintln(os.Stderr, "where:", err)
		os.Exit(1)
	}
}

func (o *options) run(names []string) error {
	for _, path := range []*string{&o.indrik, &o.python, &o.apps} {
		// Not the real path: an interpreter finds its environment by its name.
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		*path = absolute
	}
	var err error
	if o.dir, err = os.MkdirTemp("", "where"); err != nil {
		return err
	}
	defer os.RemoveAll(o.dir)
	for _, name := range names {
		w, known := workloads[name]
		if !known {
			return fmt.Errorf("no workload %q", name)
		}
		if err := o.measure(name, &w); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// measure prints the tables of one workload.
func (o *options) measure(name string, w *workload) error {
	s, err := o.start(w)
	if err != nil {
		return err
	}
	fmt.Printf("## %s\n\n", name)
	full, err := s.ask(0, s.countAll)
	if err == nil {
		full.print("saturation")
		if !o.full {
			var half *result
			if half, err = s.ask(full.rate/2, s.countAll); err == nil {
				half.print("half load")
			}
		}
	}
	if err == nil && !o.brief {
		err = s.printCalls()
	}
	if err = errors.Join(err, s.Stop()); err != nil || o.brief {
		return err
	}
	return o.printLoops(w, full)
}

// A server is one that runs.
type server struct {
	*serve.Server
	o         *options
	w         *workload
	address   netip.AddrPort
	processes []process
	calls     string // the directory of what the apps have counted
	source    int    // as load.Plan has it
}

func (o *options) start(w *workload) (*server, error) {
	address, err := serve.FreeAddress()
	if err != nil {
		return nil, err
	}
	calls, err := os.MkdirTemp(o.dir, "calls")
	if err != nil {
		return nil, err
	}
	args := append([]string{"--workers", fmt.Sprint(o.workers), "--bind", address.String(), "--log-level", "error"}, w.args...)
	cmd := exec.Command(o.indrik, append(args, "timed:app")...)
	cmd.Dir, cmd.Stderr = o.apps, os.Stderr
	cmd.Env = append(os.Environ(), "INDRIK_PYTHON="+o.python, "PYTHONDONTWRITEBYTECODE=1", "BENCH_TIMED="+w.app, "BENCH_CALLS="+calls)
	s := &server{o: o, w: w, address: address, calls: calls}
	if s.Server, err = serve.Start(context.Background(), cmd, s.try); err != nil {
		return nil, err
	}
	if s.processes, err = processesOf(cmd.Process.Pid); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *server) plan(clients int, rate float64) load.Plan {
	s.source++
	g := load.Group{
		Clients: clients, Want: []byte(s.w.want),
		Request: []byte("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"),
	}
	if rate > 0 {
		g.Every = time.Duration(float64(clients) / rate * float64(time.Second))
	}
	return load.Plan{Server: s.address, Groups: []load.Group{g}, Source: s.source, Timeout: 5 * time.Second}
}

// try makes one request.
func (s *server) try() error {
	plan := s.plan(1, 0)
	plan.Measure = time.Millisecond
	r, err := load.Run(context.Background(), plan)
	if err != nil {
		return err
	}
	if g := &r.Groups[0]; g.Failed() > 0 {
		return errors.New(g.FirstError)
	}
	return nil
}

// A result is what was counted under one load.
type result struct {
	requests  int
	rate      float64 // in a second
	p50, p99  time.Duration
	processes []process
	used      []usage // by process
	calls     int     // of the app
	inApp     time.Duration
	others    float64 // the part of all processors that neither the server nor the clients used
}

// counts is what is there to be counted at one time.
type counts struct {
	used  []usage
	calls int
	inApp time.Duration
	busy  time.Duration // of all processors, without this process and those of the server
	err   error
}

func (s *server) countAll() (c counts) {
	c.busy, c.err = proctree.Busy("/proc")
	table, err := proctree.Read("/proc")
	c.err = errors.Join(c.err, err)
	c.busy -= table.CPU(s.Process.Pid) + table[os.Getpid()].CPU
	for _, p := range s.processes {
		u, err := read(p.pid)
		c.used, c.err = append(c.used, u), errors.Join(c.err, err)
	}
	c.calls, c.inApp, err = callsIn(s.calls)
	c.err = errors.Join(c.err, err)
	return c
}

// ask has the clients ask at a rate, or, if that is 0, as fast as they can.
func (s *server) ask(rate float64, count func() counts) (*result, error) {
	var before, after counts
	plan := s.plan(s.o.clients, rate)
	plan.Warm, plan.Measure = s.o.length/5, s.o.length
	plan.Started, plan.Ended = func() { before = count() }, func() { after = count() }
	answered, err := load.Run(context.Background(), plan)
	if err = errors.Join(err, before.err, after.err); err != nil {
		return nil, err
	}
	g := &answered.Groups[0]
	if g.Failed() > 0 || g.Answers == 0 {
		return nil, fmt.Errorf("%d answers, %d failed: %s", g.Answers, g.Failed(), g.FirstError)
	}
	r := &result{
		requests: g.Answers, rate: float64(g.Answers) / answered.Elapsed.Seconds(), processes: s.processes,
		p50: stats.Percentile(g.Latencies, 50), p99: stats.Percentile(g.Latencies, 99),
		calls: after.calls - before.calls, inApp: after.inApp - before.inApp,
		others: max(0, (after.busy-before.busy).Seconds()/answered.Elapsed.Seconds()/float64(runtime.NumCPU())),
	}
	for i := range after.used {
		r.used = append(r.used, after.used[i].minus(before.used[i]))
	}
	return r, nil
}

func (r *result) print(name string) {
	fmt.Printf("%s: %.0f requests/s, p50 %.2f ms, p99 %.2f ms; others had %.0f %% of the processors\n\n",
		name, r.rate, millis(r.p50), millis(r.p99), 100*r.others)
	fmt.Print("| process | user | system | share of the time in which it had work | voluntary switches | forced | migrations |\n" +
		"|---|---:|---:|---:|---:|---:|---:|\n")
	n := float64(r.requests)
	row := func(name string, u usage) {
		share := 100 * float64(u.ran) / float64(max(u.ran+u.waited, 1))
		fmt.Printf("| %s | %.1f | %.1f | %.0f %% | %.2f | %.2f | %.3f |\n", name, micros(u.user)/n, micros(u.system)/n, share,
			float64(u.voluntary)/n, float64(u.forced)/n, float64(u.migrations)/n)
	}
	roles := map[string]usage{}
	for i, u := range r.used {
		roles[r.processes[i].role] = roles[r.processes[i].role].plus(u)
	}
	row("front", roles["front"])
	row("workers", roles["worker"])
	fmt.Printf("\nthe app in the worker: %.1f µs a call\n\n", r.perCall())
}

func (r *result) perCall() float64 { return micros(r.inApp) / float64(max(r.calls, 1)) }

// printCalls prints the system calls of each process, one process after the other.
func (s *server) printCalls() error {
	if _, err := exec.LookPath("strace"); err != nil {
		fmt.Print("system calls: there is no strace\n\n")
		return nil //nolint:nilerr // the rest is there
	}
	fmt.Print("| process | system calls a request, at saturation |\n|---|---|\n")
	seen := map[string]bool{}
	for _, p := range s.processes {
		if seen[p.role] {
			continue
		}
		seen[p.role] = true
		line, err := s.traced(p)
		if err != nil {
			return err
		}
		fmt.Printf("| %s | %s |\n", p.role, line)
	}
	fmt.Println()
	return nil
}

// traced returns the system calls of a process for each request. Of a worker these are the
// requests that it ran itself.
func (s *server) traced(p process) (string, error) {
	t, err := trace(p.pid, s.o.dir)
	if err != nil {
		return "", err
	}
	own := func() (c counts) {
		if c = s.countAll(); p.role == "worker" && c.err == nil {
			c.calls, c.inApp, c.err = readCalls(filepath.Join(s.calls, fmt.Sprint(p.pid)))
		}
		return c
	}
	begun := own()
	if _, err = s.ask(0, own); err != nil {
		_, _ = t.end()
		return "", err
	}
	calls, err := t.end()
	if ended := own(); err == nil {
		err = errors.Join(begun.err, ended.err)
		n := float64(max(ended.calls-begun.calls, 1))
		var parts []string
		for name, count := range calls {
			if rate := float64(count) / n; rate >= 0.01 {
				parts = append(parts, fmt.Sprintf("`%s` %.2f", name, rate))
			}
		}
		slices.Sort(parts)
		return strings.Join(parts, ", "), err
	}
	return "", err
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
