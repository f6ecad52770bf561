//go:build linux

package test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

func field(name, value string) hpack.HeaderField { return hpack.HeaderField{Name: name, Value: value} }

// refused says whether a stream got one of the statuses or was reset, or its
// connection was given up.
func (f *framed) refused(id uint32, statuses ...string) (what string, ok bool) {
	for f.goaway == nil && !f.stream(id).over() {
		if err := f.read(); err != nil {
			return err.Error(), true
		}
	}
	s := f.stream(id)
	if f.goaway != nil || s.reset != nil && s.status() == "" {
		return s.String(), true
	}
	for _, status := range statuses {
		ok = ok || s.status() == status
	}
	return s.String(), ok
}

func TestHTTP2Limits(t *testing.T) {
	t.Parallel()
	// The limits of HTTP/1.1 hold.
	o := options{app: "recording:app", args: []string{
		"--limit-request-line", "200", "--limit-request-fields", "10", "--limit-request-field_size", "300",
		"--http2-max-header-list-size", "5000", "--limit-request-body", "1000",
	}}
	overHTTP2(t, o, func(t *testing.T, s *server, w *web) {
		var many, large []hpack.HeaderField
		for i := range 11 {
			many = append(many, field(fmt.Sprint("x-", i), "x"))
		}
		for i := range 9 {
			large = append(large, field(fmt.Sprint("x-", i), strings.Repeat("x", 290)))
		}
		for what, c := range map[string]struct {
			path   string
			fields []hpack.HeaderField
			status []string
		}{
			"long path":     {"/" + strings.Repeat("x", 250), nil, []string{"400", "414", "431"}},
			"many fields":   {"/many", many, []string{"431"}},
			"large field":   {"/large", []hpack.HeaderField{field("x", strings.Repeat("x", 400))}, []string{"431"}},
			"many crumbs":   {"/crumbs", append(many, field("cookie", strings.Repeat("x", 400))), []string{"431"}},
			"large list":    {"/list", append(large, large...), []string{"431"}},
			"not a token":   {"/token", []hpack.HeaderField{field("x(y)", "x")}, []string{"400"}},
			"upper case":    {"/upper", []hpack.HeaderField{field("X-Upper", "x")}, []string{"400"}},
			"control":       {"/control", []hpack.HeaderField{field("x", "a\x01b")}, []string{"400"}},
			"line feed":     {"/feed", []hpack.HeaderField{field("x", "a\nb: c")}, []string{"400"}},
			"hop-by-hop":    {"/hop", []hpack.HeaderField{field("connection", "close")}, []string{"400"}},
			"chunked":       {"/chunked", []hpack.HeaderField{field("transfer-encoding", "chunked")}, []string{"400"}},
			"te":            {"/te", []hpack.HeaderField{field("te", "gzip")}, []string{"400"}},
			"bad path":      {"no-slash", nil, []string{"400"}},
			"empty path":    {"", nil, []string{"400"}},
			"asterisk":      {"*", nil, []string{"400"}}, // for OPTIONS only
			"host in path":  {"http://evil/path", nil, []string{"400"}},
			"other scheme":  {"ftp://localhost/path", nil, []string{"400"}},
			"same hosts":    {"/hosts", []hpack.HeaderField{field("host", "localhost"), field("host", "localhost")}, []string{"400"}},
			"another port":  {"/hosts", []hpack.HeaderField{field("host", "localhost:81")}, []string{"400"}},
			"two but one":   {"/hosts", []hpack.HeaderField{field(":authority", omitted), field("host", "a"), field("host", "b")}, []string{"400"}},
			"no body":       {"/missing", []hpack.HeaderField{field("content-length", "5")}, []string{}},
			"two hosts":     {"/hosts", []hpack.HeaderField{field("host", "other")}, []string{"400"}},
			"two lengths":   {"/lengths", []hpack.HeaderField{field("content-length", "0"), field("content-length", "1")}, []string{"400"}},
			"bad length":    {"/length", []hpack.HeaderField{field("content-length", "+0")}, []string{"400"}},
			"two types":     {"/types", []hpack.HeaderField{field("content-type", "a/b"), field("content-type", "c/d")}, []string{"400"}},
			"unknown field": {"/pseudo", []hpack.HeaderField{field(":unknown", "x")}, []string{"400"}},
			"expectation":   {"/expect", []hpack.HeaderField{field("expect", "a miracle")}, []string{"417"}},
		} {
			f := s.framed()
			if got, ok := f.refused(f.open("GET", c.path, true, c.fields...), c.status...); !ok {
				t.Errorf("%s: %s", what, got)
			}
			f.Close()
		}
		// Within them all is well.
		f := s.framed()
		if r := f.response(f.open("GET", "/fine", true, many[:8]...)); r.status() != "200" {
			t.Errorf("within the limits: %v", r)
		}

		// Too large a body, announced and not; and one that is not what was announced.
		id := f.open("POST", "/announced", false, field("content-length", "1001"))
		if got, ok := f.refused(id, "413"); !ok {
			t.Errorf("a large body that is announced: %s", got)
		}
		f = s.framed()
		id = f.open("POST", "/unannounced", false)
		must(t, f.fr.WriteData(id, false, make([]byte, 1001)))
		if got, ok := f.refused(id, "413"); !ok {
			t.Errorf("a large body: %s", got)
		}
		if r := f.response(f.open("GET", "/fine", true)); r.status() != "200" {
			t.Errorf("after that: %v", r)
		}
		for _, length := range []string{"3", "5"} {
			f = s.framed()
			id = f.open("POST", "/wrong"+length, false, field("content-length", length))
			must(t, f.fr.WriteData(id, true, []byte("four")))
			if got, ok := f.refused(id, "400"); !ok {
				t.Errorf("a body of 4 bytes that is announced with %s: %s", length, got)
			}
		}
		s.get("/still-there")
		s.terminate()
		for _, m := range s.log.all(`ran (\S*)`) {
			if m[1] != "/" && m[1] != "/fine" && m[1] != "/still-there" {
				t.Errorf("%q was run", m[1])
			}
		}
	})
}

