package master

import (
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// russian is what docs/ru/signals.md calls the actions.
var russian = map[string]string{
	"ничего":                        ignore.name,
	"когда запустится":              deferred.name,
	"плавная остановка":             depart.name,
	"остановка без отсрочки":        drain.name,
	"быстрая остановка":             quit.name,
	"перезагрузка":                  reload.name,
	"перезагрузка заново":           restart.name,
	"воркеры возвращаются":          restore.name,
	"воркером больше":               more.name,
	"воркером меньше":               fewer.name,
	"возвращается один воркер":      one.name,
	"файлы журналов открыты заново": reopen.name,
	"обновление":                    upgrade.name,
	"воркеры уходят":                pause.name,
}

// TestDocumentedSignals compares the table that people read with the one that
// the master obeys.
func TestDocumentedSignals(t *testing.T) {
	for path, names := range map[string]map[string]string{
		"../../docs/signals.md":    nil,
		"../../docs/ru/signals.md": russian,
	} {
		states, table := stateTable(t, path)
		if want := stateNames[:]; !slices.Equal(states, want) {
			t.Errorf("%s: the states are %q, want %q", path, states, want)
			continue
		}
		for sig, want := range signals {
			name := strings.TrimPrefix(unix.SignalName(sig), "SIG")
			cells, ok := table[name]
			if !ok {
				t.Errorf("%s: no row for %s", path, name)
				continue
			}
			for s, a := range want {
				cell := cells[s]
				if names != nil {
					cell = names[cell]
				}
				if cell != a.name {
					t.Errorf("%s: %s while %s: %q, want %q", path, name, state(s), cells[s], a.name)
				}
			}
			delete(table, name)
		}
		for name := range table {
			t.Errorf("%s: there is a row for %s", path, name)
		}
	}
}

// TestDocumentedEvents compares the table of events that people read with the one by which
// the master runs.
func TestDocumentedEvents(t *testing.T) {
	const path = "../../docs/architecture.md"
	states, table := stateTable(t, path)
	if want := stateNames[:]; !slices.Equal(states, want) {
		t.Fatalf("the states are %q, want %q", states, want)
	}
	for e, want := range events {
		cells, ok := table[string(e)]
		if !ok {
			t.Errorf("no row for %s", e)
			continue
		}
		for s, r := range want {
			if r.name == "" || r.do == nil {
				t.Errorf("%s while %s does nothing that has a name", e, state(s))
			} else if cells[s] != r.name {
				t.Errorf("%s while %s: %q, want %q", e, state(s), cells[s], r.name)
			}
		}
		delete(table, string(e))
	}
	for name := range table {
		t.Errorf("there is a row for %s", name)
	}
}

// stateTable reads the table whose first column head names the signal and
// whose others name the states. Marks of footnotes are left out.
func stateTable(t *testing.T, path string) (states []string, rows map[string][]string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clean := strings.NewReplacer("`", "", "¹", "", "²", "", "³", "", "⁴", "", "⁵", "", "⁶", "")
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			if rows != nil {
				return states, rows // the table is over
			}
			continue
		}
		cells := strings.Split(strings.Trim(clean.Replace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case rows == nil && len(cells) > 1 && cells[1] == stateNames[0]:
			states, rows = cells[1:], map[string][]string{}
		case rows == nil || strings.Trim(cells[0], "-:") == "":
		case len(cells) != 1+len(states):
			t.Fatalf("%s: a row of %d cells: %s", path, len(cells), line)
		default:
			for name := range strings.SplitSeq(cells[0], ",") {
				rows[strings.TrimSpace(name)] = cells[1:]
			}
		}
	}
	if rows == nil {
		t.Fatalf("%s: there is no table of states", path)
	}
	return states, rows
}

// TestSignalsHaveNames: each signal has a name for the log line, and each
// state an action for it.
func TestSignalsHaveNames(t *testing.T) {
	if len(signalNames) != len(signals) {
		t.Errorf("%d names for %d signals", len(signalNames), len(signals))
	}
	for sig, actions := range signals {
		want := strings.ToLower(strings.TrimPrefix(unix.SignalName(sig), "SIG"))
		if signalNames[sig] != want {
			t.Errorf("%s is called %q", unix.SignalName(sig), signalNames[sig])
		}
		for s, a := range actions {
			if a.name == "" || a.do == nil && a.name != deferred.name {
				t.Errorf("%s while %s does nothing that has a name", want, state(s))
			}
		}
	}
}

