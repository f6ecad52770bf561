package settings

import (
	"fmt"
	"slices"
	"strings"
)

// optHelp and optVersion are the options that are no settings.
var (
	optHelp       = &Setting{Name: "help", Flags: []string{"-h", "--help"}, Kind: KindBool, Doc: "Show the options that most people need, and exit."}
	optHelpAll    = &Setting{Name: "help_all", Flags: []string{"--help-all"}, Kind: KindBool, Added: true, Doc: "Show all options and exit."}
	optVersion    = &Setting{Name: "version", Flags: []string{"-v", "--version"}, Kind: KindBool, Doc: "Show the version and exit."}
	optCompletion = &Setting{
		Name: "print_completion", Flags: []string{"--print-completion"}, Metavar: "SHELL", Kind: KindChoice, Choices: shells, Added: true,
		Doc: "Print the script by which bash, zsh or fish completes options, and exit.",
	}
)

// options are the option strings in the order in which argparse lists them
// when a prefix is ambiguous.
var options, byFlag = func() ([]string, map[string]*Setting) {
	var list []string
	m := make(map[string]*Setting)
	add := func(s *Setting) {
		for _, flag := range s.Flags {
			list = append(list, flag)
			m[flag] = s
		}
	}
	add(optHelp)
	add(optVersion)
	add(optHelpAll)
	add(optCompletion)
	for i := range Table {
		add(&Table[i])
	}
	return list, m
}()

// ParseArgs reads a command line, without the name of the program, as
// Python's argparse does, because its habits are part of the interface that
// scripts and unit files use: prefixes of long options that fit one option
// only, values attached to short ones (-w4) or after = , clusters of short
// options (-Dw4), -- , and an app anywhere between the options. Only options
// that Gunicorn does not have are left out of account where a prefix would
// otherwise be ambiguous.
//
// Options of other servers are taken where they have an exact equivalent, and
// answered with what to do instead where not; see foreignOptions. -V is
// --version.
//
// app is the first positional argument; further ones are ignored, which the
// layer tells in its remarks. The error is a [*UsageError], [ErrHelp],
// [ErrHelpAll], [ErrVersion] or a [*CompletionError].
func ParseArgs(prog string, args []string) (l Layer, app string, err error) {
	p := argParser{prog: prog, args: args, layer: Layer{Name: "command line"}}
	if err := p.parse(); err != nil {
		return p.layer, "", err
	}
	if len(p.positionals) > 0 {
		app = p.positionals[0]
		if p.factory && !strings.HasSuffix(app, ")") { // it is called
			if !strings.Contains(app, ":") {
				app += ":application"
			}
			app += "()"
		}
	}
	if len(p.positionals) > 1 {
		p.layer.remarks = append(p.layer.remarks, fmt.Sprintf("the app is %s; what follows it is ignored: %s",
			pyRepr(app), strings.Join(p.positionals[1:], " ")))
	}
	return p.layer, app, nil
}

// word is what one argument was taken for.
type word struct {
	kind byte     // 'O': option, 'A': argument, '-': the word --
	opt  *Setting // nil for an option that does not exist
	flag string   // as it is defined
	arg  string   // attached value
	has  bool     // there is one

	foreign bool // an option of another server, flag
}

type argParser struct {
	prog  string
	args  []string
	words []word
	layer Layer

	positionals []string
	consumed    bool // the one group of positional arguments is over
	extras      []string

	host, port string   // of --host and --port
	factory    bool     // --factory was given
	answers    []string // what to say of options that are not taken
}

func (p *argParser) fail(text string) error { return &UsageError{Prog: p.prog, Text: text} }

func (p *argParser) failArg(s *Setting, text string) error {
	return p.fail("argument " + strings.Join(s.Flags, "/") + ": " + text)
}

