//go:build linux

package test

import (
	"bufio"
	"fmt"
	"io/fs"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var exampleCommand = regexp.MustCompile(`(?m)^    indrik (.*)$`)

// example runs the first command that the README.md of an example has, in a copy of
// its directory and with the environment of `make venv` active.
func example(t *testing.T, name string) (*server, *web) {
	t.Helper()
	dir := filepath.Join(repository, "examples", name)
	files := map[string]string{}
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(path, "__pycache__") {
			return err
		}
		text, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		files[rel] = string(text)
		return err
	}))
	command := exampleCommand.FindStringSubmatch(files["README.md"])
	if command == nil {
		t.Fatalf("examples/%s/README.md has no command", name)
	}
	port := freePort(t)
	s := launch(t, options{
		app: "-", bind: []string{}, args: strings.Fields(command[1]), files: files, python: "-",
		env: []string{"VIRTUAL_ENV=" + filepath.Dir(filepath.Dir(venv(t))), "PYTHONPATH=", fmt.Sprint("INDRIK_BIND=127.0.0.1:", port)},
	})
	s.port = port
	s.ready()
	w := s.web(webH1)
	w.url = "http://127.0.0.1"
	w.Jar, _ = cookiejar.New(nil)
	return s, w
}

func TestExampleHello(t *testing.T) {
	t.Parallel()
	s, w := example(t, "hello")
	if p := w.do("GET", "/", ""); p.body != "Hello, World!\n" {
		t.Errorf("%v", p)
	}
	s.workers(2)
	s.terminate()
}

func TestExampleFlask(t *testing.T) {
	t.Parallel()
	s, w := example(t, "flask")
	form := url.Values{"name": {"<Ada>"}}.Encode()
	if p := w.do("POST", "/", form, "Content-Type", "application/x-www-form-urlencoded"); p.StatusCode != 200 {
		t.Errorf("%v", p)
	}
	if p := w.do("GET", "/", ""); !strings.Contains(p.body, "Hello, &lt;Ada&gt;! You have been here 2 times.") {
		t.Errorf("%v", p)
	}
	s.write("app.py", strings.Replace(s.read("app.py"), "Hello,", "Good evening,", 1))
	if p := w.do("GET", "/", ""); !strings.Contains(p.body, "Good evening, &lt;Ada&gt;!") {
		t.Errorf("after a change: %v", p)
	}
	s.terminate()
}

func TestExampleDjango(t *testing.T) {
	t.Parallel()
	s, w := example(t, "django")
	s.workers(2)
	p := w.do("GET", "/", "")
	token := csrfToken.FindStringSubmatch(p.body)
	if !strings.Contains(p.body, "Hello, World!") || token == nil {
		t.Fatalf("%v", p)
	}
	form := url.Values{"name": {"<Ada>"}, "csrfmiddlewaretoken": {token[1]}}.Encode()
	if p := w.do("POST", "/", form, "Content-Type", "application/x-www-form-urlencoded"); p.StatusCode != 302 {
		t.Errorf("%v", p)
	}
	if p := w.do("GET", "/", ""); !strings.Contains(p.body, "Hello, &lt;Ada&gt;!") {
		t.Errorf("%v", p)
	}
	if p := w.do("GET", "/static/style.css", ""); p.body != s.read("mysite/static/style.css") {
		t.Errorf("%v", p)
	}
	s.terminate()
}

func TestExampleFastAPI(t *testing.T) {
	t.Parallel()
	s, w := example(t, "fastapi")
	s.workers(2)
	s.log.expect(t, `Using worker: asgi`)
	if p := w.do("GET", "/", ""); !strings.Contains(p.body, `"hello":"world"`) {
		t.Errorf("%v", p)
	}
	if p := w.do("POST", "/orders", `{"item": "tea"}`, "Content-Type", "application/json"); p.StatusCode != 201 || p.body != `{"ordered":"tea","count":1}` {
		t.Errorf("%v", p)
	}
	r, err := w.Get(w.url + "/clock?ticks=2")
	must(t, err)
	defer r.Body.Close()
	lines := bufio.NewScanner(r.Body)
	if !lines.Scan() || lines.Text() != "data: tick 0" {
		t.Errorf("the first event: %q, %v", lines.Text(), lines.Err())
	}
	s.terminate() // which lets the stream finish
	for lines.Scan() {
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the stream: %v", err)
	}
}
