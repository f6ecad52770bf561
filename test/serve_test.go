//go:build linux

package test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestHello(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "hello:app", args: []string{"--workers", "2"}})
	r := s.client().do(t, "GET", "/", "")
	if r.proto != "HTTP/1.1" || r.status != 200 || r.reason != "OK" || r.body != "Hello, World!\n" {
		t.Errorf("response: %v", r)
	}
	for _, name := range []string{"Date", "Content-Type", "Content-Length"} {
		if !r.has(name) {
			t.Errorf("no %s in %v", name, r)
		}
	}
	if got := r.get("Server"); got != name() {
		t.Errorf("Server: %q", got)
	}
	s.workers(2)
	s.terminate()

	stamp := `^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [-+]\d{4}\] `
	pid := fmt.Sprint(s.pid())
	s.log.expect(t, stamp+`\[`+pid+`\] \[INFO\] Starting `+name()+` \S+$`)
	s.log.expect(t, stamp+`\[`+pid+`\] \[INFO\] Listening at: http://`+s.addr()+` \(`+pid+`\)$`)
	// Here the kind is told once it is known: the app may be one of ASGI.
	s.log.expectFrom(t, 0, stamp+`\[`+pid+`\] \[INFO\] Using worker: sync$`)
	s.log.expectFrom(t, 0, stamp+`\[\d+\] \[INFO\] Booting worker with pid: \d+$`)
	s.log.expect(t, stamp+`\[`+pid+`\] \[INFO\] Handling signal: term$`)
	s.log.expect(t, stamp+`\[\d+\] \[INFO\] Worker exiting \(pid: \d+\)$`)
	s.log.expect(t, stamp+`\[`+pid+`\] \[INFO\] Shutting down: Master$`)
	for _, m := range s.log.all(stamp + `\[(\d+)\] \[INFO\] (?:Booting worker with pid: |Worker exiting \(pid: )(\d+)`) {
		if m[1] != m[2] {
			t.Errorf("a worker speaks for another: %q", m[0])
		}
	}
	if n := s.log.count("Booting worker with pid"); n != 2 {
		t.Errorf("%d workers were booted, want 2", n)
	}
	if n := s.log.count("Worker exiting"); n != 2 {
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
			s := start(t, options{app: spec})
			if got := s.get("/"); got != want {
				t.Errorf("answer %q, want %q", got, want)
			}
			s.terminate()
		})
	}
	t.Run("from the config file", func(t *testing.T) {
		t.Parallel()
		s := start(t, options{app: "-", conf: "wsgi_app = 'package.inner:app'\n"})
		if got := s.get("/"); got != "inner" {
			t.Errorf("answer %q", got)
		}
		s.terminate()
	})
}

func TestWSGIValidator(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "validated:app"})
	c := s.client()
	for _, path := range []string{"/", "/length", "/a%20b", "/?q=1"} {
		if r := c.do(t, "GET", path, ""); r.status != 200 {
			t.Errorf("GET %s: %v", path, r)
		}
	}
	body := "line one is long\nline two\n"
	if r := c.do(t, "POST", "/post", body, "Content-Type: text/plain"); r.body != "/post\n"+body {
		t.Errorf("POST: %v", r)
	}
	if r := c.do(t, "GET", "/write", ""); r.body != "written returned" {
		t.Errorf("write(): %v", r)
	}
	if r := c.do(t, "HEAD", "/", ""); r.status != 200 {
		t.Errorf("HEAD: %v", r)
	}
	s.log.expect(t, "seen /post")
	s.terminate()
	if s.log.count("AssertionError") > 0 {
		t.Error("wsgiref.validate complained")
	}
}

func TestEnviron(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "showenviron:app", args: []string{"--workers", "2"}})
	environ := func(c *client, request string) map[string]any {
		t.Helper()
		c.send(t, request)
		var got map[string]any
		must(t, json.Unmarshal([]byte(c.receive(t, "GET").body), &got))
		return got
	}
	c := s.client()
	host, port, _ := strings.Cut(s.addr(), ":")
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
	if v, _ := got["SERVER_SOFTWARE"].(string); !strings.HasPrefix(v, name()+"/") {
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
	s.terminate()
}

