// Package errlog writes the error log, in Gunicorn's format:
//
//	[2026-11-24 00:24:03 +0000] [3971] [INFO] Handling signal: hup
//
// The time is local, with its offset from UTC. A message of several lines, such
// as a traceback, is written as it is. Every message is one write(2) on a file
// opened with O_APPEND, so that the lines of several processes do not mix.
//
// Messages may go elsewhere besides ([Log.SetTaps]) or instead ([Log.SetLogger]).
//
// A Log may be used by any number of goroutines. What it cannot write is lost:
// there is nowhere left to say so. It does not wait without end for a reader of a pipe
// or a terminal that has stopped: see patience. Try it with go test ./internal/errlog.
package errlog

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Level says how important a message is.
type Level int32

// The levels of Gunicorn, that is of Python's logging.
const (
	Debug Level = iota
	Info
	Warning
	Error
	Critical
)

var levelNames = [...]string{"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}

// String returns the name of the level as it is in the log, such as WARNING.
func (v Level) String() string {
	if v < Debug || v > Critical {
		return "Level(" + strconv.Itoa(int(v)) + ")"
	}
	return levelNames[v]
}

// ParseLevel returns the level with the given name, in any case. An unknown name
// means Info, as it does for Gunicorn.
func ParseLevel(name string) Level {
	for v, n := range levelNames {
		if strings.EqualFold(n, name) {
			return Level(v)
		}
	}
	return Info
}

// A Log writes messages to a file.
type Log struct {
	level  atomic.Int32
	pid    string
	logger atomic.Pointer[Tap]
	taps   atomic.Pointer[[]Tap]

	mu sync.Mutex
	// +checklocks:mu
	w io.Writer
	// +checklocks:mu
	file *os.File // w, if that is a file
	// +checklocks:mu
	owned bool // file is closed when another takes its place
	// +checklocks:mu
	path string // what Reopen opens; "" if there is nothing to open again
	// +checklocks:mu
	uid, gid int
	// +checklocks:mu
	buf []byte
	// +checklocks:mu
	format string // of lines, see SetFormat
	// +checklocks:mu
	process string
	// +checklocks:mu
	writing chan struct{} // closed when a write that took too long has ended; nil: there is none
	// +checklocks:mu
	lost int // messages since then
}

// New returns a log of level Info that writes to w. The caller closes w.
func New(w io.Writer) *Log {
	l := &Log{w: w, pid: strconv.Itoa(os.Getpid())}
	l.file, _ = w.(*os.File)
	l.level.Store(int32(Info))
	return l
}

// Open makes l write to the file at path, see [OpenFile]. On an error, which is
// an [*UnwritableError], l stays as it is.
func (l *Log) Open(path string, uid, gid int) error {
	f, err := OpenFile(path, uid, gid)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setFileLocked(f)
	l.path, l.uid, l.gid = path, uid, gid
	return nil
}

// Reopen opens the file again by its path, after it was renamed by a log
// rotation. On an error the log goes on in the old file.
func (l *Log) Reopen() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.path == "" || l.path == "-" {
		return nil
	}
	f, err := OpenFile(l.path, l.uid, l.gid)
	if err != nil {
		return err
	}
	l.setFileLocked(f)
	return nil
}

// SetFile makes l write to f, and takes it over.
func (l *Log) SetFile(f *os.File) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setFileLocked(f)
	l.path = ""
}

// setFileLocked makes l write to f, and closes the file before it if l owns that.
// +checklocks:l.mu
func (l *Log) setFileLocked(f *os.File) {
	if l.owned {
		l.file.Close()
	}
	l.w, l.file, l.owned = f, f, true
	l.writing = nil // that write is another file's
}

// File returns the file that l writes to, nil if that is none. It stays l's, and
// is closed when l changes to another.
func (l *Log) File() *os.File {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file
}

// SetLevel drops messages below the level with this name from now on; see
// [ParseLevel].
func (l *Log) SetLevel(name string) { l.level.Store(int32(ParseLevel(name))) }

// A Tap gets messages. It is called by any goroutine, must not wait, and must not log.
type Tap func(v Level, text string)

