package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"indrik/bench/stats"
)

// column is one of a table's: its head, and what it shows of a row.
type column struct {
	head string
	cell func(*row) string
}

var (
	columnServer = column{"server", func(r *row) string {
		if isOurs(r.Peer) {
			return "**" + r.Peer + "**"
		}
		return r.Peer
	}}
	columnRate = column{"requests/s (lowest–highest)", func(r *row) string {
		if r.Peer == alone {
			return "–"
		}
		return counted(r.PerSecond)
	}}
	columnRatio = column{"× anchor", func(r *row) string {
		if r.Ratio == 0 {
			return "–"
		}
		return fmt.Sprintf("%.2f", r.Ratio)
	}}
	columnCPU = column{"server CPU µs/request", func(r *row) string { return fmt.Sprintf("%.1f", r.ServerCPU.Median) }}
	columnOwn = column{"less the app's", func(r *row) string {
		if r.OwnCPU.Median == 0 {
			return "–"
		}
		return fmt.Sprintf("%.1f", r.OwnCPU.Median)
	}}
	columnLost  = column{"lost in each round", func(r *row) string { return strings.Trim(fmt.Sprint(r.Lost), "[]") }}
	columnWait  = column{"longest wait ms (lowest–highest)", func(r *row) string { return timed(r.Longest) }}
	columnMarks = column{"notes and marks (⚠)", func(r *row) string {
		words := slices.Clone(r.Notes)
		for _, mark := range r.Marks {
			words = append(words, "⚠ "+mark)
		}
		return strings.ReplaceAll(strings.Join(words, "; "), "|", `\|`)
	}}
)

func columnPercentile(name string) column {
	return column{name + " ms", func(r *row) string {
		if r.Peer == alone {
			return "–"
		}
		return fmt.Sprintf("%.2f", r.Millis[name].Median)
	}}
}

// columnCheck shows what a check has found.
func columnCheck(name string) column {
	return column{name, func(r *row) string {
		why, checked := r.Findings[name]
		switch {
		case !checked:
			return "–"
		case why == "":
			return "passes"
		}
		return "**" + strings.ReplaceAll(why, "|", `\|`) + "**"
	}}
}

func columnValue(head, name, format string) column {
	return column{head, func(r *row) string {
		s, ok := r.Values[name]
		if !ok {
			return "–"
		}
		return fmt.Sprintf(format+" ("+format+"–"+format+")", s.Median, s.Min, s.Max)
	}}
}

// A table is the form in which a workload is shown, and the figure that its
// servers are compared by; nil: none.
type table struct {
	by      *figure
	columns []column
}

var (
	throughput = table{&rate, []column{columnServer, columnRate, columnRatio, columnCPU, columnPercentile("p50"), columnPercentile("p99"), columnMarks}}
	latency    = table{&p99, []column{
		columnServer, columnPercentile("p50"), columnPercentile("p99"),
		{"p99.9 ms (lowest–highest)", func(r *row) string { return timed(r.Millis["p99.9"]) }},
		columnRate, columnRatio, columnCPU, columnMarks,
	}}
	frameworks = table{&rate, []column{
		columnServer, columnRate, columnRatio, columnCPU, columnOwn, columnPercentile("p50"), columnPercentile("p99"), columnMarks,
	}}
	halfLoad = table{&p99, []column{
		columnServer, columnValue("requests/s asked for (lowest–highest)", valueAsked, "%.0f"), columnPercentile("p50"),
		{"p99 ms (lowest–highest)", func(r *row) string { return timed(r.Millis["p99"]) }},
		{"p99.9 ms (lowest–highest)", func(r *row) string { return timed(r.Millis["p99.9"]) }},
		columnRate, columnCPU, columnMarks,
	}}
	waking   = table{&wakeUps, []column{columnServer, columnValue("wake-ups/s", valueWakeUps, "%.1f"), columnMarks}}
	checking = table{nil, []column{
		columnServer, columnCheck(checkClose), columnCheck(checkChunked), columnCheck(checkKeeps), columnCheck(checkIdle), columnCheck(checkReload), columnMarks,
	}}
	starting = table{&startMillis, []column{columnServer, columnValue("ms (lowest–highest)", valueStart, "%.0f"), columnMarks}}
	memory   = table{&workerMiB, []column{
		columnServer, columnValue("server MiB (lowest–highest)", valueServer, "%.1f"),
		columnValue("each more worker MiB (lowest–highest)", valueWorker, "%.1f"), columnMarks,
	}}
	idle = table{&idleKiB, []column{
		columnServer, columnValue("connections held", valueHeld, "%.0f"),
		columnValue("KiB each (lowest–highest)", valueIdle, "%.1f"), columnMarks,
	}}
	reloading = table{&longest, []column{
		columnServer, columnLost, columnWait, columnValue("first new answer ms", valueFresh, "%.0f"),
		columnValue("last old answer ms", valueOld, "%.0f"), columnRate, columnMarks,
	}}
)

