package migrate

import (
	"regexp"
	"strings"
	"sync"
)

// A rule says what becomes of some options of another server.
type rule struct {
	// names are those of the options, without dashes. One that takes a value on a command
	// line ends in =, or in =? if it may come without one. One that begins with [no-] can be
	// negated. A * before that end, or at the end, stands for all that begin so.
	names string

	instead string // what the page has in Indrik's place, in Markdown; "": there is nothing
	note    string // what the page says, in Markdown
	russian string // the same in Russian

	to action // nil: the note is said to whoever uses the option
}

// An action does what an option asks for. It is not called for one that is given as false.
type action func(m *migration, o option)

// An option is one as it was found.
type option struct {
	name    string // without dashes and no-
	value   string
	given   bool // there is a value
	negated bool // --no-NAME
}

func (o option) String() string {
	text := o.name
	if o.negated {
		text = "no-" + text
	}
	if o.given {
		text += " = " + o.value
	}
	return text
}

// A source is a server that people come from.
type source struct {
	name   string // as it calls itself
	prefix string // of its variables
	dashes string // before its options, in messages and in the page
	rules  []rule
	shorts map[string]string // -w and what it means
	// variables that are not called as the option.
	variables map[string]string

	app    func(m *migration, text string) // the first argument that is no option; nil: there is none
	finish func(m *migration)              // what many options say together

	byName   map[string]*found
	prefixes []*found
}

// A found is a rule with the form of one of its names.
type found struct {
	rule     *rule
	name     string
	takes    bool
	optional bool // the value that it takes
	negates  bool
}

// sources are those that have been made. Nothing is made when the program starts: most that is
// started is a server, which needs none.
var sources struct {
	mu sync.Mutex
	// +checklocks:mu
	made map[string]*source
}

// indexed returns a source, and makes it if that has not been done.
func indexed(name string, making func() source) *source {
	sources.mu.Lock()
	defer sources.mu.Unlock()
	if s := sources.made[name]; s != nil {
		return s
	}
	if sources.made == nil {
		sources.made = map[string]*source{}
	}
	sources.made[name] = index(making())
	return sources.made[name]
}

// lazily returns a regular expression that is compiled when it is needed.
func lazily(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

// index makes a source ready for look-ups.
func index(s source) *source {
	s.byName = map[string]*found{}
	for i := range s.rules {
		r := &s.rules[i]
		for spec := range strings.FieldsSeq(r.names) {
			f := &found{rule: r}
			spec, f.negates = strings.CutPrefix(spec, "[no-]")
			spec, f.optional = strings.CutSuffix(spec, "?")
			spec, f.takes = strings.CutSuffix(spec, "=")
			var all bool
			if f.name, all = strings.CutSuffix(spec, "*"); all {
				s.prefixes = append(s.prefixes, f)
			} else {
				s.byName[f.name] = f
			}
		}
	}
	return &s
}

// look returns the rule of an option, nil if there is none: as it is written, or negated.
func (s *source) look(name string) (f *found, negated bool) {
	if f := s.byName[name]; f != nil {
		return f, false
	}
	if rest, ok := strings.CutPrefix(name, "no-"); ok {
		if f := s.byName[rest]; f != nil && f.negates {
			return f, true
		}
	}
	var best *found
	for _, f := range s.prefixes {
		if strings.HasPrefix(name, f.name) && (best == nil || len(f.name) > len(best.name)) {
			best = f
		}
	}
	return best, false
}

// to returns an action that gives the value to an option of Indrik's.
func to(flag string) action {
	return func(m *migration, o option) { m.add(o, flag, o.value) }
}

// set returns an action that adds arguments of a command line.
func set(args ...string) action {
	return func(m *migration, o option) { m.add(o, args...) }
}

// nothing is the action for what Indrik does without an option.
func nothing(m *migration, o option) { m.needless(o) }

// unless returns an action for an option of which only one value asks for something: with
// others, there is nothing to do.
func unless(wanted string) action {
	return func(m *migration, o option) {
		if strings.EqualFold(o.value, wanted) {
			m.say(o)
		} else {
			m.needless(o)
		}
	}
}
