//go:build linux

package harness

import "testing"

// A Kind is a kind of WSGI worker with what a test needs to start it.
type Kind struct {
	Name   string
	args   []string
	python func(t testing.TB) string // nil: the usual interpreter
}

// kinds are those that tests which are the same for all of them are run with.
var kinds = []Kind{
	{Name: "sync"},
	{Name: "gthread", args: []string{"--threads", "4"}},
	{Name: "gevent", args: []string{"-k", "gevent"}, python: Venv},
}

// ForEachKind runs a test for each kind of WSGI worker.
func ForEachKind(t *testing.T, test func(t *testing.T, k Kind)) {
	for _, k := range kinds {
		t.Run(k.Name, func(t *testing.T) {
			if k.python != nil {
				k.python(t) // skips the test where it is not there
			}
			test(t, k)
		})
	}
}

// Options are those of a server with workers of that kind.
func (k Kind) Options(t testing.TB, app string, args ...string) Options {
	o := Options{App: app, Args: append(append([]string{}, k.args...), args...)}
	if k.python != nil {
		o.Python = k.python(t)
	}
	return o
}
