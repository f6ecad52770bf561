package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestRequests(t *testing.T) {
	for _, w := range allWorkloads {
		for _, g := range w.Groups {
			r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(g.Request)))
			if err != nil {
				t.Errorf("%s, %s: %v", w.Name, g.Name, err)
				continue
			}
			if r.Close != g.OneShot {
				t.Errorf("%s, %s: asks for close: %v", w.Name, g.Name, r.Close)
			}
			if body, err := io.ReadAll(r.Body); err != nil || r.Method == "POST" && !bytes.Equal(body, g.Want) {
				t.Errorf("%s, %s: %d bytes of body, %v", w.Name, g.Name, len(body), err)
			}
		}
	}
}

func TestPeers(t *testing.T) {
	e := &environment{bin: "/venv/bin", indrik: "/bin/indrik", certFile: "cert.pem", keyFile: "key.pem"}
	found := 0
	for _, p := range allPeers {
		if p.Alone {
			continue
		}
		config := &setup{
			Bind: netip.MustParseAddrPort("127.0.0.1:8123"), App: "some", Workers: 3, Threads: 5, Dir: "/tmp/bench",
			TLS: p.can(encrypts), HTTP2: p.can(http2), Preload: p.can(preloads), Idle: p.can(holds),
		}
		line := " " + strings.Join(p.command(e, config), " ") + " "
		parts := []string{" some"}
		if p.can(scales) {
			parts = append(parts, " 3 ")
		}
		if p.Needs == "nginx" {
			parts = append(parts, "unix:/tmp/bench/gunicorn.sock ")
		} else {
			parts = append(parts, "8123 ")
			if p.can(encrypts) {
				parts = append(parts, " cert.pem ", " key.pem ")
			}
		}
		for _, part := range parts {
			if !strings.Contains(line, part) {
				t.Errorf("%s: no %q in%s", p.Name, part, line)
			}
		}
		if anchors[p.Interface] == p.Name {
			found++
		}
		if p.Needs != "" && p.Needs != "nginx" && p.Needs != speedPackage && !slices.ContainsFunc(requirements, func(r requirement) bool { return r.name == p.Needs }) {
			t.Errorf("%s: nobody installs %s", p.Name, p.Needs)
		}
	}
	if found != len(anchors) {
		t.Errorf("not all of %v are among the servers", anchors)
	}
}

func TestChoose(t *testing.T) {
	all := []string{"indrik sync", "indrik gthread", "gunicorn sync"}
	for words, want := range map[string][]string{
		"":               all,
		"sync":           {"indrik sync", "gunicorn sync"},
		"gunicorn,sync":  {"indrik sync", "gunicorn sync"},
		"gunicorn,waits": nil,
	} {
		got, err := choose(all, words, func(s, word string) bool { return strings.Contains(s, word) })
		if !slices.Equal(got, want) || (err != nil) != (want == nil) {
			t.Errorf("choose(%q) = %q, %v", words, got, err)
		}
	}
}

func fakeRun(workload, peer string, round int, perSecond float64) *run {
	return &run{
		Workload: workload, Peer: peer, Round: round, Answers: int(perSecond), PerSecond: perSecond, Clients: 64, Connections: 64,
		Millis: map[string]float64{"p50": 1, "p99": 2, "p99.9": 3, "max": 4}, ServerCPU: 10, MaxMillis: 4,
	}
}

func TestReport(t *testing.T) {
	r := &report{
		Order: []string{"indrik sync", anchors[wsgi], "uwsgi"}, Absent: map[string]string{"granian": "no compiler"},
		Commands: map[string]string{"indrik sync": "indrik hello:app"}, Versions: map[string]string{"Python": "3.11.7"},
	}
	for round, rate := range []float64{3000, 3100, 2900} {
		r.Runs = append(r.Runs, fakeRun("hello", "indrik sync", round+1, rate))
	}
	bad := fakeRun("hello", anchors[wsgi], 1, 1000)
	bad.Failed, bad.FirstError, bad.Starved, bad.OthersCPU = 2, "lost: read: a|b", 3, 0.5
	r.Runs = append(r.Runs, bad, fakeRun("hello", anchors[wsgi], 2, 1500), fakeRun("hello", anchors[wsgi], 3, 1100))
	closing := fakeRun("hello", "uwsgi", 1, 500)
	closing.Connections = 600
	r.Runs = append(r.Runs, closing, &run{Workload: "hello", Peer: "uwsgi", Round: 2, Failure: "it ended at once"})
	lost := fakeRun("reload", anchors[wsgi], 1, 100)
	lost.Failed = 7
	lost.Values = map[string]float64{valueFresh: 2100}
	r.Runs = append(r.Runs, lost)
	r.finish(errors.New("time is up"))

	text := r.markdown(allWorkloads)
	for _, line := range []string{
		"**Incomplete: time is up.**",
		"- absent: granian: no compiler",
		"| **indrik sync** | 3000 (2900–3100) | 2.73 | 10.0 | 1.00 | 2.00 |  |",
		"| gunicorn gthread | 1100 (1000–1500) | 1.00 | 10.0 | 1.00 | 2.00 | " +
			`⚠ 2 errors (first: lost: read: a\|b); ⚠ 3 of 64 clients got no answer while it was measured; ⚠ spread 45 %; ` +
			"⚠ others used up to 50 % of the machine |",
		"| uwsgi | 500 (500–500) | 0.45 | 10.0 | 1.00 | 2.00 | does not keep connections; ⚠ round 2 failed: it ended at once |",
		"| gunicorn gthread | 7 | 4.00 (4.00–4.00) | 2100 (2100–2100) | – | 100 (100–100) | ⚠ 7 errors (first: ) |",
		"- indrik sync: `indrik hello:app`",
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %q in\n%s", line, text)
		}
	}
}
