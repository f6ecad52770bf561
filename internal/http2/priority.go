package http2

import (
	"encoding/binary"
	"strings"

	"indrik/internal/http1"
)

// A Priority is how urgent a response is, and whether it is of use in parts (RFC 9218
// section 4).
type Priority struct {
	Urgency     uint8 // 0, the most urgent, to 7
	Incremental bool
}

// unsaid is the priority of a request that says none: such responses share what there is.
var unsaid = Priority{Urgency: 3, Incremental: true}

// parsePriority reads the value of a Priority field. What is not understood counts as not
// there (RFC 9218 section 4).
func parsePriority(text string) Priority {
	p := Priority{Urgency: 3}
	for item := range strings.SplitSeq(text, ",") {
		key, value, hasValue := strings.Cut(strings.TrimSpace(item), "=")
		value, _, _ = strings.Cut(value, ";")
		switch {
		case key == "u" && len(value) == 1 && '0' <= value[0] && value[0] <= '7':
			p.Urgency = value[0] - '0'
		case key == "i" && (!hasValue || value == "?1"):
			p.Incremental = true
		case key == "i" && value == "?0":
			p.Incremental = false
		}
	}
	return p
}

// An update is the priority of a stream that is not open yet.
type update struct {
	stream   uint32
	priority Priority
}

// maxUpdates is how many of them are kept.
const maxUpdates = 16

func (c *Conn) priorityUpdate(f frame, payload []byte) *ConnError {
	switch {
	case f.stream != 0:
		return connError(ProtocolError, "PRIORITY_UPDATE of a stream")
	case len(payload) < 4:
		return connError(FrameSizeError, "PRIORITY_UPDATE of %d bytes", len(payload))
	}
	id := binary.BigEndian.Uint32(payload) &^ (1 << 31)
	if id == 0 || id%2 == 0 {
		return connError(ProtocolError, "PRIORITY_UPDATE for stream %d", id)
	}
	p := parsePriority(string(payload[4:]))
	if s := c.streams[id]; s != nil {
		s.Priority = p
	} else if id > c.lastStream && len(c.updates) < maxUpdates {
		c.updates = append(c.updates, update{id, p})
	}
	return nil
}

// setPriority gives a stream that has just been opened its priority.
func (c *Conn) setPriority(s *Stream, fields []http1.Field) {
	for i := range fields {
		if string(fields[i].Name) == "priority" {
			s.Priority = parsePriority(string(fields[i].Value))
		}
	}
	kept := c.updates[:0]
	for _, u := range c.updates {
		switch {
		case u.stream == s.id:
			s.Priority = u.priority
		case u.stream > s.id:
			kept = append(kept, u)
		}
	}
	c.updates = kept
}
