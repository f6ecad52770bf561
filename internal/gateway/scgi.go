package gateway

import (
	"bytes"
)

// maxSCGIDigits is how many digits the length of a head may have.
const maxSCGIDigits = len("65540")

// ParseSCGI reads the head at the start of buf, and appends its variables to vars. It
// returns the length of the head, after which the body begins, or 0 if more bytes are
// needed.
func ParseSCGI(buf []byte, vars []Variable) (list []Variable, n int, err error) {
	size, digits := 0, 0
	for digits < len(buf) && buf[digits] >= '0' && buf[digits] <= '9' {
		size = size*10 + int(buf[digits]-'0')
		digits++
		switch {
		case digits > 1 && buf[0] == '0':
			return vars, 0, badRequest("the length of the SCGI head begins with 0")
		case digits > maxSCGIDigits || size > maxHead:
			return vars, 0, tooLarge(SCGI, "a head that is too large")
		}
	}
	if digits == len(buf) {
		return vars, 0, nil
	}
	if digits == 0 || buf[digits] != ':' {
		return vars, 0, badRequest("this is no SCGI: a request begins with the length of its head")
	}
	start := digits + 1
	n = start + size + 1
	if len(buf) < n {
		return vars, 0, nil
	}
	if buf[n-1] != ',' {
		return vars, 0, badRequest("the SCGI head does not end with a comma")
	}
	for rest := buf[start : n-1]; len(rest) > 0; {
		var v Variable
		var ok, ok2 bool
		v.Name, rest, ok = bytes.Cut(rest, nul)
		v.Value, rest, ok2 = bytes.Cut(rest, nul)
		if !ok || !ok2 {
			return vars, 0, badRequest("the SCGI head ends within a variable")
		}
		if len(vars) == maxVariables {
			return vars, 0, tooLarge(SCGI, errTooManyVariables)
		}
		vars = append(vars, v)
	}
	// The specification makes these two certain; without them the length of the body is not.
	if len(vars) == 0 || string(vars[0].Name) != "CONTENT_LENGTH" {
		return vars, 0, badRequest("the SCGI head does not begin with CONTENT_LENGTH")
	}
	for _, v := range vars {
		if string(v.Name) == "SCGI" && string(v.Value) == "1" {
			return vars, n, nil
		}
	}
	return vars, 0, badRequest("the SCGI head does not say SCGI 1")
}

var nul = []byte{0}
