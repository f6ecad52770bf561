// Package shlex splits a line into words as Python's shlex.split does, for texts that Python
// programs split so: $GUNICORN_CMD_ARGS, and commands that come over the control socket.
package shlex

import (
	"errors"
	"strings"
)

// The errors of [Split], in Python's words.
var (
	errQuotation = errors.New("No closing quotation")
	errEscape    = errors.New("No escaped character")
)

// Split splits text at white space. Single quotes keep everything between them as it is,
// double quotes everything except \" and \\, and a backslash keeps the character after it.
// There are no comments. It fails if a quotation or an escape is not complete.
func Split(text string) ([]string, error) {
	var words []string
	var word strings.Builder
	started := false
	var quote rune // 0, ' or "
	escaped := false
	for _, r := range text {
		switch {
		case escaped:
			if quote == '"' && r != '"' && r != '\\' {
				word.WriteByte('\\')
			}
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, started = true, true
		case quote != 0:
			if r == quote {
				quote = 0
			} else {
				word.WriteRune(r)
			}
		case r == '\'' || r == '"':
			quote, started = r, true
		case strings.ContainsRune(" \t\r\n", r):
			if started {
				words = append(words, word.String())
				word.Reset()
				started = false
			}
		default:
			word.WriteRune(r)
			started = true
		}
	}
	if escaped {
		return nil, errEscape
	}
	if quote != 0 {
		return nil, errQuotation
	}
	if started {
		words = append(words, word.String())
	}
	return words, nil
}
