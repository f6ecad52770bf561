// Package outlets is where log lines and metrics of a process go besides its files:
// syslog, StatsD, and the Python process that relays lines to Python's logging. The
// master and the front have the same ones.
//
// It connects an [errlog.Log] to them. Lines of the access log and the metrics of
// requests are for the caller to send, see [Outlets.View]. Nothing here waits for a
// receiver, but for [Outlets.Close].
//
// Try it with go test ./internal/outlets.
package outlets

import (
	"os"
	"sync/atomic"
	"time"

	"indrik/internal/errlog"
	"indrik/internal/statsd"
	"indrik/internal/syslog"
	"indrik/internal/wire"
)

// Outlets are the outlets of one process. One goroutine may change them, any use
// them.
type Outlets struct {
	log  *errlog.Log
	role string
	view atomic.Pointer[View]

	syslog *wire.Syslog
	statsd *wire.Statsd
}

// A View is the outlets that there are at one time. Each may be nil.
type View struct {
	Syslog *syslog.Writer
	Access bool // lines of the access log go to syslog
	Statsd *statsd.Client
	Relay  *wire.Recorder
}

var empty View

// New returns the outlets of the process whose log is log; there are none yet. role is
// master or front.
func New(log *errlog.Log, role string) *Outlets {
	o := &Outlets{log: log, role: role}
	o.view.Store(&empty)
	return o
}

// View returns what there is now.
func (o *Outlets) View() *View { return o.view.Load() }

// Set changes syslog and StatsD, nil for none. Connections to the same server stay.
func (o *Outlets) Set(sys *wire.Syslog, stats *wire.Statsd) {
	old := o.View()
	v := *old
	if !same(sys, o.syslog) {
		v.Syslog, v.Access = nil, false
		if sys != nil {
			v.Syslog = syslog.New(sys.Addr, sys.Facility, sys.Prefix, func(err error) {
				o.log.Warnf("Lines are not sent to syslog: %s", err)
			})
			v.Access = sys.Access
		}
		o.syslog = sys
	}
	if !same(stats, o.statsd) {
		v.Statsd = nil
		if stats != nil {
			v.Statsd = statsd.New(stats.Addr, stats.Prefix, stats.Tags, func(err error) {
				o.log.Warnf("Error sending message to statsd: %s", err)
			})
		}
		o.statsd = stats
	}
	o.put(&v)
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

// SetRelay changes the relay, nil for none. f is one end of a [wire.Pair], which is
// taken over. It returns the relay before, which is closed once it has sent what waits.
func (o *Outlets) SetRelay(f *os.File) (before *wire.Recorder, err error) {
	v := *o.View()
	before, v.Relay = v.Relay, nil
	if f != nil {
		if v.Relay, err = wire.NewRecorder(f); err != nil {
			v.Relay = nil
		}
	}
	o.put(&v)
	if before != nil {
		before.Close()
	}
	return before, err
}

// put makes v what there is, and has the log use it.
func (o *Outlets) put(v *View) {
	o.view.Store(v)
	var taps []errlog.Tap
	if v.Syslog != nil && v.Relay == nil { // the relay has one of its own
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
	o.log.SetTaps(taps...)
	if v.Relay == nil {
		o.log.SetRelay(nil)
		return
	}
	o.log.SetRelay(func(level errlog.Level, text string) {
		o.Record(v.Relay, &wire.LogRecord{Message: text, Level: PythonLevel(level), Pid: os.Getpid()}, 0)
	})
}

// Record sends a record to a relay; see [wire.Recorder.Send]. The time and the role
// are filled in.
func (o *Outlets) Record(r *wire.Recorder, rec *wire.LogRecord, patience time.Duration) {
	rec.Time, rec.Role = float64(time.Now().UnixMicro())/1e6, o.role
	r.Send(rec, patience)
	if n := r.Lost(); n > 0 {
		r.Send(&wire.LogRecord{
			Message: "The logger does not keep up: some lines were lost", Level: wire.PythonWarning,
			Time: rec.Time, Role: rec.Role, Pid: os.Getpid(),
		}, 0)
	}
}

// Close sends what waits, within a second or so, and ends all but the relay, which
// is only told to end.
func (o *Outlets) Close() {
	v := o.View()
	o.view.Store(&empty)
	v.Syslog.Close()
	v.Statsd.Close()
	if v.Relay != nil {
		v.Relay.Close()
		select {
		case <-v.Relay.Done():
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
