package master

import (
	"crypto/rand"
	"os"
	"time"

	"indrik/internal/settings"
	"indrik/internal/wire"
)

// A generation is one configuration with what serves it: a spawner, and the queue that its
// workers read.
type generation struct {
	number int
	cfg    *settings.Config
	sp     *spawner
	hooks  map[string]bool
	certs  *certificates // nil without TLS
	logger *logger       // nil if log lines need none

	announced    bool          // the front is to know it
	toldTo       *frontProcess // the front that was told of it last
	taken        bool          // and that has taken it
	standIn      bool          // its app is one that shows why there is none
	loads        []load
	affinityKey  []byte     // of the cookies of worker_affinity: the same for each front
	toldAffinity bool       // the log says that there is none
	toldKind     bool       // the log says that its app is one of ASGI
	kind         *wire.Kind // of its app, as the first worker found it; nil until then
	broken       bool       // the front cannot use its queue
	template     *template  // forks its workers, or nil: the spawner does
	reforks      int        // templates that it has had
	unfit        bool       // no worker of it becomes a template but by a command

	pools *generationPools // nil: there are none

	// protocols has the addresses, as listeners call them, where another protocol than HTTP
	// is spoken.
	protocols map[string]string

	queueFront  *os.File // the front's end of the queue
	queueWorker *os.File // the workers' end
}

// newGeneration makes the channels of a generation.
func (m *Master) newGeneration() (*generation, error) {
	m.spawners.lastGen++
	g := &generation{number: m.spawners.lastGen}
	var err error
	if g.queueFront, g.queueWorker, err = m.sys.pair(); err != nil {
		return nil, err
	}
	return g, nil
}

// frontConfig is what a front is told of the settings of g. The kind of the app is that
// which its workers found: a front that comes later must not take an app of ASGI for
// one of WSGI until the first worker is activated.
func (g *generation) frontConfig() *wire.FrontConfig {
	c := g.cfg.Front()
	if g.affinityKey == nil {
		g.affinityKey = make([]byte, 16)
		rand.Read(g.affinityKey)
	}
	c.AffinityKey = g.affinityKey
	c.Protocols = g.protocols
	if g.kind != nil {
		c.Kind = *g.kind
	}
	return c
}

// webSocketDrainMax is how long WebSocket connections may stay with workers that leave.
func (g *generation) webSocketDrainMax() time.Duration {
	return time.Duration(g.cfg.WebSocketDrainMax()) * time.Second
}

// gracefulTimeout is how long the requests of workers that leave may take.
func (g *generation) gracefulTimeout() time.Duration {
	return time.Duration(g.cfg.GracefulTimeout()) * time.Second
}

// candidateGeneration is the generation in the making, if it has come that far.
func (m *Master) candidateGeneration() *generation {
	if m.candidate == nil {
		return nil
	}
	return m.candidate.gen
}

// isLost reports whether g can have no more workers, or no more workers of pools: a spawner died, or
// its queue is broken.
func (g *generation) isLost() bool { return g.hasNoSpawner() || g.pools != nil && g.pools.sp.dead }

// hasNoSpawner reports whether g can have no more workers that run the app.
func (g *generation) hasNoSpawner() bool { return g.sp.dead || g.broken }

// closeQueue closes both ends of the queue.
func (g *generation) closeQueue() { wire.CloseAll([]*os.File{g.queueFront, g.queueWorker}) }

// releaseUnused closes the channels of g if it is over, and ends spawners that
// nothing needs any more.
func (m *Master) releaseUnused(g *generation) {
	if g == m.gen || g == m.candidateGeneration() {
		return
	}
	m.endTemplate(g.template)
	if m.pool.uses(g) {
		return
	}
	// Nobody calls its pools any more.
	for _, w := range m.poolWorkers.byAge() {
		if w.gen == g {
			m.poolWorkers.retire(w)
		}
	}
	if m.poolWorkers.uses(g) {
		return
	}
	g.closeQueue()
	g.sp.release(g)
	m.dismissUnused()
}
