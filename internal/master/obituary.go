package master

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"indrik/internal/recycle"
	"indrik/internal/stacktext"
	"indrik/internal/status"
	"indrik/internal/wire"
)

// obituaryWait is how long the front has to report the requests of a worker that died.
const obituaryWait = time.Second

// mostStack bounds the stack of a crash in the log.
const mostStack = 16 << 10

// An obituary is the log message about a worker that died, besides Gunicorn's line, and what
// the status says about it.
type obituary struct {
	cause    status.Cause
	how      string // "was sent SIGKILL"
	pid      int
	lived    time.Duration
	peak     int // the most memory that it had, in KiB; 0: not known
	oom      int // how often the kernel ended a process of the control group meanwhile
	stack    string
	poisoned bool // the worker may have died of what it ran

	overTime []status.Running // the requests whose time was over, of a timeout
}

// obituaries are those of workers that died, until the front has said what they ran.
type obituaries struct {
	base
	front    *frontLink
	untold   map[int]*obituary // by the age of the worker
	oomKills int               // that the control group has seen, when looked last
	told     func(*obituary, wire.FromFront)
}

// causeOf returns why w died, "" if it was to end.
func causeOf(w *worker, d death) status.Cause {
	switch {
	case w.broke:
		return status.CauseProtocol
	case w.late:
		return status.CauseTimeout
	case w.overdue:
		return status.CauseGraceful
	case w.killed && w.cause != nil && w.cause.Reason == recycle.MemoryHard:
		return status.CauseMemoryHard
	case !w.ready && (w.leaving || d.byOperator()):
		return ""
	case !w.ready:
		return status.CauseBoot
	case w.aborted, w.killed, d.signal == syscall.SIGTERM, d.signal == syscall.SIGQUIT, d.signal == syscall.SIGINT:
		return ""
	case d.signal != 0:
		return status.CauseSignal
	case d.code != 0:
		return status.CauseExit
	}
	return ""
}

// write prepares the obituary of a worker that died and was not to. Of one that died of
// itself while it served it is told when the front has said what the worker ran, or after
// obituaryWait. Of the others the log has said all, and only the status tells.
func (all *obituaries) write(w *worker, d death) {
	o := &obituary{cause: causeOf(w, d), pid: w.pid, peak: d.peak}
	switch o.cause {
	case "":
		return
	case status.CauseProtocol:
		o.how = "broke the protocol: " + w.breach
	case status.CauseTimeout:
		o.how, o.overTime = "was aborted, since a request was over timeout", w.overTime
		if w.blocked > 0 {
			o.how = "was aborted, since its event loop had been blocked for " + spell(w.blocked)
		}
	case status.CauseGraceful:
		o.how = "was aborted, since it had not ended after graceful_timeout"
	case status.CauseBoot:
		o.how = d.how() + " before it was ready"
		if lines := strings.Split(d.report, "\n"); d.report != "" {
			o.how += ": " + status.Printable(lines[len(lines)-1])
		}
	default:
		all.writeUnexpected(o, w, d)
		return
	}
	all.told(o, wire.FromFront{Age: w.age})
}

// writeUnexpected prepares the obituary of a worker that died of itself while it served.
func (all *obituaries) writeUnexpected(o *obituary, w *worker, d death) {
	o.how, o.lived, o.stack = d.how(), all.now().Sub(w.readyAt), crashStack(w.dump)
	// A SIGKILL is somebody else's, or the kernel's: that takes the largest process, which
	// need not be the one that took the memory.
	o.poisoned = o.cause == status.CauseMemoryHard || o.cause == status.CauseExit || o.cause == status.CauseSignal && d.signal != syscall.SIGKILL
	if o.cause == status.CauseMemoryHard {
		o.how = "was killed, since " + w.cause.Text + ","
	} else if d.signal == syscall.SIGKILL {
		before := all.oomKills
		all.oomKills = all.sys.oomKills()
		if o.oom = max(0, all.oomKills-before); o.oom > 0 {
			o.cause = status.CauseMemory
		}
	}
	all.untold[w.age] = o
	if w.lost != nil {
		all.tell(*w.lost)
		return
	}
	age := w.age
	all.after(obituaryWait, func() { all.tell(wire.FromFront{Age: age}) })
}

// tell logs the obituary of a worker, once, and reports whether there is one.
func (all *obituaries) tell(msg wire.FromFront) bool {
	o := all.untold[msg.Age]
	if o == nil {
		return false
	}
	delete(all.untold, msg.Age)
	all.log.Errorf("%s", o.text(msg))
	all.told(o, msg)
	if o.poisoned && msg.Type != "" {
		all.front.send(wire.ToFront{Type: wire.TypeBlame, Age: msg.Age})
	}
	return true
}

// text returns the obituary with what the front has said, if it has.
func (o *obituary) text(msg wire.FromFront) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Worker (pid:%d) %s after %s", o.pid, o.how, spell(o.lived))
	if msg.Type != "" {
		fmt.Fprintf(&b, " and %s", plural(msg.Served, "request"))
	}
	for i, r := range msg.Running {
		join := ", while it ran "
		if i > 0 {
			join = ", "
		}
		fmt.Fprintf(&b, "%s%s %s (%.1f s", join, r.Method, r.Path, r.Seconds)
		if r.RequestID != "" {
			b.WriteString(", request " + r.RequestID)
		}
		b.WriteByte(')')
	}
	if msg.Others > 0 {
		fmt.Fprintf(&b, " and %d others", msg.Others)
	}
	b.WriteString(".")
	if o.oom > 0 {
		fmt.Fprintf(&b, " Out of memory: oom_kill %d in its control group.", o.oom)
	}
	if o.peak > 0 {
		fmt.Fprintf(&b, " Its RSS was at most %s.", spellKiB(o.peak))
	}
	if o.stack != "" {
		b.WriteString("\n" + o.stack)
	}
	return b.String()
}

// spell writes how long something took: 4.1 s, 12 min, 3 h, 5 days.
func spell(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}

func spellKiB(n int) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d MiB", n>>10)
}

// bootReportHead is the first line of the report of a worker that could not boot, in its dump
// file.
const bootReportHead = "Worker failed to boot:\n"

// bootReport returns what a worker that could not boot has written to its dump file, "" if
// it wrote nothing.
func bootReport(dump *os.File) string { return lastInDump(dump, bootReportHead) }

// crashStack returns what Python's faulthandler wrote when the process of a worker crashed,
// "" if it wrote nothing.
func crashStack(dump *os.File) string { return lastInDump(dump, "Fatal Python error: ") }

// lastInDump returns the last part of a dump file that begins with head, "" if there is none.
func lastInDump(dump *os.File, head string) string {
	if dump == nil {
		return ""
	}
	size := fileSize(dump)
	from := max(0, size-mostStack)
	text, err := io.ReadAll(io.NewSectionReader(dump, from, size-from))
	i := bytes.LastIndex(text, []byte(head))
	if err != nil || i < 0 {
		return ""
	}
	return strings.TrimRight(stacktext.Clean(string(text[i:])), "\n")
}
