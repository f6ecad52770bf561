package master

import (
	"os"

	"indrik/internal/appmetrics"
	"indrik/internal/settings"
	"indrik/internal/wire"
)

// The app's metrics are in files that its processes write, in a directory that is this
// server's. The master opens them for the front, which may not do so itself, and which reads
// them: this process never looks at what is in them.
type appMetrics struct {
	base
	front *frontLink

	dir        *appmetrics.Directory // nil: no generation has needed it yet
	condensing *appmetrics.Condensation
	reported   map[string]bool // what the log has said
}

// prepare returns where the processes of a generation have their metrics, "" if they have none
// that could be shown. That there can be no directory is no reason to stop.
func (a *appMetrics) prepare(cfg *settings.Config) string {
	if cfg.AdminBind() == "" || !cfg.AppMetrics() {
		return ""
	}
	if a.dir == nil {
		dir, err := a.sys.metricsDir()
		if err != nil {
			a.report("The app's metrics are not shown: " + err.Error())
			return ""
		}
		a.dir = dir
	}
	for _, uid := range []int{os.Geteuid(), cfg.WorkerAccount().UID} {
		if err := a.dir.Admit(uid); err != nil {
			a.report("The app's metrics are not shown: " + err.Error())
			return ""
		}
	}
	return a.dir.Path()
}

// report warns of something once.
func (a *appMetrics) report(text string) {
	if !a.reported[text] {
		a.reported[text] = true
		a.log.Warnf("%s", text)
	}
}

// ended takes note that a process has ended.
func (a *appMetrics) ended(pid int) {
	if a.dir != nil && pid != 0 {
		a.dir.Ended(pid)
		a.condense()
	}
}

// condense has the front make one file of those that ended processes have left.
func (a *appMetrics) condense() {
	if a.condensing != nil || a.front.current == nil {
		return
	}
	c, err := a.dir.Condensation()
	if err != nil {
		a.report("The metrics of processes that have ended cannot be put together: " + err.Error())
	}
	if c == nil {
		return
	}
	a.condensing = c
	msg := wire.ToFront{Type: wire.TypeCondense, Names: []string{c.Name.String()}}
	a.front.call(msg, func(f *failure) {
		if a.condensing != c {
			return
		}
		a.condensing = nil
		if f != nil {
			c.Abandon()
			a.report("The metrics of processes that have ended cannot be put together: " + f.trimmed())
			return // it is tried again when the next one has ended
		}
		if err := a.dir.Finish(c); err != nil {
			a.report("The metrics of processes that have ended cannot be put together: " + err.Error())
			return
		}
		a.condense()
	}, append([]*os.File{c.Out}, c.Files...)...)
}

// frontGone gives up what a front that has ended was asked for.
func (a *appMetrics) frontGone() {
	if a.condensing != nil {
		a.condensing.Abandon()
		a.condensing = nil
	}
}

// answer gives the front the files that there are, for the question with that number.
func (a *appMetrics) answer(question int) {
	if a.dir == nil {
		a.sendFiles(question, nil, false)
		return
	}
	files, whole := a.dir.Files()
	if !whole {
		a.report("There are too many files with metrics of the app: some are left out")
	}
	for more := true; more; {
		part := files[:min(filesAtOnce, len(files))]
		files = files[len(part):]
		more = len(files) > 0
		a.sendFiles(question, part, more)
	}
	a.condense() // it may have found some that have ended
}

// filesAtOnce is how many of the descriptors of this process, and of the front, this may take.
const filesAtOnce = 50

// sendFiles opens some files for the front; more: this is not the end of the answer.
func (a *appMetrics) sendFiles(question int, part []appmetrics.File, more bool) {
	msg := wire.ToFront{Type: wire.TypeAppMetrics, Ask: question, More: more}
	var open []*os.File
	for _, f := range part {
		if file := f.Open(); file != nil {
			msg.Names = append(msg.Names, f.Name.String())
			open = append(open, file)
		}
	}
	a.front.send(msg, open...)
	wire.CloseAll(open)
}

// close removes the files.
func (a *appMetrics) close() {
	if a.dir == nil {
		return
	}
	a.frontGone()
	if err := a.dir.Remove(); err != nil {
		a.log.Warnf("Cannot remove the directory of the app's metrics: %s", err)
	}
	a.dir = nil
}
