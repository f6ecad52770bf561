package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"
)

// docsIntro is the beginning of docs/benchmarks.md.
const docsIntro = `# Benchmarks

<!-- Made from bench/results by: make bench-docs. Change bench/docs.go instead. -->

Indrik beside the servers that people run today: the same apps, the same Python, the same number of workers, no access
log, in one run of ` + "`make bench-full`" + `. [Every table](benchmarks/tables.md) · [how to read it](#how-to-read-it) ·
[where the time of a request goes](performance.md)
`

// docsReading says what the figures mean.
const docsReading = `
## How to read it

- **The machine is shared.** Clients and server run on the same processors. So the requests a second are what is left
  when the clients have had theirs, and two servers that are faster than the clients look alike. The processor time a
  request takes, of all processes of the server, does not suffer from that: it is in a column of its own.
- **Indrik is indrik[speed]**, with the usual parts of a worker's loop in C, as the others are compiled. The rows called
  "pure" are without it.
- **Less the app's.** The app of a framework is also called in a loop by one process, without any server, in the same
  Python. What a request takes in the server less that is what the server itself takes, and what it does to the app:
  caches and processors that are not the app's alone. The loop that counts has the machine for itself, which is the
  least that the app can take; the tables have its figure with the other processor busy, too.
- **× anchor** is the ratio to gunicorn gthread for WSGI, to uvicorn for ASGI. Ratios travel from machine to machine
  better than the figures themselves.
- **Interleaved.** A B C A B C: what disturbs the machine for a while affects all of them. A figure is the median of the
  rounds, with the lowest and the highest. A server is started again for each measurement, and is the only one that
  runs.
- **Closed loop** (most tables): a client asks again when it has its answer. That finds out how much a server can do.
  Its latencies are those of a server under as much load as it can take, and say little. **At half load** requests are
  due at fixed times, and their times are from when they were due, however late the client came to send them: these are
  latencies.
- **Every answer is checked**, status and each byte of the body. Errors, clients that were not served at all, rounds
  that differ by more than a fifth and a machine that others use are marked (⚠) and not left out.
- **What counts for a goal.** A server that leaves clients without an answer, or does not call close() of responses
  where the app has work to do there, is in the tables with a mark, and is not compared. One that fails another
  [check](#checks) is compared, and has the mark †.
- **Loses nothing in a reload**: no request is lost when the server loads its app again under load, see
  [reload under load](benchmarks/tables.md#reload-under-load). Servers that cannot do that are not among them.
- waitress has one process, with as many threads as others have in all their workers. uWSGI keeps connections only with
  ` + "`http11-socket`" + `; a worker then serves one connection until its client closes it, and other clients wait. The table says
  how many.
`

// tablesIntro is the beginning of docs/benchmarks/tables.md.
const tablesIntro = `# Benchmarks: every table

<!-- Made from bench/results by: make bench-docs. Change bench/docs.go instead. -->

What [benchmarks.md](../benchmarks.md) sums up, and says how to read.
`

// writeDocs writes benchmarks.md, and the page of all tables with its charts, into dir, and
// the figures into the READMEs.
func (r *report) writeDocs(dir string) error {
	charts := filepath.Join(dir, "benchmarks")
	if err := os.MkdirAll(charts, 0o755); err != nil {
		return err
	}
	var tables strings.Builder
	tables.WriteString(tablesIntro)
	for i := range allWorkloads {
		w := &allWorkloads[i]
		if len(r.rowsOf(w.Name)) == 0 || w.Table.by == nil {
			continue
		}
		r.section(&tables, w)
		drawing := r.svg(w)
		if drawing == "" {
			continue
		}
		if err := replace(filepath.Join(charts, w.Name+".svg"), []byte(drawing)); err != nil {
			return err
		}
		fmt.Fprintf(&tables, "\n![%s](%s.svg)\n", w.Title, w.Name)
	}
	r.commands(&tables)
	if err := replace(filepath.Join(charts, "tables.md"), []byte(tables.String())); err != nil {
		return err
	}
	if err := replace(filepath.Join(dir, "benchmarks.md"), []byte(r.summaryPage())); err != nil {
		return err
	}
	return r.writeReadmes(dir)
}

