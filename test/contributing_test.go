package test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFirstChange: the files that CONTRIBUTING.md sends a newcomer to are there, and so are the
// targets of make that it names.
func TestFirstChange(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n## Your first change\n")
	section, _, _ = strings.Cut(section, "\n## ")
	if !ok {
		t.Fatal("there is no section about the first change")
	}
	paths := regexp.MustCompile("`((?:internal|python|docs|test)/[a-z0-9_/.]*)`").FindAllStringSubmatch(section, -1)
	if len(paths) < 15 {
		t.Errorf("only %d files are named", len(paths))
	}
	for _, m := range paths {
		if _, err := os.Stat(filepath.Join("..", m[1])); err != nil {
			t.Error(err)
		}
	}
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile("(?m)^    make ([a-z-]+)|`make ([a-z-]+)").FindAllStringSubmatch(string(text), -1) {
		if target := m[1] + m[2]; !strings.Contains(string(makefile), "\n"+target+":") {
			t.Errorf("make %s is named, and no target", target)
		}
	}
}
