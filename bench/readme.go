package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// This file keeps the figures of the READMEs those of the last full run.

// They stand between these.
const (
	readmeBegin = "<!-- bench -->"
	readmeEnd   = "<!-- /bench -->"
)

// readmes are the files, from the directory of the documentation, and what they say.
var readmes = []struct{ path, format string }{
	{"../README.md", "two workers on two processors, with `indrik[speed]`, requests/s: hello %s (%s without it), Gunicorn %s, Granian %s, peregrine %s; Flask %s, Gunicorn %s, Granian %s, " +
		"peregrine %s; FastAPI %s, uvicorn %s, Granian %s, peregrine %s"},
	{"ru/README.md", "два воркера на двух процессорах, с `indrik[speed]`, запросов/с: hello %s (без него %s), Gunicorn %s, Granian %s, peregrine %s; Flask %s, Gunicorn %s, Granian %s, " +
		"peregrine %s; FastAPI %s, uvicorn %s, Granian %s, peregrine %s"},
}

// readmeRows are what the formats are filled with.
var readmeRows = []struct {
	workload string
	peers    []string
}{
	{"hello", []string{"indrik sync", "indrik sync pure", "gunicorn gthread", "granian", "peregrine"}},
	{"flask", []string{"indrik sync", "gunicorn gthread", "granian", "peregrine"}},
	{"fastapi", []string{"indrik asgi", "uvicorn", "granian asgi", "peregrine asgi"}},
}

// readmeFigures returns them, nil if one of them was not measured.
func (r *report) readmeFigures() []any {
	var figures []any
	for _, list := range readmeRows {
		for _, name := range list.peers {
			one := r.row(list.workload, name)
			if one == nil {
				return nil
			}
			figures = append(figures, thousands(one.PerSecond.Median))
		}
	}
	return figures
}

// thousands shows a number of three digits, such as 15 700.
func thousands(n float64) string {
	if n >= 1000 {
		unit := math.Pow(10, math.Floor(math.Log10(n))-2)
		n = math.Round(n/unit) * unit
	}
	text := fmt.Sprintf("%.0f", n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + " " + text[i:]
	}
	return text
}

// writeReadmes puts the figures into the READMEs that are there.
func (r *report) writeReadmes(docs string) error {
	figures := r.readmeFigures()
	if figures == nil {
		return nil
	}
	for _, readme := range readmes {
		path := filepath.Join(docs, readme.path)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := putBetween(path, readmeBegin, fmt.Sprintf(readme.format, figures...), readmeEnd); err != nil {
			return err
		}
	}
	return nil
}

// putBetween replaces what stands in a file between two marks.
func putBetween(name, begin, text, end string) error {
	old, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(old), begin)
	_, after, ends := strings.Cut(rest, end)
	if !ok || !ends {
		return fmt.Errorf("%s has no place between %q and %q", name, begin, end)
	}
	return replace(name, []byte(before+begin+text+end+after))
}
