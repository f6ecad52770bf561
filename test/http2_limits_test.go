//go:build linux

package test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"indrik/test/harness"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

func field(name, value string) hpack.HeaderField { return hpack.HeaderField{Name: name, Value: value} }

// refused says whether a stream got one of the statuses or was reset, or its
// connection was given up.
func refused(f *harness.H2Conn, id uint32, statuses ...string) (what string, ok bool) {
	for f.GoAway == nil && !f.Stream(id).Over() {
		if err := f.ReadOne(); err != nil {
			return err.Error(), true
		}
	}
	s := f.Stream(id)
	if f.GoAway != nil || s.Reset != nil && s.Status() == "" {
		return s.String(), true
	}
	for _, status := range statuses {
		ok = ok || s.Status() == status
	}
	return s.String(), ok
}

func TestHTTP2Limits(t *testing.T) {
	t.Parallel()
	// The limits of HTTP/1.1 hold.
	o := harness.Options{App: "recording:app", Args: []string{
		"--limit-request-line", "200", "--limit-request-fields", "10", "--limit-request-field_size", "300",
		"--http2-max-header-list-size", "5000", "--limit-request-body", "1000",
	}}
	harness.OverHTTP2(t, o, func(t *testing.T, s *harness.Server, w *harness.Web) {
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
			"two but one":   {"/hosts", []hpack.HeaderField{field(":authority", harness.Omitted), field("host", "a"), field("host", "b")}, []string{"400"}},
			"no body":       {"/missing", []hpack.HeaderField{field("content-length", "5")}, []string{}},
			"two hosts":     {"/hosts", []hpack.HeaderField{field("host", "other")}, []string{"400"}},
			"two lengths":   {"/lengths", []hpack.HeaderField{field("content-length", "0"), field("content-length", "1")}, []string{"400"}},
			"bad length":    {"/length", []hpack.HeaderField{field("content-length", "+0")}, []string{"400"}},
			"two types":     {"/types", []hpack.HeaderField{field("content-type", "a/b"), field("content-type", "c/d")}, []string{"400"}},
			"unknown field": {"/pseudo", []hpack.HeaderField{field(":unknown", "x")}, []string{"400"}},
			"expectation":   {"/expect", []hpack.HeaderField{field("expect", "a miracle")}, []string{"417"}},
		} {
			f := s.H2Conn()
			if got, ok := refused(f, f.Open("GET", c.path, true, c.fields...), c.status...); !ok {
				t.Errorf("%s: %s", what, got)
			}
			f.Close()
		}
		// Within them all is well.
		f := s.H2Conn()
		if r := f.Response(f.Open("GET", "/fine", true, many[:8]...)); r.Status() != "200" {
			t.Errorf("within the limits: %v", r)
		}

		// Too large a body, announced and not; and one that is not what was announced.
		id := f.Open("POST", "/announced", false, field("content-length", "1001"))
		if got, ok := refused(f, id, "413"); !ok {
			t.Errorf("a large body that is announced: %s", got)
		}
		f = s.H2Conn()
		id = f.Open("POST", "/unannounced", false)
		harness.Must(t, f.Framer.WriteData(id, false, make([]byte, 1001)))
		if got, ok := refused(f, id, "413"); !ok {
			t.Errorf("a large body: %s", got)
		}
		if r := f.Response(f.Open("GET", "/fine", true)); r.Status() != "200" {
			t.Errorf("after that: %v", r)
		}
		for _, length := range []string{"3", "5"} {
			f = s.H2Conn()
			id = f.Open("POST", "/wrong"+length, false, field("content-length", length))
			harness.Must(t, f.Framer.WriteData(id, true, []byte("four")))
			if got, ok := refused(f, id, "400"); !ok {
				t.Errorf("a body of 4 bytes that is announced with %s: %s", length, got)
			}
		}
		s.Get("/still-there")
		s.Terminate()
		for _, m := range s.Log.All(`ran (\S*)`) {
			if m[1] != "/" && m[1] != "/fine" && m[1] != "/still-there" {
				t.Errorf("%q was run", m[1])
			}
		}
	})
}

