package settings

import (
	"errors"
	"strings"
)

var (
	errQuotation = errors.New("No closing quotation")
	errEscape    = errors.New("No escaped character")
)

// splitShell splits a text as Python's shlex.split does: at white space,
// single quotes keep all, double quotes all but \" and \\, a backslash the
// character behind it. There are no comments.
func splitShell(text string) ([]string, error) {
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
