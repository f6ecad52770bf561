package status

import (
	"strings"
	"testing"
)

func TestSelfCare(t *testing.T) {
	s := Status{
		Workers:  []Worker{{PID: 7, Replacement: &Replacement{Text: "its RSS is 312 MiB", Waits: 2}}},
		Template: &Template{PID: 8, Uptime: 3, Forked: 4},
		Reforks:  2, FailedReforks: 1, Recycled: map[string]int{"max_requests": 5, "max_worker_age": 0}, WouldRecycle: map[string]int{"max_worker_memory": 6},
		Canaries: Canaries{Passed: 1, Failed: 2, WouldFail: 3},
		Canary:   &Canary{Share: 0.05, Elapsed: 3, Window: 60, New: CanarySide{Requests: 9, Failed: 1, P99: 0.2}},
		Scale:    &Scale{Least: 2, Most: 16, Busy: 0.5, Offered: 1.5, Held: "the processors are busy\x1b", DryRun: true, Wanted: 3},
		Front:    &Front{Quarantines: 4, Quarantine: []Quarantine{{Scope: "path", Path: "/re\x1bport", Deaths: 3, Seconds: 5, Refused: 6, DryRun: true}}},
	}
	text := s.SelfCare()
	for _, want := range []string{
		"The workers follow the load, from 2 to 16: 50 % busy",
		"This is a dry run: there would be 3\n",
		"Canary: the successor has had 5 % of the connections for 3.0 s of 60.0 s\n  new: 9 requests, 1 failed, median 0, p95 0, p99 200 ms\n",
		"Quarantine (path): all clients /re\ufffdport for 5.0 s more, since 3 workers have died; 6 refused; dry run\n",
		"  7 is to be replaced: its RSS is 312 MiB (waits for recycle_budget for 2.0 s)\n",
		"Template: pid 8, since 3 s, has forked 4 workers",
		"Since the start: recycled for max_requests 5, would have been recycled for max_worker_memory 6, reforks 2, reforks failed 1, " +
			"canaries passed 1, canaries failed 2, canaries would have failed 3, quarantines 4\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "\x1b") {
		t.Error("a client writes to the terminal")
	}
	if text := new(Status).SelfCare(); text != "" {
		t.Errorf("of nothing: %q", text)
	}
	var b strings.Builder
	if err := s.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if !strings.Contains(b.String(), line) {
			t.Errorf("%q is not in the whole status", line)
		}
	}
}
