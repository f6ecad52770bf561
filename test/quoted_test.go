//go:build linux

package test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"indrik/test/harness"
)

// quotedLine is a line of the log in a block of code.
var quotedLine = regexp.MustCompile(`(?m)^(?: {4,})?(?:\[[^\]]+\] \[\d+\] )?\[(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\] (.+)$`)

// Lines of the log that the pages show are lines that the program writes.
func TestQuotedLogLines(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob(filepath.Join(harness.Repository, "docs", "*.md"))
	harness.Must(t, err)
	russian, err := filepath.Glob(filepath.Join(harness.Repository, "docs", "ru", "*.md"))
	harness.Must(t, err)
	pages = append(append(pages, russian...), filepath.Join(harness.Repository, "README.md"))
	known := texts(t)
	found := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		harness.Must(t, err)
		for _, m := range quotedLine.FindAllSubmatch(text, -1) {
			found++
			if !matchesAny(known, string(m[1])) {
				t.Errorf("%s: nothing in the program writes %q", filepath.Base(page), m[1])
			}
		}
	}
	if found < 80 {
		t.Errorf("%d lines of the log in the pages", found)
	}
}
