//go:build linux

package test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"indrik/test/harness"
)

func TestHello(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "hello:app", Args: []string{"--workers", "2"}})
	r := s.Client().Do(t, "GET", "/", "")
	if r.Proto != "HTTP/1.1" || r.Status != 200 || r.Reason != "OK" || r.Body != "Hello, World!\n" {
		t.Errorf("response: %v", r)
	}
	for _, name := range []string{"Date", "Content-Type", "Content-Length"} {
		if !r.Has(name) {
			t.Errorf("no %s in %v", name, r)
		}
	}
	if got := r.Get("Server"); got != harness.ProgramName() {
		t.Errorf("Server: %q", got)
	}
	s.Workers(2)
	s.Terminate()

	stamp := `^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [-+]\d{4}\] `
	pid := fmt.Sprint(s.PID())
	s.Log.Expect(t, stamp+`\[`+pid+`\] \[INFO\] Starting `+harness.ProgramName()+` \S+$`)
	s.Log.Expect(t, stamp+`\[`+pid+`\] \[INFO\] Listening at: http://`+s.Address+` \(`+pid+`\)$`)
	// Here the kind is told once it is known: the app may be one of ASGI.
	s.Log.ExpectFrom(t, 0, stamp+`\[`+pid+`\] \[INFO\] Using worker: sync$`)
	s.Log.ExpectFrom(t, 0, stamp+`\[\d+\] \[INFO\] Booting worker with pid: \d+$`)
	s.Log.Expect(t, stamp+`\[`+pid+`\] \[INFO\] Handling signal: term$`)
	s.Log.Expect(t, stamp+`\[\d+\] \[INFO\] Worker exiting \(pid: \d+\)$`)
	s.Log.Expect(t, stamp+`\[`+pid+`\] \[INFO\] Shutting down: Master$`)
	for _, m := range s.Log.All(stamp + `\[(\d+)\] \[INFO\] (?:Booting worker with pid: |Worker exiting \(pid: )(\d+)`) {
		if m[1] != m[2] {
			t.Errorf("a worker speaks for another: %q", m[0])
		}
	}
	if n := s.Log.Count("Booting worker with pid"); n != 2 {
		t.Errorf("%d workers were booted, want 2", n)
	}
	if n := s.Log.Count("Worker exiting"); n != 2 {
		t.Errorf("%d workers said that they exit, want 2", n)
	}
}

func TestAppSpecs(t *testing.T) {
	t.Parallel()
	for spec, want := range map[string]string{
		"specs":                               "application",
		"specs:application":                   "application",
		"package.inner:app":                   "inner",
		"specs:factory()":                     "factory () []",
		"specs:factory('a', 2, key=[1, 'b'])": "factory ('a', 2) [('key', [1, 'b'])]",
	} {
		t.Run(spec, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{App: spec})
			if got := s.Get("/"); got != want {
				t.Errorf("answer %q, want %q", got, want)
			}
			s.Terminate()
		})
	}
	t.Run("from the config file", func(t *testing.T) {
		t.Parallel()
		s := harness.Start(t, harness.Options{App: "-", Conf: "wsgi_app = 'package.inner:app'\n"})
		if got := s.Get("/"); got != "inner" {
			t.Errorf("answer %q", got)
		}
		s.Terminate()
	})
}

func TestWSGIValidator(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "validated:app"})
	c := s.Client()
	for _, path := range []string{"/", "/length", "/a%20b", "/?q=1"} {
		if r := c.Do(t, "GET", path, ""); r.Status != 200 {
			t.Errorf("GET %s: %v", path, r)
		}
	}
	body := "line one is long\nline two\n"
	if r := c.Do(t, "POST", "/post", body, "Content-Type: text/plain"); r.Body != "/post\n"+body {
		t.Errorf("POST: %v", r)
	}
	if r := c.Do(t, "GET", "/write", ""); r.Body != "written returned" {
		t.Errorf("write(): %v", r)
	}
	if r := c.Do(t, "HEAD", "/", ""); r.Status != 200 {
		t.Errorf("HEAD: %v", r)
	}
	s.Log.Expect(t, "seen /post")
	s.Terminate()
	if s.Log.Count("AssertionError") > 0 {
		t.Error("wsgiref.validate complained")
	}
}

