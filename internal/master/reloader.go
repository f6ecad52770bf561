package master

import (
	"path/filepath"
	"slices"
	"time"

	"indrik/internal/codewatch"
	"indrik/internal/settings"
	"indrik/internal/wire"
)

const (
	// checkLimit is how long a request waits for a reload that is under way;
	// then the workers that are there get it.
	checkLimit = 20 * time.Second
	// quiet is how long there must have been no change for the next one to be
	// answered by a reload at once.
	quiet = 2 * time.Second
)

// A reloader watches for code that changes (the setting reload).
type reloader struct {
	base
	watcher codeWatcher // nil: the setting is off
	options codewatch.Options
	check   int       // the question of the front that waits for an answer; 0: none
	changed time.Time // when the last change was told
	backoff backoff   // of files that change all the time, for example because the app writes them when it is imported
	due     bool      // a reload begins soon
}

// watch watches the files that o names, and those of loads. It calls changed in the loop
// for each change, until it is called with other options or the watch is closed.
func (r *reloader) watch(o codewatch.Options, loads []load, changed func(codewatch.Change)) {
	if r.watcher != nil && o.Engine == r.options.Engine && slices.Equal(o.Extra, r.options.Extra) && slices.Equal(o.Sources, r.options.Sources) {
		return
	}
	if r.watcher == nil {
		r.log.Warnf("Reloader is on. Use in development only!")
	}
	r.unwatch()
	var w codeWatcher
	current := func(f func()) { // a watcher that is closed may still say something
		r.post(func() {
			if r.watcher == w {
				f()
			}
		})
	}
	o.Changed = func(change codewatch.Change) { current(func() { changed(change) }) }
	o.Fallback = func(err error) {
		current(func() { r.log.Warnf("Reloader cannot use inotify, and polls: %s", err) })
	}
	w = r.sys.watchCode(o)
	r.watcher, r.options = w, o
	for _, l := range loads {
		w.Add(l.files, l.since)
	}
}

// unwatch ends the watch, if there is one.
func (r *reloader) unwatch() {
	if r.watcher != nil {
		r.watcher.Close()
		r.watcher = nil
	}
}

// watchCode begins or ends to watch the code, as the configuration that serves wants it.
func (m *Master) watchCode() {
	if m.cfg.Reload() {
		// Its workers said already what they have imported.
		m.reloader.watch(m.watchOptions(), m.gen.loads, m.noteChange)
	} else {
		m.reloader.unwatch()
	}
	m.answerCheck()
}

// watchOptions returns what is to be watched besides the files that processes import.
func (m *Master) watchOptions() codewatch.Options {
	dir := m.cfg.Chdir()
	o := codewatch.Options{Engine: m.cfg.ReloadEngine(), Sources: []string{dir}}
	// A config file that was not there may come to be.
	o.Extra = settings.ConfigFiles(m.opts.layers()...)
	o.Extra = append(o.Extra, m.cfg.ReloadExtraFiles()...)
	if path := m.cfg.PasteFile(); path != "" {
		o.Extra = append(o.Extra, path)
	}
	for i, path := range o.Extra {
		if !filepath.IsAbs(path) {
			o.Extra[i] = filepath.Join(dir, path)
		}
	}
	return o
}

// A load is a set of files that a process has imported.
type load struct {
	files []string
	since time.Time
}

// imported is called when a process says what it has imported, a worker of g or, with
// nil, a spawner.
func (m *Master) imported(g *generation, files []string, since float64) {
	l := load{files, time.UnixMicro(int64(since * 1e6))}
	if g != nil {
		g.loads = append(g.loads, l)
	}
	if m.reloader.watcher != nil {
		m.reloader.watcher.Add(l.files, l.since)
	}
}

// noteChange notes that code has changed. Requests wait for the reload that is due then;
// see answerCheck.
func (m *Master) noteChange(change codewatch.Change) {
	m.log.Infof("Worker reloading: %s %s", change.Path, change.What)
	if m.reloader.note() {
		m.on(codeChanged, occurrence{})
	}
}

// note notes that code has changed, and reports whether no reload was due for that yet.
func (r *reloader) note() bool {
	if r.now().Sub(r.changed) > quiet {
		r.backoff.lived()
	}
	r.changed = r.now()
	first := !r.due
	r.due = true
	return first
}

// reloadSoon reloads at once, or after a pause if code changes all the time.
func (m *Master) reloadSoon(occurrence) {
	if pause := m.reloader.backoff.died(m.now()); pause > 0 {
		m.after(pause, m.reloadNow)
		return
	}
	m.reloadNow()
}

// reloadNow does the reload that is due.
func (m *Master) reloadNow() {
	m.reloader.due = false
	m.on(reloadDue, occurrence{})
}

// checkCode is called when the front asks whether code has changed, before
// it gives requests to workers.
func (m *Master) checkCode(n int) {
	r := &m.reloader
	r.check = n
	f := m.front.current
	m.after(checkLimit, func() {
		if r.check == n && m.front.current == f {
			m.sendChecked()
		}
	})
	if r.watcher == nil {
		m.answerCheck()
		return
	}
	r.watcher.Look(func() {
		m.post(func() {
			if r.check == n {
				m.answerCheck()
			}
		})
	})
}

// answerCheck lets the front go on, unless newer code is on its way.
func (m *Master) answerCheck() {
	if m.reloader.check != 0 && m.candidate == nil && !m.reloader.due {
		m.sendChecked()
	}
}

func (m *Master) sendChecked() {
	m.front.send(wire.ToFront{Type: wire.TypeChecked, Check: m.reloader.check})
	m.reloader.check = 0
}