// TestDeferredSignals: what cannot be done while booting or judging is done once running,
// in order of arrival; nothing waits in any other state, since nothing would
// hand it out.
func TestDeferredSignals(t *testing.T) {
	for sig, actions := range signals {
		for s, a := range actions {
			if a.do == nil && state(s) != booting && state(s) != judging {
				t.Errorf("%s waits while %s", sig, state(s))
			}
		}
	}

	real := signals
	defer func() { signals = real }()
	var done []syscall.Signal
	signals = map[syscall.Signal][len(stateNames)]action{}
	for sig, actions := range real {
		for s := range actions {
			if actions[s].do != nil {
				actions[s].do = func(*Master) { done = append(done, sig) }
			}
		}
		signals[sig] = actions
	}
	m := bareMaster(io.Discard, realSystem())
	for _, sig := range []syscall.Signal{syscall.SIGUSR2, syscall.SIGTTIN, syscall.SIGHUP} {
		m.handle(sig)
	}
	if want := []syscall.Signal{syscall.SIGTTIN}; !slices.Equal(done, want) {
		t.Errorf("done while booting: %v, want %v", done, want)
	}
	m.enter(running)
	if want := []syscall.Signal{syscall.SIGTTIN, syscall.SIGUSR2, syscall.SIGHUP}; !slices.Equal(done, want) {
		t.Errorf("done in all: %v, want %v", done, want)
	}
	m.enter(reloading)
	if len(done) != 3 {
		t.Errorf("done again: %v", done)
	}
}

// TestSignalsTogether: signals that wait together are delivered in the order of their
// numbers, whatever was sent first; they are handled in one stated order.
func TestSignalsTogether(t *testing.T) {
	if len(signalOrder) != len(signals) {
		t.Errorf("%d signals have a place in the order, want %d", len(signalOrder), len(signals))
	}
	real := signals
	defer func() { signals = real }()
	var done []syscall.Signal
	signals = map[syscall.Signal][len(stateNames)]action{}
	for sig, actions := range real {
		for s := range actions {
			actions[s].do = func(*Master) { done = append(done, sig) }
		}
		signals[sig] = actions
	}
	const (
		hup, winch, term, intr, quit = syscall.SIGHUP, syscall.SIGWINCH, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT
		ttin, usr1, usr2             = syscall.SIGTTIN, syscall.SIGUSR1, syscall.SIGUSR2
	)
	for _, c := range []struct{ arrived, want []syscall.Signal }{
		{[]syscall.Signal{hup, winch}, []syscall.Signal{winch, hup}},
		{[]syscall.Signal{winch, hup}, []syscall.Signal{winch, hup}},
		{[]syscall.Signal{hup, term, winch}, []syscall.Signal{winch, hup, term}},
		{[]syscall.Signal{intr, term}, []syscall.Signal{term, intr}},
		{[]syscall.Signal{quit, hup, intr}, []syscall.Signal{hup, intr, quit}},
		{[]syscall.Signal{ttin, hup, ttin}, []syscall.Signal{hup, ttin, ttin}},
		{[]syscall.Signal{winch, ttin}, []syscall.Signal{winch, ttin}},
		{[]syscall.Signal{winch, usr2, usr1}, []syscall.Signal{usr1, usr2, winch}},
		{[]syscall.Signal{hup}, []syscall.Signal{hup}},
	} {
		m := bareMaster(io.Discard, realSystem())
		done = nil
		for _, sig := range c.arrived {
			m.signalled(sig)
		}
		if len(done) > 0 {
			t.Errorf("%v: %v was done before the others could be here", c.arrived, done)
		}
		(<-eventsOf(m))()
		if !slices.Equal(done, c.want) {
			t.Errorf("%v came together: done as %v, want %v", c.arrived, done, c.want)
		}
		select {
		case <-eventsOf(m):
			t.Errorf("%v: something else is to be done", c.arrived)
		default:
		}
	}
}
