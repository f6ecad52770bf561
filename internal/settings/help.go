package settings

import (
	"fmt"
	"regexp"
	"strings"
)

// Usage is the first line of the help, and of a usage error.
func Usage(prog string) string { return "usage: " + prog + " [OPTIONS] [APP_MODULE]" }

const (
	helpColumn = 24
	helpWidth  = 79
)

// common are the options of --help, each with a text that fits its line.
var common = []struct{ name, text string }{
	{"bind", "where to listen; also unix:PATH [127.0.0.1:8000]"},
	{"workers", "how many processes run the app, auto, or 2..16 [1]"},
	{"threads", "how many requests each of them runs at once [1]"},
	{"worker_class", "sync, gthread, gevent, asgi or tornado [sync]"},
	{"timeout", "seconds that a request may take [30]"},
	{"config", "the config file [indrik.conf.py, gunicorn.conf.py]"},
	{"chdir", "change to this directory first"},
	{"preload_app", "load the app once, before the workers are forked"},
	{"reload", "load changed code with the next request"},
	{"accesslog", "the access log; - is standard output [none]"},
	{"loglevel", "debug, info, warning, error or critical [info]"},
	{"daemon", "run in the background"},
	{"check_config", "say what is wrong with the configuration, and exit"},
}

// Help is the text of --help: one screen, with the options that most people need.
func Help(prog string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `%[2]s

Serve a Python app, of WSGI or ASGI: APP_MODULE is module.path:variable.

Examples:
  %[1]s app:app                              the variable app in app.py
  %[1]s -b :8000 -w 4 'shop:create_app()'    what a function returns
  %[1]s --reload --access-logfile - app:app  while you write it

Options:
`, prog, Usage(prog))
	for _, c := range common {
		helpOption(&b, byName[c.name], c.text)
	}
	for _, s := range []*Setting{optHelpAll, optVersion} {
		helpOption(&b, s, strings.ToLower(s.Doc[:1])+strings.TrimSuffix(s.Doc[1:], "."))
	}
	fmt.Fprintf(&b, "\nTo a server that runs with --control-socket: %s status, reload, scale, stop\nand others; %[1]s --help-all lists them.\n", prog)
	return b.String()
}

const withoutEffect = "Accepted, without effect"

// HelpAll is the text of --help-all: the options by section, with their defaults, and
// last those that have no effect.
func HelpAll(prog string) string {
	var b, idle strings.Builder
	fmt.Fprintf(&b, "%s\n\nServe the Python app APP_MODULE, such as module.path:variable.\n\nOptions:\n", Usage(prog))
	for _, s := range []*Setting{optHelp, optHelpAll, optVersion, optCompletion} {
		helpOption(&b, s, s.Doc)
	}
	section := ""
	for i := range Table {
		s := &Table[i]
		if !s.HasFlag() {
			continue
		}
		text := fmt.Sprintf("%s [%s]", firstSentence(s.Doc), s.defaultText())
		if s.Effect == Needless || s.Effect == Missing {
			helpOption(&idle, s, unmarked(text))
			continue
		}
		if s.Section != section {
			section = s.Section
			fmt.Fprintf(&b, "\n%s:\n", section)
		}
		helpOption(&b, s, unmarked(text))
	}
	fmt.Fprintf(&b, "\n%s:\n%s", withoutEffect, idle.String())
	b.WriteString("\nMore settings, and hooks, can be given in a config file, see --config.\n\nCommands to a server that runs with --control-socket:\n")
	for _, c := range Subcommands {
		helpLine(&b, strings.TrimSpace(c.Name+" "+c.Args), c.Doc)
	}
	return b.String()
}

var link = regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`)

// unmarked returns a text without the marks of Markdown.
func unmarked(text string) string {
	return strings.ReplaceAll(link.ReplaceAllString(text, "$1"), "`", "")
}

func helpOption(b *strings.Builder, s *Setting, text string) {
	helpLine(b, strings.Join(s.Flags, ", ")+s.argument(), text)
}

// helpLine writes what, and in the column beside it a text.
func helpLine(b *strings.Builder, what, text string) {
	head := "  " + what
	if len(head) > helpColumn-2 {
		fmt.Fprintln(b, head)
		head = ""
	}
	for _, line := range wrap(text, helpWidth-helpColumn) {
		fmt.Fprintf(b, "%-*s%s\n", helpColumn, head, line)
		head = ""
	}
}

// argument is what follows a flag, with the space before it.
func (s *Setting) argument() string {
	switch {
	case !s.TakesValue():
		return ""
	case s.Bare != "":
		return " [" + s.Metavar + "]"
	}
	return " " + s.Metavar
}

// defaultText is the default for people.
func (s *Setting) defaultText() string {
	if s.DefaultText != "" {
		return s.DefaultText
	}
	switch v := s.Default.(type) {
	case nil:
		return "none"
	case string:
		if v == "" {
			return "empty"
		}
		return v
	case []string:
		if len(v) == 0 {
			return "none"
		}
		return strings.Join(v, ",")
	default:
		return pyStr(v)
	}
}

func firstSentence(s string) string {
	if i := strings.Index(s, ". "); i >= 0 {
		return s[:i+1]
	}
	return s
}

func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
