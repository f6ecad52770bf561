package test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSitePages: each page of docs/ is in the menus of the documentation site, and once, and
// the menus have no page that is not there. make site says so too, but has to be asked.
func TestSitePages(t *testing.T) {
	t.Parallel()
	config, err := os.ReadFile("../mkdocs.yml")
	if err != nil {
		t.Fatal(err)
	}
	hooks, err := os.ReadFile("../packaging/site.py")
	if err != nil {
		t.Fatal(err)
	}
	_, menus, _ := strings.Cut(string(config), "\nnav:\n")
	listed := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^ +- (?:.*: )?(\S+\.md)$`).FindAllStringSubmatch(menus, -1) {
		listed[m[1]]++
	}
	pages := map[string]bool{}
	for _, pattern := range []string{"../docs/*.md", "../docs/*/*.md"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range paths {
			pages[strings.TrimPrefix(file, "../docs/")] = true
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^ +"(\S+)": "(\S+\.md)",$`).FindAllStringSubmatch(string(hooks), -1) {
		if _, err := os.Stat("../" + m[1]); err != nil {
			t.Errorf("packaging/site.py: %v", err)
		}
		pages[m[2]] = true
	}
	examples, err := filepath.Glob("../examples/*/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range examples {
		pages["examples/"+filepath.Base(filepath.Dir(file))+".md"] = true
	}
	unlisted := regexp.MustCompile(`(?m)^not_in_nav: (\S+)`).FindStringSubmatch(string(config))
	if unlisted == nil {
		t.Fatal("mkdocs.yml has no pattern not_in_nav")
	}
	for page := range pages {
		want := 1
		if match, err := path.Match(unlisted[1], "/"+page); err != nil {
			t.Fatal(err)
		} else if match {
			want = 0 // another page lists it
		}
		if listed[page] != want {
			t.Errorf("mkdocs.yml has %s %d times in nav, not %d", page, listed[page], want)
		}
	}
	for page := range listed {
		if !pages[page] {
			t.Errorf("mkdocs.yml has %s in nav, which is not there", page)
		}
	}
}
