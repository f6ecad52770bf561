// Package sinks holds the places where the log lines and metrics of a process go besides
// its files: syslog, StatsD, and the logger, the Python process that passes lines to
// Python's logging. The master and the front have the same ones.
//
// It connects an [errlog.Log] to its sinks. Lines of the access log and the metrics of
// requests are for the caller to send, see [Sinks.View]. Only [Sinks.Close] waits for a
// receiver.
//
// Try it with go test ./internal/sinks.
package sinks

import (
	"os"
	"sync/atomic"
	"time"

	"indrik/internal/errlog"
	"indrik/internal/statsd"
	"indrik/internal/syslog"
	"indrik/internal/wire"
)

// Sinks are the sinks of one process. One goroutine may change them, and any may use them.
type Sinks struct {
	log  *errlog.Log
	role string
	view atomic.Pointer[View]

	syslog *wire.Syslog
	statsd *wire.Statsd
}

// A View is the sinks at one time. Each may be nil.
type View struct {
	Syslog *syslog.Writer
	Access bool // lines of the access log go to syslog
	Statsd *statsd.Client
	Logger *wire.Recorder
}

var empty View

// New returns the sinks of the process whose log is log; there are none yet. role is
// master or front.
func New(log *errlog.Log, role string) *Sinks {
	s := &Sinks{log: log, role: role}
	s.view.Store(&empty)
	return s
}

// View returns the sinks as they are now.
func (s *Sinks) View() *View { return s.view.Load() }

// Set changes syslog and StatsD, nil for none. Connections to the same server stay.
func (s *Sinks) Set(sys *wire.Syslog, stats *wire.Statsd) {
	old := s.View()
	v := *old
	if !same(sys, s.syslog) {
		v.Syslog, v.Access = nil, false
		if sys != nil {
			v.Syslog = syslog.New(sys.Addr, sys.Facility, sys.Prefix, func(err error) {
				s.log.Warnf("Lines are not sent to syslog: %s", err)
			})
			v.Access = sys.Access
		}
		s.syslog = sys
	}
	if !same(stats, s.statsd) {
		v.Statsd = nil
		if stats != nil {
			v.Statsd = statsd.New(stats.Addr, stats.Prefix, stats.Tags, func(err error) {
				s.log.Warnf("Error sending message to statsd: %s", err)
			})
		}
		s.statsd = stats
	}
	s.put(&v)
	if old.Syslog != v.Syslog {
		go old.Syslog.Close()
	}
	if old.Statsd != v.Statsd {
		go old.Statsd.Close()
	}
}

func same[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// SetLogger changes the logger, nil for none. f is one end of a [wire.Pair], which is
// taken over. It returns the logger before, which is closed once it has sent what waits.
func (s *Sinks) SetLogger(f *os.File) (before *wire.Recorder, err error) {
	v := *s.View()
	before, v.Logger = v.Logger, nil
	if f != nil {
		if v.Logger, err = wire.NewRecorder(f); err != nil {
			v.Logger = nil
		}
	}
	s.put(&v)
	if before != nil {
		before.Close()
	}
	return before, err
}

// put makes v the current view and connects the log to its sinks.
func (s *Sinks) put(v *View) {
	s.view.Store(v)
	var taps []errlog.Tap
	if v.Syslog != nil && v.Logger == nil { // the logger has one of its own
		taps = append(taps, func(level errlog.Level, text string) {
			v.Syslog.Send(severities[level], "error", os.Getpid(), text)
		})
	}
	if v.Statsd != nil {
		taps = append(taps, func(level errlog.Level, _ string) {
			if level >= errlog.Warning {
				v.Statsd.Increment(counters[level])
			}
		})
	}
	s.log.SetTaps(taps...)
	if v.Logger == nil {
		s.log.SetLogger(nil)
		return
	}
	s.log.SetLogger(func(level errlog.Level, text string) {
		s.Record(v.Logger, &wire.LogRecord{Message: text, Level: PythonLevel(level), Pid: os.Getpid()}, 0)
	})
}

// Record sends a record to a logger; see [wire.Recorder.Send]. The time and the role
// are filled in.
func (s *Sinks) Record(r *wire.Recorder, rec *wire.LogRecord, patience time.Duration) {
	rec.Time, rec.Role = float64(time.Now().UnixMicro())/1e6, s.role
	r.Send(rec, patience)
	if n := r.Lost(); n > 0 {
		r.Send(&wire.LogRecord{
			Message: "The logger does not keep up: some lines were lost", Level: wire.PythonWarning,
			Time: rec.Time, Role: rec.Role, Pid: os.Getpid(),
		}, 0)
	}
}

// Close sends what waits, within a second or so, and ends all but the logger, which
// is only told to end.
func (s *Sinks) Close() {
	v := s.View()
	s.view.Store(&empty)
	v.Syslog.Close()
	v.Statsd.Close()
	if v.Logger != nil {
		v.Logger.Close()
		select {
		case <-v.Logger.Done():
		case <-time.After(time.Second):
		}
	}
}

var severities = [...]int{
	errlog.Debug: syslog.Debug, errlog.Info: syslog.Info, errlog.Warning: syslog.Warning, errlog.Error: syslog.Error,
	errlog.Critical: syslog.Critical,
}

var counters = [...]string{
	errlog.Warning: "gunicorn.log.warning", errlog.Error: "gunicorn.log.error", errlog.Critical: "gunicorn.log.critical",
}

// PythonLevel is Python's number of a level.
func PythonLevel(level errlog.Level) int { return wire.PythonDebug * (1 + int(level)) }

// LevelName is the name of the level whose messages a Python logger of level n
// takes, at the least.
func LevelName(n int) string {
	for level := range errlog.Critical {
		if PythonLevel(level) >= n {
			return level.String()
		}
	}
	return errlog.Critical.String()
}
