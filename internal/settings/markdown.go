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

Every setting can be given in the config file and as an environment variable, most of them on the command line too.
[configuration.md](configuration.md) says where the file is looked for, which source takes precedence, and how values are written.

Settings that Indrik accepts but does not need say so here, and in the log when they are set: at level debug where nothing is lost, as a warning where something is.

`)
	fmt.Fprintf(&b, "- without effect, nothing is lost: %s\n", namesOf(Needless))
	fmt.Fprintf(&b, "- without effect, with a warning: %s\n", namesOf(Missing))
	b.WriteString("- all others work\n")
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

// namesOf lists the settings of that effect, with links.
func namesOf(effect Effect) string {
	var names []string
	for i := range Table {
		if s := &Table[i]; s.Effect == effect {
			names = append(names, fmt.Sprintf("[%[1]s](#%[1]s)", s.Name))
		}
	}
	return strings.Join(names, ", ")
}

func markdownSetting(b *strings.Builder, s *Setting) {
	fmt.Fprintf(b, "\n### %s\n\n", s.Name)
	if s.Kind == KindHook {
		fmt.Fprintf(b, "`def %s(%s)`\n\n", s.Name, s.Args)
		markdownEffect(b, s)
		return
	}
	if s.HasFlag() {
		forms := make([]string, len(s.Flags))
		for i, flag := range s.Flags {
			forms[i] = "`" + flag + s.argument() + "`"
		}
		fmt.Fprintf(b, "- command line: %s\n", strings.Join(forms, ", "))
	}
	fmt.Fprintf(b, "- environment: `%s`", s.Variable())
	for _, name := range s.Env {
		fmt.Fprintf(b, "; `%s` gives a default", name)
	}
	b.WriteByte('\n')
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
	default: // there is nothing more to say
	}
	if s.Note != "" {
		fmt.Fprintf(b, "\nDifference from Gunicorn: %s\n", s.Note)
	}
}
