package http1

import (
	"bytes"
	"testing"
)

// largeInput is what a fuzzer need not try: it costs time and shows nothing new.
const largeInput = 16 << 10

// The leniencies, as bits of a fuzzed number.
func looseConfig(bits uint8) *Config {
	cfg := permissive()
	cfg.PermitObsoleteFolding = bits&1 != 0
	cfg.StripHeaderSpaces = bits&2 != 0
	cfg.PermitUnconventionalHTTPMethod = bits&4 != 0
	cfg.PermitUnconventionalHTTPVersion = bits&8 != 0
	cfg.CasefoldHTTPMethod = bits&16 != 0
	if bits&64 != 0 {
		cfg.LimitRequestHead = 100
	}
	cfg.PermitNonASCIITarget = bits&128 != 0
	if bits&32 != 0 {
		cfg.LimitRequestLine, cfg.LimitRequestFields, cfg.LimitRequestFieldSize = 40, 3, 40
	}
	return &cfg
}

// FuzzRequestLine checks that a request line is taken apart without loss, into
// parts without whitespace and control bytes.
func FuzzRequestLine(f *testing.F) {
	f.Fuzz(func(t *testing.T, line []byte, bits uint8) {
		if len(line) > largeInput {
			return
		}
		cfg := looseConfig(bits)
		r, n, err := parseAll(t, cfg, string(line)+"\r\n\r\n")
		if n == 0 || err != nil {
			return
		}
		if n != len(line)+4 {
			t.Fatalf("the head ends after %d bytes", n)
		}
		method, rest, _ := bytes.Cut(line, []byte(" "))
		target, version, _ := bytes.Cut(rest, []byte(" "))
		if !bytes.Equal(r.Method, method) && !(cfg.CasefoldHTTPMethod && bytes.Equal(r.Method, bytes.ToUpper(method))) || !isToken(r.Method) {
			t.Errorf("method %q of %q", r.Method, line)
		}
		if !bytes.Equal(r.Target, target) || len(target) == 0 || bytes.ContainsFunc(target, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
			t.Errorf("target %q of %q", r.Target, line)
		}
		if string(version) != "HTTP/"+string(rune('0'+r.Major))+"."+string(rune('0'+r.Minor)) {
			t.Errorf("version %d.%d of %q", r.Major, r.Minor, line)
		}
		if r.Authority == nil {
			again := bytes.Clone(r.Path)
			if r.Query != nil {
				again = append(append(again, '?'), r.Query...)
			}
			if rest, ok := bytes.CutPrefix(target, again); !ok || len(rest) > 0 && rest[0] != '#' {
				t.Errorf("path %q and query %q of %q", r.Path, r.Query, target)
			}
		} else if !ValidHost(r.Authority) || !bytes.Contains(target, r.Authority) {
			t.Errorf("authority %q of %q", r.Authority, target)
		}
		compareStream(t, strictVersion(cfg), append(line[:len(line):len(line)], "\r\n\r\n"...))
	})
}

// strictVersion turns off what net/http has nothing of.
func strictVersion(cfg *Config) *Config {
	c := *cfg
	c.PermitUnconventionalHTTPVersion, c.CasefoldHTTPMethod, c.StripHeaderSpaces = false, false, false
	return &c
}

// FuzzFields checks that no field has a byte that it must not have, and that the
// fields, written again, are read as the same.
func FuzzFields(f *testing.F) {
	f.Fuzz(func(t *testing.T, lines []byte, bits uint8) {
		if len(lines) > largeInput {
			return
		}
		cfg := looseConfig(bits)
		const start = "PUT / HTTP/1.1\r\n"
		r, n, err := parseAll(t, cfg, start+string(lines)+"\r\n\r\n")
		if n == 0 || err != nil {
			return
		}
		again := []byte(start)
		for i := range r.Fields {
			f := &r.Fields[i]
			if err := checkField(f); err != nil || len(trim(f.Value)) != len(f.Value) {
				t.Errorf("%q: %v", f.Value, err)
			}
			again = appendField(again, f)
		}
		again = append(again, "\r\n"...)
		strict := permissive()
		strict.LimitRequestFields = 0
		var r2 Request
		if n, err := ParseRequest(&strict, again, &r2); n != len(again) || err != nil {
			t.Fatalf("written again as %q: %d, %v", again, n, err)
		}
		if a, b := describe(r), describe(&r2); a != b {
			t.Errorf("read again\n%s\nas\n%s", a, b)
		}
	})
}

// FuzzParseRequest checks that what is accepted, net/http reads the same way,
// but for the listed differences, and that it is the same however it was cut.
func FuzzParseRequest(f *testing.F) {
	f.Fuzz(func(t *testing.T, input []byte, fold bool) {
		if len(input) > largeInput {
			return
		}
		cfg := permissive()
		cfg.PermitObsoleteFolding = fold
		_, n, err := parseAll(t, &cfg, string(input))
		if err == nil && n > 0 {
			compareStream(t, &cfg, input[:n])
		}
	})
}

// FuzzConnection checks the same of whole connections: requests in a row, with
// their bodies.
func FuzzConnection(f *testing.F) {
	f.Fuzz(func(t *testing.T, input []byte, bits uint8) {
		if len(input) > largeInput {
			return
		}
		cfg := looseConfig(bits)
		readAll(t, cfg, string(input))
		compareStream(t, strictVersion(cfg), input)
	})
}
