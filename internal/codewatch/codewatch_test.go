package codewatch

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// said is what a look told, in one line, with paths relative to dir.
func said(changes []Change, dir string) string {
	var words []string
	for _, c := range changes {
		rel, _ := filepath.Rel(dir, c.Path)
		words = append(words, rel+" "+c.What)
	}
	return strings.Join(words, ", ")
}

func long() time.Time { return time.Now().Add(time.Hour) }

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	a := write(t, dir, "a.py", "1")
	f := newFiles([]string{filepath.Join(dir, "x", "*.txt"), filepath.Join(dir, "one")}, []string{dir})
	f.add([]string{a, filepath.Join(dir, "absent.py")}, long(), time.Now())
	look := func(want string) {
		t.Helper()
		if got := said(f.look(), dir); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	look("")
	write(t, dir, "a.py", "22")
	look("a.py modified")
	look("")

	// The same size in one tick of the clock is told by the file's number.
	must(t, os.Rename(write(t, dir, "a.new", "33"), a))
	look("a.py modified")

	write(t, dir, "b.py", "")
	write(t, dir, ".#a.py", "")
	write(t, dir, "notes", "")
	look("b.py added")
	write(t, dir, "b.py", "nobody has imported it")
	look("")
	write(t, dir, "data/file.py", "no package")
	look("")
	write(t, dir, "data/__init__.py", "")
	look("data/__init__.py added")
	write(t, dir, "absent.py", "")
	look("absent.py added")

	must(t, os.Remove(a))
	must(t, os.Remove(filepath.Join(dir, "b.py")))
	look("a.py deleted")
	write(t, dir, "a.py", "")
	look("a.py added")

	write(t, dir, "one", "")
	write(t, dir, "x/y.txt", "")
	write(t, dir, "x/y.html", "")
	look("one added, x/y.txt added")
	write(t, dir, "x/y.txt", "more")
	must(t, os.Remove(filepath.Join(dir, "one")))
	look("one deleted, x/y.txt modified")
	must(t, os.RemoveAll(filepath.Join(dir, "x")))
	look("x/y.txt deleted")

	// A module in a directory that was not known: its neighbours are not new.
	write(t, dir, "lib/old.py", "")
	f.add([]string{write(t, dir, "lib/m.py", "")}, long(), time.Now())
	look("")
	write(t, dir, "lib/new.py", "")
	look("lib/new.py added")
}

// A file that was written after the import began may not be what was imported.
func TestFilesWrittenMeanwhile(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		written time.Duration // after the import began
		changed bool
	}{
		{-time.Second, false},
		{time.Second, true},
		{time.Hour, false}, // the clock is wrong: that would never end
	} {
		began := time.Now().Add(-10 * time.Second)
		path := write(t, dir, "m.py", "")
		at := began.Add(c.written)
		must(t, os.Chtimes(path, at, at))
		f := newFiles(nil, nil)
		f.add([]string{path}, began, time.Now())
		if got := len(f.look()) == 1; got != c.changed {
			t.Errorf("%v after the import: changed is %t", c.written, got)
		}
		if len(f.look()) > 0 {
			t.Error("told twice")
		}
	}
}

func TestInstalledPackages(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "site-packages/p/__init__.py", "")
	f := newFiles(nil, nil)
	f.add([]string{path}, long(), time.Now())
	write(t, dir, "site-packages/p/other.py", "")
	if got := said(f.look(), dir); got != "" {
		t.Error(got)
	}
	write(t, dir, "site-packages/p/__init__.py", "x")
	if got := said(f.look(), dir); got != "site-packages/p/__init__.py modified" {
		t.Error(got)
	}
}

func TestExpand(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.html", "t/b.html", "t/c/d.html", "t/c/e.txt", "t/.git/f.html", "t/.h.html", "u/c/d.html"} {
		write(t, dir, name, "")
	}
	for pattern, want := range map[string]string{
		"a.html":       "a.html",
		"*.html":       "a.html",
		"nothing":      "nothing",
		"no*thing":     "",
		"t":            "t/b.html t/c/d.html t/c/e.txt",
		"[tu]":         "t/b.html t/c/d.html t/c/e.txt u/c/d.html",
		"t/*":          "t/.h.html t/b.html t/c/d.html t/c/e.txt", // filepath.Match has no notion of hidden
		"t/**":         "t/b.html t/c/d.html t/c/e.txt",
		"**/*.html":    "a.html t/b.html t/c/d.html u/c/d.html",
		"t/**/*.html":  "t/b.html t/c/d.html",
		"?/**/c/*.txt": "t/c/e.txt",
		"x/**/*.html":  "",
		"[":            "",
	} {
		var got []string
		for _, path := range expand(filepath.Join(dir, pattern)) {
			rel, _ := filepath.Rel(dir, path)
			if !strings.HasPrefix(rel, "t/.git") { // named by t/*
				got = append(got, rel)
			}
		}
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", pattern, got, want)
		}
	}
	for pattern, want := range map[string]string{
		"/a/b": "/a", "/a/*": "/a", "/a/b*": "/a", "/a/b/**/c": "/a/b", "/*": "/",
	} {
		if got := root(pattern); got != want {
			t.Errorf("root of %s: %s, want %s", pattern, got, want)
		}
	}
}

func TestSettled(t *testing.T) {
	for _, c := range []struct{ changes, want string }{
		{"a modified, b added", "a modified, b added"},
		{"a deleted", "a deleted"},
		{"b deleted, a added, b added", "b modified, a added"},
		{"a.new added, a modified, a.new deleted", "a modified"},
		{"x added, x deleted", ""},
		{"x added, x deleted, x added", "x added"},
		{"x added, x modified", "x added"},
		{"x modified, x deleted", "x deleted"},
		{"x modified, x deleted, x added", "x modified"},
		{"x deleted, x added, x deleted", "x deleted"},
	} {
		var changes []Change
		for word := range strings.SplitSeq(c.changes, ", ") {
			path, what, _ := strings.Cut(word, " ")
			changes = append(changes, Change{"/" + path, what})
		}
		if got := said(settled(changes), "/"); got != c.want {
			t.Errorf("%s: %s, want %s", c.changes, got, c.want)
		}
	}
}

func TestWatcher(t *testing.T) {
	for _, engine := range []string{Auto, Poll, Inotify} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := write(t, dir, "m.py", "")
			changes := make(chan Change, 100)
			w := New(Options{
				Engine:   engine,
				Changed:  func(c Change) { changes <- c },
				Fallback: func(err error) { t.Error(err) },
			})
			w.Add([]string{path}, long())
			look := func() {
				done := make(chan bool)
				w.Look(func() { close(done) })
				<-done
			}
			look()
			for i := range 3 {
				write(t, dir, "m.py", fmt.Sprint("edit ", i+10))
				look()
				if c := <-changes; c.Path != path || c.What != "modified" {
					t.Errorf("%v", c)
				}
			}
			// Nobody asks.
			write(t, dir, "m.py", "and another one")
			select {
			case <-changes:
			case <-time.After(30 * time.Second):
				t.Fatal("no change was told")
			}
			// Many changes are told as one.
			look()
			for i := range 50 {
				write(t, dir, "m.py", strings.Repeat("x", i))
			}
			look()
			if n := len(changes); n == 0 || n > 10 {
				t.Errorf("%d changes were told", n)
			}
			w.Close()
			look()
		})
	}
}