// Without a limit of its own a head may be as large as the others allow.
func TestHTTP2HeadWithoutLimit(t *testing.T) {
	t.Parallel()
	s := start(t, withHTTP2(t, webH2C, options{app: "hello:app", args: []string{"--http2-max-header-list-size", "0"}}))
	f := s.framed()
	var large []hpack.HeaderField
	for i := range 12 {
		large = append(large, field(fmt.Sprint("x-", i), strings.Repeat("\x7e", 8000)))
	}
	// As a client does that heeds the size of frames.
	f.last += 2
	block := f.head("GET", "/", large...)
	first := block[:16384]
	must(t, f.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: f.last - 1, BlockFragment: first, EndStream: true}))
	for rest := block[len(first):]; len(rest) > 0; {
		n := min(len(rest), 16384)
		must(t, f.fr.WriteContinuation(f.last-1, n == len(rest), rest[:n]))
		rest = rest[n:]
	}
	if r := f.response(f.last - 1); r.status() != "200" {
		t.Errorf("%v", r)
	}
	s.terminate()
}

// The host may stand in :authority, in host, or in both if they say the same.
func TestHTTP2Host(t *testing.T) {
	t.Parallel()
	s := start(t, withHTTP2(t, webH2C, options{app: "showenviron:app"}))
	f := s.framed()
	authority := func(value string) hpack.HeaderField { return field(":authority", value) }
	for what, c := range map[string]struct {
		fields []hpack.HeaderField
		host   any
	}{
		"authority alone": {[]hpack.HeaderField{authority("a.example:81")}, "a.example:81"},
		"host alone":      {[]hpack.HeaderField{authority(omitted), field("host", "a.example")}, "a.example"},
		"the same twice":  {[]hpack.HeaderField{authority("a.example"), field("host", "a.example")}, "a.example"},
		"in another case": {[]hpack.HeaderField{authority("a.example"), field("host", "A.Example")}, "a.example"},
		"neither":         {[]hpack.HeaderField{authority(omitted)}, nil},
		"no body":         {[]hpack.HeaderField{authority("a"), field("content-length", "0")}, "a"},
	} {
		r := f.response(f.open("GET", "/path", true, c.fields...))
		if r.status() != "200" {
			t.Errorf("%s: %v", what, r)
			continue
		}
		variablesOf(t, &response{status: 200, body: string(r.body)}).expect(t, variables{"HTTP_HOST": c.host, "PATH_INFO": "/path"})
	}
	s.terminate()
}

func TestHTTP2UnderscoreHeaders(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]any{"drop": nil, "dangerous": "x", "refuse": "400"} {
		o := options{app: "showenviron:app", args: []string{"--header-map", policy, "--forwarded-allow-ips", "192.0.2.1"}}
		s := start(t, withHTTP2(t, webH2, o))
		p := s.web(webH2).do("GET", "/", "", "Under_Score", "x")
		switch {
		case policy == "refuse":
			if p.StatusCode != 400 {
				t.Errorf("refuse: %v", p)
			}
		case strings.Contains(p.body, `"HTTP_UNDER_SCORE": "x"`) != (want != nil):
			t.Errorf("%s: %v", policy, p)
		}
		s.terminate()
	}
}

func TestHTTP2BehindAProxy(t *testing.T) {
	t.Parallel()
	overHTTP2(t, options{app: "showenviron:app"}, func(t *testing.T, s *server, w *web) {
		if p := w.do("GET", "/", "", "X-Forwarded-Proto", "https"); !strings.Contains(p.body, `"wsgi.url_scheme": "https"`) {
			t.Errorf("%v", p)
		}
		if p := w.do("GET", "/", "", "X-Forwarded-Proto", "http"); !strings.Contains(p.body, `"wsgi.url_scheme": "http"`) {
			t.Errorf("%v", p)
		}
		if p := w.do("GET", "/", "", "X-Forwarded-Proto", "https", "X-Forwarded-Ssl", "off"); p.StatusCode != 400 {
			t.Errorf("contradictory headers: %v", p)
		}
		s.terminate()
	})
}

