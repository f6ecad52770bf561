// Command bench compares Indrik with the servers that people run today, all on
// this machine, and says where the figures come from.
//
// Each workload is run for every server in turn, and then again: A B C A B C.
// A server is started for each of its runs and is the only one alive. All of
// them run the same app (apps/hello.py) in the same Python with two workers and
// no access log. The clients are those of package load; they share the machine
// with the server, so that the processor time a request takes in the server
// stands beside the requests a second. What cannot be trusted is marked in
// the tables, never left out: errors, clients that were not served, rounds
// that differ by more than a fifth, a machine that others use.
//
// The other servers come from PyPI at the versions in packages.go, into a
// virtual environment in the directory -dir, and nginx from the system. One that
// is not there is reported as absent. The bench ends every process that it
// started, also on Ctrl-C. It needs Linux.
//
//	make bench                       a short form
//	make bench-full                  all of it, for docs/benchmarks.md, in 25 minutes at most
//	make bench BENCHFLAGS='-peers indrik -workloads hello -rounds 5'
//	make bench BENCHFLAGS='-against /tmp/indrik-before -rounds 9'
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"indrik/bench/serve"
)

// What the bench exits with.
const (
	exitFailed      = 1 // nothing, or not everything, could be measured
	exitUsage       = 2
	exitInterrupted = 130 // as a shell says of SIGINT
)

// options are the flags.
type options struct {
	Indrik    string
	Python    string
	Speed     string
	Dir       string
	Apps      string
	Peers     string
	Workloads string
	Rounds    int
	Lesser    int
	Warm      time.Duration
	Measure   time.Duration
	Limit     time.Duration
	Full      bool
	Results   string
	Docs      string
	From      string
	Kinds     string
	Against   string
}

func main() {
	var o options
	flag.StringVar(&o.Indrik, "indrik", "bin/indrik", "the `program` to measure")
	flag.StringVar(&o.Python, "python", "python3", "the `interpreter` to make the virtual environment with")
	flag.StringVar(&o.Speed, "speed", "", "`directory` of the source of indrik-speed, to install it beside the apps")
	flag.StringVar(&o.Dir, "dir", ".cache/bench", "`directory` of the virtual environment, the logs and latest.json")
	flag.StringVar(&o.Apps, "apps", "bench/apps", "`directory` of the apps")
	flag.StringVar(&o.Peers, "peers", "", "measure only servers whose name holds one of these `words`, separated by commas")
	flag.StringVar(&o.Workloads, "workloads", "", "measure only these `names`, separated by commas; without them a short list, or all with -full")
	flag.IntVar(&o.Rounds, "rounds", 2, "how often each server meets each workload")
	flag.IntVar(&o.Lesser, "lesser", 0, "`rounds` of workloads that the first goals are not about; 0: like the others")
	flag.DurationVar(&o.Warm, "warm", 200*time.Millisecond, "load before each measurement")
	flag.DurationVar(&o.Measure, "duration", time.Second, "length of a measurement; some take longer")
	flag.DurationVar(&o.Limit, "limit", 570*time.Second, "stop measuring after this long")
	flag.BoolVar(&o.Full, "full", false, "measure all workloads")
	flag.StringVar(&o.Results, "results", "", "`file` for the results, besides latest.json in -dir")
	flag.StringVar(&o.Docs, "docs", "", "`directory` for benchmarks.md and its charts")
	flag.StringVar(&o.From, "from", "", "measure nothing, and take the results of these `files`, separated by commas; of a workload that is in several, the first")
	flag.StringVar(&o.Kinds, "kinds", "", "measure Indrik's kinds of worker, and nothing else, for the table in this `file`")
	flag.StringVar(&o.Against, "against", "", "compare the processor time of -indrik with that of this older `program`, in -rounds rounds in turn, and measure nothing else")
	flag.Parse()
	if o.Against != "" {
		if err := o.checkAgainst(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(exitUsage)
		}
	}
	if flag.NArg() > 0 || o.Rounds < 1 || o.Measure <= 0 || o.Warm < 0 {
		flag.Usage()
		os.Exit(exitUsage)
	}
	if o.From != "" {
		os.Exit(render(o))
	}
	os.Exit(bench(o))
}

