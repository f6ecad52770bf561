package status

import (
	"fmt"
	"io"
	"strings"
)

// A Trace is where a worker was at one time: what `indrik trace` prints.
type Trace struct {
	PID     int       `json:"pid"`
	Age     int       `json:"age"`
	Kind    string    `json:"kind"`
	Running []Running `json:"running"` // the requests that it runs, the longest first
	Stacks  []Stack   `json:"stacks"`  // none: it could not write them
	Stuck   bool      `json:"stuck"`   // its event loop does not turn: the stacks are those of threads
}

// A Stack is where a thread, a task or a greenlet is.
type Stack struct {
	What    string   `json:"what"`    // Thread 0x00007f2c3e1c0740, Task Task-9, Request
	Running *Running `json:"running"` // the request that it belongs to; null: none that is known
	Loop    bool     `json:"loop"`    // it is that of the thread which has the event loop
	Calls   []string `json:"calls"`   // the innermost first: File "/srv/shop/views.py", line 7 in report
}

// WriteText writes a trace for people to read: first the stacks of requests.
func (t *Trace) WriteText(w io.Writer) error {
	var b strings.Builder
	requests := "requests"
	if len(t.Running) == 1 {
		requests = "request"
	}
	fmt.Fprintf(&b, "Worker %d (%s) runs %d %s\n", t.PID, PrintableLine(t.Kind), len(t.Running), requests)
	shown := map[uint32]bool{}
	for _, s := range t.Stacks {
		if s.Running != nil {
			shown[s.Running.Number] = true
		}
	}
	for _, r := range t.Running {
		if !shown[r.Number] {
			fmt.Fprintf(&b, "  %s, which is in no stack\n", r.String())
		}
	}
	if t.Stuck {
		b.WriteString("  Its event loop is stuck: what follows is its threads\n")
	}
	for _, ofRequest := range []bool{true, false} {
		for _, s := range t.Stacks {
			if (s.Running != nil) != ofRequest {
				continue
			}
			if s.Running != nil {
				fmt.Fprintf(&b, "  %s, by %s:\n", s.Running.String(), PrintableLine(s.What))
			} else if s.Loop {
				fmt.Fprintf(&b, "  %s, which has the event loop:\n", PrintableLine(s.What))
			} else {
				fmt.Fprintf(&b, "  %s:\n", PrintableLine(s.What))
			}
			for _, c := range s.Calls {
				fmt.Fprintf(&b, "    %s\n", PrintableLine(c))
			}
		}
	}
	if len(t.Stacks) == 0 {
		b.WriteString("  It shows no stacks\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// String describes the request and for how long it has run.
func (r *Running) String() string {
	text := fmt.Sprintf("%s %s for %s", PrintableLine(r.Method), PrintableLine(r.Path), Duration(r.Seconds))
	if r.Client != "" {
		text += ", for " + PrintableLine(r.Client)
	}
	return text
}
