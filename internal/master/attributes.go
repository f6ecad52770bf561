package master

import (
	"maps"
	"slices"
	"time"

	"indrik/internal/wire"
)

// attributesTime is how long a spawner has to tell what hooks have put on its `server`: one
// that hangs must not hold up a reload.
const attributesTime = 2 * time.Second

// askAttributes asks sp what hooks have put on its `server`, so that it outlives sp, and
// goes on with next, which gets what cannot be carried, and why.
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

// rememberAttributes asks for what the serving spawner would lose if it died.
func (m *Master) rememberAttributes() {
	if sp := m.gen.sp; !sp.dead {
		m.spawners.askAttributes(sp, func(map[string]string) {})
	}
}

// carryAttributes gives the spawner of b what hooks have put on the `server` of the one
// before it, and goes on with next.
func (b *candidate) carryAttributes(next func()) {
	m := b.m
	if b.sp == m.gen.sp {
		next() // it has them
		return
	}
	give := func(lost map[string]string) {
		if b.over {
			return
		}
		m.tellLost(lost)
		if len(m.spawners.attributes) == 0 {
			next()
			return
		}
		m.spawners.call(b.sp, wire.ToSpawner{Type: wire.TypeAdopt, Attributes: m.spawners.attributes}, nil, func(r wire.FromSpawner) {
			if b.over {
				return
			}
			if r.Type == wire.TypeFailed {
				b.fail(failed(r))
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
