package accesslog

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func get(fields map[string]string) func(string) []byte {
	return func(name string) []byte {
		for k, v := range fields {
			if strings.EqualFold(k, name) {
				return []byte(v)
			}
		}
		return nil
	}
}

func record() *Record {
	return &Record{
		RemoteAddr: "203.0.113.7",
		Method:     []byte("GET"),
		RawURI:     []byte("/a%20b?x=1"),
		Path:       []byte("/a b"),
		Query:      []byte("x=1"),
		Proto:      "HTTP/1.1",
		Status:     200,
		BodyBytes:  512,
		Start:      time.Date(2026, 8, 22, 11, 10, 4, 0, time.UTC),
		Duration:   2*time.Second + 34*time.Millisecond + 567*time.Microsecond,
		Pid:        3971,
		RequestID:  []byte("id-1"),
		Waited:     1234567,
		Ran:        2 * time.Second,
		Balancer:   func() time.Duration { return 1500 * time.Microsecond },
		Request: get(map[string]string{
			"Referer": "http://example.org/", "User-Agent": `curl "x"`,
			"Authorization": "Basic QWxhZGRpbjpvcGVuOnNlc2FtZQ==", "X-Empty": "",
		}),
		Response: get(map[string]string{"Content-Type": "text/plain"}),
		Environ:  get(map[string]string{"wsgi.url_scheme": "http", "REMOTE_PORT": "4711"}),
	}
}

func line(t *testing.T, format string, r *Record) string {
	t.Helper()
	f, err := Compile(format)
	if err != nil {
		t.Fatal(err)
	}
	return string(f.Append(nil, r))
}

func TestAtoms(t *testing.T) {
	zone := time.Local
	time.Local = time.FixedZone("CEST", 2*3600)
	defer func() { time.Local = zone }()
	for _, c := range []struct{ format, want string }{
		{`%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"`,
			`203.0.113.7 - Aladdin [22/Aug/2026:13:10:06 +0200] "GET /a%20b?x=1 HTTP/1.1" 200 512 "http://example.org/" "curl \"x\""`},
		{"%(request_id)s %(trace_id)s %(balancer)s %(queue)s %(app)s", "id-1 - 0.001500 0.001234 2.000000"},
		{"%(m)s|%(U)s|%(q)s|%(H)s", "GET|/a b|x=1|HTTP/1.1"},
		{"%(B)s %(B)d %(T)s %(M)s %(D)d %(L)s", "512 512 2 2034 2034567 2.034567"},
		{"%(p)s", "<3971>"},
		{"%({user-agent}i)s %({Content-Type}o)s %({wsgi.URL_scheme}e)s %({REMOTE_PORT}E)s", `curl \"x\" text/plain http 4711`},
		{"[%({x-empty}i)s] [%({x-none}i)s] [%({x}o)s] [%({x}e)s]", "[] [-] [-] [-]"},
		{"%(Z)s %({x}q)s %()s %({})s", "- - - -"},
		{"100%% of %%(h)s", "100% of %(h)s"},
		{"", ""},
		{"%({a(b)c}i)s.", "-."},
		{"[%(m)5s] [%(m)-5s] [%(m).2s] [%(m)05s]", "[  GET] [GET  ] [GE] [  GET]"},
		{"[%(T)05d] [%(T)-5d] [%(T)+d] [%(T)+05d] [%(T).3d] [% (T)d]", "err"},
		{"[%(T)05d] [%(T)-5d] [%(T)+d] [%(T)+05d] [%(T).3d] [%(T) d]", "[00002] [2    ] [+2] [+0002] [002] [ 2]"},
	} {
		if c.want == "err" {
			if _, err := Compile(c.format); err == nil {
				t.Errorf("%s: no error", c.format)
			}
			continue
		}
		if got := line(t, c.format, record()); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.format, got, c.want)
		}
	}
}

func TestAbsent(t *testing.T) {
	got := line(t, "%(h)s|%(u)s|%(f)s|%({a}i)s|%({a}o)s|%({a}e)s|%(b)s|%(B)s|%(L)s", &Record{BodyBytes: -1, Duration: -time.Second})
	if want := "|-|-|-|-|-|-|-|0.000000"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestLongDuration(t *testing.T) {
	got := line(t, "%(T)s %(L)s", &Record{Duration: 25*time.Hour + 5*time.Microsecond})
	if want := "90000 90000.000005"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestUser(t *testing.T) {
	for value, want := range map[string]string{
		"Basic QWxhZGRpbjpvcGVu":   "Aladdin", // Aladdin:open
		"bAsIc   QWxhZGRpbjpvcGVu": "Aladdin",
		"Basic QWxhZGRpbg==":       "-", // no colon
		"Basic OnB3":               "-", // :pw
		"Basic !":                  "-",
		"Basic":                    "-",
		"Bearer x":                 "-",
		"Basic IgoiOnB3":           `\"\x0a\"`,
	} {
		r := &Record{Request: get(map[string]string{"authorization": value})}
		if got := line(t, "%(u)s", r); got != want {
			t.Errorf("%s: got %s, want %s", value, got, want)
		}
	}
}

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"a\r\nb\x00\x7f\x1b[": `a\x0d\x0ab\x00\x7f\x1b[`,
		`"\"`:                 `\"\\"`,
		"é 漢 😀":               "é 漢 😀",
		"\xff\xc3":            `\xff\xc3`,
		"\u0085\u2028\u009b":  `\xc2\x85\xe2\x80\xa8\xc2\x9b`,
	} {
		if got := string(appendEscaped(nil, in)); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
		if got := string(appendEscaped(nil, []byte(in))); got != want {
			t.Errorf("%q as bytes: got %s, want %s", in, got, want)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	for _, format := range []string{"%", "%s", "%(h", "%(h)", "%(h)x", "%(h)d", "%({x}i)d", "%(nope)d", "%(T)99999d", "%(T).99999999999999999999d", "%(h)5", "abc %q"} {
		if _, err := Compile(format); err == nil {
			t.Errorf("%s: no error", format)
		} else if !strings.Contains(err.Error(), format) {
			t.Errorf("%s: the error does not name it: %s", format, err)
		}
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	f, err := Compile(`%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(L)s %(D)08d %(p)s %({Content-Type}o)s`)
	if err != nil {
		t.Fatal(err)
	}
	r := record()
	auth, text := []byte("Basic QWxhZGRpbjpvcGVu"), []byte("x\n")
	r.Request = func(name string) []byte {
		if name == "Authorization" {
			return auth
		}
		return text
	}
	r.Response = r.Request
	buf := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { f.Append(buf, r) }); n != 0 {
		t.Errorf("%v allocations a line", n)
	}
}

func FuzzAppend(f *testing.F) {
	f.Add(`%(h)s "%(r)s" %({x}i)-8.3s %(D)+09d`, []byte("a\"\n\xff"))
	f.Fuzz(func(t *testing.T, format string, value []byte) {
		c, err := Compile(format)
		if err != nil {
			return
		}
		got := func(string) []byte { return value }
		r := &Record{RemoteAddr: string(value), Method: value, RawURI: value, Path: value, Query: value,
			Proto: string(value), Request: got, Response: got, Environ: got}
		prefix := []byte("before ")
		b := c.Append(prefix, r)
		if !bytes.HasPrefix(b, prefix) {
			t.Fatal("what was in the buffer has changed")
		}
		if got, most := bytes.Count(b, []byte("\n")), strings.Count(format, "\n"); got > most {
			t.Fatalf("%d lines of a format that has %d", got, most)
		}
	})
}
