package settings

import (
	"strings"
	"testing"
)

// A range of workers means the same from everywhere, and begins with one worker at least.
func TestWorkerRange(t *testing.T) {
	for source, layers := range map[string][]Layer{
		"WEB_CONCURRENCY":   layers(t, []string{"WEB_CONCURRENCY=0..8"}, nil),
		"INDRIK_WORKERS":    layers(t, []string{"INDRIK_WORKERS=0..8"}, nil),
		"gunicorn.conf.py":  layers(t, nil, map[string]any{"workers": "0..8"}),
		"GUNICORN_CMD_ARGS": layers(t, []string{"GUNICORN_CMD_ARGS=--workers 0..8"}, nil),
		"command line":      layers(t, nil, nil, "-w0..8"),
	} {
		c := resolve(t, layers)
		r, ok := c.WorkerRange()
		if !ok || r != (WorkerRange{Least: 0, Most: 8}) || c.Workers() != 1 || c.All()["workers"] != 8 || c.Source("workers") != source {
			t.Errorf("%s: %v, %v, %d, %s", source, r, ok, c.Workers(), c.Source("workers"))
		}
		if text := c.Print("workers"); text != "0..8" {
			t.Errorf("%s: printed as %s", source, text)
		}
	}
	for _, args := range [][]string{{}, {"-w2"}, {"-wauto"}} {
		if r, ok := resolve(t, layers(t, nil, nil, args...)).WorkerRange(); ok {
			t.Errorf("%v is the range %v", args, r)
		}
	}
	// A higher layer without a range takes it away.
	if _, ok := resolve(t, layers(t, []string{"WEB_CONCURRENCY=2..4"}, nil, "-w3")).WorkerRange(); ok {
		t.Error("-w3 is a range")
	}
}

// With auto the machine says how many workers there are at most.
func TestWorkerRangeUpToAuto(t *testing.T) {
	c := resolve(t, layers(t, nil, nil, "-w", "3..auto"))
	if r, ok := c.WorkerRange(); !ok || !r.MostAuto || r.Most != 3 || c.AutoWorkers() || c.Print("workers") != "3..auto" {
		t.Fatalf("%+v, %v", r, c.Print("workers"))
	}
	for n, want := range map[int]string{9: "3..9", 3: "3..3", 1: "3..3"} {
		sized := c.WithMostWorkers(n)
		if r, _ := sized.WorkerRange(); r.MostAuto || r.String() != want || sized.Source("workers") != "command line: 3..auto" {
			t.Errorf("%d at most: %v from %s, want %s", n, r, sized.Source("workers"), want)
		}
	}
	if r, _ := c.WorkerRange(); !r.MostAuto {
		t.Error("the first one was changed")
	}
}

// What is no range gives an error that names the input and what is wrong with it.
func TestBadWorkerRanges(t *testing.T) {
	for text, want := range map[string]string{
		"4..2": "less than the first", "0..0": "at least one worker", "a..2": "'a' is not a number", "2..": "neither a number nor auto",
		"..4": "'' is not a number", "-1..4": "'-1' is not a number", "2..b": "'b' is neither", "2...4": "'.4' is neither", "2..99999": "more than 10000",
		"auto..4": "'auto' is not a number", "1..99999999999999999999": "neither a number",
	} {
		_, err := Resolve("", Layer{Name: "command line", Values: map[string]any{"workers": text}})
		if err == nil || !strings.Contains(Report(err), want) || !strings.Contains(Report(err), text) || !strings.Contains(Report(err), "such as 2..16") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := Resolve("", Layer{Name: "x", Values: map[string]any{"scale_down_delay": 0.5}}); err == nil || !strings.Contains(err.Error(), "less than 1 second") {
		t.Errorf("scale_down_delay: %v", err)
	}
}

// What is outside of a range becomes its nearer end.
func TestClampToRange(t *testing.T) {
	r := WorkerRange{Least: 2, Most: 5}
	for n, want := range map[int]int{0: 2, 2: 2, 3: 3, 5: 5, 99: 5} {
		if got := r.Clamp(n); got != want {
			t.Errorf("%d became %d, want %d", n, got, want)
		}
	}
	if r.Start() != 2 || (WorkerRange{Most: 3}).Start() != 1 {
		t.Error("the start")
	}
}
