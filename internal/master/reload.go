package master

import (
	"cmp"
	"os"
	"strings"

	"indrik/internal/exitcode"
	"indrik/internal/pidfile"
	"indrik/internal/settings"
)

// reload makes a new generation beside the one that serves, and puts it in
// its place when it is ready (HUP). One that is being made is given up for it:
// what is on disk now is what counts.
func (m *Master) reload() {
	m.log.Infof("Hang up: %s", m.name())
	if m.pauseLater {
		m.pauseLater = false
		m.log.Infof("The workers stay: HUP takes back the WINCH that waits for the successor")
	}
	m.renew()
}

// renew makes a new generation from what is on disk now.
func (m *Master) renew() { m.replace(false) }

// replace makes a new generation; freshCode: with new code, also where the app is
// preloaded.
func (m *Master) replace(freshCode bool) {
	if m.candidate != nil {
		freshCode = freshCode || m.candidate.freshCode
		m.candidate.discard()
	}
	b := &candidate{m: m, begun: m.now(), freshCode: freshCode, reused: m.cfg.PreloadApp() && !m.gen.sp.dead && !freshCode}
	b.failed = func(f *failure) {
		m.reloaded(b.begun, f)
		m.log.Errorf("Reload failed, nothing was changed: the workers that were there go on.\n%s", strings.TrimLeft(f.Error(), "\n"))
		b.discard()
		if err := m.sys.chdir(m.cfg.Chdir()); err != nil {
			m.log.Errorf("%s", err)
		}
		if m.state == reloading {
			m.tell(m.notify.Ready("Reload failed, the configuration before it serves"))
			m.enter(running)
		}
		m.answerLook()
		if m.gen.isLost() {
			m.generationLost("The spawner died.")
		}
	}
	if b.reused {
		b.sp = m.gen.sp
	} else {
		sp, err := m.startSpawner()
		if err != nil {
			b.fail(lack("", err))
			return
		}
		b.sp = sp
	}
	m.candidate = b
	if m.state == running {
		m.enter(reloading)
		m.tell(m.notify.Reloading())
	}
	b.resolved = func() {
		if b.cfg.App() == "" {
			b.fail(&failure{text: settings.Report(settings.ErrNoApp), code: exitcode.Config})
			return
		}
		if err := m.sys.chdir(b.cfg.Chdir()); err != nil {
			b.fail(&failure{text: "Error: can't chdir to '" + b.cfg.Chdir() + "'", code: exitcode.Config})
			return
		}
		if !b.readCertificates() {
			return
		}
		m.nameSpawner(b.sp)
		b.prepare(b.cfg.PreloadApp() && !b.reused)
	}
	b.prepared = func() {
		b.bind(func(err error) {
			if err != nil {
				b.fail(lack("", err))
				return
			}
			fork := func(f *failure) {
				if b.over {
					return
				}
				if f != nil {
					b.fail(f)
					return
				}
				b.target, b.bound = b.cfg.Workers(), true
				m.front.sendGeneration(b.gen) // and fork, when the front has it
			}
			b.carryAttributes(func() { m.hook(b.gen, "on_reload", fork) })
		})
	}
	b.ready = func() { m.takeOver(b) }
	b.configure()
}

// takeOver puts a generation that is ready in the place of the one that
// serves: every new worker takes requests before an old one stops to.
func (m *Master) takeOver(b *candidate) {
	before := m.cfg
	// What can still fail comes first: after that the reload is done.
	logs, err := m.openLogFiles(b.cfg)
	if err != nil {
		b.fail(lack("", err))
		return
	}
	pid, err := m.newPidFile(before, b.cfg)
	if err != nil {
		logs.close()
		b.fail(lack("", err))
		return
	}
	b.over = true
	old := m.gen
	binds := m.bindNames()
	m.candidate, m.gen, m.cfg = nil, b.gen, b.cfg
	m.tellSettings(m.cfg)
	b.tellSources()
	b.tellWorkers()
	m.takeListeners(b)
	if m.bindNames() != binds {
		m.log.Infof("Listening at: %s", m.bindNames())
	}
	m.setLogger(m.gen.logger)
	m.useLogs(m.cfg, logs)
	m.control.open(m.cfg)
	if m.pidPath(before) != m.pidPath(m.cfg) {
		m.pid.Remove()
		m.pid = pid
	}
	m.sys.setTitle(title("master", m.procName()))
	m.front.sendTitle()

	var retiring []*worker
	for _, w := range m.byAge() {
		if w.gen != m.gen {
			retiring = append(retiring, w)
			if b.freshCode {
				w.boardMem.Reload()
			}
		}
	}
	for _, w := range m.byAge() {
		if w.gen != m.gen || !w.ready {
			continue
		}
		m.activate(w)
		if len(retiring) > 0 {
			m.retire(retiring[0])
			retiring = retiring[1:]
		}
	}
	for _, w := range retiring {
		m.retire(w)
	}
	m.watchCertificates()
	m.watchCode()
	m.rotateTickets()
	m.watchBacklog()
	m.rememberAttributes()
	m.rebuild.lived()
	m.respawn.lived()
	m.releaseUnused(old)
	if m.state == paused {
		m.unpause()
	}
	m.setTarget(max(1, b.target+b.change))
	m.tellReady(b.begun)
	m.reloaded(b.begun, nil)
	m.tell(m.notify.Ready("Indrik serves"))
	if m.state == reloading {
		m.enter(running)
	}
	m.balance()
	m.answerLook()
}

// newPidFile makes the pid file of cfg, if it is not that of the configuration before;
// nil if there is nothing to make.
func (m *Master) newPidFile(before, cfg *settings.Config) (*pidfile.File, error) {
	path := m.pidPath(cfg)
	if path == "" || path == m.pidPath(before) {
		return nil, nil
	}
	return m.sys.pidFile(path, os.Getpid())
}

// queueBroken is called when the front has found the queue of a generation of no use:
// one of its workers has closed it, or takes requests that it does not run. Its workers can
// get no other queue.
func (m *Master) queueBroken(number int, reason string) {
	if g := m.candidateGeneration(); g != nil && g.number == number {
		m.candidate.fail(&failure{text: "The queue of the new workers is broken: " + reason})
		return
	}
	if m.gen == nil || m.gen.number != number || m.gen.broken {
		return
	}
	m.gen.broken = true
	m.log.Errorf("The queue of the workers is broken: %s. New workers take their place", reason)
	m.generationLost("The queue of the workers is broken.")
}

// isLost reports whether g can have no more workers: its spawner died, or its queue is broken.
func (g *generation) isLost() bool { return g.sp.dead || g.broken }

// generationLost is called when the serving generation can have no more workers: a new
// one takes its place. Until then the workers that are there serve, as far as they can.
func (m *Master) generationLost(why string) {
	switch m.state {
	case booting:
		m.halt(why, cmp.Or(m.gen.sp.code, exitcode.WorkerBoot))
		return
	case running:
	default:
		// paused: a new one is started when the workers come back; reloading:
		// the generation in the making has one; departing, draining: the workers
		// that are there will do.
		return
	}
	pause := m.rebuild.died(m.now())
	m.after(pause, func() {
		if m.gen.isLost() && m.candidate == nil && m.state == running {
			m.renew()
		}
	})
}
