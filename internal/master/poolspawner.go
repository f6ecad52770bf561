package master

import (
	"slices"
	"syscall"

	"indrik/internal/settings"
	"indrik/internal/wire"
)

// A generationPools is the pools of a generation, with the spawner that forks their workers: that of
// the other workers may hold an app, or a standard library that was patched.
type generationPools struct {
	sp    *spawner
	pools []*hostedPool
}

// A hostedPool is one pool of a generation.
type hostedPool struct {
	cfg     settings.Pool
	apps    []hostedApp
	target  int // how many workers there should be
	respawn backoff
	waits   bool // a worker is started when its pause is over
}

// newHostedPool makes a pool, with the numbers of workers that the classes of apps ask for where
// the settings say none.
func newHostedPool(cfg settings.Pool, asked map[string]int) *hostedPool {
	p := &hostedPool{cfg: cfg, target: cfg.Workers}
	for _, app := range cfg.Apps {
		n := app.Workers
		if n == 0 {
			n = max(0, asked[app.Path])
		}
		p.apps = append(p.apps, hostedApp{app.Path, n})
	}
	p.target = max(p.target, leastPoolWorkers(p.apps))
	return p
}

// most is how many workers the pool can have.
func (p *hostedPool) most() int {
	n := 1 << 30
	for _, s := range p.cfg.Slots {
		n = min(n, len(s.Tokens))
	}
	return n
}

// preparePools starts the spawner of the pools of c, and goes on with next.
func (m *Master) preparePools(c *candidate, next func()) {
	if !c.cfg.HasPools() {
		next()
		return
	}
	sp, err := m.startSpawner()
	if err != nil {
		c.fail(lack("", err))
		return
	}
	sp.ofPools = true
	m.log.Infof("Spawned dirty arbiter (pid: %d)", sp.proc.Pid())
	g := c.gen
	g.pools = &generationPools{sp: sp}
	evaluate := c.evaluation
	evaluate.Generation = g.number
	m.spawners.call(sp, evaluate, nil, func(r wire.FromSpawner) {
		switch {
		case c.over:
		case r.Type == wire.TypeFailed:
			c.fail(failed(r))
		default:
			m.preparePoolSpawner(c, next)
		}
	})
}

// preparePoolSpawner readies the spawner of the pools of c to fork.
func (m *Master) preparePoolSpawner(c *candidate, next func()) {
	g := c.gen
	var ask []string
	for _, p := range c.cfg.AllPools() {
		for _, app := range p.Apps {
			if app.Workers == 0 {
				ask = append(ask, app.Path)
			}
		}
	}
	m.spawners.call(g.pools.sp, wire.ToSpawner{
		Type: wire.TypePoolPrepare, Generation: g.number, Settings: c.cfg.All(), App: c.cfg.App(), Kind: c.cfg.Kind(),
		Server: m.server(c.cfg), Apps: ask, AppMetrics: m.metrics.prepare(c.cfg),
	}, nil, func(r wire.FromSpawner) {
		switch {
		case c.over:
		case r.Type == wire.TypeFailed:
			c.fail(failed(r))
		default:
			for _, cfg := range c.cfg.AllPools() {
				g.pools.pools = append(g.pools.pools, newHostedPool(cfg, r.AppWorkers))
			}
			next()
		}
	})
}

// poolSpawnerSignalled acts on a signal that came to the spawner of pools, as Gunicorn's dirty
// arbiter does: TTIN and TTOU are for the pool of the dirty workers, or the only one.
func (m *Master) poolSpawnerSignalled(sp *spawner, sig syscall.Signal) {
	g := m.gen
	if g == nil || g.pools == nil || g.pools.sp != sp || m.state == quitting {
		return
	}
	switch sig {
	case syscall.SIGTTIN:
		m.morePoolWorkers(g, g.pools.pools[0])
	case syscall.SIGTTOU:
		m.fewerPoolWorkers(g, g.pools.pools[0])
	default:
		m.spawnerSignalled(sp, sig)
	}
}

// morePoolWorkers makes one worker more of a pool.
func (m *Master) morePoolWorkers(g *generation, p *hostedPool) bool {
	if p.target >= p.most() {
		m.log.Warnf("SIGTTIN: Cannot increase above %d workers: the slots of the pool %s have no more tokens", p.target, p.cfg.Name)
		return false
	}
	p.target++
	m.log.Infof("SIGTTIN: Increasing %s workers to %d", p.cfg.Name, p.target)
	m.balancePools(g)
	return true
}

// fewerPoolWorkers makes one worker fewer of a pool, as far as its apps allow.
func (m *Master) fewerPoolWorkers(g *generation, p *hostedPool) bool {
	if least := leastPoolWorkers(p.apps); p.target <= least {
		m.log.Warnf("SIGTTOU: Cannot decrease below %d workers (required by app specs)", least)
		return false
	}
	p.target--
	m.log.Infof("SIGTTOU: Decreasing %s workers to %d", p.cfg.Name, p.target)
	m.balancePools(g)
	return true
}

// environment returns that of a new worker of the pool, with a token of each slot that none of
// those in use has; false if there is none left.
func (p *hostedPool) environment(used []map[string]string) (map[string]string, bool) {
	env := map[string]string{}
	for _, s := range p.cfg.Slots {
		i := slices.IndexFunc(s.Tokens, func(token string) bool {
			return !slices.ContainsFunc(used, func(env map[string]string) bool { return env[s.Variable] == token })
		})
		if i < 0 {
			return nil, false
		}
		env[s.Variable] = s.Tokens[i]
	}
	return env, true
}
