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
