// Command overload offers a server more than it can do, step by step, and
// reports what it answers: how many requests a second, how late, and how many
// it refuses with 503. Each step offers its load at a steady rate whatever the
// server does, as many independent clients would.
//
// The app only waits, so that the capacity is that of the workers and not of
// the machine: the load generator must not compete with what it measures.
//
//	go run ./bench/overload -indrik bin/indrik -json bench/results/overload.json -svg docs/overload.svg
//	go run ./bench/overload -from bench/results/overload.json -svg docs/overload.svg
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"indrik/bench/serve"
)

// A result is a run of all steps, several times.
type result struct {
	Workers    int     `json:"workers"`
	ServiceMS  int     `json:"service_ms"`  // how long the app takes for a request
	QueueLimit int     `json:"queue_limit"` // of the server
	Seconds    float64 `json:"seconds"`     // of each step
	Steps      []step  `json:"steps"`
}

// capacity is how many requests a second the workers can do, at best.
func (r *result) capacity() float64 { return float64(r.Workers) * 1000 / float64(r.ServiceMS) }

func main() {
	r := result{}
	indrik := flag.String("indrik", "bin/indrik", "the server")
	rounds := flag.Int("rounds", 3, "how often each step is measured")
	flag.IntVar(&r.Workers, "workers", 4, "sync workers of the server")
	flag.IntVar(&r.ServiceMS, "service", 50, "milliseconds that the app takes for a request")
	flag.IntVar(&r.QueueLimit, "queue-limit", 16, "the setting queue_limit")
	flag.Float64Var(&r.Seconds, "seconds", 8, "how long a step is measured; it begins with a second that does not count")
	jsonPath := flag.String("json", "", "where the figures go")
	svgPath := flag.String("svg", "", "where the plot goes")
	from := flag.String("from", "", "measure nothing, take the figures from here")
	flag.Parse()
	if err := run(&r, *indrik, *rounds, *from, *jsonPath, *svgPath); err != nil {
		fmt.Fprintln(os.Stderr, "overload:", err)
		os.Exit(1)
	}
}

func run(r *result, indrik string, rounds int, from, jsonPath, svgPath string) error {
	if from != "" {
		data, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(data, r); err != nil {
			return fmt.Errorf("%s: %w", from, err)
		}
	} else if err := r.measure(indrik, rounds); err != nil {
		return err
	}
	fmt.Print(r.table())
	if jsonPath != "" {
		data, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(jsonPath, append(data, '\n'), 0o644); err != nil {
			return err
		}
	}
	if svgPath != "" {
		return os.WriteFile(svgPath, []byte(r.svg()), 0o644)
	}
	return nil
}

// loads are the steps, as parts of the capacity.
var loads = []float64{0.25, 0.5, 0.75, 0.9, 1, 1.1, 1.25, 1.5, 1.75, 2}

// app sleeps for some milliseconds.
const app = `
import time


def app(environ, start_response):
    time.sleep(%d / 1000)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\n"]
`

func (r *result) measure(indrik string, rounds int) (err error) {
	dir, err := os.MkdirTemp("", "overload-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cmd, address, err := serve.Indrik(indrik, dir, fmt.Sprintf(app, r.ServiceMS),
		"--workers", strconv.Itoa(r.Workers), "--queue-limit", strconv.Itoa(r.QueueLimit))
	if err != nil {
		return err
	}
	s, err := serve.Start(context.Background(), cmd, func() error {
		_, err := get(http.DefaultClient, address)
		return err
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	for _, load := range loads {
		var all []round
		for range rounds {
			one := offer(address, load*r.capacity(), time.Duration(r.Seconds*float64(time.Second)))
			if one.Failed > 0 {
				return fmt.Errorf("%d of %d requests got no answer", one.Failed, one.Offered)
			}
			all = append(all, one)
		}
		r.Steps = append(r.Steps, summarize(load*r.capacity(), all))
		fmt.Fprintf(os.Stderr, "%.2f of the capacity\n", load)
	}
	return nil
}
