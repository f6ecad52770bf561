// Command scaling offers a server whose number of workers follows the load (workers = MIN..MAX)
// a load that steps up, and down again, and reports second by second how many workers there are
// and how long requests take.
//
// The app only waits, as one that waits for a database does, so that the load generator does not
// compete with what it measures. The load is open: it comes at a steady rate whatever the server
// does.
//
//	go run ./bench/scaling -indrik bin/indrik
//	go run ./bench/scaling -indrik bin/indrik -start 5 -v
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"indrik/bench/serve"
)

// A plan is what is offered, and to which server.
type plan struct {
	indrik  string
	workers string
	delay   float64       // scale_down_delay, seconds
	start   time.Duration // that a worker takes to import the app
	service time.Duration // that the app takes for a request
	low     float64       // requests a second before and after
	high    float64       // between
	before  int           // seconds
	during  int
	after   int
	verbose bool
}

// A second is what was seen in one second of the load.
type second struct {
	offered int
	failed  int             // without an answer, or with another one than 200
	took    []time.Duration // from when a request was due
	workers int             // that there should be, at the end
}

func main() {
	p := plan{}
	var start, service float64
	flag.StringVar(&p.indrik, "indrik", "bin/indrik", "the server")
	flag.StringVar(&p.workers, "workers", "1..32", "the setting workers")
	flag.Float64Var(&p.delay, "delay", 10, "the setting scale_down_delay")
	flag.Float64Var(&start, "start", 0, "seconds that a worker takes to start")
	flag.Float64Var(&service, "service", 0.05, "seconds that the app takes for a request")
	flag.Float64Var(&p.low, "low", 8, "requests a second before and after the step")
	flag.Float64Var(&p.high, "high", 160, "requests a second of the step")
	flag.IntVar(&p.before, "before", 10, "seconds before the step")
	flag.IntVar(&p.during, "during", 60, "seconds of the step")
	flag.IntVar(&p.after, "after", 45, "seconds after it")
	flag.BoolVar(&p.verbose, "v", false, "show each second")
	flag.Parse()
	p.start, p.service = seconds(start), seconds(service)
	if err := p.run(); err != nil {
		fmt.Fprintln(os.Stderr, "scaling:", err)
		os.Exit(1)
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// app takes a while to be imported, except for the first worker, and for each request.
const app = `
import os, time

if os.path.exists("started"):
    time.sleep(%f)
open("started", "w").close()


def app(environ, start_response):
    time.sleep(%f)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\n"]
`

func (p *plan) run() (err error) {
	dir, err := os.MkdirTemp("", "scaling-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	control := filepath.Join(dir, "ctl")
	cmd, address, err := serve.Indrik(p.indrik, dir, fmt.Sprintf(app, p.start.Seconds(), p.service.Seconds()),
		"--workers", p.workers, "--scale-down-delay", fmt.Sprint(p.delay), "--control-socket", control)
	if err != nil {
		return err
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 10000}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	s, err := serve.Start(context.Background(), cmd, func() error { return get(client, address) })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	if _, err := p.target(control); err != nil {
		return err
	}
	seen, err := p.offer(client, address, control)
	if err != nil {
		return err
	}
	p.report(seen)
	return nil
}

// offer makes the requests, and looks at the server once a second.
func (p *plan) offer(client *http.Client, address, control string) ([]second, error) {
	seen := make([]second, p.before+p.during+p.after)
	var mu sync.Mutex
	var all sync.WaitGroup
	var failure error
	begun := time.Now()
	for i := range seen {
		rate := p.low
		if i >= p.before && i < p.before+p.during {
			rate = p.high
		}
		from := begun.Add(time.Duration(i) * time.Second)
		for n := range int(rate) {
			due := from.Add(time.Duration(float64(n) / rate * float64(time.Second)))
			time.Sleep(time.Until(due))
			all.Go(func() {
				err := get(client, address)
				took := time.Since(due)
				mu.Lock()
				defer mu.Unlock()
				seen[i].offered++
				if err != nil {
					seen[i].failed++
					return
				}
				seen[i].took = append(seen[i].took, took)
			})
		}
		time.Sleep(time.Until(from.Add(time.Second - 50*time.Millisecond)))
		all.Go(func() {
			n, err := p.target(control)
			mu.Lock()
			defer mu.Unlock()
			seen[i].workers, failure = n, errors.Join(failure, err)
		})
	}
	all.Wait()
	return seen, failure
}

// target asks the server how many workers there should be.
func (p *plan) target(control string) (int, error) {
	cmd := exec.CommandContext(context.Background(), p.indrik, "status", "--json")
	cmd.Env = append(os.Environ(), "INDRIK_CONTROL_SOCKET="+control)
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("status: %w", err)
	}
	var status struct{ Target int }
	err = json.NewDecoder(bytes.NewReader(out)).Decode(&status)
	return status.Target, err
}

func get(client *http.Client, address string) error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Errorf("body: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// millis is the percentile p of some times, 0 of none.
func millis(times []time.Duration, p float64) float64 {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return float64(sorted[int(p*float64(len(sorted)-1))]) / float64(time.Millisecond)
}

// report prints what was seen, and what follows of it.
func (p *plan) report(seen []second) {
	if p.verbose {
		fmt.Println("second  offered  failed  workers  p50 ms  p99 ms")
		for i := range seen {
			x := &seen[i]
			fmt.Printf("%6d  %7d  %6d  %7d  %6.0f  %6.0f\n", i-p.before, x.offered, x.failed, x.workers, millis(x.took, 0.5), millis(x.took, 0.99))
		}
	}
	offered, failed, most, changes, worst := 0, 0, 0, 0, 0.0
	quick := func(i int) bool { return millis(seen[i].took, 0.99) <= 3*float64(p.service)/float64(time.Millisecond) }
	calm := -1 // the first of three seconds of the step in a row in which requests hardly wait
	down := -1
	for i := range seen {
		x := &seen[i]
		offered, failed, most = offered+x.offered, failed+x.failed, max(most, x.workers)
		if i > 0 && x.workers != seen[i-1].workers {
			changes++
		}
		worst = max(worst, millis(x.took, 0.99))
		if i >= p.before && i+2 < p.before+p.during && calm < 0 && quick(i) && quick(i+1) && quick(i+2) {
			calm = i - p.before
		}
		if i >= p.before+p.during && down < 0 && x.workers <= seen[p.before-1].workers {
			down = i - p.before - p.during
		}
	}
	settled := seen[p.before+p.during-1]
	fmt.Printf("workers = %s, a start takes %s more, requests %s: from %.1f to %.1f slots' worth\n",
		p.workers, p.start, p.service, p.low*p.service.Seconds(), p.high*p.service.Seconds())
	fmt.Printf("  %d requests, %d without a good answer; the slowest second had a p99 of %.0f ms\n", offered, failed, worst)
	fmt.Printf("  workers: %d before, %d at most, %d at the end of the step; %d changes\n", seen[p.before-1].workers, most, settled.workers, changes)
	fmt.Printf("  p99 within three times the service time from second %d of the step on; then p50 %.0f ms, p99 %.0f ms\n",
		calm, millis(settled.took, 0.5), millis(settled.took, 0.99))
	fmt.Printf("  as many workers as before %d s after the end of the step\n", down)
}
