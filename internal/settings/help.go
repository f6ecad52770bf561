package settings

import (
	"fmt"
	"strings"
)

// Usage is the first line of the help, and of a usage error.
func Usage(prog string) string { return "usage: " + prog + " [OPTIONS] [APP_MODULE]" }

const (
	helpColumn = 24
	helpWidth  = 79
)

// Help is the text of --help: the options by section, with their defaults.
func Help(prog string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nServe the Python app APP_MODULE, such as module.path:variable.\n\nOptions:\n", Usage(prog))
	for _, s := range []*Setting{optHelp, optVersion, optCompletion} {
		helpOption(&b, s, s.Doc)
	}
	section := ""
	for i := range Table {
		s := &Table[i]
		if !s.HasFlag() {
			continue
		}
		if s.Section != section {
			section = s.Section
			fmt.Fprintf(&b, "\n%s:\n", section)
		}
		text := firstSentence(s.Doc)
		switch s.Effect {
		case Needless, Missing:
			text += " Accepted, without effect."
		case Refused:
			text += " Other values than the default are refused."
		}
		helpOption(&b, s, strings.ReplaceAll(fmt.Sprintf("%s [%s]", text, s.defaultText()), "`", ""))
	}
	b.WriteString("\nMore settings, and hooks, can be given in a config file, see --config.\n")
	return b.String()
}

func helpOption(b *strings.Builder, s *Setting, text string) {
	head := "  " + strings.Join(s.Flags, ", ")
	head += s.argument()
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
