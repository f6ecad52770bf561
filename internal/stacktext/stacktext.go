// Package stacktext reads the stacks that Python processes write: faulthandler those of threads,
// python/indrik/stacks.py those of requests, tasks and greenlets. A worker may have written
// anything, so what is returned is bounded, and does nothing to a terminal or a log:
//
//	Thread 0x00007f2c3e1c0740 (most recent call first):
//	  File "/srv/shop/views.py", line 7 in report
//	Request 16777218 (most recent call first):
//	  File "/srv/shop/app.py", line 3 in app
//	Task Task-9 of request 16777218 (most recent call first):
//
// Try it with go test ./internal/stacktext.
package stacktext

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What is read of a text: so many stacks, calls of each, and bytes of a line.
const (
	maxStacks = 500
	maxCalls  = 100
	maxLine   = 400
)

// A Stack is where a thread, a task or a greenlet is.
type Stack struct {
	What    string   // Thread 0x00007f2c3e1c0740, Request 16777218
	Thread  uint64   // what Python calls it; 0: it is no thread
	Request uint32   // the number of the request that it belongs to; 0: none that is known
	Calls   []string // the innermost first: File "/srv/shop/views.py", line 7 in report
}

const mark = " (most recent call first"

var (
	threadHead  = regexp.MustCompile(`^(?:Current thread|Thread) (0x[0-9a-f]+)`)
	requestHead = regexp.MustCompile(`(?:^Request| of request) ([0-9]+)$`)
)

// Parse returns the stacks in a text.
func Parse(text string) []Stack {
	var all []Stack
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if call, ok := strings.CutPrefix(line, "  "); ok {
			if n := len(all) - 1; n >= 0 && len(all[n].Calls) < maxCalls {
				all[n].Calls = append(all[n].Calls, clean(call))
			}
			continue
		}
		head, _, ok := strings.Cut(line, mark)
		if !ok {
			continue
		}
		if len(all) == maxStacks {
			break
		}
		s := Stack{What: clean(head)}
		if m := threadHead.FindStringSubmatch(s.What); m != nil {
			s.Thread, _ = strconv.ParseUint(m[1], 0, 64)
		}
		if m := requestHead.FindStringSubmatch(s.What); m != nil {
			n, _ := strconv.ParseUint(m[1], 10, 32)
			s.Request = uint32(n)
		}
		all = append(all, s)
	}
	return all
}

// Section returns the part of a text that is the trace of a number, and whether it is
// complete.
func Section(text string, number int) (part string, complete bool) {
	_, part, ok := strings.Cut(text, fmt.Sprintf("Stacks %d\n", number))
	if !ok {
		return "", false
	}
	part, _, complete = strings.Cut(part, fmt.Sprintf("End of stacks %d\n", number))
	return part, complete
}

// Clean returns a text of several lines without what does something to a terminal, except for
// new lines.
func Clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r != '\n' && !printable(r):
			return utf8.RuneError
		}
		return r
	}, text)
}

// clean returns a line, bounded.
func clean(line string) string {
	if len(line) > maxLine {
		line = line[:maxLine] + "…"
	}
	return strings.ReplaceAll(Clean(line), "\n", " ")
}

// printable reports whether r is no control character, nor one that changes the direction of
// the text around it, or its lines.
func printable(r rune) bool {
	return r == ' ' || unicode.IsGraphic(r) && !unicode.In(r, unicode.Zl, unicode.Zp)
}
