package master

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"indrik/internal/wire"
)

// obituaryWait is how long the front has to say what a worker ran that died.
const obituaryWait = time.Second

// mostStack bounds the stack of a crash in the log.
const mostStack = 16 << 10

// An obituary is what there is to say of a worker that died, besides Gunicorn's line.
type obituary struct {
	how   string // "was sent SIGKILL"
	pid   int
	lived time.Duration
	peak  int // the most memory that it had, in KiB; 0: not known
	oom   int // how often the kernel ended a process of the control group meanwhile
	stack string
}

// noteDeath prepares the obituary of a worker that died of itself while it served. It
// is told when the front has said what the worker ran.
func (m *Master) noteDeath(w *worker, code int, sig syscall.Signal, peak int) {
	if !w.ready || w.aborted || w.killed || m.state == quitting || m.front == nil ||
		sig == 0 && code == 0 || sig == syscall.SIGTERM || sig == syscall.SIGQUIT || sig == syscall.SIGINT {
		return
	}
	o := &obituary{how: "was sent " + signalName(sig), pid: w.pid, lived: m.now().Sub(w.readyAt), peak: peak, stack: crashStack(w.dump)}
	if sig == 0 {
		o.how = fmt.Sprintf("exited with code %d", code)
	}
	if sig == syscall.SIGKILL {
		before := m.oomKills
		m.oomKills = m.sys.oomKills()
		o.oom = max(0, m.oomKills-before)
	}
	m.obituaries[w.age] = o
	if w.lost != nil {
		m.tellDeath(*w.lost)
		return
	}
	age := w.age
	m.after(obituaryWait, func() { m.tellDeath(wire.FromFront{Age: age}) })
}

// tellDeath logs the obituary of a worker, once.
func (m *Master) tellDeath(msg wire.FromFront) {
	o := m.obituaries[msg.Age]
	if o == nil {
		// The front has seen its end before the spawner has told of it.
		if w := m.workers[msg.Age]; w != nil {
			w.lost = &msg
		}
		return
	}
	delete(m.obituaries, msg.Age)
	m.log.Errorf("%s", o.text(msg))
	m.recordDeath(o, msg)
}

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
		fmt.Fprintf(&b, "%s%s %s (%.1f s)", join, r.Method, r.Path, r.Seconds)
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
	return strings.TrimRight(string(text[i:]), "\n")
}
