package front

import (
	"bytes"
	"strconv"
	"strings"

	"indrik/internal/http1"
)

// What the environ of a request has, for the access log: as the app got it, or, if
// the request was refused before that was known, would have got it.

// seen are the fields.
func (ex *exchange) seen() []http1.Field {
	if ex.sifted.scheme == nil {
		return ex.req.Fields
	}
	return ex.passed
}

func (ex *exchange) pathInfo() []byte {
	if ex.sifted.scheme == nil {
		return decodePath(ex.req.Path)
	}
	return ex.sifted.info()
}

func (ex *exchange) urlScheme() []byte {
	if ex.sifted.scheme != nil {
		return ex.sifted.scheme
	}
	return ex.from.scheme()
}

func (ex *exchange) proto() string {
	switch {
	case ex.req.Major == 2:
		return "HTTP/2.0"
	case ex.req.Minor == 0:
		return "HTTP/1.0"
	}
	return "HTTP/1.1"
}

// variables are all but those of the fields.
func (ex *exchange) variables(yield func(name string, value []byte) bool) {
	pairs := []struct {
		name  string
		value []byte
	}{
		{"REMOTE_ADDR", []byte(ex.remote())},
		{"REQUEST_METHOD", ex.req.Method},
		{"RAW_URI", ex.req.Target},
		{"SCRIPT_NAME", ex.sifted.script},
		{"PATH_INFO", ex.pathInfo()},
		{"QUERY_STRING", ex.req.Query},
		{"SERVER_PROTOCOL", []byte(ex.proto())},
		{"wsgi.url_scheme", ex.urlScheme()},
	}
	for _, p := range pairs {
		if !yield(p.name, p.value) {
			return
		}
	}
	if port := ex.remotePort(); port != 0 && !yield("REMOTE_PORT", strconv.AppendInt(nil, int64(port), 10)) {
		return
	}
	if ex.from.names == nil {
		name, port := ex.serverOfHost(ex.urlScheme())
		if !yield("SERVER_NAME", []byte(name)) || !yield("SERVER_PORT", []byte(port)) {
			return
		}
	}
	for _, v := range ex.from.variables() {
		if !yield(v[0], []byte(v[1])) {
			return
		}
	}
}

// variable is one of all, nil if there is none of this name, whose case is not minded.
func (ex *exchange) variable(name string) []byte {
	for known, value := range ex.variables {
		if strings.EqualFold(known, name) {
			return present(value)
		}
	}
	field := strings.ToUpper(name)
	if field != "CONTENT_TYPE" && field != "CONTENT_LENGTH" {
		var ok bool
		if field, ok = strings.CutPrefix(field, "HTTP_"); !ok {
			return nil
		}
	}
	var values [][]byte
	for _, f := range ex.seen() {
		if sameName(f.Name, []byte(field)) {
			values = append(values, f.Value)
		}
	}
	if values == nil {
		return nil
	}
	return present(bytes.Join(values, []byte(",")))
}

// present is a value that is there, though it may be empty.
func present(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}
