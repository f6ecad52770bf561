package settings

import (
	"fmt"
	"slices"
	"strings"
)

// Text is what --print-config shows, and at level debug the log: the value of every setting in Gunicorn's
// form, name = value, sorted by name; behind it, after two spaces and a #,
// where it comes from.
func (c *Config) Text() string {
	names := make([]string, 0, len(Table))
	width := 0
	for i := range Table {
		names = append(names, Table[i].Name)
		width = max(width, len(Table[i].Name))
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		text := c.Print(name)
		if strings.ContainsAny(text, "\n\r") {
			text = pyRepr(text) // one line for each
		}
		fmt.Fprintf(&b, "%-*s = %-30s  # %s\n", width, name, text, c.Source(name))
	}
	return b.String()
}

// Print is the value of a setting as Python's str writes it.
func (c *Config) Print(name string) string {
	v := c.get(name)
	if r, ok := c.WorkerRange(); ok && name == "workers" {
		v = r.String()
	}
	if id, ok := v.(identity); ok {
		v = id.id
	}
	return pyStr(v)
}
