package front

import (
	"encoding/json"
	"os"
	"time"

	"indrik/internal/status"
)

// status returns what this process knows, for the status of the server.
func (s *server) status() status.Front {
	f := status.Front{PID: os.Getpid(), Connections: s.connections(), Quarantine: s.quarantines()}
	f.Quarantines, f.WouldQuarantine = s.quarantined.totals()
	f.Queue, f.Loads, f.Unlisted = s.queue.Status(time.Now())
	if f.Pools = s.pools.Status(); len(f.Pools) > 0 {
		f.Stash = s.pools.Stash()
	}
	return f
}

// trace has the worker of an age write down the stacks of its requests, as the trace of a
// number, and returns what it runs: a status that has nothing else.
func (s *server) trace(age, number int) status.Front {
	f := status.Front{PID: os.Getpid(), Loads: map[int]status.Load{}}
	if load, ok := s.queue.Trace(age, number, time.Now()); ok {
		f.Loads[age] = load
	}
	return f
}

// maxStatus is the size of a status that fits a control message with all else in it.
const maxStatus = 100 << 10

// encodeStatus returns a status as JSON. Of one that is too large, since there are very many
// workers, it leaves out what they run, and then what is known of each.
func encodeStatus(f status.Front) []byte {
	data := mustEncode(f)
	if len(data) > maxStatus {
		for age, load := range f.Loads {
			f.Unlisted += len(load.Running)
			load.Running = nil
			f.Loads[age] = load
		}
		data = mustEncode(f)
	}
	if len(data) > maxStatus {
		f.Loads = nil
		data = mustEncode(f)
	}
	return data
}

func mustEncode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic("front: status: " + err.Error()) // its fields have a form in JSON
	}
	return data
}

// connections counts the connections by what they are doing.
func (s *server) connections() status.Connections {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := status.Connections{Total: len(s.conns)}
	for c := range s.conns {
		switch p := phase(c.phase.Load()); {
		case c.webSocket.Load() != nil:
			n.WebSocket++
		case p == handshaking:
			n.Handshake++
		case p == idle:
			n.Idle++
		case p == heading || p == reading:
			n.Reading++
		case p == running:
			n.Running++
		case p == multiplexed || c.h2.Load() != nil:
			n.HTTP2++
		default:
			n.Writing++ // or what a client does not take at the end
		}
	}
	return n
}
