package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"indrik/bench/stats"
)

// warmUp is how long a load is offered before the answers count.
const warmUp = time.Second

// A round is what became of the requests of one round of a step.
type round struct {
	Offered  int
	Answered int // 200
	Refused  int // 503
	Failed   int // no answer, or another one

	seconds float64
	late    []time.Duration // of those answered
	turned  []time.Duration // of those refused
}

// A step is what all rounds of a load have given.
type step struct {
	Offered  float64       `json:"offered"`  // requests a second
	Answered stats.Summary `json:"answered"` // with 200, a second
	Refused  stats.Summary `json:"refused"`  // with 503, a second
	P50      stats.Summary `json:"p50_ms"`   // of those answered
	P99      stats.Summary `json:"p99_ms"`
	Refusal  stats.Summary `json:"refusal_p99_ms"` // p99 of those refused
}

func summarize(offered float64, rounds []round) step {
	of := func(f func(*round) float64) stats.Summary {
		values := make([]float64, 0, len(rounds))
		for i := range rounds {
			values = append(values, f(&rounds[i]))
		}
		return stats.Summarize(values)
	}
	return step{
		Offered:  offered,
		Answered: of(func(r *round) float64 { return float64(r.Answered) / r.seconds }),
		Refused:  of(func(r *round) float64 { return float64(r.Refused) / r.seconds }),
		P50:      of(func(r *round) float64 { return millis(r.late, 0.5) }),
		P99:      of(func(r *round) float64 { return millis(r.late, 0.99) }),
		Refusal:  of(func(r *round) float64 { return millis(r.turned, 0.99) }),
	}
}

// millis is the percentile p of some times, 0 of none.
func millis(times []time.Duration, p float64) float64 {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return float64(sorted[int(p*float64(len(sorted)-1))]) / float64(time.Millisecond)
}

// offer sends requests at a rate for a time. What a request takes counts from
// when it was due.
func offer(address string, rate float64, during time.Duration) round {
	transport := &http.Transport{MaxIdleConnsPerHost: 10000}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	r := round{seconds: during.Seconds()}
	var mu sync.Mutex
	var all sync.WaitGroup
	start := time.Now()
	for n := 0; ; n++ {
		due := start.Add(time.Duration(float64(n) / rate * float64(time.Second)))
		if due.Sub(start) >= warmUp+during {
			break
		}
		time.Sleep(time.Until(due))
		all.Go(func() {
			status, err := get(client, address)
			took := time.Since(due)
			if due.Sub(start) < warmUp {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			r.Offered++
			switch {
			case err == nil && status == http.StatusOK:
				r.Answered++
				r.late = append(r.late, took)
			case err == nil && status == http.StatusServiceUnavailable:
				r.Refused++
				r.turned = append(r.turned, took)
			default:
				r.Failed++
			}
		})
	}
	all.Wait()
	return r
}

func get(client *http.Client, address string) (int, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, fmt.Errorf("body: %w", err)
	}
	return resp.StatusCode, nil
}
