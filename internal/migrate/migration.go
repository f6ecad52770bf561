package migrate

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"indrik/internal/settings"
	"indrik/internal/shlex"
	"indrik/internal/status"
)

// prog is how the program is called in what is printed.
const prog = "indrik"

// A migration is what has been read so far, and what became of it.
type migration struct {
	source *source
	layer  settings.Layer
	app    string

	from    map[string][]string // the options that each setting comes from
	unneed  []string            // options that need nothing
	remarks []string            // what has no equivalent, or only part of one
	unknown []string            // options that the source does not have, as far as is known

	host, port string
	hosted     []string          // the options that say host and port
	values     map[string]string // of options that count together, for finish
	rule       *rule             // of the option that is acted on
	where      string            // what was read, for the first line
	depth      int               // of files that include others
	included   int               // files
}

func newMigration(s *source) *migration {
	return &migration{source: s, from: map[string][]string{}, values: map[string]string{}}
}

// add takes arguments of a command line of Indrik's. Those that it does not understand are
// said to be so.
func (m *migration) add(o option, args ...string) {
	l, _, err := settings.ParseArgs(prog, args)
	if err != nil {
		text := err.Error()
		var usage *settings.UsageError
		if errors.As(err, &usage) {
			text = usage.Text
		}
		m.remark(o.String(), "not understood: "+text)
		return
	}
	for name := range l.Values {
		if !slices.Contains(m.from[name], o.name) {
			m.from[name] = append(m.from[name], o.name)
		}
	}
	m.layer.Add(&l)
}

// needless notes that an option needs nothing.
func (m *migration) needless(o option) {
	if !slices.Contains(m.unneed, o.name) {
		m.unneed = append(m.unneed, o.name)
	}
}

// say says what the page says about an option.
func (m *migration) say(o option) {
	text := plain(m.rule.note)
	if m.rule.instead != "" {
		text = strings.TrimSuffix("see "+plain(m.rule.instead)+": "+text, ": ")
	}
	m.remark(o.String(), text)
}

func (m *migration) remark(what, text string) {
	m.remarks = append(m.remarks, status.PrintableLine(what+": "+text))
}

// take does what an option asks for.
func (m *migration) take(o option) {
	f, negated := m.source.look(o.name)
	if f == nil {
		m.unknown = append(m.unknown, status.PrintableLine(o.String()))
		return
	}
	if negated {
		o.name, o.negated = strings.TrimPrefix(o.name, "no-"), true
	}
	if !f.takes && !f.negates && o.given && isFalse(o.value) {
		return // a flag that is not set
	}
	if f.negates && o.given && isFalse(o.value) {
		o.negated, o.given = !o.negated, false
	}
	m.rule = f.rule
	if f.rule.to == nil {
		m.say(o)
		return
	}
	f.rule.to(m, o)
}

// isFalse reports whether the value of a flag means that it is not set.
func isFalse(text string) bool {
	switch strings.ToLower(text) {
	case "false", "no", "off", "0", "f", "n":
		return true
	}
	return false
}

// arguments takes the words of a command line, behind the name of the program.
func (m *migration) arguments(words []string) {
	for len(words) > 0 {
		word := words[0]
		words = words[1:]
		if word == "--" || len(word) < 2 || word[0] != '-' {
			if word != "--" {
				m.argument(word)
			}
			continue
		}
		name, value, given := strings.Cut(strings.TrimLeft(word, "-"), "=")
		if !strings.HasPrefix(word, "--") {
			if long := m.source.shorts[word[:2]]; long != "" {
				name, value, given = long, strings.TrimPrefix(word[2:], "="), len(word) > 2
				if f, _ := m.source.look(long); f != nil && !f.takes && given { // a cluster
					words = append([]string{"-" + value}, words...)
					value, given = "", false
				}
			} else if m.source.byName[name] == nil { // uWSGI takes -name for --name
				m.unknown = append(m.unknown, status.PrintableLine(word))
				continue
			}
		}
		f, _ := m.source.look(name)
		takes := f != nil && f.takes
		if takes && !given && len(words) > 0 && (len(words[0]) < 2 || words[0][0] != '-' || isNumber(words[0])) {
			value, given, words = words[0], true, words[1:]
		}
		if takes && !given && !f.optional {
			m.remark(word, "its value is missing")
			continue
		}
		m.take(option{name: name, value: value, given: given})
	}
}

func isNumber(word string) bool {
	_, err := strconv.ParseFloat(word, 64)
	return err == nil
}

// argument takes a word that is no option.
func (m *migration) argument(word string) {
	if m.source.app == nil || m.app != "" && m.source != uwsgi() {
		m.remark(word, "what it is for is not known")
		return
	}
	m.source.app(m, word)
}

// environment takes the variables of the source, NAME=VALUE.
func (m *migration) environment(pairs []string) {
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		key, ok := m.source.variables[name]
		if !ok {
			rest, own := strings.CutPrefix(name, m.source.prefix)
			if m.source.prefix == "" || !own || rest == "" {
				continue
			}
			key = strings.ReplaceAll(strings.ToLower(rest), "_", "-")
			if f, _ := m.source.look(key); f == nil && key != "app" {
				m.unknown = append(m.unknown, status.PrintableLine(pair))
				continue
			}
		}
		if key == "app" {
			m.argument(value)
			continue
		}
		m.take(option{name: key, value: value, given: true})
	}
}

// finished does what is left when all has been read.
func (m *migration) finished() {
	if m.source.finish != nil {
		m.source.finish(m)
	}
}

// setHost and setPort are the actions of options that make one address together.
func setHost(m *migration, o option) { m.host, m.hosted = o.value, append(m.hosted, o.name) }
func setPort(m *migration, o option) { m.port, m.hosted = o.value, append(m.hosted, o.name) }

// bindHost adds the address that host and port are.
func bindHost(m *migration) {
	if m.host == "" && m.port == "" {
		return
	}
	args := []string{}
	if m.host != "" {
		args = append(args, "--host", m.host)
	}
	if m.port != "" {
		args = append(args, "--port", m.port)
	}
	m.add(option{name: strings.Join(m.hosted, ", ")}, args...)
}

// wholeSeconds returns an action for a number of seconds that Indrik takes whole: it is rounded
// up.
func wholeSeconds(flag string) action {
	return func(m *migration, o option) {
		n, err := strconv.ParseFloat(o.value, 64)
		if err != nil || n < 0 || n > 1e9 {
			m.add(o, flag, o.value) // which says what is wrong
			return
		}
		whole := int(n)
		if float64(whole) < n {
			whole++
		}
		m.add(o, flag, strconv.Itoa(whole))
	}
}

// words splits a command line as a shell does.
func words(text string) ([]string, error) {
	split, err := shlex.Split(text)
	if err != nil {
		return nil, fmt.Errorf("the command line cannot be split into words: %w", err)
	}
	return split, nil
}
