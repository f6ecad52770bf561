package settings

import (
	"fmt"
	"strings"
)

// Kind says which values a setting takes, and the type they have in a
// [Config].
type Kind int

const (
	KindString        Kind = iota // string, or nil for None
	KindInt                       // int, not negative
	KindCount                     // int, not negative; or auto, or a range of workers
	KindSize                      // string: bytes, or a share of the memory; see Amount
	KindShare                     // string: a whole number, or a share; see Amount
	KindSeconds                   // float64, not negative
	KindMode                      // int, not negative, octal allowed: 022
	KindBool                      // bool, or nil for None
	KindStrings                   // []string: a list, or one string
	KindPairs                     // []string: KEY=VALUE
	KindAddresses                 // []string: where to listen
	KindCommaList                 // []string: one string, parts separated by commas
	KindNetworks                  // []string: the same, IP addresses, networks, or *
	KindPeers                     // []string: the same, and unix for the peers of unix sockets
	KindMap                       // map[string]string
	KindDirectory                 // string: an existing directory, made absolute
	KindUser                      // int: a user id
	KindGroup                     // int: a group id
	KindClass                     // string: a kind of worker
	KindChoice                    // string: one of Choices
	KindFiles                     // []string: existing files, or patterns
	KindDict                      // map[string]any, or what only Python has a form for
	KindPools                     // map[string]any: pools by name
	KindObject                    // string: where to import it from; or what only Python has a form for
	KindLogFormat                 // string, or nil for None
	KindSyslogAddr                // string
	KindFacility                  // string, of syslog
	KindStatsdAddr                // string, or nil for None
	KindProxyProtocol             // string: off, v1, v2 or auto
	KindCertReqs                  // int: 0, 1 or 2
	KindCiphers                   // string, or nil for None: an OpenSSL cipher list
	KindTLSVersion                // string: 1.2 or 1.3
	KindProtocols                 // []string: h1, h2
	KindCleartext                 // string: off or prior-knowledge
	KindAny                       // int, string, or nil for None; of no consequence
	KindHook                      // a Python function; stays in the Python processes
)

var kindNames = [...]string{
	KindString:        "string",
	KindInt:           "whole number",
	KindCount:         "whole number, `auto`, or a range such as `2..16`",
	KindSize:          "number of bytes, as `512M` or `2G`, or share of the memory, as `25%`",
	KindShare:         "whole number, or share as `25%`",
	KindSeconds:       "number of seconds",
	KindMode:          "whole number, octal as 022 or 0o22",
	KindBool:          "boolean",
	KindStrings:       "list of strings",
	KindPairs:         "list of `KEY=VALUE`",
	KindAddresses:     "list of addresses",
	KindCommaList:     "strings separated by commas",
	KindNetworks:      "IP addresses and networks separated by commas, or `*`",
	KindPeers:         "IP addresses, networks and `unix`, separated by commas, or `*`",
	KindMap:           "dictionary",
	KindDirectory:     "directory",
	KindUser:          "user name or id",
	KindGroup:         "group name or id",
	KindFiles:         "list of files, or of patterns with `*`, `?` or `[`",
	KindDict:          "dictionary",
	KindPools:         "dictionary of pools by name, each a dictionary",
	KindObject:        "name of a class, or the class",
	KindLogFormat:     "format of a line, with `%(ATOM)s`",
	KindSyslogAddr:    "`udp://HOST:PORT`, `tcp://HOST:PORT` or `unix://PATH`",
	KindFacility:      "syslog facility",
	KindStatsdAddr:    "`HOST:PORT` or `unix://PATH`",
	KindProxyProtocol: "`off`, `v1`, `v2` or `auto`; in a config file also `False` for `off` and `True` for `auto`",
	KindCertReqs:      "0, 1 or 2",
	KindCiphers:       "OpenSSL cipher list",
	KindTLSVersion:    "`1.2` or `1.3`",
	KindProtocols:     "`h1` and `h2`, separated by commas",
	KindCleartext:     "`off` or `prior-knowledge`",
	KindAny:           "any",
	KindHook:          "function",
}

// Effect says what becomes of a setting.
type Effect int

const (
	Works    Effect = iota // it does what its documentation says
	Needless               // accepted; there is nothing to do for it here, and nothing is lost
	Missing                // accepted, and what it asks for does not happen: that is worth a warning
)

// A Setting is one row of the [Table].
type Setting struct {
	Name    string
	Section string
	Flags   []string // "-w", "--workers"; none: config file only
	Metavar string   // of the flag's value in --help; "" with a flag that takes none
	Bare    string   // the value that the flag has without one; "": it needs one
	Env     []string // environment variables that give a default
	Kind    Kind

	// Min and Max bound a whole number, and Min one that is no share. Max 0 is no bound.
	Min, Max int

	// Choices are the words that a choice takes, in lower case, or that a
	// shell offers for another kind. BadChoice is the error of a choice for
	// others; in it %s stands for the value, %r for its repr.
	Choices   []string
	BadChoice string

	// Off: the flag takes no value and sets the setting to false.
	Off bool

	Default     any
	DefaultText string // for people, where Default depends on the surroundings

	Args string // of a hook: the parameters it is called with
	Doc  string // what it does; the first sentence is what --help prints
	Note string // how Indrik differs from Gunicorn

	// Effect is what becomes of it, Why the reason unless it works.
	Effect Effect
	Why    string

	// Added: Gunicorn does not have it.
	Added bool
}

// values says which values the setting takes.
func (s *Setting) values() string {
	switch {
	case s.Kind == KindChoice:
		return oneOf(s.Choices)
	case s.Kind == KindClass:
		return oneOf(kinds)
	case s.Kind == KindHook:
		return "function with the parameters " + s.Args
	case s.Kind == KindInt && s.Max != 0:
		return fmt.Sprintf("%s from %d to %d", kindNames[s.Kind], s.Min, s.Max)
	}
	return kindNames[s.Kind]
}

// oneOf writes a choice of words as Markdown.
func oneOf(words []string) string {
	last := len(words) - 1
	return "`" + strings.Join(words[:last], "`, `") + "` or `" + words[last] + "`"
}

// TakesValue reports whether the setting's flags take an argument.
func (s *Setting) TakesValue() bool { return s.Kind != KindBool }

// Repeats reports whether the setting's flags may be given several times, each
// time with one more value.
func (s *Setting) Repeats() bool {
	switch s.Kind {
	case KindStrings, KindPairs, KindAddresses, KindFiles:
		return true
	default:
		return false
	}
}

// HasFlag reports whether the setting can be given on the command line.
func (s *Setting) HasFlag() bool { return len(s.Flags) > 0 }

var byName = func() map[string]*Setting {
	m := make(map[string]*Setting, len(Table))
	for i := range Table {
		m[Table[i].Name] = &Table[i]
	}
	return m
}()

// Lookup returns the setting of that name, nil if there is none.
func Lookup(name string) *Setting { return byName[name] }
