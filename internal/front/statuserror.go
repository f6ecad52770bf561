package front

import "fmt"

// A statusError ends a request with an error page that does not come from an app.
type statusError struct {
	code int
	text string
	log  bool   // for the operator
	cut  string // why the client was too slow, with the setting that says so
}

func (e statusError) Error() string {
	if e.text == "" {
		return e.cut
	}
	return e.text
}

var (
	errTooSlow = statusError{code: 408, text: "the client sends too slowly"}
	errCrowded = statusError{code: 503, text: "the client has too much open"}
	errBusy    = statusError{code: 503, text: "too many requests wait for a worker"}
)

func errSpool(err error) error {
	return statusError{code: 503, text: fmt.Sprintf("cannot keep a request body: %s", err), log: true}
}
