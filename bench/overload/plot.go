package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"indrik/bench/stats"
)

// table is the figures as Markdown.
func (r *result) table() string {
	var b strings.Builder
	b.WriteString("| offered, of the capacity | offered/s | answered/s | refused/s | p50 | p99 | p99 of a refusal |\n|---|---|---|---|---|---|---|\n")
	for _, s := range r.Steps {
		refusal := "–"
		if s.Refused.Median > 0 {
			refusal = fmt.Sprintf("%.0f ms", s.Refusal.Median)
		}
		fmt.Fprintf(&b, "| %.0f %% | %.0f | %.0f | %.0f | %.0f ms | %.0f ms | %s |\n",
			100*s.Offered/r.capacity(), s.Offered, s.Answered.Median, s.Refused.Median, s.P50.Median, s.P99.Median, refusal)
	}
	return b.String()
}

// Sizes of the plot, in pixels.
const (
	plotWidth  = 720
	plotLeft   = 60
	plotRight  = 20
	plotHeight = 200
	plotTop    = 60
	plotGap    = 70
)

// svg draws, above each other, what is answered and how late, against what is
// offered: the medians as lines, and the span from the lowest to the highest
// round.
func (r *result) svg() string {
	var b strings.Builder
	height := plotTop + 2*plotHeight + plotGap + 50
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">`+"\n",
		plotWidth, height, plotWidth, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/>`+"\n")
	fmt.Fprintf(&b, `<text x="12" y="20" font-size="14" font-weight="bold">Offered and answered load</text>`+"\n")
	fmt.Fprintf(&b, `<text x="12" y="38" fill="#666">%d workers, %d ms a request: %.0f requests/s at best; queue_limit %d</text>`+"\n",
		r.Workers, r.ServiceMS, r.capacity(), r.QueueLimit)

	most := r.capacity()
	for _, s := range r.Steps {
		most = max(most, s.Offered)
	}
	first := panel{r: r, top: plotTop, offered: most, most: most, unit: "requests/s"}
	first.axes(&b)
	first.guide(&b, r.capacity(), "capacity")
	first.line(&b, "#c2410c", "answered 200", func(s *step) stats.Summary { return s.Answered })
	first.line(&b, "#9aa5b1", "answered 503", func(s *step) stats.Summary { return s.Refused })
	first.names(&b)

	slowest := 0.0
	for _, s := range r.Steps {
		slowest = max(slowest, s.P99.Max)
	}
	second := panel{r: r, top: plotTop + plotHeight + plotGap, offered: most, most: slowest * 1.1, unit: "ms, of those answered 200"}
	second.axes(&b)
	second.line(&b, "#c2410c", "p99", func(s *step) stats.Summary { return s.P99 })
	second.line(&b, "#1d4ed8", "p50", func(s *step) stats.Summary { return s.P50 })
	second.names(&b)
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end" fill="#666">offered requests/s</text>`+"\n</svg>\n", plotWidth-plotRight, height-8)
	return b.String()
}

// A panel is one of the two plots.
type panel struct {
	r             *result
	top           int
	offered, most float64 // the ends of the axes
	unit          string
	labels        []label // of the lines that were drawn
}

func (p *panel) x(v float64) float64 {
	return plotLeft + v/p.offered*(plotWidth-plotLeft-plotRight)
}

func (p *panel) y(v float64) float64 {
	return float64(p.top) + plotHeight*(1-v/p.most)
}

func (p *panel) axes(b *strings.Builder) {
	bottom := p.top + plotHeight
	fmt.Fprintf(b, `<path d="M%d %dV%dH%d" fill="none" stroke="#333"/>`+"\n", plotLeft, p.top, bottom, plotWidth-plotRight)
	fmt.Fprintf(b, `<text x="%d" y="%d" fill="#666">%s</text>`+"\n", plotLeft-40, p.top-8, p.unit)
	for i := range 5 {
		v := p.most * float64(i) / 4
		fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end" fill="#666">%.0f</text>`+"\n", plotLeft-6, p.y(v)+4, v)
	}
	for _, s := range p.r.Steps {
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle" fill="#666">%.0f</text>`+"\n", p.x(s.Offered), bottom+16, s.Offered)
	}
}

// guide draws a level.
func (p *panel) guide(b *strings.Builder, v float64, name string) {
	fmt.Fprintf(b, `<path d="M%d %.1fH%d" stroke="#bbb" stroke-dasharray="4 4"/>`+"\n", plotLeft, p.y(v), plotWidth-plotRight)
	fmt.Fprintf(b, `<text x="%d" y="%.1f" fill="#888">%s</text>`+"\n", plotLeft+6, p.y(v)-4, name)
}

func (p *panel) line(b *strings.Builder, colour, name string, of func(*step) stats.Summary) {
	var path strings.Builder
	for i := range p.r.Steps {
		s := &p.r.Steps[i]
		v, x := of(s), p.x(s.Offered)
		command := "L"
		if i == 0 {
			command = "M"
		}
		fmt.Fprintf(&path, "%s%.1f %.1f", command, x, p.y(v.Median))
		fmt.Fprintf(b, `<path d="M%.1f %.1fV%.1f" stroke="%s" stroke-width="4" stroke-opacity=".35"/>`+"\n", x, p.y(v.Min), p.y(v.Max), colour)
	}
	fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", path.String(), colour)
	if n := len(p.r.Steps); n > 0 {
		p.labels = append(p.labels, label{p.y(of(&p.r.Steps[n-1]).Median), colour, name})
	}
}

// A label names a line, at whose right end it is.
type label struct {
	y            float64 // of the line
	colour, name string
}

// lineHeight is how far apart the baselines of two labels must be.
const lineHeight = 14

// names writes the labels of the lines, each above its line; where the one above it
// would be in the way, below the line.
func (p *panel) names(b *strings.Builder) {
	slices.SortFunc(p.labels, func(one, other label) int { return cmp.Compare(one.y, other.y) })
	last := math.Inf(-1)
	for _, l := range p.labels {
		y := l.y - 6
		if y < last+lineHeight {
			y = max(l.y+16, last+lineHeight)
		}
		fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end" fill="%s">%s</text>`+"\n", plotWidth-plotRight-4, y, l.colour, l.name)
		last = y
	}
}