func TestEnviron(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "showenviron:app", Args: []string{"--workers", "2"}})
	environ := func(c *harness.Client, request string) map[string]any {
		t.Helper()
		c.Send(t, request)
		var got map[string]any
		harness.Must(t, json.Unmarshal([]byte(c.Receive(t, "GET").Body), &got))
		return got
	}
	c := s.Client()
	host, port, _ := strings.Cut(s.Address, ":")
	client, clientPort, _ := strings.Cut(c.LocalAddr().String(), ":")
	got := environ(c, "POST /a%20b/%C3%A9?x=1&y=%20 HTTP/1.1\r\nHost: example.org\r\nContent-Type: text/x\r\n"+
		"Content-Length: 3\r\nX-Twice: one\r\nX-Twice: two\r\nCookie: a=1\r\nx-lower-case: yes\r\nUnder_Score: no\r\n\r\nabc")
	for key, want := range map[string]any{
		"REQUEST_METHOD": "POST", "PATH_INFO": "/a b/Ã©", "QUERY_STRING": "x=1&y=%20",
		"RAW_URI": "/a%20b/%C3%A9?x=1&y=%20", "SERVER_PROTOCOL": "HTTP/1.1", "SCRIPT_NAME": "",
		"CONTENT_TYPE": "text/x", "CONTENT_LENGTH": "3", "HTTP_HOST": "example.org", "HTTP_X_TWICE": "one,two",
		"HTTP_COOKIE": "a=1", "HTTP_X_LOWER_CASE": "yes", "SERVER_NAME": host, "SERVER_PORT": port,
		"REMOTE_ADDR": client, "REMOTE_PORT": clientPort, "wsgi.url_scheme": "http", "wsgi.multithread": false,
		"wsgi.multiprocess": true, "wsgi.run_once": false, "wsgi.input_terminated": true,
	} {
		if got[key] != want {
			t.Errorf("%s is %#v, want %#v", key, got[key], want)
		}
	}
	if v := fmt.Sprint(got["wsgi.version"]); v != "[1 0]" {
		t.Errorf("wsgi.version is %s", v)
	}
	if v, _ := got["SERVER_SOFTWARE"].(string); !strings.HasPrefix(v, harness.ProgramName()+"/") {
		t.Errorf("SERVER_SOFTWARE is %q", v)
	}
	for _, key := range []string{"wsgi.input", "wsgi.errors", "wsgi.file_wrapper", "wsgi.early_hints"} {
		if got[key] == nil {
			t.Errorf("no %s", key)
		}
	}
	for _, key := range []string{"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "HTTP_UNDER_SCORE"} {
		if got[key] != nil {
			t.Errorf("%s is %#v", key, got[key])
		}
	}

	// What one request had must not show in the next.
	got = environ(c, "GET http://other.example//x?#frag HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	for key, want := range map[string]any{
		"REQUEST_METHOD": "GET", "PATH_INFO": "//x", "QUERY_STRING": "", "SERVER_PROTOCOL": "HTTP/1.0",
		"CONTENT_TYPE": nil, "CONTENT_LENGTH": nil, "HTTP_HOST": "other.example", // RFC 9112 section 3.2.2
		"HTTP_X_TWICE": nil, "HTTP_COOKIE": nil,
	} {
		if got[key] != want {
			t.Errorf("second request: %s is %#v, want %#v", key, got[key], want)
		}
	}
	got = environ(c, "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: https\r\n\r\n")
	if got["wsgi.url_scheme"] != "https" {
		t.Errorf("X-Forwarded-Proto from a trusted peer gives %v", got["wsgi.url_scheme"])
	}
	s.Terminate()
}

func TestEnvironThreads(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "showenviron:app", Args: []string{"--threads", "2"}})
	var got map[string]any
	harness.Must(t, json.Unmarshal([]byte(s.Get("/")), &got))
	if got["wsgi.multithread"] != true || got["wsgi.multiprocess"] != false {
		t.Errorf("multithread %v, multiprocess %v", got["wsgi.multithread"], got["wsgi.multiprocess"])
	}
	s.Log.Expect(t, "Using worker: gthread$")
	s.Terminate()
}