func isOurs(peer string) bool { return strings.HasPrefix(peer, "indrik") }

func counted(s stats.Summary) string {
	return fmt.Sprintf("%.0f (%.0f–%.0f)", s.Median, s.Min, s.Max)
}

func timed(s stats.Summary) string {
	return fmt.Sprintf("%.2f (%.2f–%.2f)", s.Median, s.Min, s.Max)
}

// markdown is the report for people: what was measured on what, and the tables.
func (r *report) markdown(works []workload) string {
	var b strings.Builder
	b.WriteString("# Benchmark\n\n")
	r.conditions(&b)
	for i := range works {
		r.section(&b, &works[i])
	}
	r.commands(&b)
	return b.String()
}

func (r *report) conditions(b *strings.Builder) {
	if r.Incomplete != "" {
		fmt.Fprintf(b, "**Incomplete: %s.**\n\n", r.Incomplete)
	}
	fmt.Fprintf(b, "- machine: %s\n- date: %s\n", &r.Machine, r.Machine.Date.Format("2006-01-02 15:04 MST"))
	versions := make([]string, 0, len(r.Versions))
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		versions = append(versions, strings.TrimSpace(name+" "+r.Versions[name]))
	}
	fmt.Fprintf(b, "- versions: %s; Indrik built by %s", strings.Join(versions, ", "), r.Machine.Go)
	if r.Machine.Revision != "" {
		fmt.Fprintf(b, " from %s", r.Machine.Revision)
	}
	if python := r.Options["python"]; python != "" {
		fmt.Fprintf(b, "; the Python is that of `%s`", python)
	}
	fmt.Fprintf(b, "\n- method: up to %s rounds, interleaved, of %s after a warm-up of %s; medians; %s workers; clients and server share the machine\n",
		r.Options["rounds"], r.Options["duration"], r.Options["warm"], r.Options["workers"])
	for _, name := range slices.Sorted(maps.Keys(r.Absent)) {
		fmt.Fprintf(b, "- absent: %s: %s\n", name, r.Absent[name])
	}
}

func (r *report) commands(b *strings.Builder) {
	b.WriteString("\n## Commands\n\n")
	for _, name := range r.Order {
		fmt.Fprintf(b, "- %s: `%s`\n", name, r.Commands[name])
	}
}

// rowsOf are the rows of a workload.
func (r *report) rowsOf(workload string) []*row {
	var rows []*row
	for i := range r.Rows {
		if r.Rows[i].Workload == workload {
			rows = append(rows, &r.Rows[i])
		}
	}
	return rows
}

func (r *report) section(b *strings.Builder, w *workload) {
	rows := r.rowsOf(w.Name)
	if len(rows) == 0 {
		fmt.Fprintf(b, "\n## %s\n\nNot measured.\n", w.Title)
		return
	}
	rounds := 0
	for _, one := range rows {
		rounds = max(rounds, one.Rounds)
	}
	fmt.Fprintf(b, "\n## %s\n\n%s Rounds: %d.\n\n", w.Title, w.Text, rounds)
	for _, c := range w.Table.columns {
		fmt.Fprintf(b, "| %s ", c.head)
	}
	b.WriteString("|\n")
	for i := range w.Table.columns {
		b.WriteString("|---")
		if i > 0 && i < len(w.Table.columns)-1 {
			b.WriteByte(':')
		}
	}
	b.WriteString("|\n")
	for _, one := range rows {
		for _, c := range w.Table.columns {
			fmt.Fprintf(b, "| %s ", c.cell(one))
		}
		b.WriteString("|\n")
	}
}
