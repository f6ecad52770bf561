package settings

import (
	"errors"
	"fmt"
	"strings"
)

// ErrNoApp says that neither the command line nor wsgi_app names an app.
var ErrNoApp = errors.New("No application module specified.")

// ErrHelp and ErrVersion are what [ParseArgs] returns for --help and --version.
var (
	ErrHelp    = errors.New("help was asked for")
	ErrVersion = errors.New("the version was asked for")
)

// A UsageError is an argument that cannot be understood. The program ends
// with code 2.
type UsageError struct {
	Prog string
	Text string
}

func (e *UsageError) Error() string { return e.Text }

// A ValueError is a value that a setting does not take. The program ends with
// code 1.
type ValueError struct {
	Setting string
	Value   any
	Source  string // as in Config.Source
	InFile  bool   // it stands in the config file
	Err     error  // what is wrong with it; Gunicorn's text where it has one
}

func (e *ValueError) Error() string { return e.Err.Error() }

func (e *ValueError) Unwrap() error { return e.Err }

// Report is the text for standard error that tells err to the operator, in
// Gunicorn's form, with the line end.
func Report(err error) string {
	var usage *UsageError
	if errors.As(err, &usage) {
		return fmt.Sprintf("%s\n%s: error: %s\n", Usage(usage.Prog), usage.Prog, usage.Text)
	}
	var b strings.Builder
	var value *ValueError
	if errors.As(err, &value) && value.InFile {
		fmt.Fprintf(&b, "Invalid value for %s: %s\n\n", value.Setting, pyStr(value.Value))
	}
	fmt.Fprintf(&b, "\nError: %s\n", err)
	return b.String()
}
