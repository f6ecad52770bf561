package master

import "indrik/internal/wire"

// leastReady returns how many workers have to be ready for the server to be: half of those
// that there should be. Where there are to be more than before that is so once they are there:
// to be made larger, or to start, is no reason not to be ready.
func (p *pool) leastReady() int {
	if p.countServing() >= p.target {
		p.reached = p.target
	}
	return max(1, min(p.reached, p.target)/2)
}

// standing is how many workers there should be, without those that are more than there have been:
// nobody misses them while they start.
func (p *pool) standing() int {
	if p.reached == 0 {
		return p.target
	}
	return min(p.reached, p.target)
}

// tellLeast tells the front how many workers have to be ready, and whether there need be none. The loop calls it after each
// event.
func (m *Master) tellLeast() {
	f, least, asleep := m.front.current, m.pool.leastReady(), m.isAsleep()
	if f != nil && (f.least != least || f.asleep != asleep) {
		f.least, f.asleep = least, asleep
		m.front.send(wire.ToFront{Type: wire.TypeLeast, Least: least, Asleep: asleep})
	}
}
