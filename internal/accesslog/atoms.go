package accesslog

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// atoms are those without a parameter.
var atoms = map[string]func(dst []byte, r *Record, _ string) []byte{
	"h": func(dst []byte, r *Record, _ string) []byte { return escape(r, dst, r.RemoteAddr) },
	"l": func(dst []byte, _ *Record, _ string) []byte { return append(dst, '-') },
	"u": func(dst []byte, r *Record, _ string) []byte { return appendUser(dst, r) },
	"t": func(dst []byte, r *Record, _ string) []byte {
		return r.Start.Add(r.Duration).Local().AppendFormat(dst, "[02/Jan/2006:15:04:05 -0700]")
	},
	"r": func(dst []byte, r *Record, _ string) []byte {
		dst = append(escape(r, dst, r.Method), ' ')
		dst = append(escape(r, dst, r.RawURI), ' ')
		return escape(r, dst, r.Proto)
	},
	"s": func(dst []byte, r *Record, _ string) []byte { return strconv.AppendInt(dst, int64(r.Status), 10) },
	"m": func(dst []byte, r *Record, _ string) []byte { return escape(r, dst, r.Method) },
	"U": func(dst []byte, r *Record, _ string) []byte { return escape(r, dst, r.Path) },
	"q": func(dst []byte, r *Record, _ string) []byte { return escape(r, dst, r.Query) },
	"H": func(dst []byte, r *Record, _ string) []byte { return escape(r, dst, r.Proto) },
	"b": appendBytes,
	"B": appendBytes,
	"f": func(dst []byte, r *Record, _ string) []byte { return appendGot(r, dst, r.Request, "Referer") },
	"a": func(dst []byte, r *Record, _ string) []byte { return appendGot(r, dst, r.Request, "User-Agent") },
	"T": func(dst []byte, r *Record, _ string) []byte { return appendDuration(dst, r, time.Second) },
	"M": func(dst []byte, r *Record, _ string) []byte { return appendDuration(dst, r, time.Millisecond) },
	"D": func(dst []byte, r *Record, _ string) []byte { return appendDuration(dst, r, time.Microsecond) },
	"L": appendSeconds,
	"p": func(dst []byte, r *Record, _ string) []byte {
		return append(strconv.AppendInt(append(dst, '<'), int64(r.Pid), 10), '>')
	},

	// Those that Gunicorn does not have.
	"request_id": func(dst []byte, r *Record, _ string) []byte { return appendText(dst, r, r.RequestID) },
	"trace_id":   func(dst []byte, r *Record, _ string) []byte { return appendText(dst, r, r.TraceID) },
	"balancer":   func(dst []byte, r *Record, _ string) []byte { return appendTime(dst, r.balancer(), time.Second) },
	"queue":      func(dst []byte, r *Record, _ string) []byte { return appendTime(dst, r.Waited, time.Second) },
	"app":        func(dst []byte, r *Record, _ string) []byte { return appendTime(dst, r.Ran, time.Second) },
}

// ownAtoms are those that Gunicorn does not have.
var ownAtoms = []string{"request_id", "trace_id", "balancer", "queue", "app"}

// OwnAtoms returns the values of the atoms that Gunicorn does not have, as they are, for
// Python's logging.
func (r *Record) OwnAtoms() map[string]string {
	r.raw = true
	values := make(map[string]string, len(ownAtoms))
	for _, name := range ownAtoms {
		values[name] = string(atoms[name](nil, r, ""))
	}
	return values
}

// isNumber reports whether an atom may have the conversion d: for Gunicorn the others
// are texts.
func isNumber(atom string) bool {
	switch atom {
	case "B", "T", "M", "D":
		return true
	}
	return false
}

// lookup returns the part that prints an atom.
func lookup(name string) part {
	if write := atoms[name]; write != nil {
		return part{write: write}
	}
	if strings.HasPrefix(name, "{") && len(name) >= 3 && name[len(name)-2] == '}' {
		field := name[1 : len(name)-2]
		switch name[len(name)-1] {
		case 'i', 'I':
			return part{text: field, write: func(dst []byte, r *Record, name string) []byte {
				return appendGot(r, dst, r.Request, name)
			}}
		case 'o', 'O':
			return part{text: field, write: func(dst []byte, r *Record, name string) []byte {
				return appendGot(r, dst, r.Response, name)
			}}
		case 'e', 'E':
			return part{text: field, write: func(dst []byte, r *Record, name string) []byte {
				return appendGot(r, dst, r.Environ, name)
			}}
		}
	}
	return part{write: atoms["l"]}
}

func appendGot(r *Record, dst []byte, get func(string) []byte, name string) []byte {
	if get == nil {
		return append(dst, '-')
	}
	return appendText(dst, r, get(name))
}

// appendText writes a value, or "-" if it is absent.
func appendText(dst []byte, r *Record, value []byte) []byte {
	if value == nil {
		return append(dst, '-')
	}
	return escape(r, dst, value)
}

func appendBytes(dst []byte, r *Record, _ string) []byte {
	if r.BodyBytes < 0 {
		return append(dst, '-')
	}
	return strconv.AppendInt(dst, r.BodyBytes, 10)
}

func appendDuration(dst []byte, r *Record, unit time.Duration) []byte {
	return strconv.AppendInt(dst, int64(max(r.Duration, 0)/unit), 10)
}

// appendTime writes a time that may not be known: in seconds with six digits behind the
// point, or as a whole number of nanoseconds.
func appendTime(dst []byte, d, unit time.Duration) []byte {
	switch {
	case d == 0:
		return append(dst, '-')
	case unit == time.Nanosecond:
		return strconv.AppendInt(dst, int64(d), 10)
	}
	return appendDecimal(dst, d)
}

func appendSeconds(dst []byte, r *Record, _ string) []byte {
	return appendDecimal(dst, max(r.Duration, 0))
}

// appendDecimal writes seconds with six digits behind the point.
func appendDecimal(dst []byte, d time.Duration) []byte {
	dst = strconv.AppendInt(dst, int64(d/time.Second), 10)
	dst = append(dst, '.')
	start := len(dst)
	// The million in front keeps the leading zeros, then makes room for the point.
	dst = strconv.AppendInt(dst, int64(d%time.Second/time.Microsecond)+1_000_000, 10)
	return append(dst[:start], dst[start+1:]...)
}

// appendUser writes the user of Basic authentication (RFC 7617), or "-".
func appendUser(dst []byte, r *Record) []byte {
	const scheme = "basic "
	if r.Request == nil {
		return append(dst, '-')
	}
	value := r.Request("Authorization")
	if len(value) < len(scheme) || !bytes.EqualFold(value[:len(scheme)], []byte(scheme)) {
		return append(dst, '-')
	}
	var room [256]byte
	plain, err := base64.StdEncoding.AppendDecode(room[:0], bytes.TrimSpace(value[len(scheme):]))
	user, _, found := bytes.Cut(plain, []byte(":"))
	if err != nil || !found || len(user) == 0 {
		return append(dst, '-')
	}
	return escape(r, dst, user)
}
