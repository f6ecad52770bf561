package appmetrics

import (
	"bytes"
	"encoding/json"
	"errors"
)

// A scanner reads the JSON of a key: a list of strings, with one object of strings in it. There
// are thousands of keys in a scrape, and a parser for all of JSON takes ten times as long.
type scanner struct {
	rest []byte
	err  error
}

var (
	errJSON  = errors.New("a key is not the JSON that it should be")
	errParts = errors.New("a key has another number of parts than 3 or 4")
)

// skip reads c, with the spaces before it, and reports whether it was there.
func (s *scanner) skip(c byte) bool {
	s.rest = bytes.TrimLeft(s.rest, " \t\r\n")
	if len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// want reads c, which must be there.
func (s *scanner) want(c byte) {
	if !s.skip(c) && s.err == nil {
		s.err = errJSON
	}
}

// text reads a string.
func (s *scanner) text() string {
	s.want('"')
	if s.err != nil {
		return ""
	}
	plain := true
	for i, c := range s.rest {
		switch {
		case c == '"' && plain:
			text := string(s.rest[:i])
			s.rest = s.rest[i+1:]
			return text
		case c == '\\' || c < ' ' || c >= 0x80:
			plain = false
		}
		if c == '"' && !isEscaped(s.rest[:i]) {
			return s.decoded(i)
		}
	}
	s.err = errJSON
	return ""
}

// decoded reads a string of n bytes that are not all what they stand for.
func (s *scanner) decoded(n int) (text string) {
	quoted := append(append([]byte{'"'}, s.rest[:n]...), '"')
	s.rest = s.rest[n+1:]
	if json.Unmarshal(quoted, &text) != nil {
		s.err = errJSON
	}
	return text
}

// isEscaped reports whether what follows before has an odd number of backslashes before it.
func isEscaped(before []byte) bool {
	return (len(before)-len(bytes.TrimRight(before, `\`)))%2 == 1
}

// labels reads an object of strings.
func (s *scanner) labels() (labels []Label) {
	s.want('{')
	for more := !s.skip('}'); more && s.err == nil; {
		l := Label{Name: s.text()}
		s.want(':')
		l.Value = s.text()
		if labels = append(labels, l); len(labels) > maxLabels {
			s.err = errLabels
			return labels
		}
		if more = s.skip(','); !more {
			s.want('}')
		}
	}
	return labels
}

// key reads a key.
func (s *scanner) key() (k key, err error) {
	s.want('[')
	k.metric = s.text()
	s.want(',')
	k.sample = s.text()
	s.want(',')
	k.labels = s.labels()
	k.help = noHelp
	if s.err == nil && s.skip(',') {
		k.help = s.text()
	}
	switch {
	case s.err != nil:
		return k, s.err
	case !s.skip(']'):
		return k, errParts
	}
	if len(bytes.TrimLeft(s.rest, " \t\r\n")) > 0 {
		return k, errJSON
	}
	return k, nil
}
