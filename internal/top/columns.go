package top

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"indrik/internal/status"

	"github.com/charmbracelet/x/ansi"
)

// A row is a worker as the table shows it.
type row struct {
	status.Worker

	rate  workerRate
	known bool // the rate
}

// A column is one of the table of workers.
type column struct {
	title string
	left  bool // aligned
	need  int  // the lower, the longer it stays when there is not room for all
	text  func(row) string
	order func(a, b row) int // descending, as long as the order is not reversed
}

func descending[T cmp.Ordered](of func(row) T) func(a, b row) int {
	return func(a, b row) int { return cmp.Compare(of(b), of(a)) }
}

func ascending[T cmp.Ordered](of func(row) T) func(a, b row) int {
	return func(a, b row) int { return cmp.Compare(of(a), of(b)) }
}

// number returns a column of a whole number.
func number(title string, need int, of func(row) int) column {
	return column{title, false, need, func(r row) string { return strconv.Itoa(of(r)) }, descending(of)}
}

// columns are in the order of the screen. The last one takes the room that is left.
var columns = []column{
	{"PID", false, 0, func(r row) string { return strconv.Itoa(r.PID) }, ascending(func(r row) int { return r.PID })},
	{"AGE", false, 10, func(r row) string { return strconv.Itoa(r.Age) }, ascending(func(r row) int { return r.Age })},
	number("GEN", 12, func(r row) int { return r.Generation }),
	{"KIND", true, 11, func(r row) string { return status.PrintableLine(r.Kind) }, ascending(func(r row) string { return r.Kind })},
	{"STATE", true, 1, func(r row) string { return status.PrintableLine(r.State) }, ascending(func(r row) string { return r.State })},
	{"UP", false, 8, func(r row) string { return status.Age(r.Uptime) }, descending(func(r row) float64 { return r.Uptime })},
	{"REQ/S", false, 2, func(r row) string { return perSecond(r.rate.requests, r.known) }, descending(func(r row) float64 { return r.rate.requests })},
	number("REQUESTS", 9, func(r row) int { return r.Requests }),
	number("ERRORS", 7, func(r row) int { return r.Errors }),
	number("RUNS", 4, func(r row) int { return r.InFlight }),
	{"LAG", false, 13, func(r row) string { return status.Duration(r.Lag) }, descending(func(r row) float64 { return r.Lag })},
	{"RSS", false, 14, func(r row) string { return status.Bytes(r.RSS) }, descending(func(r row) int64 { return r.RSS })},
	{"PSS", false, 6, func(r row) string { return status.Bytes(r.PSS) }, descending(func(r row) int64 { return r.PSS })},
	{"CPU%", false, 3, func(r row) string { return percent(r.rate.cpu, r.known) }, descending(func(r row) float64 { return r.rate.cpu })},
	{"RUNNING", true, 5, longest, descending(func(r row) float64 { return seconds(r) })},
}

// minLast is how many cells the last column needs to be of use.
const minLast = 14

// perSecond writes a rate.
func perSecond(n float64, known bool) string {
	switch {
	case !known:
		return "-"
	case n >= 1000:
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprintf("%.1f", n)
}

func percent(share float64, known bool) string {
	if !known {
		return "-"
	}
	return fmt.Sprintf("%.0f", share*100)
}

// longest writes the request that a worker has run for longest.
func longest(r row) string {
	if len(r.Running) == 0 {
		return ""
	}
	one := slices.MaxFunc(r.Running, func(a, b status.Running) int { return cmp.Compare(a.Seconds, b.Seconds) })
	return status.Duration(one.Seconds) + " " + status.PrintableLine(one.Method+" "+one.Path)
}

func seconds(r row) float64 {
	most := 0.0
	for _, one := range r.Running {
		most = max(most, one.Seconds)
	}
	return most
}

// rows returns the workers in the order of the table.
func (m *Model) rows() []row {
	if m.now == nil {
		return nil
	}
	rows := make([]row, len(m.now.Workers))
	for i, w := range m.now.Workers {
		rate, known := m.rates.workers[w.Age]
		rows[i] = row{w, rate, known && m.rates.known}
	}
	order := columns[m.sort].order
	slices.SortStableFunc(rows, func(a, b row) int {
		by := order(a, b)
		if m.backwards {
			by = -by
		}
		return cmp.Or(by, cmp.Compare(a.Age, b.Age))
	})
	return rows
}

// A tableColumn is a column with the cells that it takes.
type tableColumn struct {
	column

	index int // among columns
	cells int
}

// layout chooses the columns that have room in so many cells. The one by which the table is
// sorted has the first place of all, after the pid.
func (m *Model) layout(rows []row, cells int) []tableColumn {
	all := make([]tableColumn, len(columns))
	for i, c := range columns {
		all[i] = tableColumn{c, i, ansi.StringWidth(c.title) + 1} // and the mark of the order
		if i == m.sort {
			all[i].need = min(c.need, 1)
		}
		if i == len(columns)-1 {
			all[i].cells = minLast
			continue
		}
		for _, r := range rows {
			all[i].cells = max(all[i].cells, ansi.StringWidth(c.text(r)))
		}
	}
	slices.SortStableFunc(all, func(a, b tableColumn) int { return cmp.Compare(a.need, b.need) })
	var chosen []tableColumn
	room := cells
	for _, c := range all {
		if c.cells+1 > room && len(chosen) > 0 {
			break
		}
		room -= c.cells + 1
		chosen = append(chosen, c)
	}
	slices.SortFunc(chosen, func(a, b tableColumn) int { return cmp.Compare(a.index, b.index) })
	if last := &chosen[len(chosen)-1]; last.index == len(columns)-1 {
		last.cells += max(room, 0)
	}
	return chosen
}

// tableHead is the line above the table, tableLine that of a worker.
func (m *Model) tableHead(table []tableColumn) string {
	var b strings.Builder
	for _, c := range table {
		title := c.title
		if c.index == m.sort {
			title += map[bool]string{false: "▾", true: "▴"}[m.backwards]
		}
		b.WriteString(pad(title, c.cells, c.left) + " ")
	}
	return b.String()
}

func tableLine(table []tableColumn, r row) string {
	var b strings.Builder
	for _, c := range table {
		b.WriteString(pad(c.text(r), c.cells, c.left) + " ")
	}
	return b.String()
}
