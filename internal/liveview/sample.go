package liveview

import "time"

// Counts are the figures of a front at one time. They are the ones that /metrics has; those of
// responses and the histograms only grow while the front lives.
type Counts struct {
	Responses   [5]uint64 // by class of status, 1xx to 5xx
	Duration    Histogram // of requests, from their head to the end of the response
	Wait        Histogram // of requests, for a worker
	Queue       int       // requests that wait for a worker
	Running     int       // requests that workers run
	Used        float64   // seconds in which workers were busy, of all together; it grows
	Capacity    float64   // seconds in which they could have been; it grows
	Connections int
}

// A Sample is one point of each chart.
type Sample struct {
	At          float64    `json:"at"`        // Unix time in seconds
	Rates       [5]float64 `json:"rates"`     // responses a second since the sample before, by class of status
	Responses   [5]uint64  `json:"responses"` // since the front has started
	Duration    []float64  `json:"duration"`  // p50, p90 and p99 since the sample before, seconds; null without requests
	Wait        []float64  `json:"wait"`      // p50 and p99, likewise
	Queue       int        `json:"queue"`
	Running     int        `json:"running"`
	Busy        float64    `json:"busy"` // share of the time of workers since the sample before, 0 to 1
	Connections int        `json:"connections"`
}

// newSample makes a sample of two states of the counters, and of the time between them.
func newSample(at time.Time, before, now Counts, between time.Duration) Sample {
	s := Sample{
		At: float64(at.UnixMilli()) / 1000, Responses: now.Responses,
		Duration: rounded(now.Duration.since(before.Duration).quantiles(0.5, 0.9, 0.99)),
		Wait:     rounded(now.Wait.since(before.Wait).quantiles(0.5, 0.99)),
		Queue:    now.Queue, Running: now.Running, Connections: now.Connections,
	}
	if could := now.Capacity - before.Capacity; could > 0 {
		s.Busy = round(min(max((now.Used-before.Used)/could, 0), 1))
	}
	if between > 0 {
		for class, n := range now.Responses {
			s.Rates[class] = round(float64(grown(n, before.Responses[class])) / between.Seconds())
		}
	}
	return s
}

func rounded(values []float64) []float64 {
	for i, v := range values {
		values[i] = round(v)
	}
	return values
}

// round leaves a microsecond of a duration: more digits only make the stream longer.
func round(v float64) float64 {
	return float64(int64(v*1e6+0.5)) / 1e6
}
