package front

import (
	"bytes"
	"strconv"
	"strings"

	"indrik/internal/http1"
)

// This file tells the access log what the environ of a request has: as the app got it, or,
// if the request was refused before it was normalized, as the app would have got it.

// appFields returns the header fields that the app was given.
func (ex *exchange) appFields() []http1.Field {
	if !ex.isNormalized() {
		return ex.req.Fields
	}
	return ex.fields
}

// isNormalized reports whether the rules were applied to the request.
func (ex *exchange) isNormalized() bool { return ex.normalized.scheme != nil }

func (ex *exchange) pathInfo() []byte {
	if !ex.isNormalized() {
		return http1.DecodePath(ex.req.Path)
	}
	return ex.normalized.pathInfo()
}

func (ex *exchange) urlScheme() []byte {
	if ex.isNormalized() {
		return ex.normalized.scheme
	}
	return ex.info.scheme()
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

// variables yields the variables of the environ except for those of header fields.
func (ex *exchange) variables(yield func(name string, value []byte) bool) {
	list := []struct {
		name  string
		value []byte
	}{
		{"REMOTE_ADDR", []byte(ex.remote())},
		{"REQUEST_METHOD", ex.req.Method},
		{"RAW_URI", ex.req.Target},
		{"SCRIPT_NAME", ex.normalized.script},
		{"PATH_INFO", ex.pathInfo()},
		{"QUERY_STRING", ex.req.Query},
		{"SERVER_PROTOCOL", []byte(ex.proto())},
		{"wsgi.url_scheme", ex.urlScheme()},
	}
	for _, p := range list {
		if !yield(p.name, p.value) {
			return
		}
	}
	if port := ex.remotePort(); port != 0 && !yield("REMOTE_PORT", strconv.AppendInt(nil, int64(port), 10)) {
		return
	}
	if ex.info.names == nil {
		name, port := ex.serverOfHost(ex.urlScheme())
		if !yield("SERVER_NAME", []byte(name)) || !yield("SERVER_PORT", []byte(port)) {
			return
		}
	}
	for _, v := range ex.info.variables() {
		if !yield(v[0], []byte(v[1])) {
			return
		}
	}
}

// variable returns the environ variable with that name, compared without case, or nil if
// there is none.
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
	for _, f := range ex.appFields() {
		if sameName(f.Name, []byte(field)) {
			values = append(values, f.Value)
		}
	}
	if values == nil {
		return nil
	}
	return present(bytes.Join(values, []byte(",")))
}

// present returns a value that is not nil, though it may be empty.
func present(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}
