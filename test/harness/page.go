//go:build linux

package harness

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// PageBlock returns the block of a page in docs before the mark "*tested: NAME".
func PageBlock(t *testing.T, page, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Repository, "docs", page))
	Must(t, err)
	before, _, found := strings.Cut(string(text), "*tested: "+name)
	if !found {
		t.Fatalf("docs/%s has no block that is marked as *tested: %s", page, name)
	}
	blocks := strings.Split(before, "\n```")
	if len(blocks) < 3 {
		t.Fatalf("no block before *tested: %s", name)
	}
	_, block, _ := strings.Cut(blocks[len(blocks)-2], "\n")
	return block
}

// ReplaceAll replaces each first word of a pair, which must be there, by the second.
func ReplaceAll(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("the block has no %q:\n%s", pairs[i], text)
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}
