package master

import (
	"os"
	"strings"

	"indrik/internal/exitcode"
	"indrik/internal/pidfile"
	"indrik/internal/settings"
)

// A reloadFlow makes a new generation beside the one that serves, and puts it in the
// place of that when it is ready. Until then a failure changes nothing. Its methods stand
// in the order in which they run.
type reloadFlow struct {
	m *Master
	c *candidate
}

// reload makes a new generation of what is on disk now (HUP). One that is being made is
// given up for it.
func (m *Master) reload() {
	m.log.Infof("Hang up: %s", m.name())
	if m.upgrader.pauseLater {
		m.upgrader.pauseLater = false
		m.log.Infof("The workers stay: HUP takes back the WINCH that waits for the successor")
	}
	m.renew()
}

// renew makes a new generation from what is on disk now; a preloaded app stays as it is.
func (m *Master) renew() { m.replaceGeneration(false) }

// replaceGeneration makes a new generation; freshCode: with new code, also where the app
// is preloaded.
func (m *Master) replaceGeneration(freshCode bool) {
	if m.candidate != nil {
		freshCode = freshCode || m.candidate.freshCode
		m.candidate.discard()
	}
	c := &candidate{m: m, begun: m.now(), freshCode: freshCode, reused: m.keepsSpawner() && !freshCode}
	c.flow = reloadFlow{m, c}
	if c.reused {
		c.sp = m.gen.sp
	} else {
		sp, err := m.startSpawner()
		if err != nil {
			c.fail(lack("", err))
			return
		}
		c.sp = sp
	}
	m.candidate = c
	if m.state == running || m.state == judging {
		m.enter(reloading)
		m.service.reloading()
	}
	c.configure()
}

// keepsSpawner reports whether a reload goes on with the spawner that there is, and the app that
// it holds. A program that starts the server is run again.
func (m *Master) keepsSpawner() bool {
	return m.cfg.PreloadApp() && !m.gen.sp.dead && m.opts.Program == nil
}

// resolved goes on when the settings are known.
func (r reloadFlow) resolved() {
	m, c := r.m, r.c
	if c.cfg.App() == "" {
		c.fail(&failure{text: settings.Report(settings.ErrNoApp), code: exitcode.Config})
		return
	}
	if err := m.sys.chdir(c.cfg.Chdir()); err != nil {
		c.fail(&failure{text: "Error: can't chdir to '" + c.cfg.Chdir() + "'", code: exitcode.Config})
		return
	}
	if !c.readCertificates() || !c.readToken() {
		return
	}
	c.sp.setTitle(m.title("spawner"))
	c.prepare(c.cfg.PreloadApp() && !c.reused)
}

// prepared goes on when the spawner can fork workers.
func (r reloadFlow) prepared() {
	r.c.bind(func(err error) {
		if err != nil {
			r.c.fail(lack("", err))
			return
		}
		r.c.carryAttributes(r.runHook)
	})
}

// runHook runs the hook on_reload.
func (r reloadFlow) runHook() {
	r.m.hook(r.c.gen, "on_reload", func(f *failure) {
		switch {
		case r.c.over:
		case f != nil:
			r.c.fail(f)
		default:
			r.m.preparePools(r.c, r.announce)
		}
	})
}

// announce tells the front of the new generation, whose workers are forked when the front
// has it.
func (r reloadFlow) announce() {
	r.c.target, r.c.bound = r.m.scale.begin(r.c.cfg, r.m.pool.target), true
	r.m.sendGeneration(r.c.gen)
}

// ready goes on when all new workers have their app.
func (r reloadFlow) ready() { r.m.on(candidateReady, occurrence{}) }

// failed gives the candidate up.
func (r reloadFlow) failed(f *failure) {
	m := r.m
	m.reloaded(r.c, f)
	m.log.Errorf("Reload failed, nothing was changed: the workers that were there go on.\n%s", strings.TrimLeft(f.Error(), "\n"))
	r.c.discard()
	if err := m.sys.chdir(m.cfg.Chdir()); err != nil {
		m.log.Errorf("%s", err)
	}
	m.on(candidateFailed, occurrence{})
	m.answerCheck()
	if m.gen.isLost() {
		m.on(generationLost, occurrence{why: "The spawner died."})
	}
}

// endReload goes back to what serves.
func (m *Master) endReload(occurrence) {
	m.service.ready("Reload failed, the configuration before it serves")
	m.enter(running)
}

