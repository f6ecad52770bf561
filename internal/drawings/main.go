// Drawings makes the sequence diagrams of the documentation: from each .seq file of a directory an .svg file beside it.
// The same text always gives the same bytes.
//
// A .seq file has one statement a line. A line that begins with # is a comment.
//
//	title TEXT         what the drawing shows; browsers and screen readers call it by that
//	about TEXT         the same in a few sentences, for whoever cannot see it
//	actor NAME LABEL   a column; columns stand in the order of these lines
//	later NAME LABEL   a column whose life begins further down
//	A -> B: TEXT       a message; from A to A a step of its own
//	A ~> B: TEXT       shared memory that A writes and B reads
//	note A: TEXT       a note on a column
//	note A B: TEXT     a note across the columns from A to B
//	section TEXT       a heading across all columns
//	begin NAME         the life of a later column begins
//	end NAME           a life ends
//
// The text of a message, a note or a section is broken into lines where it is too long.
//
// Usage: drawings DIRECTORY
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: drawings DIRECTORY")
		os.Exit(2)
	}
	if err := drawAll(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// drawAll draws each .seq file of a directory.
func drawAll(directory string) error {
	sources, err := filepath.Glob(filepath.Join(directory, "*.seq"))
	if err != nil {
		return err
	}
	if len(sources) == 0 {
		return fmt.Errorf("%s has no .seq files", directory)
	}
	for _, source := range sources {
		svg, err := drawFile(source)
		if err != nil {
			return err
		}
		if err := os.WriteFile(drawingOf(source), svg, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// drawFile returns the drawing of a .seq file.
func drawFile(source string) ([]byte, error) {
	text, err := os.ReadFile(source)
	if err != nil {
		return nil, err
	}
	d, err := parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s:%w", source, err)
	}
	return d.svg(), nil
}

// drawingOf returns the name of the drawing of a .seq file.
func drawingOf(source string) string { return strings.TrimSuffix(source, ".seq") + ".svg" }