func (p *argParser) parse() error {
	rest := false
	last := -1
	for i, arg := range p.args {
		switch {
		case rest:
			p.words = append(p.words, word{kind: 'A'})
		case arg == "--":
			rest = true
			p.words = append(p.words, word{kind: '-'})
		default:
			w, err := p.classify(arg)
			if err != nil {
				return err
			}
			if w.kind == 'O' {
				last = i
			}
			p.words = append(p.words, w)
		}
	}
	i := 0
	for i <= last {
		if p.words[i].kind != 'O' {
			i = p.takePositionals(i)
			continue
		}
		next, err := p.takeOption(i)
		if err != nil {
			return err
		}
		i = next
	}
	if i < len(p.args) {
		p.takePositionals(i)
	}
	if len(p.extras) > 0 {
		text := "unrecognized arguments: " + strings.Join(p.extras, " ")
		for _, arg := range p.extras {
			if a := answer(arg); a != "" {
				p.answers = append(p.answers, a)
			}
		}
		return &UsageError{Prog: p.prog, Text: text, Advice: p.answers}
	}
	return p.setAddress()
}

// classify tells what a word is before anything is known of its place.
func (p *argParser) classify(arg string) (word, error) {
	if len(arg) < 2 || arg[0] != '-' {
		return word{kind: 'A'}, nil
	}
	if s := byFlag[arg]; s != nil {
		return word{kind: 'O', opt: s, flag: arg}, nil
	}
	if flag, value, ok := strings.Cut(arg, "="); ok {
		if s := byFlag[flag]; s != nil {
			return word{kind: 'O', opt: s, flag: flag, arg: value, has: true}, nil
		}
	}
	if arg == "-V" {
		return word{kind: 'O', opt: optVersion, flag: arg}, nil
	}
	var found []word
	if arg[1] == '-' {
		prefix, value, ok := strings.Cut(arg, "=")
		for _, flag := range options {
			if strings.HasPrefix(flag, prefix) {
				found = append(found, word{kind: 'O', opt: byFlag[flag], flag: flag, arg: value, has: ok})
			}
		}
	} else if s := byFlag[arg[:2]]; s != nil {
		found = append(found, word{kind: 'O', opt: s, flag: arg[:2], arg: arg[2:], has: true})
	}
	// What Indrik has added must not make an abbreviation ambiguous that works
	// with Gunicorn.
	theirs := slices.DeleteFunc(slices.Clone(found), func(w word) bool { return w.opt.Added })
	if len(theirs) == 1 {
		found = theirs
	}
	flag, value, has := strings.Cut(arg, "=")
	if _, ok := foreignOptions[flag]; ok && len(found) != 1 {
		return word{kind: 'O', flag: flag, arg: value, has: has, foreign: true}, nil
	}
	switch {
	case len(found) > 1:
		flags := make([]string, len(found))
		for i, w := range found {
			flags[i] = w.flag
		}
		return word{}, p.fail("ambiguous option: " + arg + " could match " + strings.Join(flags, ", "))
	case len(found) == 1:
		return found[0], nil
	case isNegativeNumber(arg), strings.Contains(arg, " "):
		return word{kind: 'A'}, nil
	}
	return word{kind: 'O'}, nil
}

// isNegativeNumber reports whether a word is a value that happens to start like
// an option: -1 or -.5.
func isNegativeNumber(arg string) bool {
	whole, fraction, dot := strings.Cut(arg[1:], ".")
	if strings.Trim(whole, "0123456789") != "" || strings.Trim(fraction, "0123456789") != "" {
		return false
	}
	return dot && fraction != "" || !dot && whole != ""
}

// takePositionals consumes the arguments from i up to the next option. Only
// the first such group counts; others are errors.
func (p *argParser) takePositionals(i int) int {
	end := i
	for end < len(p.words) && p.words[end].kind != 'O' {
		end++
	}
	group := p.args[i:end]
	if p.consumed {
		p.extras = append(p.extras, group...)
		return end
	}
	p.consumed = true
	dropped := false
	for _, arg := range group {
		if arg == "--" && !dropped {
			dropped = true
			continue
		}
		p.positionals = append(p.positionals, arg)
	}
	return end
}

