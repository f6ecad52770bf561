package pools

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"indrik/internal/wire"
)

// A Host is the process around the pools.
type Host interface {
	Send(wire.FromFront) // to the master
	Debugf(format string, args ...any)
	Warnf(format string, args ...any)
}

// A Set is all pools of all generations, with their workers and callers.
type Set struct {
	host   Host
	number uint32 // of this front
	now    func() time.Time
	stash  *stash

	mu sync.Mutex
	// +checklocks:mu
	generations map[int]*generation
	// +checklocks:mu
	workers map[int]*worker // of pools, by the number that the master gives them
	// +checklocks:mu
	callers map[callerID]*caller
	// +checklocks:mu
	serving int // the newest generation that has served, and not only for a trial
}

// A generation is the pools of one generation.
type generation struct {
	number int
	pools  map[string]*pool
	apps   map[string]route // by what a call can name: an app, or a pool that hosts one app
	users  int              // workers and callers
}

// A route leads from the name in a call to an app.
type route struct {
	pool *pool
	app  string
}

// NewSet returns a set without pools, in the front with that number.
func NewSet(host Host, number int) *Set {
	return &Set{
		host: host, number: uint32(number), now: time.Now, stash: newStash(),
		generations: map[int]*generation{}, workers: map[int]*worker{}, callers: map[callerID]*caller{},
	}
}

// AddGeneration makes the pools of a generation, and gives the stash its limit, in bytes.
func (s *Set) AddGeneration(number int, pools []wire.PoolConfig, stashLimit int64) {
	if len(pools) == 0 {
		return
	}
	s.stash.setLimit(stashLimit)
	g := &generation{number: number, pools: map[string]*pool{}, apps: map[string]route{}}
	for _, cfg := range pools {
		p := newPool(cfg)
		g.pools[cfg.Name] = p
		for _, app := range cfg.Apps {
			g.apps[app] = route{p, app}
		}
		if len(cfg.Apps) == 1 {
			g.apps[cfg.Name] = route{p, cfg.Apps[0]}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generations[number] = g
}

// Serves is called with the newest generation that has served. One that is tried on a share of the
// requests counts when it takes over: the one before it may need its pools again.
func (s *Set) Serves(generation int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if generation > s.serving {
		s.serving = generation
		s.dropUnusedLocked()
	}
}

// dropUnusedLocked forgets generations without workers, if a newer one has served: until then more
// may come.
// +checklocks:s.mu
func (s *Set) dropUnusedLocked() {
	serving := s.serving
	maps.DeleteFunc(s.generations, func(n int, g *generation) bool { return n < serving && g.users == 0 })
}

// AddWorker makes known a worker of a pool that is about to be forked. The files are its channel for
// calls, and the front's ends of its slots.
func (s *Set) AddWorker(m wire.ToFront, files []*os.File) error {
	if len(files) < 2 {
		wire.CloseAll(files)
		return fmt.Errorf("control message %q came with %d descriptors", m.Type, len(files))
	}
	channel, rest := files[0], files[1:]
	w := &worker{age: m.Age, apps: m.Apps}
	for i, f := range rest {
		sock, err := newSocket(f)
		if err != nil {
			w.close()
			channel.Close()
			wire.CloseAll(rest[i+1:])
			return err
		}
		w.slots = append(w.slots, &slot{worker: w, socket: sock})
	}
	s.mu.Lock()
	g := s.generations[m.Generation]
	if g == nil || g.pools[m.Pool] == nil {
		s.mu.Unlock()
		w.close()
		channel.Close()
		return fmt.Errorf("there is no pool %q of generation %d", m.Pool, m.Generation)
	}
	w.generation, w.pool = g, g.pools[m.Pool]
	s.workers[m.Age] = w
	w.pool.workers[w] = true
	for _, app := range w.apps {
		delete(w.pool.lost, app)
	}
	g.users++
	s.mu.Unlock()
	if err := s.addCaller(callerID{m.Age, true}, m.Generation, channel); err != nil {
		s.WorkerGone(m.Age, "")
		return err
	}
	return nil
}

// Activate lets calls go to a worker, which is the process pid.
func (s *Set) Activate(age, pid int) {
	s.mu.Lock()
	w := s.workers[age]
	if w == nil || w.active {
		s.mu.Unlock()
		return
	}
	w.active, w.pid = true, pid
	s.mu.Unlock()
	for _, sl := range w.slots {
		go s.takeOver(sl)
	}
}

// Retire gives a worker no more calls. Its slots are closed as soon as they have none.
func (s *Set) Retire(age int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.workers[age]; w != nil {
		w.retiring = true
		s.dismissIdleLocked(w)
	}
}

// WorkerGone is called when the process of a worker has ended. report is what it has written if it
// could not boot.
func (s *Set) WorkerGone(age int, report string) {
	s.mu.Lock()
	w := s.workers[age]
	if w == nil {
		s.mu.Unlock()
		return
	}
	delete(s.workers, age)
	delete(w.pool.workers, w)
	w.generation.users--
	s.lostLocked(w, report)
	for _, sl := range w.slots {
		sl.socket.end() // what reads it takes what is there, and closes it
		s.dismissLocked(sl)
	}
	s.mu.Unlock()
	s.CallerGone(age, true)
}

// AddCaller takes the channel for calls of a worker that runs the app of a generation.
func (s *Set) AddCaller(age, generation int, channel *os.File) error {
	return s.addCaller(callerID{age, false}, generation, channel)
}

// CallerGone is called when the process of a caller has ended.
func (s *Set) CallerGone(age int, ofPool bool) {
	s.mu.Lock()
	id := callerID{age, ofPool}
	c := s.callers[id]
	if c != nil {
		delete(s.callers, id)
		c.generation.users--
		s.dropUnusedLocked()
	}
	s.mu.Unlock()
	if c != nil {
		c.channel.File.Close()
	}
}

// breach has the master end a worker that has broken the protocol.
func (s *Set) breach(id callerID, why string) {
	if id.ofPool {
		s.host.Send(wire.FromFront{Type: wire.TypePoolBroken, Age: id.age, Reason: why})
		return
	}
	s.host.Send(wire.FromFront{Type: wire.TypeBroken, Age: id.age, Reason: why})
}

// sortedPools are the pools of a generation by name.
func (g *generation) sortedPools() []*pool {
	return slices.SortedFunc(maps.Values(g.pools), func(a, b *pool) int {
		if a.name < b.name {
			return -1
		}
		return 1
	})
}
