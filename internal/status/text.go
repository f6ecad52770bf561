package status

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// WriteText writes a status for people to read.
func (s *Status) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "indrik %s (pid %d) is %s, since %s: %s\n", PrintableLine(s.Version), s.PID, PrintableLine(s.State), Age(s.Uptime), PrintableLine(s.App))
	if s.Role != "master" {
		b.WriteString("It is the successor of an upgrade that is not complete\n")
	}
	if s.Successor != 0 {
		fmt.Fprintf(&b, "An upgrade is under way: the successor has pid %d\n", s.Successor)
	}
	for _, l := range s.Listeners {
		fmt.Fprintf(&b, "Listening at %s\n", PrintableLine(l.Address))
	}
	if s.Admin != "" {
		fmt.Fprintf(&b, "Admin address: %s\n", PrintableLine(s.Admin))
	}
	if f := s.Front; f == nil {
		b.WriteString("The front does not answer: what follows is the master's part\n")
	} else {
		q, c := f.Queue, f.Connections
		fmt.Fprintf(&b, "Queue: %d waiting", q.Length)
		if q.Length > 0 {
			fmt.Fprintf(&b, ", the oldest for %s", Duration(q.Oldest))
		}
		fmt.Fprintf(&b, "; in the last minute half waited up to %s, 99 %% up to %s; %d refused\n", Duration(q.WaitP50), Duration(q.WaitP99), q.Refused)
		fmt.Fprintf(&b, "Connections: %d", c.Total)
		for _, part := range []struct {
			n    int
			what string
		}{
			{c.Idle, "idle"}, {c.Handshake, "in a handshake"}, {c.Reading, "sending a request"}, {c.Running, "waiting for a response"},
			{c.Writing, "taking a response"}, {c.WebSocket, "WebSocket"}, {c.HTTP2, "HTTP/2"},
		} {
			if part.n > 0 {
				fmt.Fprintf(&b, ", %d %s", part.n, part.what)
			}
		}
		b.WriteByte('\n')
		b.WriteString(f.PoolsText())
	}
	s.writeCanary(&b)
	s.writeQuarantine(&b)
	s.writeWorkers(&b)
	s.writeTemplate(&b)
	s.writeCounts(&b)
	if r := s.LastReload; r != nil {
		what := "succeeded"
		if !r.OK {
			what = "failed"
		}
		fmt.Fprintf(&b, "Last reload: %s at %s, after %s\n", what, r.At.Format(time.DateTime), Duration(r.Seconds))
		for _, text := range []string{r.Canary, r.Reason} {
			if text != "" {
				b.WriteString(indent(Printable(text)))
			}
		}
	}
	if len(s.Deaths) > 0 {
		b.WriteString("Last deaths:\n")
		for _, d := range s.Deaths {
			fmt.Fprintf(&b, "  %s worker %d (pid %d) %s", d.At.Format(time.DateTime), d.Age, d.PID, PrintableLine(d.Reason))
			for i, r := range d.Running {
				join := ", while it ran "
				if i > 0 {
					join = ", "
				}
				fmt.Fprintf(&b, "%s%s %s (%s%s)", join, PrintableLine(r.Method), PrintableLine(r.Path), Duration(r.Seconds), r.requestID())
			}
			b.WriteByte('\n')
		}
	}
	s.writeSlow(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// maxSlowShown is how many slow requests the text shows, of those that the document has.
const maxSlowShown = 5

// writeSlow writes the last slow requests, with the innermost call of each.
func (s *Status) writeSlow(b *strings.Builder) {
	if len(s.Slow) > 0 {
		b.WriteString("Last slow requests:\n")
	}
	for _, r := range s.Slow[:min(len(s.Slow), maxSlowShown)] {
		verb := "had run"
		if r.Ended {
			verb = "ran"
		}
		fmt.Fprintf(b, "  %s worker (pid %d) %s %s %s for %s", r.At.Format(time.DateTime), r.PID, verb, PrintableLine(r.Method), PrintableLine(r.Path), Duration(r.Ran))
		if len(r.Stack) > 0 {
			fmt.Fprintf(b, ": %s", PrintableLine(r.Stack[0]))
		}
		b.WriteByte('\n')
	}
}

// writeWorkers writes a table, and below it what the workers run.
func (s *Status) writeWorkers(b *strings.Builder) {
	fmt.Fprintf(b, "Workers: %d of %d, generation %d\n", len(s.Workers), s.Target, s.Generation)
	s.Scale.write(b)
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "PID\tAGE\tGEN\tKIND\tSTATE\tUPTIME\tREQUESTS\tERRORS\tRUNS\tLAG\tRSS\tPSS\tCPU\t")
	for _, w := range s.Workers {
		fmt.Fprintf(t, "%d\t%d\t%d\t%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s\t%.1f s\t\n", w.PID, w.Age, w.Generation, PrintableLine(w.Kind), PrintableLine(w.State), Age(w.Uptime),
			w.Requests, w.Errors, w.InFlight, Duration(w.Lag), Bytes(w.RSS), Bytes(w.PSS), w.CPU)
	}
	t.Flush()
	s.writeReplacements(b)
	for _, w := range s.Workers {
		for _, r := range w.Running {
			fmt.Fprintf(b, "  %d runs %s%s\n", w.PID, r.String(), r.requestID())
		}
	}
	if s.Front != nil && s.Front.Unlisted > 0 {
		fmt.Fprintf(b, "  and %d requests more\n", s.Front.Unlisted)
	}
}

// requestID returns what follows a request that has an id.
func (r *Running) requestID() string {
	if r.RequestID == "" {
		return ""
	}
	return ", request " + PrintableLine(r.RequestID)
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ") + "\n"
}

// Printable makes of what clients, the app or another server have said a text that does
// nothing to a terminal except begin new lines and go to the next tab stop. Each other
// control character becomes U+FFFD, and so does what no one sees but the order or the look of
// the text obeys: marks of direction, joiners, soft hyphens.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		return visible(r)
	}, s)
}

// PrintableLine is [Printable] for a text that must stay within its line.
func PrintableLine(s string) string { return strings.Map(visible, s) }

// PrintableJSON returns the same JSON document with the characters escaped that [Printable]
// replaces. It is valid, and so has them within its strings alone.
func PrintableJSON(document []byte) []byte {
	var b bytes.Buffer
	for _, r := range string(document) {
		switch {
		case r == '\n' || visible(r) == r:
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}

// visible returns r, or U+FFFD if it is a control or format character.
func visible(r rune) rune {
	if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
		return utf8.RuneError
	}
	return r
}

// Age writes how long something has lasted, in seconds: 4 s, 12 min, 3 h, 5 days.
func Age(seconds float64) string {
	switch d := time.Duration(seconds * float64(time.Second)); {
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours())/24)
	}
}

// Duration writes seconds that may be few: 0, 250 µs, 12 ms, 3.1 s.
func Duration(seconds float64) string {
	switch {
	case seconds <= 0:
		return "0"
	case seconds < 0.001:
		return fmt.Sprintf("%.0f µs", seconds*1e6)
	case seconds < 1:
		return fmt.Sprintf("%.0f ms", seconds*1e3)
	case seconds < 120:
		return fmt.Sprintf("%.1f s", seconds)
	}
	return Age(seconds)
}

// Bytes writes a size in bytes: -, 15.3 MiB, 1.2 GiB.
func Bytes(n int64) string {
	switch {
	case n <= 0:
		return "-"
	case n < 1<<30:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
