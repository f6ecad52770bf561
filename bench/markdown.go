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
	cell func(row) string
}

var (
	columnServer = column{"server", func(r row) string { return r.Peer }}
	columnRate   = column{"requests/s (lowest–highest)", func(r row) string { return counted(r.PerSecond) }}
	columnRatio  = column{"× " + anchor, func(r row) string {
		if r.Ratio == 0 {
			return "–"
		}
		return fmt.Sprintf("%.2f", r.Ratio)
	}}
	columnCPU   = column{"server CPU µs/request", func(r row) string { return fmt.Sprintf("%.1f", r.ServerCPU.Median) }}
	columnLost  = column{"lost in each round", func(r row) string { return strings.Trim(fmt.Sprint(r.Lost), "[]") }}
	columnWait  = column{"longest wait ms (lowest–highest)", func(r row) string { return timed(r.Longest) }}
	columnMarks = column{"notes and marks (⚠)", func(r row) string {
		words := slices.Clone(r.Notes)
		for _, mark := range r.Marks {
			words = append(words, "⚠ "+mark)
		}
		return strings.ReplaceAll(strings.Join(words, "; "), "|", `\|`)
	}}
)

func columnPercentile(name string) column {
	return column{name + " ms", func(r row) string { return fmt.Sprintf("%.2f", r.Millis[name].Median) }}
}

var tables = map[table][]column{
	throughput: {columnServer, columnRate, columnRatio, columnCPU, columnPercentile("p50"), columnPercentile("p99"), columnMarks},
	latency: {
		columnServer, columnPercentile("p50"), columnPercentile("p99"),
		{"p99.9 ms (lowest–highest)", func(r row) string { return timed(r.Millis["p99.9"]) }},
		columnRate, columnRatio, columnCPU, columnMarks,
	},
	reload: {columnServer, columnLost, columnWait, columnRate, columnMarks},
}

func counted(s stats.Summary) string {
	return fmt.Sprintf("%.0f (%.0f–%.0f)", s.Median, s.Min, s.Max)
}

func timed(s stats.Summary) string {
	return fmt.Sprintf("%.2f (%.2f–%.2f)", s.Median, s.Min, s.Max)
}

// markdown is the report for people. Figures are medians of the rounds.
func (r *report) markdown(works []workload) string {
	var b strings.Builder
	b.WriteString("# Benchmark\n\n")
	if r.Incomplete != "" {
		fmt.Fprintf(&b, "**Incomplete: %s.**\n\n", r.Incomplete)
	}
	fmt.Fprintf(&b, "- machine: %s\n- date: %s\n", &r.Machine, r.Machine.Date.Format("2006-01-02 15:04 MST"))
	var versions []string
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		versions = append(versions, strings.TrimSpace(name+" "+r.Versions[name]))
	}
	fmt.Fprintf(&b, "- versions: %s; Indrik built by %s", strings.Join(versions, ", "), r.Machine.Go)
	if r.Machine.Revision != "" {
		fmt.Fprintf(&b, " from %s", r.Machine.Revision)
	}
	fmt.Fprintf(&b, "\n- method: %s rounds, interleaved, of %s after a warm-up of %s; medians; clients and server share the machine\n",
		r.Options["rounds"], r.Options["duration"], r.Options["warm"])
	for _, name := range slices.Sorted(maps.Keys(r.Absent)) {
		fmt.Fprintf(&b, "- absent: %s: %s\n", name, r.Absent[name])
	}
	for _, w := range works {
		r.table(&b, w)
	}
	b.WriteString("\n## Commands\n\n")
	for _, name := range r.Order {
		fmt.Fprintf(&b, "- %s: `%s`\n", name, r.Commands[name])
	}
	return b.String()
}

func (r *report) table(b *strings.Builder, w workload) {
	if !slices.ContainsFunc(r.Rows, func(one row) bool { return one.Workload == w.Name }) {
		fmt.Fprintf(b, "\n## %s\n\nNot measured.\n", w.Title)
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n", w.Title, w.Text)
	columns := tables[w.Table]
	for _, c := range columns {
		fmt.Fprintf(b, "| %s ", c.head)
	}
	b.WriteString("|\n")
	for i := range columns {
		b.WriteString("|---")
		if i > 0 && i < len(columns)-1 {
			b.WriteByte(':')
		}
	}
	b.WriteString("|\n")
	for _, one := range r.Rows {
		if one.Workload != w.Name {
			continue
		}
		for _, c := range columns {
			fmt.Fprintf(b, "| %s ", c.cell(one))
		}
		b.WriteString("|\n")
	}
}
