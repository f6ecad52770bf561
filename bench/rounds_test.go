package main

import (
	"errors"
	"os/exec"
	"testing"
	"time"

	"indrik/bench/load"
)

func TestStarts(t *testing.T) {
	s := make(starts)
	p, other := peerOf("bjoern"), peerOf("granian")
	hello, flask, django, file := workloadOf("hello"), workloadOf("flask"), workloadOf("django"), workloadOf("file")
	broken := &startError{errors.New("it ended at once")}

	s.note(p, hello, errors.New("a measurement that failed"))
	if why := s.skip(p, hello); why != "" {
		t.Errorf("skipped, %s: it has started", why)
	}
	s.note(p, hello, broken)
	if s.skip(p, hello) == "" || s.skip(p, flask) != "" {
		t.Error("what has not started once is tried with the next workload, and not before")
	}
	s.note(p, flask, broken)
	s.note(p, django, nil)
	s.note(p, file, broken)
	if why := s.skip(p, hello); why != "" {
		t.Errorf("skipped, %s: it has started in between", why)
	}
	s.note(p, hello, broken)
	s.note(p, flask, broken)
	if s.skip(p, django) == "" || s.skip(other, django) != "" {
		t.Error("a server that does not start for three workloads in a row is still tried, or another is not")
	}
}

func TestRounds(t *testing.T) {
	full := &options{Rounds: 3, Lesser: 1}
	minor, peer := peerOf("waitress"), peerOf("granian")
	for _, c := range []struct {
		workload string
		o        *options
		want     int
	}{
		{"flask", full, 3}, {"reload", full, 2}, {"checks", full, 1}, {"websocket", full, 1},
		{"websocket", &options{Rounds: 4}, 4}, {"memory", &options{Rounds: 4}, 1},
	} {
		if got := workloadOf(c.workload).rounds(c.o); got != c.want {
			t.Errorf("%s: %d rounds, want %d", c.workload, got, c.want)
		}
	}
	flask, mixed := workloadOf("flask"), workloadOf("mixed")
	if !full.takes(peer, flask, 3) || !full.takes(minor, flask, 1) || full.takes(minor, flask, 2) || full.takes(minor, mixed, 1) || full.takes(minor, workloadOf("file"), 1) {
		t.Error("a minor server takes part in the first round of some workloads, and in nothing else")
	}
	if !(&options{Peers: "waitress"}).takes(minor, mixed, 2) {
		t.Error("a minor server does not take part though it was asked for")
	}
	if p := peerOf(alone); !full.takes(p, flask, 1) || full.takes(p, workloadOf("hello"), 1) || workloadOf("fastapi").app(p) != "fastapi_app" {
		t.Error("the loop is for apps of frameworks, of either interface")
	}
}

func TestHalfRate(t *testing.T) {
	r := reportOf("flask", map[string]float64{"indrik sync": 3000, "granian": 2000, "bjoern": 9000, "m0serve": 2300})
	r.Runs = append(r.Runs, fakeRun("flask", "granian", 2, 2400), &run{Workload: "flask", Peer: "granian", Failure: "it ended at once"})
	for name, want := range map[string]float64{"indrik sync": 1500, "granian": 1100, "bjoern": 1500, "m0serve": 1500} {
		b := &bed{p: peerOf(name), w: workloadOf("flask-half"), base: workloadOf("flask"), report: r}
		if got, err := b.halfRate(t.Context()); got != want || err != nil {
			t.Errorf("%s: %v, %v, want %v", name, got, err, want)
		}
	}
	groups := []load.Group{{Clients: 64}}
	if every := atRate(groups, 32000)[0].Every; every != 2*time.Millisecond || groups[0].Every != 0 {
		t.Errorf("64 clients have a request every %v for 32000 in a second, and %v is in the workload itself", every, groups[0].Every)
	}
}

func TestMoments(t *testing.T) {
	for _, c := range []struct {
		every int // looks from one growth to the next
		most  float64
	}{{1, 1 / wakeUpsMoment.Seconds()}, {1000, 0}} {
		looks := 0
		n, err := moments(t.Context(), 4*wakeUpsMoment, func() (int64, error) {
			looks++
			return int64(looks / c.every * 7), nil
		})
		if err != nil || n > c.most || (n > 0) != (c.most > 0) {
			t.Errorf("growth at every %dth look: %v moments a second, %v, want %v at most", c.every, n, err, c.most)
		}
	}
}

func TestReadLoop(t *testing.T) {
	r, err := readLoop([]byte(`{"alone": 40.5, "busy": 50, "body": "{\"message\":\"Hello, World!\"}"}`), plainJSON)
	if err != nil || r.ServerCPU != 40.5 || r.Values[valueBusy] != 50 {
		t.Errorf("%+v, %v", r, err)
	}
	for _, text := range []string{"", `{"alone": 40.5, "busy": 50, "body": "no"}`, `{"alone": 0, "busy": 50, "body": "{\"message\":\"Hello, World!\"}"}`} {
		if _, err := readLoop([]byte(text), plainJSON); err == nil {
			t.Errorf("%q is a result", text)
		}
	}
}

// The script works, with apps of both interfaces.
func TestLoop(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	for _, app := range []string{"hello", "hello_asgi"} {
		cmd := exec.Command(python, "loop.py", app, "0.02")
		cmd.Dir = "apps"
		text, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if r, err := readLoop(text, hello); err != nil {
			t.Errorf("%s: %+v, %v", app, r, err)
		}
	}
}
