package main

import (
	"context"
	"errors"
	"syscall"
	"time"

	"indrik/bench/load"
	"indrik/bench/proctree"
	"indrik/bench/stats"
)

// run is one measurement: a server, a workload, a round.
type run struct {
	Workload string `json:"workload"`
	Peer     string `json:"server"`
	Round    int    `json:"round"`
	// Failure: there are no figures, because of this.
	Failure string `json:"failure,omitempty"`

	// Of the first group of clients.
	Answers   int                `json:"answers"`
	PerSecond float64            `json:"requests_per_second"`
	Millis    map[string]float64 `json:"milliseconds,omitempty"` // by percentile, and "max"

	// Of all clients.
	Clients     int               `json:"clients"`
	Connections int               `json:"connections"`
	Starved     int               `json:"starved_clients"`
	Failed      int               `json:"failed_requests"`
	Errors      map[load.Kind]int `json:"errors,omitempty"`
	FirstError  string            `json:"first_error,omitempty"`
	MaxMillis   float64           `json:"longest_wait_milliseconds"`
	ServerCPU   float64           `json:"server_cpu_microseconds_per_request"`
	ClientCPU   float64           `json:"client_cpu_microseconds_per_request"`
	// OthersCPU is the part of all processors that neither the server nor the
	// clients used: work of the kernel for them, and whoever else is there.
	OthersCPU float64 `json:"others_cpu_share"`

	// Values are the figures of workloads that are not about requests.
	Values map[string]float64 `json:"values,omitempty"`
	// Findings are what checks have found: "", or why the server does not pass.
	Findings map[string]string `json:"findings,omitempty"`
	// Trouble is what else went wrong with it.
	Trouble string `json:"trouble,omitempty"`
}

// A bed is what one measurement is made with.
type bed struct {
	o      *options
	e      *environment
	p      *peer
	w      *workload
	base   *workload // by whose rate that of w is set; nil: none
	source int       // as load.Plan has it
	report *report   // what is known so far
}

func measure(ctx context.Context, b *bed) (*run, error) {
	if b.p.Alone {
		return runLoop(ctx, b)
	}
	if b.w.Run != nil {
		return b.w.Run(ctx, b)
	}
	return runLoad(ctx, b)
}

// setup is how the workload wants the server.
func (b *bed) setup() *setup {
	s := &setup{App: b.w.app(b.p), Workers: workers, Threads: threads, Dir: b.o.Dir}
	if b.w.Setup != nil {
		b.w.Setup(s)
	}
	return s
}

// withServer starts the server, has f measure something, and stops it.
func (b *bed) withServer(ctx context.Context, config *setup, f func(s *server) (*run, error)) (r *run, err error) {
	s, err := startServer(ctx, b.e, b.p, config)
	if err != nil {
		return nil, &startError{err}
	}
	defer func() {
		if err := s.Stop(); err != nil && r != nil {
			r.Trouble = join(r.Trouble, err.Error())
		}
	}()
	return f(s)
}

func (b *bed) length() time.Duration {
	return max(b.o.Measure*time.Duration(max(b.w.Lengths, 1)), b.w.AtLeast)
}

// runLoad is HTTP/1.1 without TLS.
func runLoad(ctx context.Context, b *bed) (*run, error) {
	return b.withServer(ctx, b.setup(), func(s *server) (*run, error) { return b.load(ctx, s, b.w.Groups, nil) })
}

// load has clients ask the server. started is called when the measurement
// begins, if it is not nil.
func (b *bed) load(ctx context.Context, s *server, groups []load.Group, started func()) (*run, error) {
	m := meter{pid: s.Process.Pid}
	result, err := load.Run(ctx, load.Plan{
		Server: s.address, Groups: groups, Source: b.source, Timeout: timeout, Warm: b.o.Warm, Measure: b.length(),
		Started: func() {
			m.start()
			if started != nil {
				started()
			}
		},
		Ended: m.stop,
	})
	return figures(result, &m, err)
}

