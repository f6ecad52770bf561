package codewatch

import (
	"io/fs"
	"path/filepath"
	"strings"
)

// expand returns the files that a pattern names: those of filepath.Match, where
// `**` stands for any number of directories, and all that is below a directory.
// A path that names nothing stands for itself: it may come to be. Hidden files
// and directories are found only if they are named.
func expand(pattern string) []string {
	if !strings.ContainsAny(pattern, "*?[") {
		return below(pattern)
	}
	before, after, deep := strings.Cut(pattern, "**")
	if !deep {
		matches, _ := filepath.Glob(pattern) // a malformed one matches nothing
		var found []string
		for _, m := range matches {
			found = append(found, below(m)...)
		}
		return found
	}
	after = strings.TrimPrefix(after, "/")
	starts, _ := filepath.Glob(strings.TrimSuffix(before, "/"))
	var found []string
	for _, start := range starts {
		for _, path := range below(start) {
			rel, err := filepath.Rel(start, path)
			if err == nil && (after == "" || matchEnd(after, rel)) {
				found = append(found, path)
			}
		}
	}
	return found
}

// matchEnd reports whether the last elements of a path match a pattern.
func matchEnd(pattern, path string) bool {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(have) < len(want) {
		return false
	}
	ok, _ := filepath.Match(pattern, strings.Join(have[len(have)-len(want):], "/"))
	return ok
}

// below returns path, or the files below it if it is a directory.
func below(path string) []string {
	var found []string
	_ = filepath.WalkDir(path, func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			if p == path {
				found = append(found, p)
			}
			return nil
		case p != path && strings.HasPrefix(e.Name(), "."):
			if e.IsDir() {
				return fs.SkipDir
			}
		case !e.IsDir():
			found = append(found, p)
		}
		return nil
	})
	return found
}

// root is the directory below which everything is that a pattern names.
func root(pattern string) string {
	if i := strings.IndexAny(pattern, "*?["); i >= 0 {
		return filepath.Dir(pattern[:i] + "x")
	}
	return filepath.Dir(pattern)
}
