package settings

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// shells are those that completion scripts exist for.
var shells = []string{"bash", "zsh", "fish"}

// A CompletionError is the error of [ParseArgs] for --print-completion, which asks for a
// completion script in place of a server.
type CompletionError struct{ Shell string }

func (e *CompletionError) Error() string { return "completion for " + e.Shell + " was asked for" }

// Completion is the script by which a shell completes the options of prog and
// their values. It is made from the table. shell is one of bash, zsh and fish.
func Completion(shell, prog string) (string, error) {
	switch shell {
	case "bash":
		return bashCompletion(prog), nil
	case "zsh":
		return zshCompletion(prog), nil
	case "fish":
		return fishCompletion(prog), nil
	}
	return "", errors.New("no completion for " + shell)
}

// completed are the options that are completed, in the order of the help.
func completed() []*Setting {
	list := []*Setting{optHelp, optHelpAll, optVersion, optCompletion}
	for i := range Table {
		if Table[i].HasFlag() {
			list = append(list, &Table[i])
		}
	}
	return list
}

// subcommandNames are what the first word may be besides an app.
func subcommandNames() []string {
	names := make([]string, len(Subcommands))
	for i, c := range Subcommands {
		names[i] = c.Name
	}
	return names
}

// A valueKind says what the value of an option is completed to.
type valueKind int

const (
	valueAny valueKind = iota
	valueWords
	valueFile
	valueDirectory
	valueUser
	valueGroup
)

// completes says what the values of an option are completed to; words are
// those of valueWords.
func (s *Setting) completes() (kind valueKind, words []string) {
	switch s.Kind {
	case KindUser:
		return valueUser, nil
	case KindGroup:
		return valueGroup, nil
	case KindDirectory:
		return valueDirectory, nil
	case KindCount:
		return valueWords, []string{auto}
	case KindClass:
		return valueWords, kinds
	case KindProxyProtocol:
		return valueWords, []string{"off", "v1", "v2", "auto"}
	case KindCertReqs:
		return valueWords, []string{"0", "1", "2"}
	case KindTLSVersion:
		return valueWords, []string{"1.2", "1.3"}
	case KindProtocols:
		return valueWords, []string{"h1", "h2", "h1,h2"}
	case KindCleartext:
		return valueWords, []string{"off", prior}
	case KindFacility:
		return valueWords, facilities
	default: // the choices or the metavar say it
	}
	switch {
	case len(s.Choices) > 0:
		return valueWords, s.Choices
	case slices.Contains([]string{"FILE", "FILES", "CONFIG", "PATH"}, s.Metavar):
		return valueFile, nil
	case s.Metavar == "DIR":
		return valueDirectory, nil
	}
	return valueAny, nil
}

// summary is the first sentence of the documentation in one line, without
// marks and its full stop.
func (s *Setting) summary() string {
	return strings.TrimSuffix(strings.ReplaceAll(firstSentence(s.Doc), "`", ""), ".")
}

func bashCompletion(prog string) string {
	var b strings.Builder
	name := "_" + prog
	fmt.Fprintf(&b, `# bash completion: eval "$(%s --print-completion bash)"
%s() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} IFS=$'\n'
    # bash takes --option=value for three words.
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = ]]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
    COMPREPLY=()
    case $prev in
`, prog, name)
	groups := map[string][]string{}
	var order []string
	for _, s := range completed() {
		if !s.TakesValue() {
			continue
		}
		action := "return"
		switch kind, words := s.completes(); kind {
		case valueWords:
			action = fmt.Sprintf(`COMPREPLY=($(compgen -W $'%s' -- "$cur")); return`, strings.Join(words, `\n`))
		case valueFile:
			action = `compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return`
		case valueDirectory:
			action = `compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur")); return`
		case valueUser:
			action = `COMPREPLY=($(compgen -u -- "$cur")); return`
		case valueGroup:
			action = `COMPREPLY=($(compgen -g -- "$cur")); return`
		default: // nothing is offered
		}
		if groups[action] == nil {
			order = append(order, action)
		}
		groups[action] = append(groups[action], s.Flags...)
	}
	var flags []string
	for _, s := range completed() {
		flags = append(flags, s.Flags...)
	}
	for _, action := range order {
		fmt.Fprintf(&b, "        %s) %s ;;\n", strings.Join(groups[action], "|"), action)
	}
	fmt.Fprintf(&b, `    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W $'%s' -- "$cur"))
    else # the app: a module of the current directory
        COMPREPLY=($(compgen -f -X '!*.py' -- "$cur"))
        COMPREPLY=("${COMPREPLY[@]%%.py}")
        [[ $COMP_CWORD != 1 ]] || COMPREPLY+=($(compgen -W $'%s' -- "$cur"))
    fi
}
complete -F %s %s
`, strings.Join(flags, `\n`), strings.Join(subcommandNames(), `\n`), name, prog)
	return b.String()
}

