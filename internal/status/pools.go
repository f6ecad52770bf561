package status

import (
	"fmt"
	"strings"
)

// A Pool is what the front knows of a pool.
type Pool struct {
	Name    string         `json:"name"`
	Apps    []string       `json:"apps"`
	Waiting int            `json:"waiting"` // calls
	Limit   int            `json:"limit"`   // of calls that wait
	Oldest  float64        `json:"oldest"`  // seconds that the oldest has waited
	Calls   map[string]int `json:"calls"`   // by their outcome, since the front took the generation
	Waited  float64        `json:"waited"`  // seconds of all calls that were begun, before that
	Ran     float64        `json:"ran"`     // seconds of all calls, from then on
	Workers []PoolWorker   `json:"workers"` // the oldest first
}

// A PoolWorker is a worker of a pool.
type PoolWorker struct {
	PID     int        `json:"pid"`   // 0: it has not its apps yet
	Age     int        `json:"age"`   // the number of the worker, among those of pools
	State   string     `json:"state"` // booting, ready or leaving
	Apps    []string   `json:"apps"`  // that it hosts
	Slots   int        `json:"slots"` // calls that it can run at a time
	Busy    int        `json:"busy"`  // that it runs
	Calls   int        `json:"calls"` // that it has answered
	Running []PoolCall `json:"running"`
}

// A PoolCall is a call that a worker of a pool runs.
type PoolCall struct {
	App     string  `json:"app"`
	Action  string  `json:"action"`
	Seconds float64 `json:"seconds"`
}

// A Stash is the tables that workers share by way of the front.
type Stash struct {
	Tables int   `json:"tables"`
	Keys   int   `json:"keys"`
	Bytes  int64 `json:"bytes"`
	Limit  int64 `json:"limit"`
}

// PoolsText returns what is known of the pools and the stash, for people to read; "" if there are none.
func (f *Front) PoolsText() string {
	var b strings.Builder
	for _, p := range f.Pools {
		p.writeText(&b)
	}
	if f.Stash != nil {
		fmt.Fprintf(&b, "Stash: %d keys in %d tables, %d of %d bytes\n", f.Stash.Keys, f.Stash.Tables, f.Stash.Bytes, f.Stash.Limit)
	}
	return b.String()
}

// Busy returns how many calls the workers of the pool run, and how many they can run at a time.
func (p *Pool) Busy() (busy, slots int) {
	for _, w := range p.Workers {
		busy, slots = busy+w.Busy, slots+w.Slots
	}
	return busy, slots
}

// writeText writes a pool, and its workers with what they run, for people to read.
func (p *Pool) writeText(b *strings.Builder) {
	fmt.Fprintf(b, "Pool %s: %d of %d calls waiting", PrintableLine(p.Name), p.Waiting, p.Limit)
	if p.Waiting > 0 {
		fmt.Fprintf(b, ", the oldest for %s", Duration(p.Oldest))
	}
	fmt.Fprintf(b, "; %d done", p.Calls["done"])
	for _, outcome := range []string{"raised", "timeout", "cancelled", "full", "refused", "died"} {
		if n := p.Calls[outcome]; n > 0 {
			fmt.Fprintf(b, ", %d %s", n, outcome)
		}
	}
	b.WriteByte('\n')
	for _, w := range p.Workers {
		fmt.Fprintf(b, "  worker %d (pid %d) is %s: %d of %d busy, %d answered; %s\n",
			w.Age, w.PID, PrintableLine(w.State), w.Busy, w.Slots, w.Calls, PrintableLine(strings.Join(w.Apps, ", ")))
		for _, c := range w.Running {
			fmt.Fprintf(b, "    %s.%s for %s\n", PrintableLine(c.App), PrintableLine(c.Action), Duration(c.Seconds))
		}
	}
}
