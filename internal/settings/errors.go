package settings

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrNoApp says that neither the command line nor wsgi_app names an app.
var ErrNoApp = errors.New("No application module specified.")

// ErrHelp, ErrHelpAll and ErrVersion are what [ParseArgs] returns for --help,
// --help-all and --version.
var (
	ErrHelp    = errors.New("help was asked for")
	ErrHelpAll = errors.New("the whole help was asked for")
	ErrVersion = errors.New("the version was asked for")
)

// A UsageError is an argument that cannot be understood. The program ends
// with code 2.
type UsageError struct {
	Prog   string
	Text   string   // as argparse words it
	Advice []string // what to write instead
}

func (e *UsageError) Error() string { return e.Text }

// A ValueError is a value that a setting does not take. The program ends with
// code 1.
type ValueError struct {
	Setting string
	Value   any
	Source  string // as in Config.Source
	InFile  bool   // it stands in the config file
	Accepts string // which values the setting takes; "" if that is not what is wrong
	Err     error  // what is wrong with it; Gunicorn's text where it has one
}

func (e *ValueError) Error() string { return e.Err.Error() }

func (e *ValueError) Unwrap() error { return e.Err }

// Concerns reports whether err, which may join several, says that the value of
// one of these settings is no good.
func Concerns(err error, names ...string) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return slices.ContainsFunc(joined.Unwrap(), func(err error) bool { return Concerns(err, names...) })
	}
	var value *ValueError
	return errors.As(err, &value) && slices.Contains(names, value.Setting)
}

// Report is the text for standard error that tells err to the operator, in
// Gunicorn's form, with the line end. Below Gunicorn's text of a value that is
// no good there is a line that says where it stands and what is accepted.
// Errors that were joined are reported one after the other.
func Report(err error) string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var b strings.Builder
		for _, err := range joined.Unwrap() {
			b.WriteString(Report(err))
		}
		return b.String()
	}
	var usage *UsageError
	if errors.As(err, &usage) {
		text := fmt.Sprintf("%s\n%s: error: %s\n", Usage(usage.Prog), usage.Prog, usage.Text)
		for _, advice := range usage.Advice {
			text += "  " + advice + "\n"
		}
		return text
	}
	var b strings.Builder
	var value *ValueError
	if !errors.As(err, &value) {
		return fmt.Sprintf("\nError: %s\n", err)
	}
	if value.InFile {
		fmt.Fprintf(&b, "Invalid value for %s: %s\n\n", value.Setting, pyStr(value.Value))
	}
	fmt.Fprintf(&b, "\nError: %s\n  %s = %s (%s)", err, value.Setting, pyRepr(value.Value), value.Source)
	if value.Accepts != "" {
		fmt.Fprintf(&b, "; accepted: %s", value.Accepts)
	}
	b.WriteByte('\n')
	return b.String()
}
