package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
)

// Sizes, in pixels of a drawing that is not scaled.
const (
	width      = 1000
	margin     = 12
	fontSize   = 13.0
	lineHeight = 17
	headTop    = 12
	gap        = 14  // between rows
	padding    = 7   // within a box
	boldness   = 1.1 // how much wider bold text is
)

// style has the colours for light and dark surroundings. Each has an opaque ground, so that a page which is dark by
// another switch than the browser's does not hide the text.
const style = `<style>
text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; font-size: 13px; fill: #1c2430; }
.ground { fill: #ffffff; }
.life { stroke: #9aa5b1; stroke-width: 1.5; stroke-dasharray: 2 4; }
.actor { fill: #e8ecf8; stroke: #4a5aa8; stroke-width: 1.2; }
.name { font-weight: 600; text-anchor: middle; }
.arrow, .memory, .dead { stroke: #33415c; stroke-width: 1.5; fill: none; }
.memory { stroke: #0f766e; stroke-dasharray: 6 4; }
.dead { stroke: #b42318; stroke-width: 2.5; }
.head { fill: #33415c; }
.headmemory { fill: #0f766e; }
.label { text-anchor: middle; paint-order: stroke; stroke: #ffffff; stroke-width: 5px; stroke-linejoin: round; }
.note { fill: #fdf3d7; stroke: #c9a227; }
.section { font-weight: 600; text-anchor: start; }
.rule { stroke: #c6ccd6; stroke-width: 1; }
@media (prefers-color-scheme: dark) {
text { fill: #e3e7ee; }
.ground { fill: #161b22; }
.life { stroke: #5d6878; }
.actor { fill: #262f4d; stroke: #8c9be0; }
.arrow { stroke: #c3ccdb; }
.memory { stroke: #4fc3b5; }
.dead { stroke: #ff8a80; }
.head { fill: #c3ccdb; }
.headmemory { fill: #4fc3b5; }
.label { stroke: #161b22; }
.note { fill: #3a3218; stroke: #a98a2a; }
.rule { stroke: #3b4452; }
}
</style>
`

// A canvas collects the elements of a drawing: lives are behind everything else.
type canvas struct {
	d     *diagram
	lives bytes.Buffer
	front bytes.Buffer
	y     int
	since []int // where the life of each actor began, -1: it does not live
}

// svg draws d.
func (d *diagram) svg() []byte {
	c := &canvas{d: d, y: headTop, since: make([]int, len(d.actors))}
	for i, a := range d.actors {
		c.since[i] = -1
		if !a.later {
			c.actor(i)
		}
	}
	c.y += c.headHeight() + gap
	for _, s := range d.steps {
		c.step(s)
	}
	for i := range d.actors {
		c.endLife(i)
	}
	height := c.y + margin
	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" role="img" aria-labelledby="title about">`+"\n", width, height)
	fmt.Fprintf(&out, "<title id=\"title\">%s</title>\n<desc id=\"about\">%s</desc>\n", escape(d.title), escape(d.about))
	out.WriteString(style)
	out.WriteString("<rect class=\"ground\" width=\"100%\" height=\"100%\"/>\n")
	out.Write(c.lives.Bytes())
	out.Write(c.front.Bytes())
	out.WriteString("</svg>\n")
	return out.Bytes()
}

func (c *canvas) step(s step) {
	switch s.kind {
	case message, memory:
		c.message(s)
	case note:
		c.note(s)
	case section:
		c.section(s.text)
	case begin:
		c.actor(s.from)
		c.y += c.headHeight() + gap
	case end:
		x := c.column(s.from)
		c.printf(`<path class="dead" d="M%d %d l16 16 m0 -16 l-16 16"/>`, x-8, c.y)
		c.y += 8
		c.endLife(s.from)
		c.y += 8 + gap
	}
}

// column returns the middle of a column.
func (c *canvas) column(i int) int {
	return margin + c.columnWidth()*i + c.columnWidth()/2
}

func (c *canvas) columnWidth() int { return (width - 2*margin) / len(c.d.actors) }

func (c *canvas) printf(format string, args ...any) {
	fmt.Fprintf(&c.front, format+"\n", args...)
}

// nameLines returns the lines of the label of an actor.
func (c *canvas) nameLines(i int) []string {
	return wrap(c.d.actors[i].label, float64(c.columnWidth()-16-2*padding)/boldness)
}

// headHeight returns the height that all heads have.
func (c *canvas) headHeight() int {
	lines := 1
	for i := range c.d.actors {
		lines = max(lines, len(c.nameLines(i)))
	}
	return lines*lineHeight + 2*padding
}

