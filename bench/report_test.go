package main

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
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
		if p.Needs != "" && p.Needs != "nginx" && !slices.ContainsFunc(requirements, func(r requirement) bool { return r.name == p.Needs }) {
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

func TestGoals(t *testing.T) {
	r := &report{Order: []string{"indrik sync", "gunicorn gthread", "uwsgi", "granian"}}
	for name, perSecond := range map[string]float64{"indrik sync": 3000, "gunicorn gthread": 500, "uwsgi": 1500, "granian": 3100} {
		r.Runs = append(r.Runs, fakeRun("hello", name, 1, perSecond))
	}
	slow := fakeRun("reload", "indrik sync", 1, 10)
	slow.MaxMillis = 50.1
	r.Runs = append(r.Runs, slow)
	r.finish(nil)
	met := make(map[string]bool)
	for i := range goals {
		if text, _, ok, known := goals[i].judge(r); known {
			met[text] = ok
		}
	}
	want := map[string]bool{
		"Hello, WSGI, indrik sync: requests/s ≥ 6 × gunicorn gthread": true,
		"Hello, WSGI, indrik sync: requests/s ≥ 2.3 × uwsgi":          false,
		"Hello, WSGI, indrik sync: requests/s ≥ granian":              false,
		"Hello, WSGI, indrik sync: CPU µs/request ≤ uwsgi":            true,
		"Reload under load, indrik sync: longest wait ms ≤ 50":        false,
	}
	if !maps.Equal(met, want) {
		t.Errorf("goals met: %v, want %v", met, want)
	}
	var b strings.Builder
	r.results(&b)
	if line := "| [Hello, WSGI](#hello-wsgi) | requests/s | sync, 3000 | 500 | granian, **3100** |\n"; !strings.Contains(b.String(), line) {
		t.Errorf("no line %q in %s", line, &b)
	}
}

// What goals name is there.
func TestGoalsNames(t *testing.T) {
	peers, works := make(map[string]bool), make(map[string]bool)
	for i := range allPeers {
		peers[allPeers[i].Name] = true
	}
	for i := range allWorkloads {
		works[allWorkloads[i].Name] = true
	}
	for _, g := range goals {
		theirs := g.theirs
		if workload, peer, found := strings.Cut(theirs, "/"); found {
			theirs = peer
			if !works[workload] {
				t.Errorf("goal against %s: no such workload", g.theirs)
			}
		}
		if !works[g.workload] || !peers[g.ours] || theirs != "" && theirs != "*" && !peers[theirs] {
			t.Errorf("a goal of %s for %s against %q names what is not there", g.workload, g.ours, g.theirs)
		}
	}
}

func TestDocs(t *testing.T) {
	r := &report{Order: []string{"indrik sync", "uwsgi"}, Commands: map[string]string{}, Versions: map[string]string{}}
	for round, rate := range []float64{3000, 3100, 2900} {
		r.Runs = append(r.Runs, fakeRun("hello", "indrik sync", round+1, rate), fakeRun("hello", "uwsgi", round+1, rate/2))
	}
	r.finish(nil)
	path := filepath.Join(t.TempDir(), "results.json")
	if err := r.save(path); err != nil {
		t.Fatal(err)
	}
	other := &report{Order: r.Order, Runs: []*run{fakeRun("hello", "uwsgi", 1, 9000), fakeRun("flask", "uwsgi", 1, 700)}}
	other.finish(nil)
	second := filepath.Join(t.TempDir(), "more.json")
	if err := other.save(second); err != nil {
		t.Fatal(err)
	}
	read, err := readReports([]string{path, second})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := read.writeDocs(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "benchmarks.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		"# Benchmarks\n", "| Hello, WSGI, indrik sync: requests/s ≥ 2.3 × uwsgi | 3000 against 1500 of uwsgi (× 2.00) | **not met** |\n",
		"| [Hello, WSGI](#hello-wsgi) | requests/s | sync, **3000** | – | uwsgi, 1500 |\n", "| uwsgi | 700 (700–700) |", "![Hello, WSGI](benchmarks/hello.svg)\n",
	} {
		if !bytes.Contains(text, []byte(part)) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	var headings []string
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "## ") {
			headings = append(headings, strings.TrimSpace(line[3:]))
		}
	}
	if first, last := headings[0], headings[len(headings)-1]; first != "Results" || last != "Goals" {
		t.Errorf("the page begins with %q and ends with %q", first, last)
	}
	drawing, err := os.ReadFile(filepath.Join(dir, "benchmarks", "hello.svg"))
	if err != nil {
		t.Fatal(err)
	}
	bars := 0
	for d := xml.NewDecoder(bytes.NewReader(drawing)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "line" {
			bars++
		}
	}
	if bars != 2 {
		t.Errorf("%d bars in %s", bars, drawing)
	}
}
