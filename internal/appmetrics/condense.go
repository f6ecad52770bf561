package appmetrics

import "bytes"

// rule returns how the values of a key in several processes become one: it is called with what
// there is so far and the next one.
func (n Name) rule() func(so, next entry) entry {
	switch n.Mode {
	case "min", "livemin":
		return func(so, next entry) entry {
			if next.value < so.value {
				return next
			}
			return so
		}
	case "max", "livemax":
		return func(so, next entry) entry {
			if next.value > so.value {
				return next
			}
			return so
		}
	case "mostrecent", "livemostrecent":
		return func(so, next entry) entry {
			if next.time > so.time {
				return next
			}
			return so
		}
	case "all", "liveall":
		return func(_, next entry) entry { return next }
	}
	return func(so, next entry) entry {
		so.value += next.value
		return so
	}
}

// A Condenser makes one file of several that are of the same type and mode. What does not fit
// in a file of [MaxFile] bytes is left out: the keys that come last.
type Condenser struct {
	rule    func(so, next entry) entry
	entries []entry
	places  map[string]int // by key
	stamped bool
	size    int // of the file, at most
}

// NewCondenser returns a condenser of files whose type and mode is that of n.
func NewCondenser(n Name) *Condenser {
	return &Condenser{rule: n.rule(), places: map[string]int{}, size: headSize}
}

// Add adds the used part of a file. The error is that of a file that makes no sense, of which
// nothing is added.
func (c *Condenser) Add(data []byte) error {
	entries, stamped, err := decode(data)
	if err != nil {
		return err
	}
	c.stamped = c.stamped || stamped && len(entries) > 0
	for _, e := range entries {
		if at, known := c.places[string(e.key)]; known {
			c.entries[at] = c.rule(c.entries[at], e)
			continue
		}
		size := 4 + len(e.key) + padding(len(e.key)) + stampedSize
		if c.size+size > MaxFile {
			continue
		}
		c.size += size
		e.key = bytes.Clone(e.key)
		c.places[string(e.key)] = len(c.entries)
		c.entries = append(c.entries, e)
	}
	return nil
}

// File returns the used part of the file.
func (c *Condenser) File() []byte { return encode(c.entries, c.stamped) }
