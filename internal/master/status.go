package master

import (
	"encoding/json"
	"os"

	"indrik/internal/status"
	"indrik/internal/version"
	"indrik/internal/wire"
)

// A history is what a status tells of the past.
type history struct {
	reloads, failedReloads int // so far
	lastReload             *status.Reload
	lastReloads            []status.Reload
	deaths                 []status.Death
	byCause                map[status.Cause]int // deaths so far
	slow                   []status.SlowRequest
	canaries               status.Canaries
}

// What a status tells of the past: how many deaths of workers, how many reloads, and how many
// bytes of the reason of each reload, whose traceback has what matters at its end.
const (
	maxDeaths  = 20
	maxReloads = 10
	maxReason  = 8 << 10
)

// status returns the status of the server, with what the front knows, or nil. What processes take is
// what withUsage has found last.
func (m *Master) status(front *status.Front) *status.Status {
	now := m.now()
	s := &status.Status{
		Version: version.Version, State: m.state.String(), Role: "master", PID: os.Getpid(),
		Started: m.service.started, Uptime: now.Sub(m.service.started).Seconds(),
		Target: m.pool.target, Listeners: m.shownListeners(), Workers: []status.Worker{}, Front: front,
		Reloads: m.control.history.reloads, FailedReloads: m.control.history.failedReloads, LastReload: m.control.history.lastReload, LastReloads: m.control.history.lastReloads, Spawned: m.pool.lastAge, Killed: m.pool.kills,
		Deaths: m.control.history.deaths, DeathsByCause: map[status.Cause]int{}, Recycled: byReason(m.recycler.count), WouldRecycle: byReason(m.recycler.dry), Slow: m.control.history.slow,
		Canary: m.canaryStatus(), Canaries: m.control.history.canaries,
	}
	s.Scale = m.shownScale()
	for _, c := range status.Causes {
		s.DeathsByCause[c] = m.control.history.byCause[c]
	}
	if m.cfg != nil {
		s.App = m.cfg.App()
	}
	if m.admin.listener != nil {
		s.Admin = m.admin.listener.Bind
	}
	if m.gen != nil {
		s.Generation = m.gen.number
	}
	s.Template, s.Reforks, s.FailedReforks = m.templateStatus(), m.refork.done, m.refork.ended-m.refork.done
	if m.upgrader.predecessor != nil {
		s.Role = "successor"
	}
	if m.upgrader.successor != nil {
		s.Successor = m.upgrader.successor.pid
	}
	for _, w := range m.pool.byAge() {
		s.Workers = append(s.Workers, m.workerStatus(w, front))
	}
	if front != nil {
		front.Loads = nil // they stand with the workers
	}
	return s
}

func (m *Master) workerStatus(w *worker, front *status.Front) status.Worker {
	s := status.Worker{PID: w.pid, Age: w.age, Generation: w.gen.number, Kind: m.kindOf(w), Speed: w.speed, State: "booting"}
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
		u := m.usage.known[w.pid]
		s.RSS, s.PSS, s.CPU = u.rss, u.pss, u.cpu.Seconds()
	}
	if front != nil {
		s.Load = front.Loads[w.age]
	}
	s.Replacement = m.replacement(w)
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
	d := status.Death{At: m.now(), PID: o.pid, Age: msg.Age, Cause: o.cause, Reason: status.Printable(o.how), Running: o.overTime}
	for _, r := range msg.Running {
		d.Running = append(d.Running, status.Running{Method: r.Method, Path: r.Path, RequestID: r.RequestID, Seconds: r.Seconds})
	}
	if d.Running == nil {
		d.Running = []status.Running{}
	}
	h := &m.control.history
	h.deaths = append([]status.Death{d}, h.deaths[:min(len(h.deaths), maxDeaths-1)]...)
	h.byCause[o.cause]++
}
