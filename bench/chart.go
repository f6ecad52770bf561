package main

import (
	"fmt"
	"strings"
)

// chart says which figure of a workload is drawn; nil: none.
type chart *figure

var (
	chartRate  = chart(&rate)
	chartP99   = chart(&p99)
	chartP999  = chart(&p999)
	chartStart = chart(&startMillis)
)

// Sizes of a chart, in pixels.
const (
	chartWidth = 760
	chartBar   = 18
	chartStep  = 26
	chartLeft  = 190
	chartRight = 110
	chartTop   = 44
)

// svg draws a bar for each row, with a line from the lowest to the highest
// round; "" if the workload has no chart.
func (r *report) svg(w *workload) string {
	f := (*figure)(w.Chart)
	if f == nil {
		return ""
	}
	var rows []*row
	most := 0.0
	for _, one := range r.rowsOf(w.Name) {
		if f.known(one) && one.Peer != alone {
			rows = append(rows, one)
			most = max(most, f.of(one).Max)
		}
	}
	if len(rows) == 0 {
		return ""
	}
	height := chartTop + chartStep*len(rows) + 12
	scale := (chartWidth - chartLeft - chartRight) / most
	better := "more is better"
	if f.less {
		better = "less is better"
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n",
		chartWidth, height, chartWidth, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/>`+"\n")
	fmt.Fprintf(&b, `<text x="12" y="20" font-size="14" font-weight="bold">%s</text>`+"\n", w.Title)
	fmt.Fprintf(&b, `<text x="12" y="36" fill="#666">%s, %s; median, lowest and highest round</text>`+"\n", f.name, better)
	for i, one := range rows {
		s := f.of(one)
		y := chartTop + chartStep*i
		colour, weight := "#9aa5b1", "normal"
		if isOurs(one.Peer) {
			colour, weight = "#c2410c", "bold"
		}
		middle := y + chartBar/2
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end" font-weight="%s">%s</text>`+"\n", chartLeft-8, middle+4, weight, one.Peer)
		fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", chartLeft, y, s.Median*scale, chartBar, colour)
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#222"/>`+"\n",
			chartLeft+s.Min*scale, middle, chartLeft+s.Max*scale, middle)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d">`+f.format+`</text>`+"\n", chartLeft+s.Max*scale+6, middle+4, s.Median)
	}
	b.WriteString("</svg>\n")
	return b.String()
}
