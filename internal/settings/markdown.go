package settings

import (
	"fmt"
	"strings"
)

// Markdown is docs/settings.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString(`# Settings

<!-- Made from internal/settings by: go run ./internal/settings/gendocs -->

Every setting can be given in the config file, as a variable of its name; most of them on the command line too. From low to high:

1. the defaults, some of them from environment variables
2. the config file: the one that ` + "`--config`" + ` names, else ` + "`indrik.conf.py`, else `gunicorn.conf.py`" + ` in the current directory
3. ` + "`INDRIK_CMD_ARGS`, or `GUNICORN_CMD_ARGS`" + ` if that is not set: options as on the command line, quoted as for a shell
4. the command line

A value of a higher source replaces a lower one, lists too. HUP reads the config file again.

Settings that Indrik accepts but has no use for say so here, and in the log when they are set: at level debug where nothing is lost, as a warning where it is.
A boolean can be written as ` + "`\"true\"` or `\"false\"`, a number as `\"10\"` or `\"0x1f\"`" + `.
`)
	section := ""
	for i := range Table {
		if s := &Table[i]; s.Section != section {
			section = s.Section
			fmt.Fprintf(&b, "\n## %s\n", section)
		}
		markdownSetting(&b, &Table[i])
	}
	return b.String()
}

func markdownSetting(b *strings.Builder, s *Setting) {
	fmt.Fprintf(b, "\n### %s\n\n", s.Name)
	if s.Kind == KindHook {
		fmt.Fprintf(b, "`def %s(%s)`\n\n", s.Name, s.Args)
		markdownEffect(b, s)
		return
	}
	if s.FileOnly() {
		b.WriteString("- config file only\n")
	} else {
		forms := make([]string, len(s.Flags))
		for i, flag := range s.Flags {
			forms[i] = "`" + flag + s.argument() + "`"
		}
		fmt.Fprintf(b, "- command line: %s\n", strings.Join(forms, ", "))
	}
	for _, name := range s.Env {
		fmt.Fprintf(b, "- environment: `%s`\n", name)
	}
	if s.Bare != "" {
		fmt.Fprintf(b, "- the option without a value: `%s`\n", s.Bare)
	}
	fmt.Fprintf(b, "- value: %s\n", s.values())
	if s.DefaultText != "" {
		fmt.Fprintf(b, "- default: %s\n", s.DefaultText)
	} else if text := pyStr(s.Default); text == "" {
		b.WriteString("- default: empty\n")
	} else {
		fmt.Fprintf(b, "- default: `%s`\n", text)
	}
	if s.Added {
		b.WriteString("- addition: Gunicorn does not have it\n")
	}
	b.WriteByte('\n')
	markdownEffect(b, s)
}

// markdownEffect says what the setting does, or why it does nothing.
func markdownEffect(b *strings.Builder, s *Setting) {
	fmt.Fprintf(b, "%s\n", s.Doc)
	switch s.Effect {
	case Needless:
		fmt.Fprintf(b, "\n**Accepted, without effect:** %s.\n", s.Why)
	case Missing:
		fmt.Fprintf(b, "\n**Accepted, without effect, with a warning:** %s.\n", s.Why)
	case Refused:
		fmt.Fprintf(b, "\n**Refused, unless it is the default:** %s.\n", s.Why)
	}
	if s.Note != "" {
		fmt.Fprintf(b, "\nDifference from Gunicorn: %s\n", s.Note)
	}
}
