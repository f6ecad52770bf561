package master

import (
	"strings"

	"indrik/internal/exitcode"
	"indrik/internal/wire"
)

// A failure is why a configuration cannot be used, as an operator reads it.
type failure struct {
	text      string // for stderr, or the log
	traceback string // Python's, if there is one
	code      int    // the exit code if this is the first start
	stage     string // of the spawner, as wire has it; "" if it was not there
	report    string // of a worker that could not boot, which the log has already
}

func (f *failure) Error() string {
	var parts []string
	for _, p := range []string{f.text, f.traceback} {
		if p = strings.TrimRight(p, "\n"); p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, "\n")
}

// line is the failure within a line of the log.
func (f *failure) line() string { return strings.TrimPrefix(strings.TrimSpace(f.Error()), "Error: ") }

// trimmed is the text as it comes after other words of a line.
func (f *failure) trimmed() string { return strings.TrimLeft(f.Error(), "\n") }

// failed returns the failure that a spawner answers with.
func failed(r wire.FromSpawner) *failure {
	code := r.Code
	if code == exitcode.OK && r.Stage != "load" { // an app may exit with 0
		code = exitcode.Config
	}
	f := lacks(r.Error, r.Errno)
	f.traceback, f.stage = r.Traceback, r.Stage
	if f.code != exitcode.Resources {
		f.code = code
	}
	return f
}