// runClients is what other protocols have in common.
func runClients(ctx context.Context, b *bed, clients int, target load.Target, protocol func(load.Target) (func(int) (load.Client, error), func())) (*run, error) {
	return b.withServer(ctx, b.setup(), func(s *server) (*run, error) {
		target.Server, target.Source = s.address, b.source
		newClient, end := protocol(target)
		defer end()
		m := meter{pid: s.Process.Pid}
		result, err := load.RunClients(ctx, load.ClientPlan{
			Clients: clients, New: newClient, Warm: b.o.Warm, Measure: b.length(), Timeout: timeout, Started: m.start, Ended: m.stop,
		})
		return figures(result, &m, err)
	})
}

func runTLS(ctx context.Context, b *bed) (*run, error) {
	target := load.Target{Request: request("GET", "/", nil, false), Want: hello}
	return runClients(ctx, b, 64, target, func(t load.Target) (func(int) (load.Client, error), func()) { return load.TLS(t), func() {} })
}

func runWebSocket(ctx context.Context, b *bed) (*run, error) {
	message := tenKilobytes[:64]
	target := load.Target{Path: "/", Request: message, Want: message}
	return runClients(ctx, b, 64, target, func(t load.Target) (func(int) (load.Client, error), func()) { return load.WebSocket(t), func() {} })
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// figures makes one run of what the clients and the meter saw.
func figures(result *load.Result, m *meter, err error) (*run, error) {
	if err = errors.Join(err, m.err); err != nil {
		return nil, err
	}
	first := &result.Groups[0]
	r := &run{
		Answers:   first.Answers,
		PerSecond: float64(first.Answers) / result.Elapsed.Seconds(),
		Millis:    map[string]float64{"max": millis(stats.Percentile(first.Latencies, 100))},
		Errors:    make(map[load.Kind]int),
	}
	for name, p := range map[string]float64{"p50": 50, "p99": 99, "p99.9": 99.9} {
		r.Millis[name] = millis(stats.Percentile(first.Latencies, p))
	}
	answers := 0
	for i := range result.Groups {
		t := &result.Groups[i]
		answers += t.Answers
		r.Connections += t.Connections
		r.Starved += t.Starved
		r.Clients += t.Clients
		r.Failed += t.Failed()
		for kind, n := range t.Errors {
			r.Errors[kind] += n
		}
		r.MaxMillis = max(r.MaxMillis, millis(stats.Percentile(t.Latencies, 100)))
		if r.FirstError == "" {
			r.FirstError = t.FirstError
		}
	}
	if answers > 0 {
		r.ServerCPU = float64(m.server.Microseconds()) / float64(answers)
		r.ClientCPU = float64(m.client.Microseconds()) / float64(answers)
	}
	r.OthersCPU = m.others
	return r, nil
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// meter takes the processor time of the server, of this process and of the
// machine, from start to stop.
type meter struct {
	pid                  int
	began                time.Time
	server, client, busy time.Duration
	others               float64
	err                  error
}

func (m *meter) start() {
	m.began = time.Now()
	m.server, m.client, m.busy = m.read()
}

func (m *meter) stop() {
	server, client, busy := m.read()
	m.server, m.client, m.busy = server-m.server, client-m.client, busy-m.busy
	all := time.Since(m.began).Seconds() * float64(processors())
	m.others = max(0, (m.busy-m.server-m.client).Seconds()/all)
}

func (m *meter) read() (server, client, busy time.Duration) {
	table, err := proctree.Read("/proc")
	m.err = errors.Join(m.err, err)
	busy, err = proctree.Busy("/proc")
	m.err = errors.Join(m.err, err)
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} { // h2load is a child
		var u syscall.Rusage
		m.err = errors.Join(m.err, syscall.Getrusage(who, &u))
		client += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return table.CPU(m.pid), client, busy
}
