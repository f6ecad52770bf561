package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"indrik/bench/stats"
)

// This file compares two binaries of Indrik, usually those before and after a
// change: bench -against BINARY.

// againstWorkloads are measured unless -workloads names others.
const againstWorkloads = "hello,flask,asgi"

// leastRounds is how many rounds -against needs: with fewer the interval of a median
// says little.
const leastRounds = 9

// againstPackages are the packages that the servers and apps of these workloads use.
var againstPackages = []string{"uvloop", "flask", "django", "fastapi"}

// A comparison holds what one workload was in both binaries, by round.
type comparison struct {
	workload      string
	before, after []run
}

// ratios returns a figure of after divided by that of before, round by round.
func (c *comparison) ratios(of func(*run) float64) []float64 {
	ratios := make([]float64, len(c.before))
	for i := range ratios {
		ratios[i] = of(&c.after[i]) / of(&c.before[i])
	}
	return ratios
}

// medianOf returns the median of a figure.
func medianOf(runs []run, of func(*run) float64) float64 {
	values := make([]float64, len(runs))
	for i := range runs {
		values[i] = of(&runs[i])
	}
	return stats.Summarize(values).Median
}

// compareBinaries measures o.Indrik and o.Against in turn, and prints what a request takes in
// each, and how many there were. The two runs of a round follow each other, and which comes first
// alternates, so that what disturbs the machine for a while disturbs both.
func compareBinaries(ctx context.Context, o options, e *environment, works []workload) error {
	old := *e
	old.indrik = o.Against
	source := 0
	rates := new(report) // that those of other workloads follow from
	var done []comparison
	for i := range works {
		w := &works[i]
		c := comparison{workload: w.Name}
		p, err := ourPeer(w)
		if err != nil {
			return err
		}
		for round := range o.Rounds {
			sides := []struct {
				env  *environment
				list *[]run
			}{{&old, &c.before}, {e, &c.after}}
			if round%2 == 1 {
				slices.Reverse(sides)
			}
			for _, side := range sides {
				source++
				progress("%-14s round %d  %s", w.Name, round+1, side.env.indrik)
				r, err := measure(ctx, &bed{o: &o, e: side.env, p: p, w: w, base: baseOf(w), source: source, report: rates})
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				if err == nil && r.Failed+r.Starved > 0 {
					err = fmt.Errorf("%d failed requests, %d clients without an answer: %s", r.Failed, r.Starved, r.FirstError)
				}
				if err == nil && r.ServerCPU == 0 {
					err = errors.New("it measures no processor time")
				}
				if err != nil {
					return fmt.Errorf("%s, %s: %w", w.Name, side.env.indrik, err)
				}
				*side.list = append(*side.list, *r)
			}
		}
		done = append(done, c)
	}
	fmt.Print(comparisonTable(done))
	return nil
}

// ourPeer returns the server of Indrik's that a workload is compared with.
func ourPeer(w *workload) (*peer, error) {
	name := "indrik sync"
	if w.WSGI == "" {
		name = "indrik asgi"
	}
	for i := range allPeers {
		if p := &allPeers[i]; p.Name == name && w.suits(p) {
			return p, nil
		}
	}
	return nil, fmt.Errorf("no server of Indrik's runs the workload %s", w.Name)
}

func comparisonTable(list []comparison) string {
	var b strings.Builder
	b.WriteString("A ratio is the median of the rounds' ratios, with the interval that holds the true median at 95 % at least.\n")
	for _, figure := range []struct {
		name string
		of   func(*run) float64
	}{
		{"processor time of the server in µs a request", func(r *run) float64 { return r.ServerCPU }},
		{"requests/s", func(r *run) float64 { return r.PerSecond }},
	} {
		fmt.Fprintf(&b, "\n| %s | rounds | before | after | ratio | interval |\n|---|---:|---:|---:|---:|---:|\n", figure.name)
		for i := range list {
			c := &list[i]
			ratios := c.ratios(figure.of)
			low, high := stats.MedianInterval(ratios)
			fmt.Fprintf(&b, "| %s | %d | %.2f | %.2f | %.3f | %.3f to %.3f |\n", c.workload, len(ratios),
				medianOf(c.before, figure.of), medianOf(c.after, figure.of), stats.Summarize(ratios).Median, low, high)
		}
	}
	return b.String()
}

// checkAgainst completes the options for a comparison of two binaries.
func (o *options) checkAgainst() error {
	if o.Rounds < leastRounds {
		return fmt.Errorf("-against needs at least %d rounds (-rounds %d)", leastRounds, o.Rounds)
	}
	absolute, err := filepath.Abs(o.Against)
	if err != nil {
		return err
	}
	if info, err := os.Stat(absolute); err != nil || info.IsDir() {
		return errors.Join(fmt.Errorf("-against: no program %s", o.Against), err)
	}
	o.Against = absolute
	if o.Workloads == "" {
		o.Workloads = againstWorkloads
	}
	o.Limit = max(o.Limit, time.Hour)
	return nil
}