// takeOption consumes the option at i and its value, and returns the index
// after them.
func (p *argParser) takeOption(i int) (int, error) {
	w := p.words[i]
	if w.foreign {
		return p.takeForeignAt(i)
	}
	if w.opt == nil {
		p.extras = append(p.extras, p.args[i])
		return i + 1, nil
	}
	var flags []*Setting // without a value, clustered in one word
	for !w.opt.TakesValue() && w.has {
		if w.flag[1] == '-' || w.arg == "" {
			return 0, p.failArg(w.opt, "ignored explicit argument "+pyRepr(w.arg))
		}
		next := byFlag["-"+w.arg[:1]]
		if next == nil {
			return 0, p.failArg(w.opt, "ignored explicit argument "+pyRepr(w.arg))
		}
		flags = append(flags, w.opt)
		w = word{kind: 'O', opt: next, flag: "-" + w.arg[:1], arg: w.arg[1:], has: len(w.arg) > 1}
	}
	stop := i + 1
	if w.opt.TakesValue() && !w.has {
		switch {
		case stop < len(p.words) && p.words[stop].kind == 'A':
			w.arg = p.args[stop]
			stop++
		case w.opt.Bare != "":
			w.arg = w.opt.Bare
		default:
			return 0, p.failArg(w.opt, "expected one argument")
		}
	}
	for _, s := range flags {
		if err := p.set(s, ""); err != nil {
			return 0, err
		}
	}
	return stop, p.set(w.opt, w.arg)
}

// takeForeignAt consumes an option of another server at i, and its value.
func (p *argParser) takeForeignAt(i int) (int, error) {
	w, stop := p.words[i], i+1
	o := foreignOptions[w.flag]
	switch {
	case o.takes && !w.has && stop < len(p.words) && p.words[stop].kind == 'A':
		w.arg = p.args[stop]
		stop++
	case o.takes && !w.has:
		return 0, p.fail("argument " + w.flag + ": expected one argument")
	case !o.takes && w.has && o.answer == "":
		return 0, p.fail("argument " + w.flag + ": ignored explicit argument " + pyRepr(w.arg))
	}
	if o.answer != "" {
		p.extras = append(p.extras, p.args[i])
	}
	return stop, p.takeForeign(w.flag, w.arg)
}

func (p *argParser) set(s *Setting, arg string) error {
	switch {
	case s == optHelp:
		return ErrHelp
	case s == optHelpAll:
		return ErrHelpAll
	case s == optVersion:
		return ErrVersion
	case s == optCompletion:
		if !slices.Contains(shells, arg) {
			return p.failArg(s, "invalid choice: "+pyRepr(arg)+" (choose from '"+strings.Join(shells, "', '")+"')")
		}
		return &CompletionError{arg}
	case s.Kind == KindBool:
		p.layer.set(s.Name, !s.Off)
	case s.Kind == KindCount && (arg == auto || isRange(arg)):
		p.layer.set(s.Name, arg)
	case s.Kind == KindInt, s.Kind == KindCount:
		n, err := parseInt(arg, 10)
		if err != nil {
			return p.failArg(s, "invalid int value: "+pyRepr(arg))
		}
		p.layer.set(s.Name, n)
	case s.Kind == KindSeconds:
		n, err := parseFloat(arg)
		if err != nil {
			return p.failArg(s, "invalid float value: "+pyRepr(arg))
		}
		p.layer.set(s.Name, n)
	case s.Kind == KindMode:
		n, err := parseMode(arg)
		if err != nil {
			return p.failArg(s, "invalid auto_int value: "+pyRepr(arg))
		}
		p.layer.set(s.Name, n)
	case s.Repeats():
		// Repeats add up within one command line.
		list, _ := p.layer.Values[s.Name].([]string)
		p.layer.set(s.Name, append(list, arg))
	default:
		p.layer.set(s.Name, arg)
	}
	return nil
}
