package migrate

import (
	"fmt"
	"strconv"
	"strings"

	"indrik/internal/settings"
	"indrik/internal/status"
)

// A Result is what a server of another kind becomes.
type Result struct {
	Unknown []string // options that nothing is known of

	m *migration
}

// Config is the result as a config file in Python.
func (r *Result) Config() string {
	m := r.m
	var b strings.Builder
	fmt.Fprintf(&b, "# Made by %s migrate of %s (%s).\n# Save it as indrik.conf.py in the app's directory, and start: %s\n\n", prog, status.PrintableLine(m.where), m.source.name, prog)
	l := m.layer
	if m.app != "" {
		app, _, err := settings.ParseArgs(prog, nil)
		if err == nil {
			app.Values = map[string]any{"wsgi_app": m.app}
			l.Add(&app)
		}
	} else {
		b.WriteString("# wsgi_app = 'module:variable'  # which app it is was not said\n")
	}
	for _, a := range l.Assignments() {
		fmt.Fprintf(&b, "%s = %s", a.Name, a.Value)
		if from := m.from[a.Name]; len(from) > 0 {
			fmt.Fprintf(&b, "  # %s", status.PrintableLine(strings.Join(from, ", ")))
		}
		b.WriteByte('\n')
	}
	r.comments(&b)
	return b.String()
}

// Command is the result as a command line, with what has no equivalent before it.
func (r *Result) Command() string {
	var b strings.Builder
	r.comments(&b)
	args := append([]string{prog}, r.m.layer.Args()...)
	if r.m.app != "" {
		args = append(args, r.m.app)
	} else {
		args = append(args, "MODULE:APP")
	}
	for i, arg := range args {
		args[i] = quote(arg)
	}
	return strings.TrimLeft(b.String(), "\n") + strings.Join(args, " ") + "\n"
}

// comments are lines for people: what has no equivalent, and what needs none.
func (r *Result) comments(b *strings.Builder) {
	list := func(title string, lines []string) {
		if len(lines) > 0 {
			fmt.Fprintf(b, "\n# %s\n", title)
			for _, line := range lines {
				fmt.Fprintf(b, "#   %s\n", line)
			}
		}
	}
	if len(r.m.unneed) > 0 {
		fmt.Fprintf(b, "\n# Without an option: %s\n", status.PrintableLine(strings.Join(r.m.unneed, ", ")))
	}
	list("Not taken over:", r.m.remarks)
	list("Not known as an option of "+r.m.source.name+":", r.m.unknown)
}

var safe = lazily(`^[A-Za-z0-9_@%+=:,./\[\]-]+$`)

// quote writes a word as a shell takes it.
func quote(word string) string {
	if safe().MatchString(word) && !strings.ContainsAny(word, "[]") {
		return word
	}
	if status.PrintableLine(word) != word { // bash(1), ANSI-C quoting
		return "$'" + strings.ReplaceAll(strings.Trim(strconv.QuoteToASCII(word), `"`), "'", `\'`) + "'"
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

var link = lazily(`\[([^]]*)\]\([^)]*\)`)

// plain is a text without the marks of Markdown.
func plain(text string) string {
	return strings.ReplaceAll(link().ReplaceAllString(text, "docs/$1"), "`", "")
}
