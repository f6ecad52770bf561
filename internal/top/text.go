package top

import (
	"strings"

	"indrik/internal/status"

	"github.com/charmbracelet/x/ansi"
)

// How parts of the screen look. Nothing is told by colour alone.
const (
	bold    = "\x1b[1m"
	faint   = "\x1b[2m"
	reverse = "\x1b[7m"
	red     = "\x1b[31m"
	yellow  = "\x1b[33m"
	normal  = "\x1b[m"
)

func styled(style, text string) string {
	if style == "" || text == "" {
		return text
	}
	return style + text + normal
}

// fit cuts a text to a number of cells.
func fit(text string, cells int) string { return ansi.Truncate(text, max(cells, 0), "…") }

// pad fills a text with blanks up to a number of cells, on the left or on the right, and cuts
// what is longer.
func pad(text string, cells int, left bool) string {
	text = fit(text, cells)
	blanks := strings.Repeat(" ", max(0, cells-ansi.StringWidth(text)))
	if left {
		return text + blanks
	}
	return blanks + text
}

// joined puts as many of the parts into a line of so many cells as fit whole, the first ones
// first; the first is cut if it alone is too long.
func joined(parts []string, cells int) string {
	line := ""
	for _, part := range parts {
		switch {
		case part == "":
		case line == "":
			line = fit(part, cells)
		case ansi.StringWidth(line)+2+ansi.StringWidth(part) <= cells:
			line += "  " + part
		}
	}
	return line
}

// lines makes of a text of several lines, which may be anybody's, lines of so many cells. What
// is longer goes on in the next one.
func lines(text string, cells int) []string {
	var all []string
	for line := range strings.SplitSeq(strings.TrimRight(status.Printable(text), "\n"), "\n") {
		all = append(all, strings.Split(ansi.Hardwrap(strings.ReplaceAll(line, "\t", "        "), max(cells, 1), true), "\n")...)
	}
	return all
}
