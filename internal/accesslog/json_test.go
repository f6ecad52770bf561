package accesslog

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// hostile is what clients send to break a line.
var hostile = []string{`x\`, `"`, `\"`, `","admin":true,"x":"`, "a\nb", "\x1b[31m", "caf\xe9", "é\u2028\u0085", "日本", `\u0000`, "-", "12", "1e9", "true", "null", "{}", "", strings.Repeat("\\", 600)}

// A format whose lines are JSON stays JSON whatever a client sends, and says what it
// sent.
func TestJSONFormats(t *testing.T) {
	for _, format := range []string{
		`{"ua":"%(a)s"}`,
		`{"ua": "%(a)s", "status": %(s)s, "bytes": %(b)s, "took": %(L)s, "pid": %(p)s, "referer": %(f)s, "request": "%(r)s"}`,
		` {"nested": {"list": ["%(a)s", %(D)d]}, "text": "100%% \"quoted\" %(U)s"}`,
		`{"cut": "%(a).3s", "wide": "%(a)20s", "zeros": %(D)012d, "ua": "%(a)s"}`,
		`{"header": "%({x-any}i)s", "ua": "%(a)s"}`,
	} {
		f, err := Compile(format)
		if err != nil || !f.json {
			t.Fatalf("%s: %v, not recognized", format, err)
		}
		for _, text := range hostile {
			r := record()
			r.Request = get(map[string]string{"User-Agent": text, "Referer": text, "X-Any": text, "Authorization": "Basic Iiw="})
			r.Method, r.RawURI, r.Path, r.Query, r.BodyBytes = []byte(text), []byte(text), []byte(text), []byte(text), -1
			line := f.Append(nil, r)
			var got map[string]any
			if err := json.Unmarshal(line, &got); err != nil {
				t.Errorf("%s with %q: %s: %v", format, text, line, err)
				continue
			}
			if ua, ok := got["ua"]; ok && utf8.ValidString(text) && ua != text && text != "" {
				t.Errorf("%s with %q: %q", format, text, ua)
			}
			if got["admin"] != nil {
				t.Errorf("a client added a field: %s", line)
			}
		}
	}
	for _, format := range []string{`%(h)s "%(a)s"`, `{%(a)s}`, `{"a": "%(a)s"`, `[%(h)s]`, `{"a": x%(a)s}`} {
		if f, err := Compile(format); err != nil || f.json {
			t.Errorf("%s is taken for JSON, %v", format, err)
		}
	}
}

func TestBuiltInJSON(t *testing.T) {
	zone := time.Local
	time.Local = time.FixedZone("CEST", 2*3600)
	defer func() { time.Local = zone }()
	for ecs, want := range map[bool]string{
		false: `{"time":"2026-08-22T13:10:06.034567+02:00","level":"info","logger":"gunicorn.access","pid":3971,` +
			`"remote_addr":"203.0.113.7","user":"Aladdin","method":"GET","host":null,"path":"/a b","query":"x=1","protocol":"HTTP/1.1",` +
			`"status":200,"bytes":512,"duration":2.034567,"referer":"http://example.org/","user_agent":"curl \"x\"",` +
			`"request_id":"id-1","trace_id":null,"balancer":0.001500,"queue":0.001234,"app":2.000000}`,
		true: `{"@timestamp":"2026-08-22T13:10:06.034567+02:00","log.level":"info","log.logger":"gunicorn.access","process.pid":3971,` +
			`"client.address":"203.0.113.7","user.name":"Aladdin","http.request.method":"GET","url.domain":null,"url.path":"/a b","url.query":"x=1",` +
			`"http.version":"1.1","http.response.status_code":200,"http.response.body.bytes":512,"event.duration":2034567000,` +
			`"http.request.referrer":"http://example.org/","user_agent.original":"curl \"x\"",` +
			`"http.request.id":"id-1","trace.id":null,"indrik.balancer":1500000,"indrik.queue":1234567,"indrik.app":2000000000,"ecs.version":"8.11.0"}`,
	} {
		if got := string(JSON(ecs).Append(nil, record())); got != want {
			t.Errorf("\n got %s\nwant %s", got, want)
		}
		for _, text := range hostile {
			r := record()
			r.Request = get(map[string]string{"User-Agent": text, "Referer": text, "Host": text})
			r.Path = []byte(text)
			var got map[string]any
			line := JSON(ecs).Append(nil, r)
			if err := json.Unmarshal(line, &got); err != nil {
				t.Errorf("%q: %s: %v", text, line, err)
			}
			if ua := got["user_agent"]; !ecs && utf8.ValidString(text) && text != "-" && ua != text {
				t.Errorf("%q: user agent %q", text, ua)
			}
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	format, err := Compile(`{"a": "%(a)s", "b": %(a)s, "c": "%(a).2s"}`)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := record()
		r.Request = get(map[string]string{"User-Agent": text})
		for _, line := range [][]byte{format.Append(nil, r), JSON(false).Append(nil, r), JSON(true).Append(nil, r)} {
			if !json.Valid(line) {
				t.Errorf("%q: %s", text, line)
			}
		}
	})
}
