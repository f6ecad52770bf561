package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A diagram is what a .seq file says.
type diagram struct {
	title, about string
	actors       []actor
	steps        []step
}

// An actor is a column of the drawing.
type actor struct {
	name, label string
	later       bool // its life begins with a step, not at the top
	begun       bool // by the steps that were read so far
	ended       bool // likewise
}

type stepKind int

const (
	message stepKind = iota
	memory           // a message by shared memory
	note
	section
	begin
	end
)

// A step is one row of the drawing.
type step struct {
	kind     stepKind
	from, to int // indices of actors; of a section both are 0
	text     string
}

// parse reads a .seq file. An error begins with the number of its line.
func parse(text string) (*diagram, error) {
	d := &diagram{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := d.statement(line); err != nil {
			return nil, fmt.Errorf("%d: %w", i+1, err)
		}
	}
	if d.title == "" || d.about == "" {
		return nil, errors.New(" a drawing needs a title and an about")
	}
	return d, nil
}

func (d *diagram) statement(line string) error {
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch word {
	case "title":
		d.title = rest
	case "about":
		d.about = strings.TrimSpace(d.about + " " + rest)
	case "actor", "later":
		name, label, ok := strings.Cut(rest, " ")
		if !ok {
			return fmt.Errorf("%s wants a name and a label", word)
		}
		d.actors = append(d.actors, actor{name: name, label: strings.TrimSpace(label), later: word == "later", begun: word == "actor"})
	case "section":
		d.steps = append(d.steps, step{kind: section, text: rest})
	case "begin", "end":
		kind := begin
		if word == "end" {
			kind = end
		}
		return d.add(kind, rest, rest, "")
	case "note":
		names, text, ok := strings.Cut(rest, ": ")
		first, last, two := strings.Cut(names, " ")
		if !two {
			last = first
		}
		if !ok {
			return errors.New("a note wants a colon and a text")
		}
		return d.add(note, first, last, text)
	default:
		return d.message(line)
	}
	return nil
}

func (d *diagram) message(line string) error {
	ends, text, ok := strings.Cut(line, ": ")
	for arrow, kind := range map[string]stepKind{" -> ": message, " ~> ": memory} {
		if from, to, found := strings.Cut(ends, arrow); found && ok {
			return d.add(kind, from, to, text)
		}
	}
	return fmt.Errorf("%q is no statement", line)
}

func (d *diagram) add(kind stepKind, from, to, text string) error {
	s := step{kind: kind, text: strings.TrimSpace(text)}
	for _, end := range []struct {
		name  string
		index *int
	}{{from, &s.from}, {to, &s.to}} {
		*end.index = slices.IndexFunc(d.actors, func(a actor) bool { return a.name == end.name })
		if *end.index < 0 {
			return fmt.Errorf("there is no actor %q", end.name)
		}
	}
	if kind == note && s.from > s.to {
		s.from, s.to = s.to, s.from
	}
	if err := d.live(s); err != nil {
		return err
	}
	d.steps = append(d.steps, s)
	return nil
}

// live follows the lives of actors, and reports what one does before its life begins or after it has ended.
func (d *diagram) live(s step) error {
	from, to := &d.actors[s.from], &d.actors[s.to]
	if s.kind == begin {
		if from.begun {
			return fmt.Errorf("%s has begun already", from.name)
		}
		from.begun = true
		return nil
	}
	for _, a := range []*actor{from, to} {
		if !a.begun || a.ended {
			return fmt.Errorf("%s has not begun, or has ended", a.name)
		}
	}
	from.ended = s.kind == end
	return nil
}