// Without a limit of its own a head may be as large as the others allow.
func TestHTTP2HeadWithoutLimit(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.WithHTTP2(t, harness.WebH2C, harness.Options{App: "hello:app", Args: []string{"--http2-max-header-list-size", "0"}}))
	f := s.H2Conn()
	var large []hpack.HeaderField
	for i := range 12 {
		large = append(large, field(fmt.Sprint("x-", i), strings.Repeat("\x7e", 8000)))
	}
	// As a client does that heeds the size of frames.
	f.Last += 2
	block := f.EncodeHead("GET", "/", large...)
	first := block[:16384]
	harness.Must(t, f.Framer.WriteHeaders(http2.HeadersFrameParam{StreamID: f.Last - 1, BlockFragment: first, EndStream: true}))
	for rest := block[len(first):]; len(rest) > 0; {
		n := min(len(rest), 16384)
		harness.Must(t, f.Framer.WriteContinuation(f.Last-1, n == len(rest), rest[:n]))
		rest = rest[n:]
	}
	if r := f.Response(f.Last - 1); r.Status() != "200" {
		t.Errorf("%v", r)
	}
	s.Terminate()
}

// The host may stand in :authority, in host, or in both if they say the same.
func TestHTTP2Host(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.WithHTTP2(t, harness.WebH2C, harness.Options{App: "showenviron:app"}))
	f := s.H2Conn()
	authority := func(value string) hpack.HeaderField { return field(":authority", value) }
	for what, c := range map[string]struct {
		fields []hpack.HeaderField
		host   any
	}{
		"authority alone": {[]hpack.HeaderField{authority("a.example:81")}, "a.example:81"},
		"host alone":      {[]hpack.HeaderField{authority(harness.Omitted), field("host", "a.example")}, "a.example"},
		"the same twice":  {[]hpack.HeaderField{authority("a.example"), field("host", "a.example")}, "a.example"},
		"in another case": {[]hpack.HeaderField{authority("a.example"), field("host", "A.Example")}, "a.example"},
		"neither":         {[]hpack.HeaderField{authority(harness.Omitted)}, nil},
		"no body":         {[]hpack.HeaderField{authority("a"), field("content-length", "0")}, "a"},
	} {
		r := f.Response(f.Open("GET", "/path", true, c.fields...))
		if r.Status() != "200" {
			t.Errorf("%s: %v", what, r)
			continue
		}
		variablesOf(t, &harness.Response{Status: 200, Body: string(r.Body)}).expect(t, variables{"HTTP_HOST": c.host, "PATH_INFO": "/path"})
	}
	s.Terminate()
}

func TestHTTP2UnderscoreHeaders(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]any{"drop": nil, "dangerous": "x", "refuse": "400"} {
		o := harness.Options{App: "showenviron:app", Args: []string{"--header-map", policy, "--forwarded-allow-ips", "192.0.2.1"}}
		s := harness.Start(t, harness.WithHTTP2(t, harness.WebH2, o))
		p := s.Web(harness.WebH2).Fetch("GET", "/", "", "Under_Score", "x")
		switch {
		case policy == "refuse":
			if p.StatusCode != 400 {
				t.Errorf("refuse: %v", p)
			}
		case strings.Contains(p.Text, `"HTTP_UNDER_SCORE": "x"`) != (want != nil):
			t.Errorf("%s: %v", policy, p)
		}
		s.Terminate()
	}
}

func TestHTTP2BehindAProxy(t *testing.T) {
	t.Parallel()
	harness.OverHTTP2(t, harness.Options{App: "showenviron:app"}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		if p := w.Fetch("GET", "/", "", "X-Forwarded-Proto", "https"); !strings.Contains(p.Text, `"wsgi.url_scheme": "https"`) {
			t.Errorf("%v", p)
		}
		if p := w.Fetch("GET", "/", "", "X-Forwarded-Proto", "http"); !strings.Contains(p.Text, `"wsgi.url_scheme": "http"`) {
			t.Errorf("%v", p)
		}
		if p := w.Fetch("GET", "/", "", "X-Forwarded-Proto", "https", "X-Forwarded-Ssl", "off"); p.StatusCode != 400 {
			t.Errorf("contradictory headers: %v", p)
		}
		s.Terminate()
	})
}

