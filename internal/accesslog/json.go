package accesslog

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A place is where an atom stands in a format whose lines are JSON.
type place byte

const (
	inString place = iota // between quotes: "%(a)s"
	bare                  // a value of its own: a number, null, or else a text
	text                  // a value of its own: a text, or null
)

// findJSON recognizes a format whose lines are to be JSON objects.
func (f *Format) findJSON() {
	var whole strings.Builder
	quoted := false
	places := make([]place, len(f.parts))
	for i := range f.parts {
		p := &f.parts[i]
		if p.write != nil {
			whole.WriteByte('0') // good in both places
			if !quoted {
				places[i] = bare
			}
			continue
		}
		whole.WriteString(p.text)
		for j := 0; j < len(p.text); j++ {
			switch {
			case quoted && p.text[j] == '\\':
				j++
			case p.text[j] == '"':
				quoted = !quoted
			}
		}
	}
	line := strings.TrimSpace(whole.String())
	if !strings.HasPrefix(line, "{") || !json.Valid([]byte(line)) {
		return
	}
	f.json = true
	for i := range f.parts {
		f.parts[i].place = places[i]
	}
}

// quote makes JSON of the value dst[start:].
func (at place) quote(dst []byte, start int) []byte {
	var room [512]byte
	value := append(room[:0], dst[start:]...)
	dst = dst[:start]
	switch {
	case at == inString:
		return appendJSON(dst, value)
	case len(value) == 1 && value[0] == '-':
		return append(dst, "null"...)
	case at == bare && isJSONNumber(value):
		return append(dst, value...)
	}
	return append(appendJSON(append(dst, '"'), value), '"')
}

// isJSONNumber reports whether a value is a number as JSON has it, or a boolean.
func isJSONNumber(value []byte) bool {
	c := value
	if len(c) == 0 || bytes.IndexByte([]byte("-0123456789"), c[0]) < 0 {
		return false
	}
	return json.Valid(c)
}

// appendJSON adds s as it is written between the quotes of JSON. Bytes that are not
// UTF-8 become \xHH, as in lines that are no JSON.
func appendJSON(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case c == '"' || c == '\\':
				dst = append(dst, '\\', c)
			case c < ' ' || c == 0x7f:
				dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			default:
				dst = append(dst, c)
			}
			continue
		}
		char, n := utf8.DecodeRune(s[i:])
		switch {
		case n == 1:
			dst = append(dst, '\\', '\\', 'x', hex[c>>4], hex[c&15])
		case char <= 0x9f || char == 0x2028 || char == 0x2029:
			dst = append(dst, '\\', 'u', hex[char>>12&15], hex[char>>8&15], hex[char>>4&15], hex[char&15])
		default:
			dst = append(dst, s[i:i+n]...)
		}
		i += n
	}
	return dst
}

// A field is one of the built-in lines.
type field struct {
	name, ecs string
	place     place
	write     func(dst []byte, r *Record, name string) []byte
	arg       string
}

// fields are those of the built-in lines, by their name and by that of the Elastic
// Common Schema.
var fields = []field{
	{"time", "@timestamp", text, func(dst []byte, r *Record, _ string) []byte {
		return r.Start.Add(r.Duration).Local().AppendFormat(dst, TimeFormat)
	}, ""},
	{"level", "log.level", text, constant, "info"},
	{"logger", "log.logger", text, constant, "gunicorn.access"},
	{"pid", "process.pid", bare, func(dst []byte, r *Record, _ string) []byte { return strconv.AppendInt(dst, int64(r.Pid), 10) }, ""},
	{"remote_addr", "client.address", text, atoms["h"], ""},
	{"user", "user.name", text, atoms["u"], ""},
	{"method", "http.request.method", text, atoms["m"], ""},
	{"host", "url.domain", text, func(dst []byte, r *Record, _ string) []byte { return appendGot(r, dst, r.Request, "Host") }, ""},
	{"path", "url.path", text, atoms["U"], ""},
	{"query", "url.query", text, atoms["q"], ""},
	{"protocol", "http.version", text, atoms["H"], ""},
	{"status", "http.response.status_code", bare, atoms["s"], ""},
	{"bytes", "http.response.body.bytes", bare, atoms["B"], ""},
	{"duration", "event.duration", bare, atoms["L"], ""},
	{"referer", "http.request.referrer", text, atoms["f"], ""},
	{"user_agent", "user_agent.original", text, atoms["a"], ""},
	{"request_id", "http.request.id", text, atoms["request_id"], ""},
	{"trace_id", "trace.id", text, atoms["trace_id"], ""},
	{"balancer", "indrik.balancer", bare, atoms["balancer"], ""},
	{"queue", "indrik.queue", bare, atoms["queue"], ""},
	{"app", "indrik.app", bare, atoms["app"], ""},
}

// TimeFormat is the time of lines in JSON: RFC 3339, with microseconds.
const TimeFormat = "2006-01-02T15:04:05.000000Z07:00"

// ECSVersion is the version of the Elastic Common Schema that the names are of.
const ECSVersion = "8.11.0"

func constant(dst []byte, _ *Record, name string) []byte { return append(dst, name...) }

// JSON returns the built-in format of lines in JSON; ecs: with the names, and the units,
// of the Elastic Common Schema.
func JSON(ecs bool) *Format {
	f := &Format{json: true}
	join := "{"
	for _, fd := range fields {
		name, p := fd.name, part{write: fd.write, text: fd.arg, style: plain, place: fd.place}
		if ecs {
			name = fd.ecs
			switch name {
			case "event.duration":
				p.write = func(dst []byte, r *Record, _ string) []byte { return appendDuration(dst, r, time.Nanosecond) }
			case "indrik.balancer":
				p.write = func(dst []byte, r *Record, _ string) []byte { return appendTime(dst, r.balancer(), time.Nanosecond) }
			case "indrik.queue":
				p.write = func(dst []byte, r *Record, _ string) []byte { return appendTime(dst, r.Waited, time.Nanosecond) }
			case "indrik.app":
				p.write = func(dst []byte, r *Record, _ string) []byte { return appendTime(dst, r.Ran, time.Nanosecond) }
			case "http.version":
				p.write = func(dst []byte, r *Record, _ string) []byte {
					return append(dst, strings.TrimPrefix(r.Proto, "HTTP/")...)
				}
			}
		}
		f.parts = append(f.parts, part{text: join + `"` + name + `":`}, p)
		join = ","
	}
	end := "}"
	if ecs {
		end = `,"ecs.version":"` + ECSVersion + `"}`
	}
	f.parts = append(f.parts, part{text: end})
	return f
}
