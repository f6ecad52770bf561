package gateway

import (
	"fmt"
	"strings"
)

// A Protocol is how a web server passes requests on.
type Protocol uint8

// The protocols of a listener. HTTP is none of this package's.
const (
	HTTP Protocol = iota
	UWSGI
	SCGI
	FastCGI
)

var names = [...]string{HTTP: "http", UWSGI: "uwsgi", SCGI: "scgi", FastCGI: "fastcgi"}

// ParseProtocol returns the protocol of a name, as the setting protocol has it.
func ParseProtocol(name string) (Protocol, bool) {
	for p, n := range names {
		if n == name {
			return Protocol(p), true
		}
	}
	return HTTP, false
}

// String returns the name, as the setting protocol has it.
func (p Protocol) String() string { return names[p] }

// A Variable is one of the variables of a request. Nothing is known of its bytes.
type Variable struct{ Name, Value []byte }

const (
	// maxVariables is how many variables a request may have, as in Gunicorn.
	maxVariables = 1000
	// maxHead is the size of the largest head in bytes. uwsgi has no larger ones; of the
	// other protocols only their numbers bound it.
	maxHead = 1<<16 + uwsgiHeader
)

// An Error is why a request is refused.
type Error struct {
	Status int    // of the response
	Text   string // for the log, and for the page; not escaped
}

// Error is the text for the log.
func (e *Error) Error() string { return e.Text }

func badRequest(format string, args ...any) *Error {
	return &Error{Status: 400, Text: fmt.Sprintf(format, args...)}
}

func tooLarge(p Protocol, what string) *Error {
	return &Error{Status: 431, Text: fmt.Sprintf("the %s request has %s", p, what)}
}

var errTooManyVariables = fmt.Sprintf("more than %d variables", maxVariables)

// SplitAddress splits an address of the setting bind, such as uwsgi://127.0.0.1:3031 or
// fastcgi://unix:/run/app.sock, into its protocol and what package listen understands.
// Without a protocol all of it is the address, and given is false.
func SplitAddress(bind string) (p Protocol, given bool, address string) {
	name, rest, ok := strings.Cut(strings.TrimSpace(bind), "://")
	if p, known := ParseProtocol(name); ok && known {
		return p, true, rest
	}
	return HTTP, false, bind
}