// render makes the docs of results that are there.
func render(o options) int {
	r, err := readReports(strings.Split(o.From, ","))
	if err == nil && o.Results != "" {
		err = r.save(o.Results)
	}
	if err == nil {
		err = r.writeDocs(o.Docs)
	}
	if err != nil {
		return failed(err)
	}
	return 0
}

func bench(o options) (code int) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := serve.AdoptOrphans(); err != nil {
		return failed(err)
	}
	defer serve.EndAll()
	// The clients allocate little, and a collection takes a core from the server.
	debug.SetGCPercent(400)

	for _, path := range []*string{&o.Indrik, &o.Dir, &o.Apps, &o.Speed} {
		if *path == "" {
			continue // no -speed
		}
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return failed(err)
		}
		*path = absolute
	}
	peers, err := choose(allPeers, o.Peers, func(p peer, word string) bool { return strings.Contains(p.Name, word) })
	if err != nil {
		return failed(fmt.Errorf("servers: %w", err))
	}
	works, err := choose(allWorkloads, o.Workloads, func(w workload, word string) bool { return w.Name == word })
	if err != nil {
		return failed(fmt.Errorf("workloads: %w", err))
	}
	if o.Workloads == "" && !o.Full {
		works = slices.DeleteFunc(slices.Clone(works), func(w workload) bool { return !w.Short })
	}
	for _, name := range []string{"logs", "home"} {
		if err := os.MkdirAll(filepath.Join(o.Dir, name), 0o755); err != nil {
			return failed(err)
		}
	}
	if err := os.WriteFile(filepath.Join(o.Dir, "50k.txt"), fileContent, 0o644); err != nil {
		return failed(err)
	}
	packages := requirements
	if o.Against != "" {
		packages = slices.DeleteFunc(slices.Clone(packages), func(r requirement) bool { return !slices.Contains(againstPackages, r.name) })
	}
	env, err := install(ctx, o, packages)
	if ctx.Err() != nil {
		return exitInterrupted
	}
	if err != nil {
		return failed(err)
	}

	if o.Against != "" {
		if err := compareBinaries(ctx, o, env, works); err != nil {
			return failed(err)
		}
		return 0
	}
	if o.Kinds != "" {
		if err := benchKinds(ctx, o, env); err != nil {
			return failed(err)
		}
		return 0
	}
	report := newReport(o, env, peers)
	limited, cancel := context.WithTimeoutCause(ctx, o.Limit, fmt.Errorf("stopped after %v (-limit)", o.Limit))
	defer cancel()
	latest := filepath.Join(o.Dir, "latest.json")
	err = measureAll(limited, o, env, peers, works, report, func() error {
		report.finish(nil)
		return report.save(latest)
	})
	if ctx.Err() != nil {
		fmt.Fprintf(os.Stderr, "bench: interrupted; %s has the workloads that were done\n", latest)
		return exitInterrupted
	}
	report.finish(err)
	fmt.Print(report.markdown(works))
	err = errors.Join(err, report.save(latest))
	if o.Results != "" {
		err = errors.Join(err, report.save(o.Results))
	}
	if o.Docs != "" {
		err = errors.Join(err, report.writeDocs(o.Docs))
	}
	if err != nil {
		return failed(err)
	}
	return 0
}

// choose returns those of all that one of the words stands for, or all of
// them if there are no words. A word that stands for none is an error.
func choose[T any](all []T, words string, matches func(T, string) bool) ([]T, error) {
	if words == "" {
		return all, nil
	}
	wanted := make([]bool, len(all))
	for word := range strings.SplitSeq(words, ",") {
		found := false
		for i, one := range all {
			if matches(one, word) {
				wanted[i], found = true, true
			}
		}
		if !found {
			return nil, fmt.Errorf("%q is none of them", word)
		}
	}
	var chosen []T
	for i, one := range all {
		if wanted[i] {
			chosen = append(chosen, one)
		}
	}
	return chosen, nil
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, "bench:", err)
	return exitFailed
}
