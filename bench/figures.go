package main

import "indrik/bench/stats"

// A figure is what rows are compared by.
type figure struct {
	name   string
	less   bool // is better
	format string
	of     func(*row) stats.Summary
}

var (
	rate    = figure{"requests/s", false, "%.0f", func(r *row) stats.Summary { return r.PerSecond }}
	cpu     = figure{"CPU µs/request", true, "%.1f", func(r *row) stats.Summary { return r.ServerCPU }}
	own     = figure{"own CPU µs/request", true, "%.1f", func(r *row) stats.Summary { return r.OwnCPU }}
	p50     = figure{"p50 ms", true, "%.3f", func(r *row) stats.Summary { return r.Millis["p50"] }}
	p99     = figure{"p99 ms", true, "%.2f", func(r *row) stats.Summary { return r.Millis["p99"] }}
	p999    = figure{"p99.9 ms", true, "%.2f", func(r *row) stats.Summary { return r.Millis["p99.9"] }}
	longest = figure{"longest wait ms", true, "%.1f", func(r *row) stats.Summary { return r.Longest }}
)

func value(name, what, format string) figure {
	return figure{what, true, format, func(r *row) stats.Summary { return r.Values[name] }}
}

var (
	startMillis = value(valueStart, "ms", "%.0f")
	workerMiB   = value(valueWorker, "MiB/worker", "%.1f")
	idleKiB     = value(valueIdle, "KiB/connection", "%.1f")
	wakeUps     = value(valueWakeUps, "wake-ups/s", "%.1f")
)

func (f *figure) better(a, b float64) bool {
	if f.less {
		return a < b
	}
	return a > b
}

// known reports whether the row has the figure. Only wake-ups can be 0.
func (f *figure) known(r *row) bool {
	_, counted := r.Values[valueWakeUps]
	return r.Rounds > 0 && (f.of(r).Median != 0 || counted)
}

// best is the best of the rows of others than Indrik that pass. A server that lets some
// clients wait for good, or leaves out a part of the app's work, is not in the race.
func (f *figure) best(rows []*row, pass func(*row) bool) *row {
	var best *row
	for _, one := range rows {
		if isOurs(one.Peer) || one.Peer == alone || !f.known(one) || one.Starved > 0 || one.Unended || !pass(one) {
			continue
		}
		if best == nil || f.better(f.of(one).Median, f.of(best).Median) {
			best = one
		}
	}
	return best
}

func anyRow(*row) bool { return true }