func TestEnvironThreads(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "showenviron:app", args: []string{"--threads", "2"}})
	var got map[string]any
	must(t, json.Unmarshal([]byte(s.get("/")), &got))
	if got["wsgi.multithread"] != true || got["wsgi.multiprocess"] != false {
		t.Errorf("multithread %v, multiprocess %v", got["wsgi.multithread"], got["wsgi.multiprocess"])
	}
	s.log.expect(t, "Using worker: gthread$")
	s.terminate()
}

func TestLargeEnviron(t *testing.T) {
	t.Parallel()
	s := start(t, options{
		app: "showenviron:app", args: []string{"--limit-request-field_size", "8190"}, env: []string{"INDRIK_LIMIT_REQUEST_HEAD=0"},
	})
	c := s.client()
	var fields []string
	for i := range 80 {
		fields = append(fields, fmt.Sprintf("X-Large-%d: %s", i, strings.Repeat(string(rune('a'+i%26)), 4000)))
	}
	r := c.do(t, "GET", "/", "", fields...)
	var got map[string]any
	must(t, json.Unmarshal([]byte(r.body), &got))
	for i := range 80 {
		if v := got[fmt.Sprintf("HTTP_X_LARGE_%d", i)]; v != strings.Repeat(string(rune('a'+i%26)), 4000) {
			t.Errorf("field %d has changed", i)
		}
	}
	s.terminate()
}

func TestErrors(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "failing:app"})
	for path, why := range map[string]string{
		"/before": `^ValueError: before the head$`, "/twice": `^AssertionError: Response headers already set!$`,
		"/never": `^AssertionError: `, "/bad-name": `'Bad Name'`, "/bad-value": `header X-Value: byte 1 of it`, "/bad-status": `X-Injected`,
	} {
		mark := s.log.mark()
		r, err := s.request("GET", path, "")
		if err != nil || r.status != 500 || r.has("X-Injected") || !strings.Contains(r.body, "<h1>") {
			t.Errorf("%s: %v, %v", path, r, err)
		}
		s.log.expectFrom(t, mark, `\[ERROR\] Error handling request GET `+path)
		s.log.expectFrom(t, mark, why)
	}
	if r, err := s.request("GET", "/exc-info", ""); err != nil || r.status != 503 || r.body != "replaced\n" {
		t.Errorf("exc_info before the head: %v, %v", r, err)
	}
	for _, path := range []string{"/after", "/exc-info-late"} {
		mark := s.log.mark()
		r, err := s.request("GET", path, "")
		if err == nil || r == nil || r.status != 200 || r.body != "part" {
			t.Errorf("%s: %v, %v, want a response cut after its first part", path, r, err)
		}
		s.log.expectFrom(t, mark, `Traceback \(most recent call last\)`)
	}
	if r, err := s.request("GET", "/too-short", ""); err == nil {
		t.Errorf("a body shorter than its Content-Length ends as if it were whole: %v", r)
	}
	if r, err := s.request("GET", "/too-long", ""); err != nil || r.body != "12345" {
		t.Errorf("a body longer than its Content-Length: %v, %v", r, err)
	}
	if got := s.get("/"); got != "fine\n" {
		t.Errorf("after the errors: %q", got)
	}
	s.terminate()
}

func TestExitInApp(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "failing:app"})
	if r, err := s.request("GET", "/exit", ""); err != nil || r.status/100 != 5 {
		t.Errorf("sys.exit in the app: %v, %v", r, err)
	}
	if got := s.get("/"); got != "fine\n" {
		t.Errorf("after sys.exit: %q", got)
	}
	s.terminate()
}

