package settings

import (
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode"
)

// pyObject is a Python value that only its repr is known of.
type pyObject string

// pyStr is what Python's str makes of a value.
func pyStr(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return pyRepr(v)
}

// pyRepr is what Python's repr makes of a value.
func pyRepr(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case string:
		return pyQuote(v)
	case pyObject:
		return string(v)
	case []string:
		parts := make([]string, len(v))
		for i, s := range v {
			parts[i] = pyQuote(s)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			parts[i] = pyRepr(plain(item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]string:
		m := make(map[string]any, len(v))
		for key, s := range v {
			m[key] = s
		}
		return pyRepr(m)
	case map[string]any:
		parts := make([]string, 0, len(v))
		for key, item := range v {
			parts = append(parts, pyQuote(key)+": "+pyRepr(plain(item)))
		}
		sort.Strings(parts)
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprint(v)
}

func pyQuote(s string) string {
	quote := '\''
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	var b strings.Builder
	b.WriteRune(quote)
	for _, r := range s {
		switch {
		case r == quote || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == ' ' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	b.WriteRune(quote)
	return b.String()
}

var errNotInt = errors.New("not a whole number")

// pyFloat is what Python's float() reads.
var pyFloat = regexp.MustCompile(`(?i)^[+-]?(?:(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:e[+-]?\d+(?:_\d+)*)?|inf|infinity|nan)$`)

// parseFloat reads a number as Python's float() does; one that is too large is infinite.
func parseFloat(s string) (float64, error) {
	s = strings.TrimSpace(s)
	if !pyFloat.MatchString(s) {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	if errors.Is(err, strconv.ErrRange) {
		return n, nil
	}
	return n, err
}

// parseInt reads what Python's int(s, base) reads, for the bases 10 and 0
// and numbers that fit.
func parseInt(s string, base int) (int, error) {
	s = strings.TrimFunc(s, unicode.IsSpace)
	digits := s
	if digits != "" && (digits[0] == '+' || digits[0] == '-') {
		digits = digits[1:]
	}
	if digits == "" || digits[0] < '0' || digits[0] > '9' {
		return 0, errNotInt
	}
	if base == 10 {
		// Underscores only between digits; strconv takes them with base 0
		// alone.
		if strings.HasSuffix(digits, "_") || strings.Contains(digits, "__") {
			return 0, errNotInt
		}
		n, err := strconv.Atoi(strings.ReplaceAll(s, "_", ""))
		if err != nil {
			return 0, errNotInt
		}
		return n, nil
	}
	// Go reads 022 as octal where Python refuses it; zeros alone both take.
	if len(digits) > 1 && digits[0] == '0' && (digits[1] >= '0' && digits[1] <= '9' || digits[1] == '_') &&
		strings.Trim(digits, "0_") != "" {
		return 0, errNotInt
	}
	n, err := strconv.ParseInt(s, 0, strconv.IntSize)
	if err != nil {
		return 0, errNotInt
	}
	return int(n), nil
}

// parseMode reads a number as base 0 does, and one with a leading zero as octal.
func parseMode(s string) (int, error) {
	if len(s) > 1 && s[0] == '0' && s[1] >= '0' && s[1] <= '9' {
		s = "0o" + s[1:]
	}
	return parseInt(s, 0)
}
