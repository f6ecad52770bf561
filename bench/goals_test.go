package main

import (
	"strings"
	"testing"
)

// reportOf makes a report of one round of a workload, by server.
func reportOf(workload string, perSecond map[string]float64) *report {
	r := new(report)
	for i := range allPeers {
		name := allPeers[i].Name
		r.Order = append(r.Order, name)
		if rate, there := perSecond[name]; there {
			r.Runs = append(r.Runs, fakeRun(workload, name, 1, rate))
		}
	}
	return r
}

// add puts a run into a report.
func (r *report) add(one *run) { r.Runs = append(r.Runs, one) }

// checked is a run of the checks.
func checked(peer string, found map[string]string) *run {
	return &run{Workload: "checks", Peer: peer, Round: 1, Findings: found}
}

func reloaded(peer string, lost int) *run {
	one := fakeRun("reload", peer, 1, 100)
	one.Failed, one.Values = lost, map[string]float64{valueFresh: 1000}
	return one
}

func judged(t *testing.T, r *report, groups []goalGroup, title string) (lines []string, met int) {
	t.Helper()
	for i := range groups {
		if strings.HasPrefix(groups[i].title, title) {
			return groups[i].judge(r)
		}
	}
	t.Fatalf("no goals %q", title)
	return nil, 0
}

func TestGoalsOfFrameworks(t *testing.T) {
	r := reportOf("flask", map[string]float64{"indrik sync": 3000, "bjoern": 3100, "granian": 2200, "peregrine": 2900, "fastpysgi": 9000, "gunicorn gthread": 500})
	r.add(checked("bjoern", map[string]string{checkClose: "", checkChunked: "the app gets 0 of 14 bytes"}))
	r.add(checked("fastpysgi", map[string]string{checkClose: "called for 0 of 10 responses"}))
	r.add(checked("granian", map[string]string{checkClose: "", checkChunked: ""}))
	r.add(reloaded("granian", 0))
	r.add(reloaded("gunicorn gthread", 0))
	r.add(reloaded("peregrine", 3))
	r.finish(nil)

	// FastPySGI does less than the others: it is not compared.
	lines, met := judged(t, r, firstGoals, "JSON from frameworks")
	if want := "✓ Flask: 3000, 0.97 × bjoern† 3100"; met != 1 || lines[0] != want || lines[1] != "– Django: not measured" {
		t.Errorf("%q, %d met, want %q first", lines, met, want)
	}
	// Peregrine has lost requests, and bjoern cannot reload.
	lines, met = judged(t, r, firstGoals, "the same ≥ 1.3")
	if want := "✓ Flask: 3000, 1.36 × granian 2200"; met != 1 || lines[0] != want {
		t.Errorf("%q, %d met, want %q first", lines, met, want)
	}
	lines, _ = judged(t, r, firstGoals, "the same: processor time")
	if lines[0] != "– Flask: not measured" {
		t.Errorf("%q without the app's own time", lines)
	}
	r.add(&run{Workload: "flask", Peer: alone, Round: 1, ServerCPU: 4, Values: map[string]float64{valueBusy: 5}})
	for _, one := range r.Runs {
		if one.Peer == "indrik sync" {
			one.ServerCPU = 44.5
		}
	}
	r.finish(nil)
	lines, met = judged(t, r, firstGoals, "the same: processor time")
	if lines[0] != "✗ Flask: 40.5" || met != 0 {
		t.Errorf("%q, %d met: 44.5 less 4 is more than 40", lines, met)
	}
	if want := "† does not pass every [check](#checks): bjoern (chunked, reload); fastpysgi (close(), reload)."; r.daggers() != want {
		t.Errorf("%q, want %q", r.daggers(), want)
	}
}

func TestOtherGoals(t *testing.T) {
	r := reportOf("hello", map[string]float64{"indrik sync": 3000, "gunicorn gthread": 500, "gunicorn sync": 301, "uvicorn": 1})
	for _, c := range []struct {
		perSecond float64
		met       string
	}{{0, "✓"}, {1.2, "✗"}} {
		r.Runs = append(r.Runs[:3:3], &run{Workload: "wakeups", Peer: "indrik sync", Values: map[string]float64{valueWakeUps: c.perSecond}})
		r.finish(nil)
		if lines, _ := judged(t, r, firstGoals, "an idle server"); !strings.HasPrefix(lines[0], c.met+" sync: ") {
			t.Errorf("%v wake-ups a second: %q", c.perSecond, lines)
		}
	}
	lines, met := judged(t, r, otherGoals, "hello: requests/s")
	if met != 1 || lines[0] != "✓ ≥ 6 ×: 3000, 6.00 × gunicorn gthread 500" || lines[1] != "✗ ≥ 10 ×: 3000, 9.97 × gunicorn sync 301" {
		t.Errorf("%q, %d met", lines, met)
	}
}

// What goals name is there.
func TestGoalsNames(t *testing.T) {
	works := make(map[string]bool)
	for i := range allWorkloads {
		works[allWorkloads[i].Name] = true
	}
	for _, group := range append(firstGoals, otherGoals...) {
		for _, g := range group.goals {
			theirs := g.theirs
			if workload, peer, found := strings.Cut(theirs, "/"); found {
				theirs = peer
				if !works[workload] {
					t.Errorf("goal against %s: no such workload", g.theirs)
				}
			}
			known := theirs == "" || theirs == everyOther || theirs == survivors || peerOf(theirs) != nil
			if !works[g.workload] || peerOf(g.ours) == nil || !known || g.figure == nil {
				t.Errorf("a goal of %s for %s against %q names what is not there", g.workload, g.ours, g.theirs)
			}
		}
	}
}

// What the first goals are about is measured before the rest, and in all rounds.
func TestFirstGoalsComeFirst(t *testing.T) {
	first := make(map[string]bool)
	for _, group := range firstGoals {
		for _, g := range group.goals {
			first[g.workload] = true
		}
	}
	rest := ""
	for i := range allWorkloads {
		w := &allWorkloads[i]
		switch {
		case !w.Goal:
			rest = w.Name
		case rest != "":
			t.Errorf("%s comes after %s", w.Name, rest)
		}
		if first[w.Name] && !w.Goal {
			t.Errorf("%s is measured like those that no first goal is about", w.Name)
		}
		if w.Half != "" && baseOf(w) == nil {
			t.Errorf("%s: no workload %s", w.Name, w.Half)
		}
	}
}