func TestLargeEnviron(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{
		App: "showenviron:app", Args: []string{"--limit-request-field_size", "8190"}, Env: []string{"INDRIK_LIMIT_REQUEST_HEAD=0"},
	})
	c := s.Client()
	var fields []string
	for i := range 80 {
		fields = append(fields, fmt.Sprintf("X-Large-%d: %s", i, strings.Repeat(string(rune('a'+i%26)), 4000)))
	}
	r := c.Do(t, "GET", "/", "", fields...)
	var got map[string]any
	harness.Must(t, json.Unmarshal([]byte(r.Body), &got))
	for i := range 80 {
		if v := got[fmt.Sprintf("HTTP_X_LARGE_%d", i)]; v != strings.Repeat(string(rune('a'+i%26)), 4000) {
			t.Errorf("field %d has changed", i)
		}
	}
	s.Terminate()
}

func TestErrors(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "failing:app"})
	for path, why := range map[string]string{
		"/before": `^ValueError: before the head$`, "/twice": `^AssertionError: Response headers already set!$`,
		"/never": `^AssertionError: `, "/bad-name": `'Bad Name'`, "/bad-value": `header X-Value: byte 1 of it`, "/bad-status": `X-Injected`,
	} {
		mark := s.Log.Mark()
		r, err := s.Request("GET", path, "")
		if err != nil || r.Status != 500 || r.Has("X-Injected") || !strings.Contains(r.Body, "<h1>") {
			t.Errorf("%s: %v, %v", path, r, err)
		}
		s.Log.ExpectFrom(t, mark, `\[ERROR\] Error handling request GET `+path)
		s.Log.ExpectFrom(t, mark, why)
	}
	if r, err := s.Request("GET", "/exc-info", ""); err != nil || r.Status != 503 || r.Body != "replaced\n" {
		t.Errorf("exc_info before the head: %v, %v", r, err)
	}
	for _, path := range []string{"/after", "/exc-info-late"} {
		mark := s.Log.Mark()
		r, err := s.Request("GET", path, "")
		if err == nil || r == nil || r.Status != 200 || r.Body != "part" {
			t.Errorf("%s: %v, %v, want a response cut after its first part", path, r, err)
		}
		s.Log.ExpectFrom(t, mark, `Traceback \(most recent call last\)`)
	}
	if r, err := s.Request("GET", "/too-short", ""); err == nil {
		t.Errorf("a body shorter than its Content-Length ends as if it were whole: %v", r)
	}
	if r, err := s.Request("GET", "/too-long", ""); err != nil || r.Body != "12345" {
		t.Errorf("a body longer than its Content-Length: %v, %v", r, err)
	}
	if got := s.Get("/"); got != "fine\n" {
		t.Errorf("after the errors: %q", got)
	}
	s.Terminate()
}

func TestExitInApp(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "failing:app"})
	if r, err := s.Request("GET", "/exit", ""); err != nil || r.Status/100 != 5 {
		t.Errorf("sys.exit in the app: %v, %v", r, err)
	}
	if got := s.Get("/"); got != "fine\n" {
		t.Errorf("after sys.exit: %q", got)
	}
	s.Terminate()
}

func TestCloseIsCalled(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "closing:app"})
	for _, path := range []string{"/whole", "/fails-at-once", "/fails-later"} {
		s.Request("GET", path, "")
		s.Log.Expect(t, "close of "+path)
	}
	s.Request("HEAD", "/head", "")
	s.Log.Expect(t, "close of /head")

	c := s.Client()
	c.Send(t, harness.FormatRequest("GET", "/endless", ""))
	if _, err := c.Reader.ReadByte(); err != nil {
		t.Fatal(err)
	}
	c.Close()
	s.Log.Expect(t, "close of /endless")
	if r, err := s.Request("GET", "/after", ""); err != nil || len(r.Body) != 3000 {
		t.Errorf("after a client that left: %v, %v", r, err)
	}
	s.Terminate()
}

