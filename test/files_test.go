//go:build linux

package test

import (
	"fmt"
	"io"
	"maps"
	"os"
	"testing"

	"indrik/test/harness"
)

// filesApp sends a file, as the path names it, with a Content-Length if the query is sized.
const filesApp = `import os
def app(environ, start_response):
    f = open(environ["PATH_INFO"][1:] or "webapp.py", "rb")
    size = str(os.fstat(f.fileno()).st_size)
    start_response("200 OK", [("Content-Length", size)] if environ["QUERY_STRING"] == "sized" else [])
    return environ["wsgi.file_wrapper"](f)
`

// Files of all sizes, those that go by shared memory and those that go by descriptor, reach the
// client whole, and its connection goes on.
func TestFilesOfAllSizes(t *testing.T) {
	t.Parallel()
	contents := map[string]string{}
	for _, size := range []int{1, 4 << 10, 16 << 10, 50_000, 64 << 10, 64<<10 + 1, 256<<10 - 1, 256 << 10, 256<<10 + 1, 3 << 20} {
		contents[fmt.Sprintf("f%d", size)] = string(noise(size))
	}
	for name, change := range map[string]func(o *harness.Options){
		"plain":       func(*harness.Options) {},
		"unix socket": func(o *harness.Options) { o.Bind = []string{"unix:DIR/web.sock"} },
		"no sendfile": func(o *harness.Options) { o.Args = []string{"--no-sendfile"} },
		"threads":     func(o *harness.Options) { o.Args = []string{"--threads", "2"} },
		"TLS":         func(o *harness.Options) { *o = harness.WithTLS(t, *o) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := harness.Options{App: "webapp:app", Files: map[string]string{"webapp.py": filesApp}}
			maps.Copy(o.Files, contents)
			change(&o)
			s := harness.Start(t, o)
			c := s.Client()
			for file, content := range contents {
				for _, query := range []string{"", "?sized"} {
					if r := c.Do(t, "GET", "/"+file+query, ""); r.Body != content || r.Closes() {
						t.Errorf("/%s%s: %d bytes: %v", file, query, len(r.Body), r)
					}
				}
				if r := c.Do(t, "HEAD", "/"+file+"?sized", ""); r.Get("Content-Length") != fmt.Sprint(len(content)) || r.Body != "" {
					t.Errorf("HEAD /%s: %v", file, r)
				}
				last := s.Client()
				if r := last.Do(t, "GET", "/"+file, "", "Connection: close"); r.Body != content || !r.Closes() {
					t.Errorf("/%s: %d bytes, and then the end: %v", file, len(r.Body), r)
				}
				last.ExpectEOF(t)
			}
			s.Terminate()
		})
	}
}

// A client that reads a file slowly holds up nobody, not even with one worker. One whose file is
// cut meanwhile sees that something is missing.
func TestFileForASlowClient(t *testing.T) {
	t.Parallel()
	const size = 30 << 20
	content := noise(size)
	s := harness.Start(t, harness.Options{App: "webapp:app", Files: map[string]string{
		"webapp.py": filesApp, "large": string(content), "cut": string(content), "small": "small",
	}})
	slow, cut := narrowClient(s, t), narrowClient(s, t)
	slow.Send(t, harness.FormatRequest("GET", "/large", ""))
	cut.Send(t, harness.FormatRequest("GET", "/cut", ""))
	for _, c := range []*harness.Client{slow, cut} {
		if r, err := harness.ReadHead(c.Reader); err != nil || r.Get("Content-Length") != fmt.Sprint(size) {
			t.Fatalf("%v, %v", r, err)
		}
	}
	if got := s.Get("/small"); got != "small" {
		t.Errorf("got %q beside slow clients", got)
	}
	harness.Must(t, os.Truncate(s.Path("cut"), 20<<20))
	if n, err := io.Copy(io.Discard, cut.Reader); err == nil || n >= size {
		t.Errorf("%d bytes of the file that was cut, and %v", n, err)
	}
	got := make([]byte, size)
	if n, err := io.ReadFull(slow.Reader, got); err != nil || string(got) != string(content) {
		t.Errorf("%d bytes: %v", n, err)
	}
	slow.Send(t, harness.FormatRequest("GET", "/small", ""))
	if r := slow.Receive(t, "GET"); r.Body != "small" {
		t.Errorf("%v", r)
	}
	s.Terminate()
}

// Each request has a connection of its own, and nobody loses a response by its end: not a client
// that keeps its side open, nor one that has closed it before.
func TestConnectionForEachRequest(t *testing.T) {
	t.Parallel()
	content := string(noise(200_000))
	for _, bind := range []string{"tcp", "unix:DIR/web.sock"} {
		o := harness.Options{App: "webapp:app", Files: map[string]string{"webapp.py": filesApp, "file": content}, Args: []string{"--workers", "2"}}
		if bind != "tcp" {
			o.Bind = []string{bind}
		}
		s := harness.Start(t, o)
		for i := range 60 {
			c := s.Client()
			version, fields := "1.1", "Connection: close\r\n"
			if i%2 == 0 {
				version, fields = "1.0", ""
			}
			c.Send(t, fmt.Sprintf("GET /file HTTP/%s\r\nHost: a\r\n%s\r\n", version, fields))
			if i%3 == 0 {
				harness.Must(t, c.Conn.(interface{ CloseWrite() error }).CloseWrite())
			}
			if r := c.Receive(t, "GET"); r.Body != content {
				t.Errorf("request %d by %s: %d bytes: %v", i, bind, len(r.Body), r)
			}
			c.ExpectEOF(t)
			c.Close()
		}
		s.Terminate()
	}
}
