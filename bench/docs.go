package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// docsIntro is what docs/benchmarks.md says besides figures.
const docsIntro = `# Benchmarks

<!-- Made from bench/results by: make bench-docs. Change bench/docs.go instead. -->

Indrik beside the servers that people run today: the same apps, the same Python, the same number of workers, no access
log. ` + "`make bench`" + ` makes a short form of this on your machine in under ten minutes, ` + "`make bench-full`" + ` all of it.
[performance.md](performance.md) says where the time of a request goes.

## How to read it

- **The machine is shared.** Clients and server run on the same processors. So the requests a second are what is left
  when the clients have had theirs, and two servers that are faster than the clients look alike. The processor time a
  request takes, of all processes of the server, does not suffer from that: it stands beside.
- **× anchor** is the ratio to gunicorn gthread for WSGI, to uvicorn for ASGI. Ratios travel from machine to machine
  better than the figures themselves.
- **Interleaved.** A B C A B C: what disturbs the machine for a while hits all. A figure is the median of the rounds,
  with the lowest and the highest. A server is started anew for each measurement, and is the only one alive.
- **Closed loop** (most tables): a client asks again when it has its answer. That finds out how much a server can do.
  Its latencies are those of a server under as much load as it can bear, and say little. **At a fixed rate**, times are
  from when a request was due, however late the client came to send it: these are latencies.
- **Every answer is checked**, status and each byte of the body. Errors, clients that were not served at all, rounds
  that differ by more than a fifth and a machine that others use are marked (⚠) and not left out.
- **waitress** has one process, with as many threads as others have in all their workers.
- **What counts for a goal.** A server that leaves clients without an answer, or does not call close() of responses
  where the app has work to do there, stands in the tables with a mark, and is not compared with.
- uWSGI keeps connections only with ` + "`http11-socket`" + `; a worker then serves one connection until its client closes it, and
  other clients wait. The table says how many.
`

// writeDocs writes benchmarks.md and its charts into dir.
func (r *report) writeDocs(dir string) error {
	charts := filepath.Join(dir, "benchmarks")
	if err := os.MkdirAll(charts, 0o755); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(docsIntro)
	b.WriteString("\n## What it was measured on\n\n")
	r.conditions(&b)
	r.goals(&b)
	r.losses(&b)
	for i := range allWorkloads {
		w := &allWorkloads[i]
		r.section(&b, w)
		if w.Chart == nil {
			continue
		}
		if drawing := r.svg(w); drawing != "" {
			if err := replace(filepath.Join(charts, w.Name+".svg"), []byte(drawing)); err != nil {
				return err
			}
			fmt.Fprintf(&b, "\n![%s](benchmarks/%s.svg)\n", w.Title, w.Name)
		}
	}
	r.commands(&b)
	return replace(filepath.Join(dir, "benchmarks.md"), []byte(b.String()))
}

func (r *report) goals(b *strings.Builder) {
	b.WriteString("\n## Goals\n\n| goal | measured | |\n|---|---|---|\n")
	for i := range goals {
		text, result, met, ok := goals[i].judge(r)
		if !ok {
			continue
		}
		verdict := "met"
		if !met {
			verdict = "**not met**"
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", text, result, verdict)
	}
}

// losses lists where another server is ahead of the best of Indrik's.
func (r *report) losses(b *strings.Builder) {
	b.WriteString("\n## Where Indrik loses\n\nMedian against median, Indrik's best worker class against the best of the others.\n\n")
	none := true
	for i := range allWorkloads {
		w := &allWorkloads[i]
		f := w.Table.by
		rows := r.rowsOf(w.Name)
		for _, kind := range []string{wsgi, asgi} {
			var ours *row
			var others []*row
			for _, one := range rows {
				switch {
				case interfaceOf(one.Peer) != kind || one.Rounds == 0 || f.of(one).Median == 0:
				case !isOurs(one.Peer):
					others = append(others, one)
				case ours == nil || f.better(f.of(one).Median, f.of(ours).Median):
					ours = one
				}
			}
			best := f.best(others)
			if ours == nil || best == nil || !f.better(f.of(best).Median, f.of(ours).Median) {
				continue
			}
			none = false
			fmt.Fprintf(b, "- %s (%s): %s "+f.format+", %s "+f.format+" %s\n",
				w.Title, kind, ours.Peer, f.of(ours).Median, best.Peer, f.of(best).Median, f.name)
		}
	}
	if none {
		b.WriteString("Nowhere in what was measured.\n")
	}
}

func interfaceOf(name string) string {
	for i := range allPeers {
		if allPeers[i].Name == name {
			return allPeers[i].Interface
		}
	}
	return ""
}