func TestErrorsStream(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "validated:app", Args: []string{"--error-logfile", "err.log"}})
	s.Get("/to-the-log")
	harness.Eventually(t, "wsgi.errors is in the error log", func() bool {
		return strings.Contains(s.ReadFile("err.log"), "seen /to-the-log\n")
	})
	s.Terminate()
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Args: []string{"--access-logfile", "access.log"}})
	r, err := s.Request("GET", "/path?query=1", "", "User-Agent: tester", `Referer: http://a/"b"`)
	if err != nil || r.Status != 200 {
		t.Fatalf("%v, %v", r, err)
	}
	want := `127.0.0.1 - - [DATE] "GET /path?query=1 HTTP/1.1" 200 6 "http://a/\"b\"" "tester"`
	harness.Eventually(t, "the access log has the request", func() bool { return strings.Contains(s.ReadFile("access.log"), "tester") })
	for line := range strings.Lines(s.ReadFile("access.log")) {
		if !strings.Contains(line, "tester") {
			continue
		}
		open, close := strings.IndexByte(line, '['), strings.IndexByte(line, ']')
		if got := strings.TrimSpace(line[:open+1] + "DATE" + line[close:]); got != want {
			t.Errorf("access log:\n%s\nwant\n%s", got, want)
		}
	}
	s.Terminate()
}

func TestBinds(t *testing.T) {
	t.Parallel()
	p := []int{harness.FreePort(t), harness.FreePort(t)}
	binds := []string{fmt.Sprintf("127.0.0.1:%d", p[0]), "unix:DIR/web.sock"}
	if _, err := os.Stat("/proc/net/if_inet6"); err == nil {
		binds = append(binds, fmt.Sprintf("[::1]:%d", p[1]))
	}
	s := harness.Start(t, harness.Options{App: "showenviron:app", Bind: binds, Args: []string{"--workers", "2"}})
	for i, b := range binds {
		network, addr := "tcp", strings.ReplaceAll(b, "DIR", s.Dir)
		if path, ok := strings.CutPrefix(addr, "unix:"); ok {
			network, addr = "unix", path
		}
		c, err := harness.Dial(network, addr)
		harness.Must(t, err)
		var got map[string]any
		harness.Must(t, json.Unmarshal([]byte(c.Do(t, "GET", "/", "", "Connection: close").Body), &got))
		c.Close()
		switch i {
		case 0:
			if got["SERVER_PORT"] != fmt.Sprint(p[0]) {
				t.Errorf("%s: SERVER_PORT %v", b, got["SERVER_PORT"])
			}
		case 1:
			if got["REMOTE_ADDR"] != "" || got["REMOTE_PORT"] != nil || got["SERVER_NAME"] != "test" || got["SERVER_PORT"] != "80" {
				t.Errorf("%s: %v", b, got)
			}
		case 2:
			if got["REMOTE_ADDR"] != "::1" || got["SERVER_NAME"] != "::1" {
				t.Errorf("%s: %v", b, got)
			}
		}
	}
	s.Log.Expect(t, `Listening at: http://127\.0\.0\.1:\d+,unix:`+s.Path("web.sock"))
	s.Terminate()
}

func TestOneQueue(t *testing.T) {
	t.Parallel()
	// One of two workers is busy: no request waits for it.
	s := harness.Start(t, harness.Options{App: "gated:app", Args: []string{"--workers", "2", "--timeout", "0"}})
	s.Workers(2)
	g := s.Gate("busy")
	busy := s.Begin("/busy")
	g.Entered()
	for range 200 {
		s.Get("/")
	}
	g.Release()
	busy.Expect(200)
	s.Terminate()
}

func TestThreads(t *testing.T) {
	t.Parallel()
	// Four slots run four requests at a time; a fifth waits and is not lost.
	s := harness.Start(t, harness.Options{App: "gated:app", Args: []string{"--threads", "4"}})
	var gates []*harness.Gate
	var waiting []*harness.Pending
	for i := range 4 {
		g := s.Gate(fmt.Sprint("g", i))
		waiting = append(waiting, s.Begin(fmt.Sprint("/g", i)))
		g.Entered()
		gates = append(gates, g)
	}
	last := s.Gate("last")
	fifth := s.Begin("/last")
	gates[0].Release()
	last.Entered()
	last.Release()
	fifth.Expect(200)
	for _, g := range gates[1:] {
		g.Release()
	}
	threads := map[string]bool{}
	for _, p := range waiting {
		threads[p.Expect(200).Body] = true
	}
	if len(threads) != 4 {
		t.Errorf("the requests ran in %d threads: %v", len(threads), threads)
	}
	s.Terminate()
}