// actor draws the head of a column, where its life begins.
func (c *canvas) actor(i int) {
	x, w, height, lines := c.column(i), c.columnWidth()-16, c.headHeight(), c.nameLines(i)
	c.printf(`<rect class="actor" x="%d" y="%d" width="%d" height="%d" rx="5"/>`, x-w/2, c.y, w, height)
	y := c.y + (height-len(lines)*lineHeight)/2 + 13
	for _, line := range lines {
		c.printf(`<text class="name" x="%d" y="%d">%s</text>`, x, y, escape(line))
		y += lineHeight
	}
	c.since[i] = c.y + height
}

// endLife draws the life of a column down to here.
func (c *canvas) endLife(i int) {
	if c.since[i] >= 0 {
		fmt.Fprintf(&c.lives, "<line class=\"life\" x1=\"%d\" y1=\"%d\" x2=\"%[1]d\" y2=\"%[3]d\"/>\n", c.column(i), c.since[i], c.y)
		c.since[i] = -1
	}
}

func (c *canvas) message(s step) {
	line, head := "arrow", "head"
	if s.kind == memory {
		line, head = "memory", "headmemory"
	}
	from, to := c.column(s.from), c.column(s.to)
	if s.from == s.to {
		c.ownStep(s, from)
		return
	}
	c.label(s.text, (from+to)/2, max(from-to, to-from)-24)
	direction := 1
	if to < from {
		direction = -1
	}
	c.printf(`<line class="%s" x1="%d" y1="%d" x2="%d" y2="%[3]d"/>`, line, from, c.y, to-direction*8)
	c.printf(`<path class="%s" d="M%d %d l%d -5 v10 z"/>`, head, to, c.y, -direction*10)
	c.y += gap
}

// ownStep draws a step of one column: a small loop beside it, and the text behind that. In the last column it is on the
// left.
func (c *canvas) ownStep(s step, x int) {
	side, anchor := 1, "start"
	if s.from == len(c.d.actors)-1 && s.from > 0 {
		side, anchor = -1, "end"
	}
	lines := wrap(s.text, float64(c.columnWidth()-44))
	height := max(len(lines)*lineHeight, 16)
	middle := c.y + height/2
	c.printf(`<path class="arrow" d="M%d %d h%d v14 h%d"/>`, x, middle-7, side*18, -side*10)
	c.printf(`<path class="head" d="M%d %d l%d -5 v10 z"/>`, x, middle+7, side*10)
	for i, text := range lines {
		c.printf(`<text class="label" style="text-anchor: %s" x="%d" y="%d">%s</text>`, anchor, x+side*26, c.y+13+i*lineHeight, escape(text))
	}
	c.y += height + gap
}

// label writes lines of text around x, and leaves room below them for an arrow.
func (c *canvas) label(text string, x, w int) {
	for _, line := range wrap(text, float64(w)) {
		c.printf(`<text class="label" x="%d" y="%d">%s</text>`, x, c.y+13, escape(line))
		c.y += lineHeight
	}
	c.y += 6
}

func (c *canvas) note(s step) {
	w := c.columnWidth()*(s.to-s.from+1) - 16
	x := (c.column(s.from)+c.column(s.to))/2 - w/2
	lines := wrap(s.text, float64(w-2*padding))
	height := len(lines)*lineHeight + padding
	c.printf(`<rect class="note" x="%d" y="%d" width="%d" height="%d" rx="4"/>`, x, c.y, w, height)
	for i, line := range lines {
		c.printf(`<text x="%d" y="%d">%s</text>`, x+padding, c.y+16+i*lineHeight, escape(line))
	}
	c.y += height + gap
}

func (c *canvas) section(text string) {
	c.y += 6
	c.printf(`<line class="rule" x1="%d" y1="%d" x2="%d" y2="%[2]d"/>`, margin, c.y, width-margin)
	c.y += 8
	for _, line := range wrap(text, width-2*margin) {
		c.printf(`<text class="label section" x="%d" y="%d">%s</text>`, margin, c.y+13, escape(line))
		c.y += lineHeight
	}
	c.y += gap
}

// wrap breaks a text into lines of at most width pixels. A word that is longer has a line of its own.
func wrap(text string, width float64) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && textWidth(line+" "+word) > width {
			lines, line = append(lines, line), word
		} else {
			line = strings.TrimSpace(line + " " + word)
		}
	}
	return append(lines, line)
}

// textWidth is an upper bound of how wide a text is, by the wider ones of the fonts that browsers take for sans-serif.
func textWidth(text string) float64 {
	sum := 0.0
	for _, r := range text {
		switch {
		case strings.ContainsRune(" iljtfr.,:;'|!()[]I/-", r):
			sum += 0.41
		case strings.ContainsRune("mwMW@%", r):
			sum += 0.98
		case r >= 'A' && r <= 'Z' || r > 127:
			sum += 0.76
		default:
			sum += 0.635
		}
	}
	return sum * fontSize
}

func escape(s string) string {
	var out bytes.Buffer
	xml.EscapeText(&out, []byte(s)) // a bytes.Buffer takes everything
	return out.String()
}