func TestCloseIsCalled(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "closing:app"})
	for _, path := range []string{"/whole", "/fails-at-once", "/fails-later"} {
		s.request("GET", path, "")
		s.log.expect(t, "close of "+path)
	}
	s.request("HEAD", "/head", "")
	s.log.expect(t, "close of /head")

	c := s.client()
	c.send(t, format("GET", "/endless", ""))
	if _, err := c.r.ReadByte(); err != nil {
		t.Fatal(err)
	}
	c.Close()
	s.log.expect(t, "close of /endless")
	if r, err := s.request("GET", "/after", ""); err != nil || len(r.body) != 3000 {
		t.Errorf("after a client that left: %v, %v", r, err)
	}
	s.terminate()
}

func TestErrorsStream(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "validated:app", args: []string{"--error-logfile", "err.log"}})
	s.get("/to-the-log")
	eventually(t, "wsgi.errors is in the error log", func() bool {
		return strings.Contains(s.read("err.log"), "seen /to-the-log\n")
	})
	s.terminate()
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "echo:app", args: []string{"--access-logfile", "access.log"}})
	r, err := s.request("GET", "/path?query=1", "", "User-Agent: tester", `Referer: http://a/"b"`)
	if err != nil || r.status != 200 {
		t.Fatalf("%v, %v", r, err)
	}
	want := `127.0.0.1 - - [DATE] "GET /path?query=1 HTTP/1.1" 200 6 "http://a/\"b\"" "tester"`
	eventually(t, "the access log has the request", func() bool { return strings.Contains(s.read("access.log"), "tester") })
	for line := range strings.Lines(s.read("access.log")) {
		if !strings.Contains(line, "tester") {
			continue
		}
		open, close := strings.IndexByte(line, '['), strings.IndexByte(line, ']')
		if got := strings.TrimSpace(line[:open+1] + "DATE" + line[close:]); got != want {
			t.Errorf("access log:\n%s\nwant\n%s", got, want)
		}
	}
	s.terminate()
}

func TestBinds(t *testing.T) {
	t.Parallel()
	p := []int{freePort(t), freePort(t)}
	binds := []string{fmt.Sprintf("127.0.0.1:%d", p[0]), "unix:DIR/web.sock"}
	if _, err := os.Stat("/proc/net/if_inet6"); err == nil {
		binds = append(binds, fmt.Sprintf("[::1]:%d", p[1]))
	}
	s := start(t, options{app: "showenviron:app", bind: binds, args: []string{"--workers", "2"}})
	for i, b := range binds {
		network, addr := "tcp", strings.ReplaceAll(b, "DIR", s.dir)
		if path, ok := strings.CutPrefix(addr, "unix:"); ok {
			network, addr = "unix", path
		}
		c, err := dial(network, addr)
		must(t, err)
		var got map[string]any
		must(t, json.Unmarshal([]byte(c.do(t, "GET", "/", "", "Connection: close").body), &got))
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
	s.log.expect(t, `Listening at: http://127\.0\.0\.1:\d+,unix:`+s.path("web.sock"))
	s.terminate()
}

func TestOneQueue(t *testing.T) {
	t.Parallel()
	// One of two workers is busy: no request waits for it.
	s := start(t, options{app: "gated:app", args: []string{"--workers", "2"}})
	s.workers(2)
	g := s.gate("busy")
	busy := s.begin("/busy")
	g.entered()
	for range 200 {
		s.get("/")
	}
	g.release()
	busy.expect(200)
	s.terminate()
}

func TestThreads(t *testing.T) {
	t.Parallel()
	// Four slots run four requests at a time; a fifth waits and is not lost.
	s := start(t, options{app: "gated:app", args: []string{"--threads", "4"}})
	var gates []*gate
	var waiting []*pending
	for i := range 4 {
		g := s.gate(fmt.Sprint("g", i))
		waiting = append(waiting, s.begin(fmt.Sprint("/g", i)))
		g.entered()
		gates = append(gates, g)
	}
	last := s.gate("last")
	fifth := s.begin("/last")
	gates[0].release()
	last.entered()
	last.release()
	fifth.expect(200)
	for _, g := range gates[1:] {
		g.release()
	}
	threads := map[string]bool{}
	for _, p := range waiting {
		threads[p.expect(200).body] = true
	}
	if len(threads) != 4 {
		t.Errorf("the requests ran in %d threads: %v", len(threads), threads)
	}
	s.terminate()
}
