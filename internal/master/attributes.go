package master

import (
	"maps"
	"slices"
	"time"

	"indrik/internal/wire"
)

// attributesTime is how long a spawner may take to answer which attributes hooks have set on
// its `server`. A spawner that hangs must not hold up a reload.
const attributesTime = 2 * time.Second

// askAttributes asks sp for the attributes that hooks have set on its `server`, so that they
// outlive sp, and goes on with next, which gets those that cannot be carried, and why.
func (s *spawners) askAttributes(sp *spawner, next func(lost map[string]string)) {
	over := false
	once := func(lost map[string]string) {
		if !over {
			over = true
			next(lost)
		}
	}
	s.after(attributesTime, func() { once(nil) })
	s.call(sp, wire.ToSpawner{Type: wire.TypeAttributes}, nil, func(r wire.FromSpawner) {
		if r.Type == wire.TypeOK && !over {
			s.attributes = r.Attributes
		}
		once(r.Lost)
	})
}

// rememberAttributes keeps the attributes of `server` that would be lost if the serving
// spawner died.
func (m *Master) rememberAttributes() {
	if sp := m.gen.sp; !sp.dead {
		m.spawners.askAttributes(sp, func(map[string]string) {})
	}
}

// carryAttributes gives the spawner of c the attributes that hooks have set on the `server`
// of the serving spawner, and goes on with next.
func (c *candidate) carryAttributes(next func()) {
	m := c.m
	if c.sp == m.gen.sp {
		next() // it has them
		return
	}
	give := func(lost map[string]string) {
		if c.over {
			return
		}
		m.tellLost(lost)
		if len(m.spawners.attributes) == 0 {
			next()
			return
		}
		m.spawners.call(c.sp, wire.ToSpawner{Type: wire.TypeAdopt, Attributes: m.spawners.attributes}, nil, func(r wire.FromSpawner) {
			if c.over {
				return
			}
			if r.Type == wire.TypeFailed {
				c.fail(failed(r))
				return
			}
			m.tellLost(r.Lost)
			next()
		})
	}
	if m.gen.sp.dead {
		give(nil) // what was there when it was asked last
		return
	}
	m.spawners.askAttributes(m.gen.sp, give)
}

func (m *Master) tellLost(lost map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(lost)) {
		m.log.Warnf("server.%s, which a hook has set, is not there after this reload: %s", name, lost[name])
	}
}