// takeOver puts a generation that is ready in the place of the one that
// serves: every new worker takes requests before an old one stops to.
func (m *Master) takeOver(occurrence) {
	c, old := m.candidate, m.gen
	// What can still fail comes first: after that the reload is done.
	logs, err := m.logging.openFiles(c.cfg)
	if err != nil {
		c.fail(lack("", err))
		return
	}
	pid, err := m.newPidFile(m.cfg, c.cfg)
	if err != nil {
		logs.close()
		c.fail(lack("", err))
		return
	}
	c.over = true
	m.adoptCandidate(c, logs, pid)
	m.endTrial(c, true)
	m.exchangeWorkers(c.freshCode)
	m.watchServing()
	m.rotateTickets()
	m.rememberAttributes()
	m.spawners.rebuild.lived()
	m.pool.respawn.lived()
	m.releaseUnused(old)
	if m.state == paused {
		m.unpause()
	}
	m.setTarget(m.targetOf(c))
	m.tellReady(c.begun)
	m.reloaded(c, nil)
	m.service.ready("Indrik serves")
	if m.state == reloading || m.state == judging {
		m.enter(running)
	}
	m.balance()
	m.lookAgain()
	m.answerCheck()
}

// targetOf returns how many workers there are to be when c has taken over. Where the load
// decides, there may be more by now than when c was begun.
func (m *Master) targetOf(c *candidate) int {
	before := m.pool.target
	m.scale.adopt(c.cfg, c.change)
	if m.scale.on {
		return max(1, m.scale.clamp(max(before, c.target+c.change)))
	}
	return max(1, c.target+c.change)
}

// adoptCandidate makes the configuration of c that of this process: its listeners, its logs, its
// pid file and its titles.
func (m *Master) adoptCandidate(c *candidate, logs *logFiles, pid *pidfile.File) {
	before, urls := m.cfg, m.front.urls(m.cfg.TLS(), m.gen.protocols)
	m.candidate, m.gen, m.cfg = nil, c.gen, c.cfg
	m.tellSettings(m.cfg)
	m.logging.tellSources(c.python, c.file)
	m.logging.tellModules(c.modules)
	c.tellWorkers()
	m.takeListeners(c)
	m.takeAdmin(c)
	if now := m.front.urls(m.cfg.TLS(), m.gen.protocols); now != urls {
		m.log.Infof("Listening at: %s", now)
	}
	m.setLogger(m.gen.logger)
	m.useLogs(m.cfg, logs)
	m.openControl()
	if m.pidPath(before) != m.pidPath(m.cfg) {
		m.ending.pid.Remove()
		m.ending.pid = pid
	}
	m.sys.setTitle(m.title("master"))
	m.front.sendTitle(m.title("front"))
}

// exchangeWorkers retires the workers of other generations one by one, each after one of
// the serving generation has begun to take requests. With freshCode the old ones learn
// that their code is out of date.
func (m *Master) exchangeWorkers(freshCode bool) {
	var fresh, retiring []*worker
	for _, w := range m.pool.byAge() {
		switch {
		case w.gen == m.gen && w.ready:
			fresh = append(fresh, w)
		case w.gen != m.gen:
			retiring = append(retiring, w)
			if freshCode {
				w.boardMem.Reload()
			}
		}
	}
	for i, w := range fresh {
		m.pool.activate(w)
		if i < len(retiring) {
			m.pool.retire(retiring[i])
		}
	}
	for _, w := range retiring[min(len(fresh), len(retiring)):] {
		m.pool.retire(w)
	}
}

// watchServing watches what the serving generation is made of: its certificates, its code,
// and its backlog.
func (m *Master) watchServing() {
	m.watchCertificates()
	m.watchCode()
	m.logging.watchBacklog(m.front.all, func() bool { return m.cfg.EnableBacklogMetric() && m.state != quitting })
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
	m.on(generationLost, occurrence{why: "The queue of the workers is broken."})
}

// failLostBoot ends the first start.
func (m *Master) failLostBoot(o occurrence) { m.failBoot(o.why, m.gen.sp.exitCode()) }

// rebuildLater makes a new generation, after a pause, since the serving one can have no
// more workers. Until then the workers that are there serve, as far as they can.
//
// In other states than running that is not necessary: when the workers come back from a
// pause a new generation is made anyway, a reload makes one, and at the end of the server
// the workers that are there will do.
func (m *Master) rebuildLater(occurrence) {
	pause := m.spawners.rebuild.died(m.now())
	m.after(pause, func() {
		if m.gen.isLost() && m.candidate == nil && m.state == running {
			m.renew()
		}
	})
}
