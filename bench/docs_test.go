package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
	for name, parts := range map[string][]string{
		"benchmarks.md": {
			"# Benchmarks\n", "| [Hello, WSGI](benchmarks/tables.md#hello-wsgi) | requests/s | sync, **3000** | uwsgi, 1500 | – | – |\n",
			"– Flask: not measured<br>",
		},
		"benchmarks/tables.md": {"| uwsgi | 700 (700–700) |", "![Hello, WSGI](hello.svg)\n"},
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range parts {
			if !bytes.Contains(text, []byte(part)) {
				t.Errorf("no %q in %s:\n%s", part, name, text)
			}
		}
		if name != "benchmarks.md" {
			continue
		}
		var headings []string
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "## ") {
				headings = append(headings, strings.TrimSpace(line[3:]))
			}
		}
		if headings[0] != "Goals" || headings[1] != "In short" {
			t.Errorf("the page begins with %q", headings[:2])
		}
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

func TestReadmes(t *testing.T) {
	r := reportOf("hello", map[string]float64{"indrik sync": 71548, "indrik sync pure": 60321, "gunicorn gthread": 6900, "granian": 76149, "peregrine": 102700})
	for name, perSecond := range map[string]float64{"indrik sync": 14800, "gunicorn gthread": 7730, "granian": 999, "peregrine": 21100} {
		r.add(fakeRun("flask", name, 1, perSecond))
	}
	root := t.TempDir()
	docs := filepath.Join(root, "docs")
	readme := filepath.Join(root, "README.md")
	const old = "fast: <!-- bench -->older<!-- /bench -->, and more"
	if err := errors.Join(os.Mkdir(docs, 0o755), os.WriteFile(readme, []byte(old), 0o644)); err != nil {
		t.Fatal(err)
	}
	r.finish(nil)
	if err := r.writeReadmes(docs); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(readme); string(text) != old {
		t.Errorf("%q, though FastAPI was not measured", text)
	}
	for name, perSecond := range map[string]float64{"indrik asgi": 19200, "uvicorn": 15800, "granian asgi": 18800, "peregrine asgi": 30149} {
		r.add(fakeRun("fastapi", name, 1, perSecond))
	}
	r.finish(nil)
	if err := r.writeReadmes(docs); err != nil {
		t.Fatal(err)
	}
	const want = "fast: <!-- bench -->two workers on two processors, with `indrik[speed]`, requests/s: hello 71 500 (60 300 without it), Gunicorn 6 900, Granian 76 100, peregrine 103 000; " +
		"Flask 14 800, Gunicorn 7 730, Granian 999, peregrine 21 100; FastAPI 19 200, uvicorn 15 800, Granian 18 800, peregrine 30 100<!-- /bench -->, and more"
	if text, _ := os.ReadFile(readme); string(text) != want {
		t.Errorf("%q, want %q", text, want)
	}
	if err := os.WriteFile(readme, []byte("no place"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := r.writeReadmes(docs); err == nil {
		t.Error("no error for a README without a place for the figures")
	}
}