// SetTaps gives every message that is written to taps, too.
func (l *Log) SetTaps(taps ...Tap) { l.taps.Store(&taps) }

// SetLogger gives every message to logger in place of the file; nil ends that.
func (l *Log) SetLogger(logger Tap) {
	if logger == nil {
		l.logger.Store(nil)
		return
	}
	l.logger.Store(&logger)
}

// Enabled reports whether messages of level v are written.
func (l *Log) Enabled(v Level) bool { return v >= Level(l.level.Load()) }

// Logf writes a message of level v.
func (l *Log) Logf(v Level, format string, args ...any) {
	if l.Enabled(v) {
		l.write(v, detail{}, format, args...)
	}
}

// LogDetail writes a message of level v about something that lines in JSON have, besides, as a
// field of a name; it must have a form in JSON.
func (l *Log) LogDetail(v Level, name string, value any, text string) {
	if l.Enabled(v) {
		l.write(v, detail{name, value}, "%s", text)
	}
}

// A detail is a field that a line in JSON has besides those of all lines; without a name there
// is none.
type detail struct {
	name  string
	value any
}

func (l *Log) write(v Level, d detail, format string, args ...any) {
	logger, taps := l.logger.Load(), l.taps.Load()
	if logger != nil || taps != nil && len(*taps) > 0 {
		text := fmt.Sprintf(format, args...)
		if taps != nil {
			for _, tap := range *taps {
				tap(v, text)
			}
		}
		if logger != nil {
			(*logger)(v, text)
			return
		}
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.blockedLocked() {
		l.lost++
		return
	}
	b := l.buf[:0]
	if l.lost > 0 {
		b = l.appendLocked(b, now, Warning, detail{}, "%d messages are missing here: nobody read the log", l.lost)
		l.lost = 0
	}
	l.writeLocked(l.appendLocked(b, now, v, d, format, args...))
}

// appendLocked adds a line to b.
// +checklocks:l.mu
func (l *Log) appendLocked(b []byte, now time.Time, v Level, d detail, format string, args ...any) []byte {
	if l.format == FormatJSON || l.format == FormatECS {
		return l.appendJSONLocked(b, now, v, d, format, args...)
	}
	b = now.AppendFormat(b, "[2006-01-02 15:04:05 -0700] [")
	b = append(b, l.pid...)
	b = append(b, "] ["...)
	b = append(b, v.String()...)
	b = append(b, "] "...)
	b = fmt.Appendf(b, format, args...)
	return append(b, '\n')
}

const (
	// patience is how long a write may take. A pipe whose reader has stopped must not
	// keep the master from obeying signals, and the front from serving.
	patience = time.Second
	// maxKept is the size of the largest buffer kept for the next message.
	maxKept = 64 << 10
)

// writeLocked writes b, or leaves the rest of b to a goroutine when that takes too long.
// +checklocks:l.mu
func (l *Log) writeLocked(b []byte) {
	done := make(chan struct{})
	go func(w io.Writer) {
		_, _ = w.Write(b)
		close(done)
	}(l.w)
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case <-done:
		l.buf = b
	case <-limit.C:
		l.writing, l.buf = done, nil
	}
	if cap(l.buf) > maxKept {
		l.buf = nil
	}
}

// blockedLocked reports whether a write has not ended yet.
// +checklocks:l.mu
func (l *Log) blockedLocked() bool {
	select {
	case <-l.writing:
		l.writing = nil
	default:
	}
	return l.writing != nil
}

// Debugf writes a message of level Debug.
func (l *Log) Debugf(format string, args ...any) { l.Logf(Debug, format, args...) }

// Infof writes a message of level Info.
func (l *Log) Infof(format string, args ...any) { l.Logf(Info, format, args...) }

// Warnf writes a message of level Warning.
func (l *Log) Warnf(format string, args ...any) { l.Logf(Warning, format, args...) }

// Errorf writes a message of level Error.
func (l *Log) Errorf(format string, args ...any) { l.Logf(Error, format, args...) }

// Criticalf writes a message of level Critical.
func (l *Log) Criticalf(format string, args ...any) { l.Logf(Critical, format, args...) }
