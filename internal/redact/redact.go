// Package redact replaces secrets in what the logs say of requests, by the rules of the setting
// log_redact:
//
//	query:NAME    the value of that parameter of a query
//	header:NAME   the value of that header field, of requests and responses
//	cookie:NAME   the value of that cookie, in Cookie and Set-Cookie
//
// A NAME of * means all. Names are compared without case. A value that is replaced is REDACTED,
// one that is not there or empty stays as it is. The query of an address in the fields Referer,
// Location and Content-Location counts as a query.
//
// [Rules] may be used by any number of goroutines. Nothing that they are given is changed. Try
// it with go test ./internal/redact.
package redact

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
)

// Placeholder is what stands in place of a value.
const Placeholder = "REDACTED"

// Rules say what is replaced. Nil rules replace nothing.
type Rules struct {
	query, header, cookie names
}

// names are those of one kind, in lower case.
type names struct {
	all bool
	set map[string]bool
}

func (n *names) has(name string) bool { return n.all || n.set[strings.ToLower(name)] }

func (n *names) some() bool { return n.all || len(n.set) > 0 }

// Parse returns the rules of a list, each entry of which may have several, separated by commas;
// nil if there are none.
func Parse(list []string) (*Rules, error) {
	var r Rules
	some := false
	for _, entry := range list {
		for rule := range strings.SplitSeq(entry, ",") {
			if rule = strings.TrimSpace(rule); rule == "" {
				continue
			}
			some = true
			kind, name, _ := strings.Cut(rule, ":")
			into := map[string]*names{"query": &r.query, "header": &r.header, "cookie": &r.cookie}[strings.ToLower(kind)]
			if into == nil || name == "" {
				return nil, fmt.Errorf("%q is none of query:NAME, header:NAME and cookie:NAME, where NAME may be *", rule)
			}
			if name == "*" {
				into.all = true
				continue
			}
			if into.set == nil {
				into.set = map[string]bool{}
			}
			into.set[strings.ToLower(name)] = true
		}
	}
	if !some {
		return nil, nil
	}
	return &r, nil
}

// Target returns the target of a request, or another address, with its query redacted.
func (r *Rules) Target(target []byte) []byte {
	if r == nil || !r.query.some() {
		return target
	}
	at := bytes.IndexByte(target, '?')
	if at < 0 {
		return target
	}
	return append(bytes.Clone(target[:at+1]), r.Query(target[at+1:])...)
}

// Query returns a query redacted. A part without a name is a value.
func (r *Rules) Query(query []byte) []byte {
	if r == nil || !r.query.some() || len(query) == 0 {
		return query
	}
	var b []byte
	for len(query) > 0 {
		end := bytes.IndexAny(query, "&;#")
		part, rest := query, []byte(nil)
		if end >= 0 {
			part, rest = query[:end], query[end:]
		}
		b = append(b, r.parameter(part)...)
		if rest != nil {
			b = append(b, rest[0])
			rest = rest[1:]
		}
		query = rest
	}
	return b
}

// parameter returns name=value redacted.
func (r *Rules) parameter(part []byte) []byte {
	at := bytes.IndexByte(part, '=')
	switch {
	case at < 0 && r.query.all && len(part) > 0:
		return []byte(Placeholder)
	case at < 0 || at == len(part)-1:
		return part
	}
	name, err := url.QueryUnescape(string(part[:at]))
	if err != nil { // what an app makes of it is not known
		name = string(part[:at])
	}
	// PHP's a[b]=c, which frameworks of other languages know, too, is a value of a.
	plain, _, _ := strings.Cut(name, "[")
	if r.query.has(name) || r.query.has(plain) || r.query.has(strings.TrimSpace(name)) {
		return append(bytes.Clone(part[:at+1]), Placeholder...)
	}
	return part
}

// Field returns the value of a header field redacted.
func (r *Rules) Field(name string, value []byte) []byte {
	switch {
	case r == nil || len(value) == 0:
		return value
	case r.header.has(name):
		return []byte(Placeholder)
	}
	switch strings.ToLower(name) {
	case "cookie":
		return r.cookies(value)
	case "set-cookie":
		// The first pair is the cookie, the others say how long and where it is kept.
		end := bytes.IndexByte(value, ';')
		if end < 0 {
			end = len(value)
		}
		return append(r.cookies(value[:end]), value[end:]...)
	case "referer", "location", "content-location":
		return r.Target(value)
	}
	return value
}

// cookies returns cookies, separated by semicolons or commas, redacted.
func (r *Rules) cookies(value []byte) []byte {
	if !r.cookie.some() {
		return bytes.Clone(value)
	}
	var b []byte
	for len(value) > 0 {
		end := bytes.IndexByte(value, ';')
		part, rest := value, []byte(nil)
		if end >= 0 {
			part, rest = value[:end+1], value[end+1:]
		}
		name, content, found := bytes.Cut(part, []byte("="))
		switch {
		case !found && r.cookie.all && len(bytes.Trim(part, "; ")) > 0:
			b = append(b, Placeholder...)
		case found && len(bytes.TrimRight(content, ";")) > 0 && r.cookie.has(strings.TrimSpace(string(name))):
			b = append(append(append(b, name...), '='), Placeholder...)
		default:
			b = append(b, bytes.TrimSuffix(part, []byte(";"))...)
		}
		if end >= 0 {
			b = append(b, ';')
		}
		value = rest
	}
	return b
}

// Variable returns the value of a variable of the environ redacted.
func (r *Rules) Variable(name string, value []byte) []byte {
	if r == nil {
		return value
	}
	switch name = strings.ToUpper(name); name {
	case "QUERY_STRING":
		return r.Query(value)
	case "RAW_URI", "REQUEST_URI":
		return r.Target(value)
	}
	if field, ok := strings.CutPrefix(name, "HTTP_"); ok {
		return r.Field(strings.ReplaceAll(field, "_", "-"), value)
	}
	return value
}
