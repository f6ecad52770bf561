package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const directory = "../../docs/drawings"

// The drawings of the documentation are those of their texts.
func TestDrawingsAreCurrent(t *testing.T) {
	sources, err := filepath.Glob(filepath.Join(directory, "*.seq"))
	if err != nil || len(sources) == 0 {
		t.Fatal(sources, err)
	}
	for _, source := range sources {
		want, err := drawFile(source)
		if err != nil {
			t.Error(err)
			continue
		}
		if got, err := os.ReadFile(drawingOf(source)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what %s says: make drawings (%v)", drawingOf(source), source, err)
		}
	}
	drawings, err := filepath.Glob(filepath.Join(directory, "*.svg"))
	if err != nil {
		t.Fatal(err)
	}
	if len(drawings) != len(sources) {
		t.Errorf("%d drawings of %d texts", len(drawings), len(sources))
	}
}

// A drawing is XML, has a title and a description for screen readers, and draws nothing outside its edges.
func TestDrawing(t *testing.T) {
	long := strings.Repeat("a <long> text & more of it ", 20)
	d, err := parse("title T & t\nabout First.\nabout Second.\nactor a Alice\nlater b " + long +
		"\nbegin b\na -> b: " + long + "\nb ~> a: short\nb -> b: " + long + "\na -> a: " + long +
		"\nnote b a: " + long + "\nsection " + long + "\nend b\nnote a: " + long)
	if err != nil {
		t.Fatal(err)
	}
	decoder := xml.NewDecoder(bytes.NewReader(d.svg()))
	texts := map[string]string{}
	var element string
	width, height := 0.0, 0.0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.CharData:
			texts[element] += string(token)
		case xml.StartElement:
			element = token.Name.Local
			numbers := map[string]float64{}
			for _, a := range token.Attr {
				if n, err := strconv.ParseFloat(a.Value, 64); err == nil {
					numbers[a.Name.Local] = n
				}
			}
			if element == "svg" {
				width, height = numbers["width"], numbers["height"]
				continue
			}
			for _, name := range []string{"x", "x1", "x2"} {
				if n := numbers[name]; n < 0 || n+numbers["width"] > width {
					t.Errorf("%s %v is outside of %v", element, token.Attr, width)
				}
			}
			for _, name := range []string{"y", "y1", "y2"} {
				if n := numbers[name]; n < 0 || n+numbers["height"] > height {
					t.Errorf("%s %v is outside of %v", element, token.Attr, height)
				}
			}
		case xml.EndElement:
			element = ""
		}
	}
	if texts["title"] != "T & t" || texts["desc"] != "First. Second." {
		t.Errorf("title %q, description %q", texts["title"], texts["desc"])
	}
	if !strings.Contains(texts["style"], "prefers-color-scheme: dark") {
		t.Error("there are no colours for dark surroundings")
	}
}

// No line is wider than it may be, unless it is one word, and no word is lost.
func TestWrap(t *testing.T) {
	text := "the way of a request from a client to an extraordinarily-long-word-that-no-line-can-hold and back"
	lines := wrap(text, 120)
	if strings.Join(lines, " ") != text {
		t.Errorf("%q", lines)
	}
	for _, line := range lines {
		if textWidth(line) > 120 && strings.Contains(line, " ") {
			t.Errorf("%q is %v wide", line, textWidth(line))
		}
	}
}

func TestMistakes(t *testing.T) {
	head := "title T\nabout A\nactor a Alice\nlater b Bob\n"
	for text, want := range map[string]string{
		"actor a Alice":                       "needs a title",
		head + "a -> c: text":                 `5: there is no actor "c"`,
		head + "\n# comment\na -> b: text":    "7: b has not begun",
		head + "begin b\nend b\nb -> a: text": "7: b has not begun, or has ended",
		head + "begin a":                      "5: a has begun already",
		head + "begin b\nbegin b":             "6: b has begun already",
		head + "end b":                        "5: b has not begun",
		head + "a => b: text":                 `5: "a => b: text" is no statement`,
		head + "a -> a":                       `5: "a -> a" is no statement`,
		head + "note a text":                  "5: a note wants a colon",
		head + "note b: text":                 "5: b has not begun",
		head + "actor c":                      "5: actor wants a name and a label",
	} {
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, not %q", text, err, want)
		}
	}
}

func TestDrawAll(t *testing.T) {
	dir := t.TempDir()
	if err := drawAll(dir); err == nil {
		t.Error("a directory without texts is no mistake")
	}
	source := filepath.Join(dir, "one.seq")
	if err := os.WriteFile(source, []byte("title T\nabout A\nactor a Alice\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := drawAll(dir); err != nil {
		t.Fatal(err)
	}
	if svg, err := os.ReadFile(filepath.Join(dir, "one.svg")); err != nil || !bytes.Contains(svg, []byte("Alice")) {
		t.Error(err)
	}
	if err := os.WriteFile(source, []byte("what"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := drawAll(dir); err == nil || !strings.Contains(err.Error(), "one.seq:1: ") {
		t.Error(err)
	}
}
