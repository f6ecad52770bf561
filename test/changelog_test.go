//go:build linux

package test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"indrik/test/harness"
)

// TestChangelog: each section of CHANGELOG.md is of a version and a date, or of what is not
// released; what is in it is Added, Changed or Fixed, and said once.
func TestChangelog(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(harness.Repository, "CHANGELOG.md"))
	harness.Must(t, err)
	version := regexp.MustCompile(`^## (Unreleased|\d+\.\d+\.\d+ - \d{4}-\d{2}-\d{2})$`)
	kinds := []string{"### Added", "### Changed", "### Fixed"}
	var kind string
	said := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "## "):
			if !version.MatchString(line) {
				t.Errorf("%q is no version with a date", line)
			}
			kind = ""
		case strings.HasPrefix(line, "### "):
			if !slices.Contains(kinds, line) {
				t.Errorf("%q is none of %q", line, kinds)
			}
			kind = line
		case strings.HasPrefix(line, "- "):
			if kind == "" {
				t.Errorf("this is neither added nor changed nor fixed: %s", line)
			}
			if said[line] {
				t.Errorf("this is said twice: %s", line)
			}
			said[line] = true
		}
	}
	if len(said) == 0 {
		t.Error("nothing is said")
	}
}