// summaryPage is benchmarks.md: what most readers want is on its first screen.
func (r *report) summaryPage() string {
	var b strings.Builder
	b.WriteString(docsIntro)
	if r.Incomplete != "" {
		fmt.Fprintf(&b, "\n**Incomplete: %s.**\n", r.Incomplete)
	}
	b.WriteString("\n## Goals\n\n")
	r.goalTable(&b, firstGoals)
	if text := r.daggers(); text != "" {
		b.WriteString("\n" + text + "\n")
	}
	b.WriteString("\n## In short\n\n")
	r.results(&b, func(w *workload) bool { return w.Goal })
	b.WriteString(docsReading)
	r.section(&b, workloadOf("checks"))
	b.WriteString("\n## Other workloads\n\n")
	r.results(&b, func(w *workload) bool { return !w.Goal })
	b.WriteString("\n## Other goals\n\n")
	r.goalTable(&b, otherGoals)
	b.WriteString("\n## What it was measured on\n\n")
	r.conditions(&b)
	return b.String()
}

// goalTable has a row for each group of goals.
func (r *report) goalTable(b *strings.Builder, groups []goalGroup) {
	b.WriteString("| goal | measured (✓ met) | |\n|---|---|---|\n")
	for i := range groups {
		lines, met := groups[i].judge(r)
		count := fmt.Sprintf("%d of %d", met, len(groups[i].goals))
		if met < len(groups[i].goals) {
			count = "**" + count + "**"
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", groups[i].title, strings.Join(lines, "<br>"), count)
	}
}

// judge returns a line for each goal, and how many are met.
func (g *goalGroup) judge(r *report) (lines []string, met int) {
	for i := range g.goals {
		v := g.goals[i].judge(r)
		switch {
		case v == nil:
			lines = append(lines, "– "+g.goals[i].label+": not measured")
		case v.met:
			met++
			lines = append(lines, "✓ "+v.text)
		default:
			lines = append(lines, "✗ "+v.text)
		}
	}
	return lines, met
}

// daggers says what the mark † means, server by server.
func (r *report) daggers() string {
	var list []string
	for _, name := range r.Order {
		if fails := failing(r.findings(name)); len(fails) > 0 {
			list = append(list, name+" ("+strings.Join(fails, ", ")+")")
		}
	}
	if len(list) == 0 {
		return ""
	}
	return "† does not pass every [check](#checks): " + strings.Join(list, "; ") + "."
}

// results compares the best of Indrik's worker classes with others, a row for each workload
// and interface.
func (r *report) results(b *strings.Builder, of func(*workload) bool) {
	fmt.Fprintf(b, `Medians: Indrik's best worker class, the best of all others, the best of those that lose nothing in a reload, and the
server that ratios are given to (%s, %s). **Bold** marks who is ahead.

| | | Indrik | the best of the others | that reloads without loss | %s, %s |
|---|---|---:|---:|---:|---:|
`, anchors[wsgi], anchors[asgi], anchors[wsgi], anchors[asgi])
	for i := range allWorkloads {
		w := &allWorkloads[i]
		if !of(w) || w.Table.by == nil {
			continue
		}
		for _, kind := range []string{wsgi, asgi} {
			if line := r.result(w, kind); line != "" {
				b.WriteString(line)
			}
		}
	}
}

// result is a row of results; "" if there is nothing to compare.
func (r *report) result(w *workload, kind string) string {
	f := w.Table.by
	var ours *row
	var others []*row
	for _, one := range r.rowsOf(w.Name) {
		switch {
		case interfaceOf(one.Peer) != kind || !f.known(one):
		case !isOurs(one.Peer):
			others = append(others, one)
		case ours == nil || f.better(f.of(one).Median, f.of(ours).Median):
			ours = one
		}
	}
	best := f.best(others, anyRow)
	if ours == nil || best == nil {
		return ""
	}
	show := func(one *row, bold bool) string {
		if one == nil {
			return "–"
		}
		text := fmt.Sprintf(f.format, f.of(one).Median)
		if bold {
			text = "**" + text + "**"
		}
		return strings.TrimPrefix(one.Peer, "indrik ") + r.dagger(one.Peer) + ", " + text
	}
	title := fmt.Sprintf("[%s](benchmarks/tables.md#%s)", w.Title, slug(w.Title))
	if !strings.Contains(w.Title, kind) {
		title += ", " + kind
	}
	behind := f.better(f.of(best).Median, f.of(ours).Median)
	compared := "–"
	if anchor := r.row(w.Name, anchors[kind]); anchor != nil && f.known(anchor) {
		compared = fmt.Sprintf(f.format, f.of(anchor).Median)
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s |\n", title, f.name, show(ours, !behind), show(best, behind),
		show(f.best(others, func(one *row) bool { return r.survives(one.Peer) }), false), compared)
}

// slug returns what a link to a heading names it.
func slug(heading string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == ' ':
			return '-'
		case c == '_' || c == '-' || unicode.IsLetter(c) || unicode.IsDigit(c):
			return unicode.ToLower(c)
		}
		return -1
	}, heading)
}

func interfaceOf(name string) string {
	if p := peerOf(name); p != nil {
		return p.Interface
	}
	return ""
}
