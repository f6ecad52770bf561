package master

import (
	"os"
	"strings"
	"time"

	"indrik/internal/listen"
	"indrik/internal/status"
	"indrik/internal/wire"
)

// This file has the commands that only show: Gunicorn's, and the status.

// A shownWorker is a worker as Gunicorn's commands show it. There is no heartbeat whose
// age could be told: requests are watched one by one.
type shownWorker struct {
	PID       int    `json:"pid"`
	Type      string `json:"type,omitempty"`
	Age       int    `json:"age"`
	Booted    bool   `json:"booted"`
	Aborted   bool   `json:"aborted"`
	Heartbeat *int   `json:"last_heartbeat"`
}

func (m *Master) shownWorkers(kind string) []shownWorker {
	shown := []shownWorker{}
	for _, w := range m.pool.byAge() {
		if w.pid != 0 {
			shown = append(shown, shownWorker{w.pid, kind, w.age, w.ready, w.aborted, nil})
		}
	}
	return shown
}

func (m *Master) showWorkers(r *commandRun) {
	workers := m.shownWorkers("")
	r.answer(map[string]any{"workers": workers, "count": len(workers)}, nil)
}

func (m *Master) showAll(r *commandRun) {
	workers, dirty := m.shownWorkers("web"), m.shownPoolWorkers()
	var arbiter any
	if pid := m.arbiterPid(); pid != nil {
		arbiter = map[string]any{"pid": pid, "type": "dirty_arbiter", "role": "dirty master"}
	}
	r.answer(map[string]any{
		"arbiter":     map[string]any{"pid": os.Getpid(), "type": "arbiter", "role": "master"},
		"web_workers": workers, "web_worker_count": len(workers),
		"dirty_arbiter": arbiter, "dirty_workers": dirty, "dirty_worker_count": len(dirty),
	}, nil)
}

func (m *Master) showStats(r *commandRun) {
	workers := m.shownWorkers("")
	r.answer(map[string]any{
		"uptime": m.now().Sub(m.service.started).Seconds(), "pid": os.Getpid(),
		"workers_current": len(workers), "workers_target": m.pool.target,
		"workers_spawned": m.pool.lastAge, "workers_killed": m.pool.kills, "reloads": m.control.history.reloads,
		"dirty_arbiter_pid": m.arbiterPid(),
	}, nil)
}

// showConfig shows the settings that Gunicorn shows, except for those of dirty workers.
func (m *Master) showConfig(r *commandRun) {
	c := m.cfg
	r.answer(map[string]any{
		"bind": c.Bind(), "workers": c.Workers(), "worker_class": c.Kind(), "threads": c.Threads(), "timeout": c.Timeout(),
		"graceful_timeout": c.GracefulTimeout(), "keepalive": c.Keepalive(), "max_requests": c.MaxRequests(),
		"max_requests_jitter": c.MaxRequestsJitter(), "worker_connections": c.WorkerConnections(), "preload_app": c.PreloadApp(),
		"daemon": c.Daemon(), "pidfile": c.Pidfile(), "proc_name": c.ProcName(), "reload": c.Reload(),
		"control_socket": m.control.path, "control_socket_disable": c.ControlSocketDisable(),
	}, nil)
}

func (m *Master) showListeners(r *commandRun) {
	listeners := m.shownListeners()
	r.answer(map[string]any{"listeners": listeners, "count": len(listeners)}, nil)
}

func (m *Master) shownListeners() []status.Listener {
	shown := make([]status.Listener, 0, len(m.front.listeners))
	for _, l := range m.front.listeners {
		kind := "tcp"
		switch {
		case l.Network == listen.Unix:
			kind = "unix"
		case strings.Contains(l.Host, ":"):
			kind = "tcp6"
		}
		shown = append(shown, status.Listener{Address: l.Bind, Type: kind, FD: int(l.File.Fd())})
	}
	return shown
}

// showStatus answers with a [status.Status], to which the front adds what it knows.
func (m *Master) showStatus(r *commandRun) {
	m.frontStatus(func(f *status.Front) {
		m.withUsage(func() { r.answer(m.status(f), nil) })
	})
}

// frontStatusWait is how long a front has to say what it knows.
const frontStatusWait = 2 * time.Second

// frontStatus asks the front for its part of a status; then gets nil if there is no front, or
// if it does not answer in time.
func (m *Master) frontStatus(then func(*status.Front)) {
	m.askFront(wire.ToFront{Type: wire.TypeStatus}, frontStatusWait, then)
}

// askFront sends the front a message that it answers with a status, and gives it that time.
func (m *Master) askFront(msg wire.ToFront, wait time.Duration, then func(*status.Front)) {
	if m.front.current == nil {
		then(nil)
		return
	}
	answered := false
	once := func(f *status.Front) {
		if !answered {
			answered = true
			then(f)
		}
	}
	m.front.ask(msg, func(answer wire.FromFront) { once(decodeFrontStatus(answer.Status)) })
	m.after(wait, func() { once(nil) })
}