func zshCompletion(prog string) string {
	var b strings.Builder
	name := "_" + prog
	fmt.Fprintf(&b, `#compdef %[1]s
# zsh completion: eval "$(%[1]s --print-completion zsh)"
%[2]s() {
    _arguments -s \
`, prog, name)
	for _, s := range completed() {
		fmt.Fprintf(&b, "        %s \\\n", zshOption(s))
	}
	fmt.Fprintf(&b, `        '1:app:{ (( CURRENT == 2 )) && compadd %[3]s; _files -g "*.py(:r)" }'
}
if [ "$funcstack[1]" = "%[2]s" ]; then
    %[2]s "$@"
else
    compdef %[2]s %[1]s
fi
`, prog, name, strings.Join(subcommandNames(), " "))
	return b.String()
}

// zshOption is the specification of an option for _arguments, quoted.
func zshOption(s *Setting) string {
	text := "[" + strings.NewReplacer(`[`, `\[`, `]`, `\]`).Replace(s.summary()) + "]"
	if s.TakesValue() {
		action := " "
		switch kind, words := s.completes(); kind {
		case valueWords:
			action = "(" + strings.Join(words, " ") + ")"
		case valueFile:
			action = "_files"
		case valueDirectory:
			action = "_files -/"
		case valueUser:
			action = "_users"
		case valueGroup:
			action = "_groups"
		default: // nothing is offered
		}
		colon := ":"
		if s.Bare != "" {
			colon = "::" // the value is optional
		}
		text += colon + s.Metavar + ":" + action
	}
	text = "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
	forms := make([]string, 0, len(s.Flags))
	for _, flag := range s.Flags {
		switch {
		case s.TakesValue() && s.Bare != "":
			flag += "=-"
		case s.TakesValue() && flag[1] == '-':
			flag += "="
		case s.TakesValue():
			flag += "+"
		}
		forms = append(forms, flag)
	}
	exclude := "'(" + strings.Join(s.Flags, " ") + ")'"
	if s.Repeats() {
		exclude = "'*'"
	}
	if len(forms) > 1 {
		return exclude + "{" + strings.Join(forms, ",") + "}" + text
	}
	return exclude + forms[0] + text
}

func fishCompletion(prog string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# fish completion: %[1]s --print-completion fish | source\ncomplete -c %[1]s -f\n", prog)
	// The app: a module of the current directory.
	fmt.Fprintf(&b, `complete -c %s -a '(for f in *.py; string replace -r "\\.py\$" "" -- $f; end)'`+"\n", prog)
	for _, c := range Subcommands {
		fmt.Fprintf(&b, "complete -c %s -n 'test (count (commandline -opc)) -eq 1' -a %s -d '%s'\n", prog, c.Name, strings.ReplaceAll(c.Doc, "'", `\'`))
	}
	for _, s := range completed() {
		fmt.Fprintf(&b, "complete -c %s", prog)
		for _, flag := range s.Flags {
			if flag[1] == '-' {
				fmt.Fprintf(&b, " -l %s", flag[2:])
			} else {
				fmt.Fprintf(&b, " -s %s", flag[1:])
			}
		}
		if s.TakesValue() && s.Bare == "" {
			switch kind, words := s.completes(); kind {
			case valueAny:
				b.WriteString(" -x")
			case valueWords:
				fmt.Fprintf(&b, " -x -a '%s'", strings.Join(words, " "))
			case valueFile:
				b.WriteString(" -r -F")
			case valueDirectory:
				b.WriteString(" -x -a '(__fish_complete_directories)'")
			case valueUser:
				b.WriteString(" -x -a '(__fish_complete_users)'")
			case valueGroup:
				b.WriteString(" -x -a '(__fish_complete_groups)'")
			}
		}
		fmt.Fprintf(&b, " -d '%s'\n", strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s.summary()))
	}
	return b.String()
}
