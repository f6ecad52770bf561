package master

import (
	"encoding/json"
	"os"

	"indrik/internal/status"
	"indrik/internal/version"
	"indrik/internal/wire"
)

// maxDeaths is how many deaths of workers a status tells of.
const maxDeaths = 20

// status returns the status of the server, with what the front knows, or nil.
func (m *Master) status(front *status.Front) *status.Status {
	now := m.now()
	s := &status.Status{
		Version: version.Version, State: m.state.String(), Role: "master", PID: os.Getpid(),
		Started: m.start, Uptime: now.Sub(m.start).Seconds(),
		Target: m.target, Listeners: m.shownListeners(), Workers: []status.Worker{}, Front: front,
		Reloads: m.reloads, FailedReloads: m.failedReloads, LastReload: m.lastReload, Spawned: m.lastAge, Killed: m.kills,
		Deaths: m.deaths,
	}
	if m.cfg != nil {
		s.App = m.cfg.App()
	}
	if m.gen != nil {
		s.Generation = m.gen.number
	}
	if m.predecessor != nil {
		s.Role = "successor"
	}
	if m.successor != nil {
		s.Successor = m.successor.pid
	}
	for _, w := range m.byAge() {
		s.Workers = append(s.Workers, m.workerStatus(w, front))
	}
	if front != nil {
		front.Loads = nil // they stand with the workers
	}
	return s
}

func (m *Master) workerStatus(w *worker, front *status.Front) status.Worker {
	s := status.Worker{PID: w.pid, Age: w.age, Generation: w.gen.number, Kind: w.gen.cfg.Kind(), State: "booting"}
	if w.kind != "" {
		s.Kind = string(w.kind)
	}
	switch {
	case w.leaving:
		s.State = "leaving"
	case w.ready:
		s.State = "ready"
	}
	if w.ready {
		s.Uptime = m.now().Sub(w.readyAt).Seconds()
	}
	if w.pid != 0 {
		rss, pss, cpu := m.sys.usage(w.pid)
		s.RSS, s.PSS, s.CPU = rss, pss, cpu.Seconds()
	}
	if front != nil {
		s.Load = front.Loads[w.age]
	}
	if s.Running == nil {
		s.Running = []status.Running{}
	}
	return s
}

// decodeFrontStatus returns what a front has sent, nil if that is no status.
func decodeFrontStatus(data json.RawMessage) *status.Front {
	var f status.Front
	if len(data) == 0 || json.Unmarshal(data, &f) != nil {
		return nil
	}
	return &f
}

// recordDeath keeps the death of a worker for the status.
func (m *Master) recordDeath(o *obituary, msg wire.FromFront) {
	d := status.Death{At: m.now(), PID: o.pid, Age: msg.Age, Reason: o.how, Running: []status.Running{}}
	for _, r := range msg.Running {
		d.Running = append(d.Running, status.Running{Method: r.Method, Path: r.Path, Seconds: r.Seconds})
	}
	m.deaths = append([]status.Death{d}, m.deaths[:min(len(m.deaths), maxDeaths-1)]...)
}
