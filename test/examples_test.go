//go:build linux

package test

import (
	"bufio"
	"fmt"
	"io/fs"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"indrik/test/harness"
)

var exampleCommand = regexp.MustCompile(`(?m)^    indrik (.*)$`)

// example runs the first command that the README.md of an example has, in a copy of
// its directory and with the environment of `make venv` active.
func example(t *testing.T, name string) (*harness.Server, *harness.Web) {
	t.Helper()
	return exampleIn(t, name, filepath.Dir(filepath.Dir(harness.Venv(t))))
}

// exampleIn runs it with another environment active.
func exampleIn(t *testing.T, name, env string) (*harness.Server, *harness.Web) {
	t.Helper()
	dir := filepath.Join(harness.Repository, "examples", name)
	files := map[string]string{}
	harness.Must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
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
	port := harness.FreePort(t)
	s := harness.Launch(t, harness.Options{
		App: "-", Bind: []string{}, Args: strings.Fields(command[1]), Files: files, Python: "-",
		Env: []string{"VIRTUAL_ENV=" + env, "PYTHONPATH=", fmt.Sprint("INDRIK_BIND=127.0.0.1:", port)},
	})
	s.ListensOn(port)
	s.Ready()
	w := s.Web(harness.WebH1)
	w.URL = "http://127.0.0.1"
	w.Jar, _ = cookiejar.New(nil)
	return s, w
}

func TestExampleHello(t *testing.T) {
	t.Parallel()
	s, w := example(t, "hello")
	if p := w.Fetch("GET", "/", ""); p.Text != "Hello, World!\n" {
		t.Errorf("%v", p)
	}
	s.Workers(2)
	s.Terminate()
}

func TestExampleFlask(t *testing.T) {
	t.Parallel()
	s, w := example(t, "flask")
	form := url.Values{"name": {"<Ada>"}}.Encode()
	if p := w.Fetch("POST", "/", form, "Content-Type", "application/x-www-form-urlencoded"); p.StatusCode != 200 {
		t.Errorf("%v", p)
	}
	if p := w.Fetch("GET", "/", ""); !strings.Contains(p.Text, "Hello, &lt;Ada&gt;! You have been here 2 times.") {
		t.Errorf("%v", p)
	}
	s.WriteFile("app.py", strings.Replace(s.ReadFile("app.py"), "Hello,", "Good evening,", 1))
	if p := w.Fetch("GET", "/", ""); !strings.Contains(p.Text, "Good evening, &lt;Ada&gt;!") {
		t.Errorf("after a change: %v", p)
	}
	s.Terminate()
}

func TestExampleDjango(t *testing.T) {
	t.Parallel()
	s, w := example(t, "django")
	s.Workers(2)
	p := w.Fetch("GET", "/", "")
	token := csrfToken.FindStringSubmatch(p.Text)
	if !strings.Contains(p.Text, "Hello, World!") || token == nil {
		t.Fatalf("%v", p)
	}
	form := url.Values{"name": {"<Ada>"}, "csrfmiddlewaretoken": {token[1]}}.Encode()
	if p := w.Fetch("POST", "/", form, "Content-Type", "application/x-www-form-urlencoded"); p.StatusCode != 302 {
		t.Errorf("%v", p)
	}
	if p := w.Fetch("GET", "/", ""); !strings.Contains(p.Text, "Hello, &lt;Ada&gt;!") {
		t.Errorf("%v", p)
	}
	if p := w.Fetch("GET", "/static/style.css", ""); p.Text != s.ReadFile("mysite/static/style.css") {
		t.Errorf("%v", p)
	}
	s.Terminate()
}

func TestExampleFastAPI(t *testing.T) {
	t.Parallel()
	s, w := example(t, "fastapi")
	s.Workers(2)
	s.Log.Expect(t, `Using worker: asgi`)
	if p := w.Fetch("GET", "/", ""); !strings.Contains(p.Text, `"hello":"world"`) {
		t.Errorf("%v", p)
	}
	if p := w.Fetch("POST", "/orders", `{"item": "tea"}`, "Content-Type", "application/json"); p.StatusCode != 201 || p.Text != `{"ordered":"tea","count":1}` {
		t.Errorf("%v", p)
	}
	r, err := w.Get(w.URL + "/clock?ticks=2")
	harness.Must(t, err)
	defer r.Body.Close()
	lines := bufio.NewScanner(r.Body)
	if !lines.Scan() || lines.Text() != "data: tick 0" {
		t.Errorf("the first event: %q, %v", lines.Text(), lines.Err())
	}
	s.Terminate() // which lets the stream finish
	for lines.Scan() {
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the stream: %v", err)
	}
}

func TestAllExampleModel(t *testing.T) {
	t.Parallel()
	env := filepath.Join(harness.TempDir(t), "venv")
	harness.Output(t, "/", nil, harness.Python(), "-m", "venv", env)
	if out, err := exec.Command(filepath.Join(env, "bin", "pip"), "install", "--quiet", "flask==3.1.3", "py3langid==0.4.0").CombinedOutput(); err != nil {
		t.Skipf("no packages: %v\n%s", err, out)
	}
	s, w := exampleIn(t, "model", env)
	form := url.Values{"text": {"Bonjour tout le monde"}}.Encode()
	if p := w.Fetch("POST", "/", form, "Content-Type", "application/x-www-form-urlencoded"); !strings.Contains(p.Text, `"language":"fr"`) {
		t.Errorf("%v", p)
	}
	form = url.Values{"text": {"Guten Morgen, wie geht es?\n\nBuenos días, ¿cómo está usted?"}}.Encode()
	p := w.Fetch("POST", "/lines", form, "Content-Type", "application/x-www-form-urlencoded")
	if lines := strings.Split(p.Text, "\n"); len(lines) != 3 || !strings.Contains(lines[0], `"de"`) || !strings.Contains(lines[1], `"es"`) {
		t.Errorf("%v", p)
	}
	s.Terminate()
}
