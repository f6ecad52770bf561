//go:build linux

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"indrik/test/harness"
)

const pasteApp = `
def factory(global_conf, **local_conf):
    def app(environ, start_response):
        names = ("greeting", "color", "shape", "here")
        text = " ".join(local_conf.get(n) or global_conf.get(n, "-") for n in names)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [text.encode()]
    return app

def shout(global_conf, **local_conf):
    def wrap(app):
        def shouting(environ, start_response):
            return [part.upper() for part in app(environ, start_response)]
        return shouting
    return wrap
`

func TestPaste(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--paste development.ini":                                                "hello blue - DIR",
		"--paste development.ini#admin --paste-global shape=round":               "admin blue round DIR",
		"--paste DIR/development.ini#loud --paste-global shape=a\\=b --preload":  "ADMIN BLUE A=B ",
		"--paster development.ini --paste-global color=red --threads 2 --reload": "hello red - DIR",
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{App: "-", Python: harness.Venv(t), Args: strings.Fields(args), Files: map[string]string{
				"pasted.py": pasteApp, "development.ini": harness.TestFile(t, "configs/development.ini"),
			}})
			r, err := s.Request("GET", "/", "")
			if err != nil || !strings.HasPrefix(r.Body, strings.ReplaceAll(want, "DIR", s.Dir)) {
				t.Errorf("%v, %v, want %q", r, err, want)
			}
			if title := s.Role("master")[0].Title; !strings.HasSuffix(title, "["+s.Path("development.ini")+"]") {
				t.Errorf("the title is %s", title)
			}
			if strings.Contains(args, "--reload") {
				s.WriteFile("development.ini", strings.Replace(harness.TestFile(t, "configs/development.ini"), "hello", "bye", 1))
				expectBody(s, "bye red - "+s.Dir)
			}
			s.Terminate()
		})
	}
}

// A file that configures Python's logging does so for the server, too.
func TestPasteLogging(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "-", Python: harness.Venv(t), Args: []string{"--paste", "development.ini"}, Files: map[string]string{
		"pasted.py": pasteApp, "development.ini": harness.TestFile(t, "configs/development.ini") + harness.TestFile(t, "configs/pasted_logging.ini"),
	}})
	s.Log.Expect(t, `^PASTED INFO Booting worker with pid`)
	s.Terminate()
}

func TestPasteErrors(t *testing.T) {
	t.Parallel()
	s := harness.Launch(t, harness.Options{App: "-", Args: []string{"--paste", "missing.ini"}})
	s.ExpectExit(1)
	s.Log.Expect(t, `Error: '`+s.Path("missing.ini")+`' not found`)

	// An environment of the same Python that has nothing installed.
	empty := filepath.Join(harness.TempDir(t), "venv")
	if out, err := exec.Command(harness.Venv(t), "-m", "venv", "--without-pip", empty).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s = harness.Launch(t, harness.Options{App: "-", Python: filepath.Join(empty, "bin", "python"), Args: []string{"--paste", "app.ini"}, Files: map[string]string{
		"app.ini": harness.TestFile(t, "configs/development.ini"),
	}})
	s.ExpectExit(4)
	s.Log.Expect(t, `--paste needs the package PasteDeploy in the environment of the app: pip install PasteDeploy`)

	s = harness.Launch(t, harness.Options{App: "-", Python: harness.Venv(t), Args: []string{"--paste", "app.ini#none"}, Files: map[string]string{"app.ini": harness.TestFile(t, "configs/development.ini")}})
	s.ExpectExit(3)
	s.Log.Expect(t, `LookupError: No section 'none'`)
	harness.Must(t, os.RemoveAll(empty))
}
