package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"indrik/bench/load"
)

const h2loadReport = `starting benchmark...
Application protocol: h2

finished in 1.50s, 21941.33 req/s, 794.21KB/s
requests: 1000 total, 1008 started, 1000 done, 1000 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 1000 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 1.16MB (1219904) total, 161.86KB (165744) headers (space savings 95.34%), 449.97KB (14000) data
`

// The report of h2load says how many answers came, and whether they were whole.
func TestH2LoadReport(t *testing.T) {
	h := &h2load{connections: 2, streams: 4, want: hello}
	tally, elapsed, err := h.tally(h2loadReport, 1000)
	if err != nil || elapsed != 1500*time.Millisecond || tally.Answers != 1000 || tally.Failed() != 0 || tally.Clients != 8 {
		t.Errorf("%+v in %s, %v", tally, elapsed, err)
	}
	for what, c := range map[string]struct {
		change [2]string
		kind   load.Kind // "": no figures
	}{
		"failures":         {[2]string{"1000 succeeded, 0 failed", "990 succeeded, 10 failed"}, load.Wrong},
		"too few bytes":    {[2]string{"(14000) data", "(7000) data"}, load.Truncated},
		"lost requests":    {[2]string{"1000 done", "999 done"}, load.Lost},
		"HTTP/1":           {[2]string{"protocol: h2", "protocol: http/1.1"}, ""},
		"no requests line": {[2]string{"requests:", "request:"}, ""},
	} {
		tally, _, err := h.tally(strings.Replace(h2loadReport, c.change[0], c.change[1], 1), 1000)
		if c.kind == "" && err == nil || c.kind != "" && (err != nil || tally.Errors[c.kind] == 0) {
			t.Errorf("%s: %+v, %v", what, tally, err)
		}
	}
}

func TestH2LoadTimes(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(name, []byte("1796024370338576\t200\t1243\n1796024370338578\t200\t9\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	times, err := readTimes(name)
	if want := []time.Duration{9 * time.Microsecond, 1243 * time.Microsecond}; err != nil || !slices.Equal(times, want) {
		t.Errorf("%v, %v", times, err)
	}
	if err := os.WriteFile(name, []byte("1 200\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readTimes(name); err == nil {
		t.Error("half a line was read")
	}
}
