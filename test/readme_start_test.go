//go:build linux

package test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"indrik/test/harness"
)

// TestReadmeStart: the app and the command of the first screen of README.md work as they
// stand there, and print the lines that are shown.
func TestReadmeStart(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(harness.Repository, "README.md"))
	harness.Must(t, err)
	block := func(language string) string {
		t.Helper()
		m := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(text)
		if m == nil {
			t.Fatalf("README.md has no block of %s", language)
		}
		return string(m[1])
	}
	shown := strings.Split(strings.TrimSpace(block("console")), "\n")
	words := strings.Fields(strings.TrimPrefix(shown[0], "$ indrik "))
	s := harness.Start(t, harness.Options{
		App: words[len(words)-1], Args: words[:len(words)-1], Files: map[string]string{"app.py": block("python")},
	})
	if got := s.Get("/"); got != "Hello, World!\n" {
		t.Errorf("the app answers %q", got)
	}
	s.Log.Expect(t, `Ready: 2 workers`)
	// What differs from one start to the next.
	varies := regexp.MustCompile(`^\[[^\]]*\] \[\d+\]|\d+\.\d+\.?\d*|\d+ s$|pid: \d+|:\d+|\(\S+\)$|/\S+`)
	plain := func(line string) string { return varies.ReplaceAllString(strings.TrimSpace(line), "_") }
	logged := map[string]bool{}
	for line := range strings.Lines(s.Log.String()) {
		logged[plain(line)] = true
	}
	for _, line := range shown[1:] {
		if !logged[plain(line)] {
			t.Errorf("README.md shows %q, and the server says\n%s", line, s.Log)
		}
	}
	s.Terminate()
}
