package settings

import (
	"strings"
	"testing"
	"time"
)

func TestManPages(t *testing.T) {
	date := time.Date(2026, 11, 29, 23, 0, 0, 0, time.UTC)
	command, config := ManCommand("1.2.3", date), ManConfig("1.2.3", date)
	for _, page := range []string{command, config} {
		if !strings.Contains(page, `2026-11-29 "indrik 1.2.3"`) {
			t.Errorf("no date and version in %.200q", page)
		}
		for line := range strings.SplitSeq(page, "\n") {
			if strings.Contains(line, "`") {
				t.Errorf("Markdown in the page: %q", line)
			}
		}
	}
	for i := range Table {
		s := &Table[i]
		if s.Effect != Works {
			continue
		}
		for _, flag := range s.Flags {
			if !strings.Contains(command, `\fB`+roff(flag)+`\fR`) {
				t.Errorf("indrik(1) lacks %s", flag)
			}
		}
		if !strings.Contains(config, s.Name) {
			t.Errorf("indrik.conf.py(5) lacks %s", s.Name)
		}
	}
}

func TestRoff(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"a `--flag`", `a \fB\-\-flag\fR`},
		{"see [the page](x.md#y)", "see the page"},
		{`C:\x`, `C:\ex`},
		{".profile\n'quoted'", "\\&.profile\n\\&'quoted'"},
	} {
		if got := roff(c.in); got != c.want {
			t.Errorf("roff(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}
