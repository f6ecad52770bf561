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
log. ` + "`make bench`" + ` makes a short form of this on your machine in under ten minutes, ` + "`make bench-full`" + ` all of it.
[How to read it](#how-to-read-it) says what the figures mean and what they do not, then comes
[what it was measured on](#what-it-was-measured-on); [performance.md](performance.md) says where the time of a request
goes.
`

// docsReading says what the figures mean.
const docsReading = `
## How to read it

- **The machine is shared.** Clients and server run on the same processors. So the requests a second are what is left
  when the clients have had theirs, and two servers that are faster than the clients look alike. The processor time a
  request takes, of all processes of the server, does not suffer from that: it is in a column of its own.
- **× anchor** is the ratio to gunicorn gthread for WSGI, to uvicorn for ASGI. Ratios travel from machine to machine
  better than the figures themselves.
- **Interleaved.** A B C A B C: what disturbs the machine for a while affects all of them. A figure is the median of the
  rounds, with the lowest and the highest. A server is started again for each measurement, and is the only one that
  runs.
- **Closed loop** (most tables): a client asks again when it has its answer. That finds out how much a server can do.
  Its latencies are those of a server under as much load as it can take, and say little. **At a fixed rate**, times are
  from when a request was due, however late the client came to send it: these are latencies.
- **Every answer is checked**, status and each byte of the body. Errors, clients that were not served at all, rounds
  that differ by more than a fifth and a machine that others use are marked (⚠) and not left out.
- **waitress** has one process, with as many threads as others have in all their workers.
- **What counts for a goal.** A server that leaves clients without an answer, or does not call close() of responses
  where the app has work to do there, is in the tables with a mark, and is not compared.
- uWSGI keeps connections only with ` + "`http11-socket`" + `; a worker then serves one connection until its client closes it, and
  other clients wait. The table says how many.
`

// docsApart begins the conditions of what was measured apart.
const docsApart = `
### The run of HTTP/2

Others used the machine all the time, most of it at times. So the requests a second are those of whoever got a
processor: compare the processor time of a request, and rows of one table.

`

// writeDocs writes benchmarks.md and its charts into dir: the results first, as a whole and
// one by one, then how they came about, and the goals.
func (r *report) writeDocs(dir string) error {
	charts := filepath.Join(dir, "benchmarks")
	if err := os.MkdirAll(charts, 0o755); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString(docsIntro)
	r.results(&b)
	for i := range allWorkloads {
		w := &allWorkloads[i]
		source := r.source(w)
		source.section(&b, w)
		if source != r {
			b.WriteString("\nMeasured apart, see [the run of HTTP/2](#the-run-of-http2).\n")
		}
		if w.Chart == nil {
			continue
		}
		if drawing := source.svg(w); drawing != "" {
			if err := replace(filepath.Join(charts, w.Name+".svg"), []byte(drawing)); err != nil {
				return err
			}
			fmt.Fprintf(&b, "\n![%s](benchmarks/%s.svg)\n", w.Title, w.Name)
		}
	}
	b.WriteString(docsReading)
	b.WriteString("\n## What it was measured on\n\n")
	r.conditions(&b)
	if r.apart != nil {
		b.WriteString(docsApart)
		r.apart.conditions(&b)
	}
	r.commands(&b)
	r.goals(&b)
	return replace(filepath.Join(dir, "benchmarks.md"), []byte(b.String()))
}

func (r *report) goals(b *strings.Builder) {
	b.WriteString("\n## Goals\n\n| goal | measured | |\n|---|---|---|\n")
	for i := range goals {
		text, result, met, ok := goals[i].judge(r.source(workloadOf(goals[i].workload)))
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

// results compares the best of Indrik's worker classes with the anchor and with the best of
// the other servers, a row for each workload and interface.
func (r *report) results(b *strings.Builder) {
	fmt.Fprintf(b, `
## Results

Medians: Indrik's best worker class, the server that ratios are given to (%s for WSGI, %s for ASGI),
and the best of all others. **Bold** marks the server that is ahead of Indrik, or Indrik if
none is.

| | | Indrik | %s, %s | the best of the others |
|---|---|---:|---:|---:|
`, anchors[wsgi], anchors[asgi], anchors[wsgi], anchors[asgi])
	for i := range allWorkloads {
		w := &allWorkloads[i]
		f := w.Table.by
		for _, kind := range []string{wsgi, asgi} {
			var ours, anchor *row
			var others []*row
			for _, one := range r.source(w).rowsOf(w.Name) {
				switch {
				case interfaceOf(one.Peer) != kind || one.Rounds == 0 || f.of(one).Median == 0:
				case !isOurs(one.Peer):
					others = append(others, one)
					if one.Peer == anchors[kind] {
						anchor = one
					}
				case ours == nil || f.better(f.of(one).Median, f.of(ours).Median):
					ours = one
				}
			}
			best := f.best(others)
			if ours == nil || best == nil {
				continue
			}
			title := fmt.Sprintf("[%s](#%s)", w.Title, slug(w.Title))
			if !strings.Contains(w.Title, kind) {
				title += ", " + kind
			}
			value := func(one *row) string { return fmt.Sprintf(f.format, f.of(one).Median) }
			compared := "–"
			if anchor != nil {
				compared = value(anchor)
			}
			ourValue, bestValue := value(ours), value(best)
			if f.better(f.of(best).Median, f.of(ours).Median) {
				bestValue = "**" + bestValue + "**"
			} else {
				ourValue = "**" + ourValue + "**"
			}
			fmt.Fprintf(b, "| %s | %s | %s, %s | %s | %s, %s |\n",
				title, f.name, strings.TrimPrefix(ours.Peer, "indrik "), ourValue, compared, best.Peer, bestValue)
		}
	}
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
	for i := range allPeers {
		if allPeers[i].Name == name {
			return allPeers[i].Interface
		}
	}
	return ""
}