func TestHTTP2Cancel(t *testing.T) {
	t.Parallel()
	// A request that the client cancels while it waits is never run, whether it
	// waits in the front or, as the second of one worker, in the kernel.
	overHTTP2(t, options{app: "recording:app", args: []string{"--log-level", "debug"}}, func(t *testing.T, s *server, w *web) {
		g := s.gate("busy")
		busy := w.begin(t.Context(), "/busy")
		g.entered()
		f := s.framed()
		var cancelled []uint32
		for i := range 5 {
			cancelled = append(cancelled, f.open("GET", fmt.Sprint("/cancelled/", i), true))
		}
		kept := f.open("GET", "/kept", true)
		f.ping()
		for _, id := range cancelled {
			must(t, f.fr.WriteRSTStream(id, http2.ErrCodeCancel))
		}
		f.ping()
		// So does one who leaves altogether, and net/http's client when its context ends.
		leaver := s.framed()
		leaver.open("GET", "/cancelled/left", true)
		leaver.ping()
		front := s.role("front")[0].pid
		before := restingFiles(front)
		leaver.Close()
		eventually(t, "the front has seen the client leave", func() bool { return openFiles(front) < before })
		ctx, cancel := context.WithCancel(t.Context())
		gone := w.begin(ctx, "/cancelled/context")
		w.begin(t.Context(), "/kept/behind")
		cancel()
		<-gone
		eventually(t, "the front has seen them leave", func() bool {
			return len(s.log.all(`The client of GET /cancelled/(\d|left) has gone`)) == len(cancelled)+1
		})
		g.release()
		w.expect(busy, 200)
		if r := f.response(kept); r.status() != "200" {
			t.Errorf("the one that was not cancelled: %v", r)
		}
		w.do("GET", "/last", "")
		s.terminate()
		for _, m := range s.log.all(`ran (/cancelled/\S*)`) {
			if m[1] != "/cancelled/context" { // which may have been too late, or not sent
				t.Errorf("%s was run", m[1])
			}
		}
	})
}

func TestHTTP2CancelWhileRunning(t *testing.T) {
	t.Parallel()
	// The app of a client that has gone is told so; the connection goes on.
	overHTTP2(t, options{app: "closing:app"}, func(t *testing.T, s *server, w *web) {
		f := s.framed()
		id := f.open("GET", "/endless", true)
		f.until("some of the body", func() bool { return len(f.stream(id).body) > 0 })
		must(t, f.fr.WriteRSTStream(id, http2.ErrCodeCancel))
		s.log.expect(t, "close of /endless")
		if r := f.response(f.open("GET", "/whole", true)); r.status() != "200" || len(r.body) != 3000 {
			t.Errorf("%v", r)
		}
		s.terminate()
	})
}

func TestHTTP2EarlyAnswer(t *testing.T) {
	t.Parallel()
	// A body that is refused does not end the connection, nor does an upload that
	// nobody finishes hold a worker.
	o := options{app: "echo:app", args: []string{"--limit-request-body", "100000"}}
	overHTTP2(t, o, func(t *testing.T, s *server, w *web) {
		stalled := s.framed()
		id := stalled.open("POST", "/stalled", false)
		must(t, stalled.fr.WriteData(id, false, []byte("beginning ")))
		stalled.ping()
		for range 5 {
			p, err := w.try(t.Context(), "POST", "/", io.MultiReader(strings.NewReader(strings.Repeat("x", 5<<20))))
			if err != nil || p.StatusCode != 413 {
				t.Errorf("%v, %v", p, err)
			}
			if p := w.do("POST", "/", "small"); p.body != "/\nsmall" {
				t.Errorf("%v", p)
			}
		}
		w.expectOneConnection()
		must(t, stalled.fr.WriteData(id, true, []byte("end")))
		if r := stalled.response(id); string(r.body) != "/stalled\nbeginning end" {
			t.Errorf("%v", r)
		}
		s.terminate()
	})
}

func TestHTTP2Expect(t *testing.T) {
	t.Parallel()
	overHTTP2(t, options{app: "echo:app", args: []string{"--limit-request-body", "10"}}, func(t *testing.T, s *server, w *web) {
		f := s.framed()
		id := f.open("POST", "/e", false, field("expect", "100-continue"), field("content-length", "4"))
		f.until("the interim response", func() bool { return len(f.stream(id).interim) > 0 })
		must(t, f.fr.WriteData(id, true, []byte("body")))
		if r := f.response(id); r.interim[0] != "100" || string(r.body) != "/e\nbody" {
			t.Errorf("%v %v", r.interim, r)
		}
		id = f.open("POST", "/e", false, field("expect", "100-continue"), field("content-length", "11"))
		f.until("the final response", func() bool { return f.stream(id).over() || f.stream(id).status() != "" })
		if r := f.stream(id); r.status() != "413" || len(r.interim) > 0 {
			t.Errorf("%v %v", r.interim, r)
		}
		s.terminate()
	})
}
