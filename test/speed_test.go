//go:build linux

package test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"indrik/test/harness"
	"indrik/test/pythons"
)

// speedPath builds indrik-speed, as if it was of the given version of Indrik, and returns what makes
// an interpreter find it.
func speedPath(t *testing.T, version string) []string {
	t.Helper()
	dir := t.TempDir()
	err := pythons.BuildSpeed(harness.Python(), harness.Repository, version, dir)
	if errors.Is(err, pythons.ErrNoCompiler) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return []string{"PYTHONPATH=" + dir}
}

// serverVersion returns the version of the program under test.
func serverVersion(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile(filepath.Join(harness.Repository, "internal", "version", "version.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`const Version = "(.+)"`).FindSubmatch(source)
	if found == nil {
		t.Fatal("no version in version.go")
	}
	return string(found[1])
}

const speedASGI = `
async def app(scope, receive, send):
    assert scope["type"] == "http"
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": (scope["path"] + " ").encode() + body})
`

const speedWSGI = `
def app(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"].encode() + b" " + body]
`

// Workers of each kind that can do so use it, and say so once, also after a reload.
func TestSpeed(t *testing.T) {
	t.Parallel()
	version := serverVersion(t)
	env := speedPath(t, version)
	for kind, args := range map[string][]string{"sync": nil, "gthread": {"--threads", "2"}, "asgi": {"-k", "asgi"}} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			source := speedWSGI
			if kind == "asgi" {
				source = speedASGI
			}
			s := harness.Start(t, harness.Options{
				App: "app:app", Files: map[string]string{"app.py": source}, Env: env, Args: append([]string{"--speed", "on", "--control-socket", "srv.ctl"}, args...),
			})
			s.Log.Expect(t, `Using indrik-speed: `+version+`$`)
			for _, w := range statusOf(t, s).Workers {
				if w.Speed != version {
					t.Errorf("status tells of indrik-speed %q", w.Speed)
				}
			}
			for round := range 2 {
				for _, size := range []int{0, 1, 100_000} {
					body := strings.Repeat("x", size)
					r, err := s.Request("POST", fmt.Sprintf("/%d", round), body)
					if err != nil {
						t.Fatal(err)
					}
					if want := fmt.Sprintf("/%d %s", round, body); r.Status != 200 || string(r.Body) != want {
						t.Errorf("%d bytes: status %d, %d bytes", size, r.Status, len(r.Body))
					}
				}
				if round == 0 {
					s.Reload(1)
				}
			}
			s.Terminate()
			if n := s.Log.Count(`Using indrik-speed`); n != 1 {
				t.Errorf("it is told %d times", n)
			}
		})
	}
}

// What is of another version, or cannot be imported, is not used, and the log says why.
func TestSpeedThatDoesNotFit(t *testing.T) {
	t.Parallel()
	version := serverVersion(t)
	for name, c := range map[string]struct {
		env  func(t *testing.T) []string
		file string
		want string
	}{
		"version": {
			env:  func(t *testing.T) []string { return speedPath(t, "0.0.1") },
			want: `indrik-speed is of version 0\.0\.1, and Indrik of version ` + version + `: it is not used$`,
		},
		"broken": {file: "1 / 0\n", want: `indrik-speed cannot be imported \(ZeroDivisionError: division by zero\): it is not used$`},
		"empty":  {file: "", want: `indrik-speed is of version None, and Indrik of version ` + version + `: it is not used$`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := harness.Options{Files: map[string]string{}}
			if c.env != nil {
				o.Env = c.env(t)
				o.App, o.Files["app.py"] = "app:app", speedWSGI
			} else {
				o.Files["indrik_speed.py"] = c.file
			}
			s := harness.Start(t, o)
			s.Log.Expect(t, c.want)
			s.Terminate()
			if n := s.Log.Count(`Using indrik-speed`); n != 0 {
				t.Error("it is used")
			}
		})
	}
}

// With the setting on, nothing starts without it; with off nothing looks for it.
func TestSpeedOnAndOff(t *testing.T) {
	t.Parallel()
	s := harness.Launch(t, harness.Options{Args: []string{"--speed", "on"}, Files: map[string]string{"indrik_speed.py": "import nowhere\n"}})
	s.ExpectExit(3)
	s.Log.Expect(t, `indrik-speed cannot be imported .*nowhere.*, and the setting speed is on$`)
	s = harness.Start(t, harness.Options{Args: []string{"--speed", "off"}, Files: map[string]string{"indrik_speed.py": "1 / 0\n"}})
	s.Terminate()
	if n := s.Log.Count(`indrik-speed`); n != 0 {
		t.Error("the log tells of it")
	}
}

// The three places that name the version name the same one.
func TestSpeedVersion(t *testing.T) {
	version := serverVersion(t)
	for file, want := range map[string]string{
		"speed/src/version.h": `#define VERSION "` + version + `"`,
		"pyproject.toml":      `speed = ["indrik-speed==` + version + `; `,
	} {
		text, err := os.ReadFile(filepath.Join(harness.Repository, file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), want) {
			t.Errorf("%s has no %s", file, want)
		}
	}
}

// The wheel of a release, and what pip makes of the sdist, are found and used.
func TestAllSpeedWheel(t *testing.T) {
	t.Parallel()
	for name, pattern := range map[string]string{"wheel": "indrik_speed-*_" + machine() + ".*.whl", "sdist": "indrik_speed-*.tar.gz"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := distributed(t, pattern)
			env := filepath.Join(harness.TempDir(t), "venv")
			harness.Output(t, "/", nil, harness.Python(), "-m", "venv", env)
			pip(t, env, file)
			s := harness.Start(t, harness.Options{
				App: "app:app", Files: map[string]string{"app.py": speedWSGI}, Python: filepath.Join(env, "bin", "python"), Args: []string{"--speed", "on"},
			})
			s.Log.Expect(t, `Using indrik-speed: `+serverVersion(t)+`$`)
			s.Terminate()
		})
	}
}

// machine returns this machine's name in the names of wheels.
func machine() string {
	if runtime.GOARCH == "arm64" {
		return "aarch64"
	}
	return "x86_64"
}
