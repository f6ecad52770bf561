package metrics

import (
	"context"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"time"

	dto "github.com/prometheus/client_model/go"

	"indrik/internal/dispatch"
	"indrik/internal/oslayer"
	"indrik/internal/recycle"
	"indrik/internal/status"
	"indrik/internal/version"
)

const (
	// keptFor is how long metrics are as good as new.
	keptFor = time.Second
	// statusWait is how long the master has to say what it knows: it asks the front too,
	// and waits for that.
	statusWait = 3 * time.Second
)

// Sources are where a collector finds what a recorder does not know. All may be called from
// any goroutine.
type Sources struct {
	Front  func() status.Front                           // connections, the queue
	Usage  func() dispatch.Usage                         // of the dispatcher
	Ready  func() bool                                   // as /readyz says
	Status func(context.Context) (*status.Status, error) // of the server, by the master; nil: it is not asked
	App    func(context.Context) []*dto.MetricFamily     // the app's own, sorted by name; nil: it has none
}

// A Collector makes metrics.
type Collector struct {
	recorder *Recorder
	sources  Sources
	now      func() time.Time
	begun    time.Time

	busy busyMeter

	turn   chan struct{} // empty while metrics are made: those who come meanwhile want the same
	made   []*dto.MetricFamily
	madeAt time.Time
	places places
}

// NewCollector returns a collector of what r records.
func NewCollector(r *Recorder, s Sources) *Collector {
	c := &Collector{recorder: r, sources: s, now: time.Now, begun: time.Now(), turn: make(chan struct{}, 1)}
	c.busy.cpuOf = oslayer.CPU
	c.turn <- struct{}{}
	return c
}

// Gather returns the metrics, sorted by name, and behind them the app's. They are others' too,
// and must not be changed.
func (c *Collector) Gather(ctx context.Context) []*dto.MetricFamily {
	<-c.turn
	defer func() { c.turn <- struct{}{} }()
	if c.made == nil || c.now().Sub(c.madeAt) >= keptFor {
		c.made = c.gather(ctx)
		c.madeAt = c.now()
	}
	return c.made
}

// Fresh returns the metrics as they are now, as Gather does. It is for one who asks seldom.
func (c *Collector) Fresh(ctx context.Context) []*dto.MetricFamily {
	<-c.turn
	defer func() { c.turn <- struct{}{} }()
	c.made, c.madeAt = c.gather(ctx), c.now()
	return c.made
}

// Totals are the figures that a view of the server shows, which asks often: the same as those
// of the metrics.
type Totals struct {
	Responses [classes]uint64 // by the class of the status, 1xx to 5xx
	Duration  []uint64        // how many requests took how long: see Bounds
	Wait      []uint64        // how many waited how long for a worker
	Used      float64         // seconds of the capacity of the workers
	Capacity  float64         // seconds
	InFlight  int             // requests that wait or run
}

// Totals returns the figures now. It does not wait for the master.
func (c *Collector) Totals() Totals {
	usage := c.sources.Usage()
	t := Totals{Wait: c.recorder.queue.Counts(), Duration: make([]uint64, buckets), Capacity: usage.Capacity, InFlight: usage.InFlight}
	t.Used, _ = c.busy.read(&usage, c.now())
	for class := range c.recorder.durations {
		for i, n := range c.recorder.durations[class].Counts() {
			t.Duration[i] += n
		}
	}
	c.recorder.each(func(_ int, _ Kind, status int, n uint64) { t.Responses[status/100-1] += n })
	return t
}

// gather makes metrics. The caller has the turn.
func (c *Collector) gather(ctx context.Context) []*dto.MetricFamily {
	p := newPage()
	p.gauge("indrik_build_info", 1, runtime.Version(), version.Version)
	// It is the same for all who wait, also if the one who asks leaves.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), statusWait)
	defer cancel()
	var server *status.Status
	if c.sources.Status != nil {
		if s, err := c.sources.Status(ctx); err == nil {
			server = s
		}
	}
	p.gauge("indrik_master_up", oneIf(server != nil))
	usage := c.sources.Usage()
	c.recorder.write(p, &usage)
	used, share := c.busy.read(&usage, c.now())
	p.count("indrik_busy_seconds_total", used)
	p.count("indrik_capacity_seconds_total", usage.Capacity)
	p.gauge("indrik_busy_ratio", share)
	p.gauge("indrik_ready", oneIf(c.sources.Ready()))
	front := c.sources.Front()
	writeFront(p, &front, c.begun)
	if server != nil {
		writeServer(p, server)
		places := c.places.of(server.Workers)
		writeWorkers(p, server.Workers, front.Loads, places, c.now())
		for _, l := range usage.Loops {
			if place, known := places[l.Age]; known {
				p.gauge("indrik_worker_loop_lag_seconds", l.Lag.Seconds(), strconv.Itoa(place))
			}
		}
	}
	all := p.all()
	if c.sources.App != nil {
		for _, f := range c.sources.App(ctx) {
			if rows[f.GetName()] == nil { // what has a name of the server's is the server's
				all = append(all, f)
			}
		}
	}
	return all
}

