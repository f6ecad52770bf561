package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"indrik/bench/load"
	"indrik/bench/stats"
)

// This file measures latencies where they mean something: at a fixed rate that leaves a server
// half of its time. The rate follows from what the server could do in the same run.

const valueAsked = "requests_per_second_asked"

const halfText = "64 clients whose requests are due at fixed times, whatever has happened to those before; times are from when a request was due. " +
	"The rate is half of what Indrik can do with the same app in this run. A server that cannot do three quarters of what Indrik can has half of " +
	"its own rate."

// peerShare is the part of Indrik's rate that a server must be able to do to get the same requests.
const peerShare = 0.75

// half is the workload of this name at half load.
func half(name, of, title, kind, module string, short bool) workload {
	w := workload{
		Name: name, Title: title + ", at half load", Table: halfLoad, Goal: true, Short: short, Half: of, Most: 2, Run: runHalf, Chart: chartP99,
		Text: halfText, Groups: get(64, "/", answerOf(module)), Ends: kind == wsgi && module != "hello",
	}
	if kind == wsgi {
		w.WSGI = module
	} else {
		w.ASGI = module
	}
	return w
}

func runHalf(ctx context.Context, b *bed) (*run, error) {
	rate, err := b.halfRate(ctx)
	if err != nil {
		return nil, err
	}
	groups := atRate(b.w.Groups, rate)
	return b.withServer(ctx, b.setup(), func(s *server) (*run, error) {
		r, err := b.load(ctx, s, groups, nil)
		if err == nil {
			r.Values = map[string]float64{valueAsked: rate}
		}
		return r, err
	})
}

// atRate has the clients of the first group send so many requests a second together.
func atRate(groups []load.Group, rate float64) []load.Group {
	groups = slices.Clone(groups)
	groups[0].Every = time.Duration(float64(groups[0].Clients) * float64(time.Second) / rate)
	return groups
}

// halfRate is half of the rate of Indrik with the other workload, or of the server's own if it
// would be overrun by that.
func (b *bed) halfRate(ctx context.Context) (float64, error) {
	ours, err := ourPeer(b.base)
	if err != nil {
		return 0, err
	}
	own, err := b.saturation(ctx, b.p)
	if err != nil {
		return 0, err
	}
	reference, err := b.saturation(ctx, ours)
	if err != nil {
		return 0, err
	}
	if own < peerShare*reference {
		return own / 2, nil
	}
	return reference / 2, nil
}

// saturation is what a server can do with the workload that the rate follows from. What is not
// known is measured, and added to the report.
func (b *bed) saturation(ctx context.Context, p *peer) (float64, error) {
	var rates []float64
	for _, r := range b.report.find(b.base.Name, p.Name) {
		if r.Failure == "" {
			rates = append(rates, r.PerSecond)
		}
	}
	if len(rates) == 0 {
		r, err := measure(ctx, &bed{o: b.o, e: b.e, p: p, w: b.base, source: b.source, report: b.report})
		if err != nil {
			return 0, fmt.Errorf("its rate is unknown: %w", err)
		}
		r.Workload, r.Peer, r.Round = b.base.Name, p.Name, 1
		b.report.Runs = append(b.report.Runs, r)
		rates = append(rates, r.PerSecond)
	}
	rate := stats.Summarize(rates).Median
	if rate == 0 {
		return 0, errors.New("it answers nothing, so that there is no half of it")
	}
	return rate, nil
}
