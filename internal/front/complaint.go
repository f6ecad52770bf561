package front

import (
	"fmt"
	"sync"
	"time"

	"indrik/internal/errlog"
)

// A complaint is a kind of line of the log. The first line is written at once; if more of
// the kind follow, one line in complaintEvery says how many there were.
type complaint struct {
	mu sync.Mutex
	// +checklocks:mu
	pending bool
	// +checklocks:mu
	more int
	// +checklocks:mu
	last string
}

const complaintEvery = time.Second

// A warner is a log.
type warner interface{ Warnf(string, ...any) }

// say logs a line of this kind.
func (c *complaint) say(log warner, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending {
		c.more++
		c.last = text
		return
	}
	c.pending = true
	go log.Warnf("%s", text)
	time.AfterFunc(complaintEvery, func() { c.summarize(log) })
}

// summarize logs the last of the lines that were not written, and how many there were.
func (c *complaint) summarize(log warner) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = false
	if c.more > 0 {
		go log.Warnf("%s; %d others within %s", c.last, c.more-1, complaintEvery)
		c.more = 0
	}
}

// slowed tells the operator which client is read more slowly, and why.
func (c *complaint) slowed(log *errlog.Log, info *connInfo, what string) {
	c.say(log, fmt.Sprintf("Reading %s more slowly: it sends too many %s", info.name(), what))
}