// write adds what was recorded, and what the dispatcher has counted.
func (r *Recorder) write(p *page, u *dispatch.Usage) {
	r.each(func(method int, kind Kind, status int, n uint64) {
		p.count("indrik_http_requests_total", float64(n), kindNames[kind], methodNames[method], strconv.Itoa(status))
	})
	for class := range r.durations {
		p.histogram("indrik_http_request_duration_seconds", &r.durations[class], classNames[class])
	}
	p.histogram("indrik_http_request_queue_seconds", &r.queue)
	p.histogram("indrik_http_request_app_seconds", &r.app)
	p.histogram("indrik_http_request_balancer_seconds", &r.balancer)
	p.histogram("indrik_http_response_first_byte_seconds", &r.firstByte)
	p.count("indrik_http_request_body_bytes_total", float64(r.received.Load()))
	p.count("indrik_http_response_body_bytes_total", float64(r.sent.Load()))
	p.count("indrik_http_requests_cancelled_total", float64(u.Cancelled))
	p.count("indrik_http_requests_reassigned_total", float64(u.Reassigned))
	p.gauge("indrik_http_requests_in_flight", float64(u.InFlight))
	p.count("indrik_connections_opened_total", float64(r.opened.Load()))
	p.count("indrik_refusals_total", float64(u.QueueFull), "queue_full")
	p.count("indrik_refusals_total", float64(u.QueueLate), "queue_timeout")
	p.count("indrik_refusals_total", float64(u.NoWorkers), "no_workers")
	p.count("indrik_refusals_total", float64(u.Unserved), "shutdown")
	for reason := range refusals {
		p.count("indrik_refusals_total", float64(r.refused[reason].Load()), refusalNames[reason])
	}
	p.count("indrik_timeouts_total", float64(u.TimedOut), "app")
	p.count("indrik_timeouts_total", float64(u.Overdue), "graceful")
	for what := range timeouts {
		p.count("indrik_timeouts_total", float64(r.timedOut[what].Load()), timeoutNames[what])
	}
}

// writeFront adds what this process knows at the moment.
func writeFront(p *page, f *status.Front, begun time.Time) {
	rss, _, cpu := oslayer.Usage(os.Getpid())
	p.count("indrik_front_cpu_seconds_total", cpu.Seconds())
	p.gauge("indrik_front_resident_memory_bytes", float64(rss))
	p.gauge("indrik_front_goroutines", float64(runtime.NumGoroutine()))
	p.gauge("indrik_front_start_time_seconds", seconds(begun))
	n := f.Connections
	p.gauge("indrik_connections", float64(n.Handshake), "handshake")
	p.gauge("indrik_connections", float64(n.Idle), "idle")
	p.gauge("indrik_connections", float64(n.Reading), "reading")
	p.gauge("indrik_connections", float64(n.Running), "running")
	p.gauge("indrik_connections", float64(n.Writing), "writing")
	p.gauge("indrik_connections", float64(n.WebSocket), "websocket")
	p.gauge("indrik_connections", float64(n.HTTP2), "http2")
	active := 0
	for i := range f.Quarantine {
		if !f.Quarantine[i].DryRun {
			active++
		}
	}
	p.gauge("indrik_quarantined", float64(active))
	p.count("indrik_quarantines_total", float64(f.Quarantines))
	p.count("indrik_quarantine_dry_run_total", float64(f.WouldQuarantine))
	p.gauge("indrik_queue_length", float64(f.Queue.Length))
	p.gauge("indrik_queue_oldest_seconds", f.Queue.Oldest)
	for _, pool := range f.Pools {
		writePool(p, pool)
	}
	if f.Stash != nil {
		p.gauge("indrik_stash_bytes", float64(f.Stash.Bytes))
	}
}

// writePool adds what is known of a pool.
func writePool(p *page, pool status.Pool) {
	busy, ready := 0, 0
	for _, w := range pool.Workers {
		busy += w.Busy
		if w.State == "ready" {
			ready++
		}
	}
	p.gauge("indrik_pool_busy", float64(busy), pool.Name)
	p.gauge("indrik_pool_workers", float64(ready), pool.Name)
	p.gauge("indrik_pool_waiting", float64(pool.Waiting), pool.Name)
	p.count("indrik_pool_wait_seconds_total", pool.Waited, pool.Name)
	p.count("indrik_pool_run_seconds_total", pool.Ran, pool.Name)
	for _, outcome := range slices.Sorted(maps.Keys(pool.Calls)) {
		p.count("indrik_pool_calls_total", float64(pool.Calls[outcome]), outcome, pool.Name)
	}
}