func TestHTTP2Cancel(t *testing.T) {
	t.Parallel()
	// A request that the client cancels while it waits is never run, whether it
	// waits in the front or, as the second of one worker, in the kernel.
	harness.OverHTTP2(t, harness.Options{App: "recording:app", Args: []string{"--log-level", "debug"}}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		g := s.Gate("busy")
		busy := w.Begin(t.Context(), "/busy")
		g.Entered()
		f := s.H2Conn()
		var cancelled []uint32
		for i := range 5 {
			cancelled = append(cancelled, f.Open("GET", fmt.Sprint("/cancelled/", i), true))
		}
		kept := f.Open("GET", "/kept", true)
		f.Ping()
		for _, id := range cancelled {
			harness.Must(t, f.Framer.WriteRSTStream(id, http2.ErrCodeCancel))
		}
		f.Ping()
		// So does one who leaves altogether, and net/http's client when its context ends.
		leaver := s.H2Conn()
		leaver.Open("GET", "/cancelled/left", true)
		leaver.Ping()
		front := s.Role("front")[0].PID
		before := restingFiles(front)
		leaver.Close()
		harness.Eventually(t, "the front has seen the client leave", func() bool { return harness.OpenFiles(front) < before })
		ctx, cancel := context.WithCancel(t.Context())
		gone := w.Begin(ctx, "/cancelled/context")
		w.Begin(t.Context(), "/kept/behind")
		cancel()
		<-gone
		harness.Eventually(t, "the front has seen them leave", func() bool {
			return len(s.Log.All(`The client of GET /cancelled/(\d|left) has gone`)) == len(cancelled)+1
		})
		g.Release()
		w.Expect(busy, 200)
		if r := f.Response(kept); r.Status() != "200" {
			t.Errorf("the one that was not cancelled: %v", r)
		}
		w.Fetch("GET", "/last", "")
		s.Terminate()
		for _, m := range s.Log.All(`ran (/cancelled/\S*)`) {
			if m[1] != "/cancelled/context" { // which may have been too late, or not sent
				t.Errorf("%s was run", m[1])
			}
		}
	})
}

func TestHTTP2CancelWhileRunning(t *testing.T) {
	t.Parallel()
	// The app of a client that has gone is told so; the connection goes on.
	harness.OverHTTP2(t, harness.Options{App: "closing:app"}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		f := s.H2Conn()
		id := f.Open("GET", "/endless", true)
		f.Until("some of the body", func() bool { return len(f.Stream(id).Body) > 0 })
		harness.Must(t, f.Framer.WriteRSTStream(id, http2.ErrCodeCancel))
		s.Log.Expect(t, "close of /endless")
		if r := f.Response(f.Open("GET", "/whole", true)); r.Status() != "200" || len(r.Body) != 3000 {
			t.Errorf("%v", r)
		}
		s.Terminate()
	})
}

func TestHTTP2EarlyAnswer(t *testing.T) {
	t.Parallel()
	// A body that is refused does not end the connection, nor does an upload that
	// nobody finishes hold a worker.
	o := harness.Options{App: "echo:app", Args: []string{"--limit-request-body", "100000"}}
	harness.OverHTTP2(t, o, func(t *testing.T, s *harness.Server, w *harness.Web) {
		stalled := s.H2Conn()
		id := stalled.Open("POST", "/stalled", false)
		harness.Must(t, stalled.Framer.WriteData(id, false, []byte("beginning ")))
		stalled.Ping()
		for range 5 {
			p, err := w.Try(t.Context(), "POST", "/", io.MultiReader(strings.NewReader(strings.Repeat("x", 5<<20))))
			if err != nil || p.StatusCode != 413 {
				t.Errorf("%v, %v", p, err)
			}
			if p := w.Fetch("POST", "/", "small"); p.Text != "/\nsmall" {
				t.Errorf("%v", p)
			}
		}
		w.ExpectOneConnection()
		harness.Must(t, stalled.Framer.WriteData(id, true, []byte("end")))
		if r := stalled.Response(id); string(r.Body) != "/stalled\nbeginning end" {
			t.Errorf("%v", r)
		}
		s.Terminate()
	})
}

func TestHTTP2Expect(t *testing.T) {
	t.Parallel()
	harness.OverHTTP2(t, harness.Options{App: "echo:app", Args: []string{"--limit-request-body", "10"}}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		f := s.H2Conn()
		id := f.Open("POST", "/e", false, field("expect", "100-continue"), field("content-length", "4"))
		f.Until("the interim response", func() bool { return len(f.Stream(id).Interim) > 0 })
		harness.Must(t, f.Framer.WriteData(id, true, []byte("body")))
		if r := f.Response(id); r.Interim[0] != "100" || string(r.Body) != "/e\nbody" {
			t.Errorf("%v %v", r.Interim, r)
		}
		id = f.Open("POST", "/e", false, field("expect", "100-continue"), field("content-length", "11"))
		f.Until("the final response", func() bool { return f.Stream(id).Over() || f.Stream(id).Status() != "" })
		if r := f.Stream(id); r.Status() != "413" || len(r.Interim) > 0 {
			t.Errorf("%v %v", r.Interim, r)
		}
		s.Terminate()
	})
}
