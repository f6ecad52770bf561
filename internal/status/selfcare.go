package status

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// SelfCare returns what the policies of docs/selfcare.md do and have done, for people to read; "" if
// that is nothing.
func (s *Status) SelfCare() string {
	var b strings.Builder
	s.Scale.write(&b)
	s.writeCanary(&b)
	s.writeQuarantine(&b)
	s.writeReplacements(&b)
	s.writeTemplate(&b)
	s.writeCounts(&b)
	return b.String()
}

// write writes how the number of workers follows the load.
func (s *Scale) write(b *strings.Builder) {
	if s == nil {
		return
	}
	fmt.Fprintf(b, "The workers follow the load, from %d to %d: %.0f %% busy, requests wait %s, and would keep %.1f slots busy; grown %d times, shrunk %d times\n",
		s.Least, s.Most, 100*s.Busy, Duration(s.Wait), s.Offered, s.Grown, s.Shrunk)
	if s.DryRun {
		b.WriteString("  This is a dry run")
		if s.Wanted > 0 {
			fmt.Fprintf(b, ": there would be %d", s.Wanted)
		}
		b.WriteByte('\n')
	}
	if c := s.Last; c != nil {
		fmt.Fprintf(b, "  Last from %d to %d, at %s: %s\n", c.From, c.To, c.At.Format(time.DateTime), PrintableLine(c.Why))
	}
	if s.Held != "" {
		fmt.Fprintf(b, "  No more of them: %s\n", PrintableLine(s.Held))
	}
}

// writeCanary writes how both sides of a trial do.
func (s *Status) writeCanary(b *strings.Builder) {
	c := s.Canary
	if c == nil {
		return
	}
	who, what := fmt.Sprintf("generation %d", c.Generation), "requests"
	if c.Generation == 0 {
		who, what = "the successor", "connections"
	}
	fmt.Fprintf(b, "Canary: %s has had %.3g %% of the %s for %s of %s\n", who, 100*c.Share, what, Duration(c.Elapsed), Duration(c.Window))
	for _, side := range []struct {
		what string
		CanarySide
	}{{"new", c.New}, {"old", c.Old}} {
		fmt.Fprintf(b, "  %s: %d requests, %d failed, median %s, p95 %s, p99 %s\n",
			side.what, side.Requests, side.Failed, Duration(side.Median), Duration(side.P95), Duration(side.P99))
	}
}

// writeQuarantine writes whose requests are kept from the workers.
func (s *Status) writeQuarantine(b *strings.Builder) {
	if s.Front == nil {
		return
	}
	for _, q := range s.Front.Quarantine {
		fmt.Fprintf(b, "Quarantine (%s): %s %s for %s more, since %d workers have died; %d refused", PrintableLine(q.Scope), PrintableLine(cmp.Or(q.Client, "all clients")),
			PrintableLine(cmp.Or(q.Path, "all paths")), Duration(q.Seconds), q.Deaths, q.Refused)
		if q.DryRun {
			b.WriteString("; dry run")
		}
		b.WriteByte('\n')
	}
}

// writeReplacements writes which workers are to be replaced, and why.
func (s *Status) writeReplacements(b *strings.Builder) {
	for _, w := range s.Workers {
		if r := w.Replacement; r != nil {
			fmt.Fprintf(b, "  %d is to be replaced: %s", w.PID, PrintableLine(r.Text))
			if r.Waits > 0 {
				fmt.Fprintf(b, " (waits for recycle_budget for %s)", Duration(r.Waits))
			}
			b.WriteByte('\n')
		}
	}
}

// writeTemplate writes what forks the workers, if that is not the spawner.
func (s *Status) writeTemplate(b *strings.Builder) {
	if t := s.Template; t != nil {
		fmt.Fprintf(b, "Template: pid %d, since %s, has forked %d workers; RSS %s, PSS %s\n", t.PID, Age(t.Uptime), t.Forked, Bytes(t.RSS), Bytes(t.PSS))
	}
}

// writeCounts writes what has been done since the start.
func (s *Status) writeCounts(b *strings.Builder) {
	var done []string
	count := func(n int, what string) {
		if n > 0 {
			done = append(done, fmt.Sprintf("%s %d", what, n))
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(s.Recycled)) {
		count(s.Recycled[reason], "recycled for "+PrintableLine(reason))
	}
	for _, reason := range slices.Sorted(maps.Keys(s.WouldRecycle)) {
		count(s.WouldRecycle[reason], "would have been recycled for "+PrintableLine(reason))
	}
	count(s.Reforks, "reforks")
	count(s.FailedReforks, "reforks failed")
	count(s.Canaries.Passed, "canaries passed")
	count(s.Canaries.Failed, "canaries failed")
	count(s.Canaries.WouldFail, "canaries would have failed")
	if s.Front != nil {
		count(s.Front.Quarantines, "quarantines")
		count(s.Front.WouldQuarantine, "would have been quarantines")
	}
	if len(done) > 0 {
		fmt.Fprintf(b, "Since the start: %s\n", strings.Join(done, ", "))
	}
}
