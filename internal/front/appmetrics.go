package front

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"indrik/internal/appmetrics"
	"indrik/internal/errlog"
	"indrik/internal/wire"
)

const (
	// metricsWait is how long the master has to open the files.
	metricsWait = 3 * time.Second
	// maxMetricsRead is how many bytes of all files together are read.
	maxMetricsRead = 64 << 20
	// maxProblems is how many problems with the app's metrics the log tells of.
	maxProblems = 100
)

// appMetrics reads the files in which the app's processes have their metrics. The master opens
// them, since this process may not.
type appMetrics struct {
	log  *errlog.Log
	send func(wire.FromFront)

	gathering sync.Mutex // held by the goroutine that reads

	mu sync.Mutex
	// +checklocks:mu
	question int // the last one
	// +checklocks:mu
	answers chan openFiles // nil: nobody waits for an answer
	// +checklocks:mu
	problems map[string]bool // the log knows
}

// openFiles are files that the master has opened.
type openFiles struct {
	names []string
	files []*os.File
	more  bool
}

func newAppMetrics(log *errlog.Log, send func(wire.FromFront)) *appMetrics {
	return &appMetrics{log: log, send: send, problems: map[string]bool{}}
}

// gather returns the metrics of the app, of all of its processes together; none if the master
// does not answer.
func (a *appMetrics) gather(ctx context.Context) []appmetrics.Family {
	a.gathering.Lock()
	defer a.gathering.Unlock()
	ctx, cancel := context.WithTimeout(ctx, metricsWait)
	defer cancel()
	answers := a.ask()
	defer a.stopWaiting(answers)
	merger := appmetrics.NewMerger(a.problem)
	for left := maxMetricsRead; ; {
		select {
		case open := <-answers:
			left = a.add(merger, open, left)
			if !open.more {
				return merger.Families()
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// ask asks the master for the files.
func (a *appMetrics) ask() <-chan openFiles {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.question++
	// There is room for whatever the master sends.
	a.answers = make(chan openFiles, appmetrics.MaxFiles)
	a.send(wire.FromFront{Type: wire.TypeAppMetrics, Ask: a.question})
	return a.answers
}

// stopWaiting gives back what may still come.
func (a *appMetrics) stopWaiting(answers <-chan openFiles) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers = nil
	for len(answers) > 0 {
		wire.CloseAll((<-answers).files)
	}
}

// take takes files that the master has opened.
func (a *appMetrics) take(m wire.ToFront, files []*os.File) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.answers == nil || m.Ask != a.question {
		wire.CloseAll(files) // too late
		return
	}
	select {
	case a.answers <- openFiles{m.Names, files, m.More}:
	default:
		wire.CloseAll(files)
	}
}

// add adds what is in files, of which it reads no more than left bytes. It returns how many are
// left.
func (a *appMetrics) add(merger *appmetrics.Merger, open openFiles, left int) int {
	defer wire.CloseAll(open.files)
	for i, f := range open.files {
		name, ok := appmetrics.ParseName(open.names[i])
		if !ok {
			continue
		}
		data, err := appmetrics.ReadUsed(f)
		if left -= len(data); err == nil && left < 0 {
			a.problem(fmt.Sprintf("its files have more than %d MiB: some are left out", maxMetricsRead>>20))
			return 0
		}
		if err == nil {
			err = merger.Add(name, data)
		}
		if err != nil {
			a.problem(fmt.Sprintf("the file %s is left out: %s", name, err))
		}
	}
	return left
}

// problem tells once of something that is wrong with the app's metrics.
func (a *appMetrics) problem(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.problems[text] || len(a.problems) > maxProblems {
		return
	}
	a.problems[text] = true
	if len(a.problems) > maxProblems {
		text = "there are more problems, of which the log does not tell"
	}
	a.log.Warnf("The app's metrics: %s", text)
}

// condense makes one file of several. The first is the one to be written.
func (a *appMetrics) condense(m wire.ToFront, files []*os.File) error {
	defer wire.CloseAll(files)
	if len(m.Names) != 1 || len(files) == 0 {
		return fmt.Errorf("control message %q came with %d descriptors", m.Type, len(files))
	}
	name, ok := appmetrics.ParseName(m.Names[0])
	if !ok {
		return fmt.Errorf("control message %q came with the name %q", m.Type, m.Names[0])
	}
	condenser := appmetrics.NewCondenser(name)
	for _, f := range files[1:] {
		data, err := appmetrics.ReadUsed(f)
		if err == nil {
			err = condenser.Add(data)
		}
		if err != nil {
			a.problem(fmt.Sprintf("a file of an ended process, with the values of type %s, is left out: %s", name.Type, err))
		}
	}
	_, err := files[0].Write(condenser.File())
	return err
}
