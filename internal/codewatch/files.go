package codewatch

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// clockSlack is how much the time of a file may be behind the clock: the kernel
// stamps files with the time of its last tick.
const clockSlack = 20 * time.Millisecond

// A Change is something that happened to a file.
type Change struct {
	Path string
	What string // modified, added or deleted
}

// A state reports whether a file is another one than before, or was written. The
// zero state is that of a file that is not there.
type state struct {
	dev, ino uint64
	size     int64
	written  int64 // nanoseconds since 1970
}

func stateOf(path string) state {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return state{}
	}
	written := st.Mtim.Nano()
	return state{dev: uint64(st.Dev), ino: uint64(st.Ino), size: st.Size, written: written}
}

// files is what is known of the files. It is used by one goroutine.
type files struct {
	extra []string // patterns; see expand

	loaded  map[string]state // imported
	matched map[string]state // by a pattern
	sources map[string]*dir  // directories of the app's own modules
	modules map[string]bool  // what could be imported from there
}

// A dir is the listing of a directory.
type dir struct {
	state
	listed   time.Time
	modules  []string // paths
	packages []string // paths of what makes a subdirectory a package
}

func newFiles(extra, sources []string) *files {
	f := &files{
		extra: extra, loaded: map[string]state{}, sources: map[string]*dir{},
	}
	f.matched = f.match()
	for _, path := range sources {
		f.sources[path] = &dir{}
	}
	f.modules = f.list()
	return f
}

// add begins to watch what was imported after since. A file that was written
// after that may not be the one that was read: it counts as changed.
func (f *files) add(paths []string, since, now time.Time) {
	grown := false
	for _, path := range paths {
		if _, known := f.loaded[path]; known {
			continue
		}
		st := stateOf(path)
		if written := time.Unix(0, st.written); written.After(since.Add(-clockSlack)) && !written.After(now) {
			st.ino, st.size = 0, -1 // no file is like that
		}
		f.loaded[path] = st
		if dir := filepath.Dir(path); strings.HasSuffix(path, ".py") && !installed(path) && f.sources[dir] == nil {
			f.sources[dir] = newDir(dir)
			grown = true
		}
	}
	if grown {
		// What is there already is not new.
		known := f.modules
		f.modules = f.list()
		for path := range known {
			f.modules[path] = true
		}
	}
}

// installed reports whether a file belongs to a package that was installed, not to
// the app.
func installed(path string) bool {
	return strings.Contains(path, "/site-packages/") || strings.Contains(path, "/dist-packages/")
}

// look returns what has changed since the last look, by path.
func (f *files) look() []Change {
	var changes []Change
	note := func(path string, old, now state) {
		switch {
		case now == (state{}):
			changes = append(changes, Change{path, "deleted"})
		case old == (state{}):
			changes = append(changes, Change{path, "added"})
		default:
			changes = append(changes, Change{path, "modified"})
		}
	}
	for path, old := range f.loaded {
		if now := stateOf(path); now != old {
			f.loaded[path] = now
			note(path, old, now)
		}
	}
	matched := f.match()
	for path, now := range matched {
		if old := f.matched[path]; old != now {
			note(path, old, now)
		}
	}
	for path, old := range f.matched {
		if _, ok := matched[path]; !ok {
			note(path, old, state{})
		}
	}
	f.matched = matched
	modules := f.list()
	for path := range modules {
		// What was imported is among the loaded files.
		if _, loaded := f.loaded[path]; !f.modules[path] && !loaded {
			note(path, state{}, state{ino: 1})
		}
	}
	f.modules = modules
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return slices.CompactFunc(changes, func(a, b Change) bool { return a.Path == b.Path })
}

func (f *files) match() map[string]state {
	matched := map[string]state{}
	for _, pattern := range f.extra {
		for _, path := range expand(pattern) {
			matched[path] = stateOf(path)
		}
	}
	return matched
}

// list finds the modules and packages in the directories of sources.
func (f *files) list() map[string]bool {
	found := map[string]bool{}
	for path, d := range f.sources {
		d.refresh(path)
		for _, module := range d.modules {
			found[module] = true
		}
		for _, init := range d.packages {
			if stateOf(init) != (state{}) {
				found[init] = true
			}
		}
	}
	return found
}

func newDir(path string) *dir {
	d := &dir{}
	d.refresh(path)
	return d
}

// refresh reads the directory, if it may have another content than when it was
// read last.
func (d *dir) refresh(path string) {
	now := stateOf(path)
	if now == d.state && time.Unix(0, now.written).Before(d.listed.Add(-clockSlack)) {
		return
	}
	d.listed = time.Now()
	d.state = now
	d.modules, d.packages = nil, nil
	entries, _ := os.ReadDir(path) // what is not there is empty
	for _, e := range entries {
		name := e.Name()
		switch {
		case strings.HasPrefix(name, ".") || name == "__pycache__":
		case strings.HasSuffix(name, ".py"):
			d.modules = append(d.modules, filepath.Join(path, name))
		case e.IsDir():
			d.packages = append(d.packages, filepath.Join(path, name, "__init__.py"))
		}
	}
}

// dirs are the directories in which something may happen that a look would find.
func (f *files) dirs() map[string]bool {
	dirs := map[string]bool{}
	for path := range f.loaded {
		dirs[filepath.Dir(path)] = true
	}
	for path, d := range f.sources {
		dirs[path] = true
		for _, init := range d.packages {
			dirs[filepath.Dir(init)] = true
		}
	}
	for path := range f.matched {
		dirs[filepath.Dir(path)] = true
	}
	for _, pattern := range f.extra {
		dirs[root(pattern)] = true
	}
	return dirs
}
