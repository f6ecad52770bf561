//go:build linux

package test

import "testing"

// A kind is a kind of WSGI worker with what a test needs to start it.
type kind struct {
	name   string
	args   []string
	python func(t testing.TB) string // nil: the usual interpreter
}

// kinds are those that tests which are the same for all of them are run with.
var kinds = []kind{
	{name: "sync"},
	{name: "gthread", args: []string{"--threads", "4"}},
	{name: "gevent", args: []string{"-k", "gevent"}, python: venv},
}

// forEachKind runs a test for each kind of WSGI worker.
func forEachKind(t *testing.T, test func(t *testing.T, k kind)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			if k.python != nil {
				k.python(t) // skips the test where it is not there
			}
			test(t, k)
		})
	}
}

// options are those of a server with workers of that kind.
func (k kind) options(t testing.TB, app string, args ...string) options {
	o := options{app: app, args: append(append([]string{}, k.args...), args...)}
	if k.python != nil {
		o.python = k.python(t)
	}
	return o
}