// writeServer adds what the master knows of the server.
func writeServer(p *page, s *status.Status) {
	p.gauge("indrik_start_time_seconds", seconds(s.Started))
	p.gauge("indrik_generation", float64(s.Generation))
	p.count("indrik_reloads_total", float64(s.Reloads), "success")
	p.count("indrik_reloads_total", float64(s.FailedReloads), "failure")
	last, ok := 0.0, true
	if s.LastReload != nil {
		last, ok = seconds(s.LastReload.At), s.LastReload.OK
	}
	p.gauge("indrik_last_reload_successful", oneIf(ok))
	p.gauge("indrik_last_reload_timestamp_seconds", last)
	p.gauge("indrik_workers_target", float64(s.Target))
	p.count("indrik_workers_started_total", float64(s.Spawned))
	states := map[string]int{}
	for i := range s.Workers {
		states[s.Workers[i].State]++
	}
	for _, state := range [...]string{"booting", "ready", "leaving"} {
		p.gauge("indrik_workers", float64(states[state]), state)
	}
	for _, cause := range status.Causes {
		p.count("indrik_worker_deaths_total", float64(s.DeathsByCause[cause]), string(cause))
	}
	for _, reason := range recycle.Reasons {
		p.count("indrik_workers_recycled_total", float64(s.Recycled[string(reason)]), string(reason))
		p.count("indrik_workers_recycle_dry_run_total", float64(s.WouldRecycle[string(reason)]), string(reason))
	}
	due := 0
	for i := range s.Workers {
		if r := s.Workers[i].Replacement; r != nil && r.Waits > 0 {
			due++
		}
	}
	p.gauge("indrik_workers_recycle_due", float64(due))
	p.count("indrik_canaries_total", float64(s.Canaries.Passed), "passed")
	p.count("indrik_canaries_total", float64(s.Canaries.Failed), "failed")
	p.count("indrik_canaries_total", float64(s.Canaries.WouldFail), "would_fail")
	trial := status.Canary{}
	if s.Canary != nil {
		trial = *s.Canary
	}
	p.gauge("indrik_canary_requests", float64(trial.New.Requests), "new")
	p.gauge("indrik_canary_requests", float64(trial.Old.Requests), "old")
	p.gauge("indrik_canary_failures", float64(trial.New.Failed), "new")
	p.gauge("indrik_canary_failures", float64(trial.Old.Failed), "old")
	c := s.Scale
	if c == nil {
		c = &status.Scale{Least: s.Target, Most: s.Target}
	}
	p.gauge("indrik_workers_least", float64(c.Least))
	p.gauge("indrik_workers_most", float64(c.Most))
	p.gauge("indrik_workers_offered", c.Offered)
	p.count("indrik_workers_rescaled_total", float64(c.Grown), "up")
	p.count("indrik_workers_rescaled_total", float64(c.Shrunk), "down")
	p.count("indrik_reforks_total", float64(s.FailedReforks), "failure")
	p.count("indrik_reforks_total", float64(s.Reforks), "success")
	template := 0.0
	if s.Template != nil {
		template = float64(s.Template.PSS)
	}
	p.gauge("indrik_template_proportional_memory_bytes", template)
}

// writeWorkers adds what is known of each worker: by the master, and by this front.
func writeWorkers(p *page, workers []status.Worker, loads map[int]status.Load, places map[int]int, now time.Time) {
	for i := range workers {
		w, load := &workers[i], loads[workers[i].Age]
		worker := strconv.Itoa(places[w.Age])
		p.gauge("indrik_worker_pid", float64(w.PID), worker)
		p.count("indrik_worker_cpu_seconds_total", w.CPU, worker)
		p.gauge("indrik_worker_resident_memory_bytes", float64(w.RSS), worker)
		p.gauge("indrik_worker_proportional_memory_bytes", float64(w.PSS), worker)
		p.count("indrik_worker_requests_total", float64(load.Requests), worker)
		p.count("indrik_worker_errors_total", float64(load.Errors), worker)
		p.gauge("indrik_worker_requests_in_flight", float64(load.InFlight), worker)
		if w.Uptime > 0 {
			p.gauge("indrik_worker_start_time_seconds", seconds(now)-w.Uptime, worker)
		}
	}
}

// seconds returns a time as Prometheus has it.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1e3 }
