//go:build linux

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
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

const pasteFile = `
[DEFAULT]
color = blue

[app:main]
paste.app_factory = pasted:factory
greeting = hello

[app:admin]
paste.app_factory = pasted:factory
greeting = admin

[pipeline:loud]
pipeline = shout admin

[filter:shout]
paste.filter_factory = pasted:shout

[server:main]
use = egg:gunicorn#main
port = 1
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
			s := start(t, options{app: "-", python: venv(t), args: strings.Fields(args), files: map[string]string{
				"pasted.py": pasteApp, "development.ini": pasteFile,
			}})
			r, err := s.request("GET", "/", "")
			if err != nil || !strings.HasPrefix(r.body, strings.ReplaceAll(want, "DIR", s.dir)) {
				t.Errorf("%v, %v, want %q", r, err, want)
			}
			if title := s.role("master")[0].title; !strings.HasSuffix(title, "["+s.path("development.ini")+"]") {
				t.Errorf("the title is %s", title)
			}
			if strings.Contains(args, "--reload") {
				s.write("development.ini", strings.Replace(pasteFile, "hello", "bye", 1))
				s.expectBody("bye red - " + s.dir)
			}
			s.terminate()
		})
	}
}

// A file that configures Python's logging does so for the server, too.
func TestPasteLogging(t *testing.T) {
	t.Parallel()
	logging := `
[loggers]
keys = root, gunicorn.error
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
level = INFO
handlers = console
[logger_gunicorn.error]
level = INFO
handlers = console
propagate = 0
qualname = gunicorn.error
[handler_console]
class = StreamHandler
args = (sys.stderr,)
level = NOTSET
formatter = plain
[formatter_plain]
format = PASTED %(levelname)s %(message)s
`
	s := start(t, options{app: "-", python: venv(t), args: []string{"--paste", "development.ini"}, files: map[string]string{
		"pasted.py": pasteApp, "development.ini": pasteFile + logging,
	}})
	s.log.expect(t, `^PASTED INFO Booting worker with pid`)
	s.terminate()
}

func TestPasteErrors(t *testing.T) {
	t.Parallel()
	s := launch(t, options{app: "-", args: []string{"--paste", "missing.ini"}})
	s.expectExit(1)
	s.log.expect(t, `Error: '`+s.path("missing.ini")+`' not found`)

	// An environment of the same Python that has nothing installed.
	empty := filepath.Join(tempDir(t), "venv")
	if out, err := exec.Command(venv(t), "-m", "venv", "--without-pip", empty).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s = launch(t, options{app: "-", python: filepath.Join(empty, "bin", "python"), args: []string{"--paste", "app.ini"}, files: map[string]string{
		"app.ini": pasteFile,
	}})
	s.expectExit(4)
	s.log.expect(t, `--paste needs the package PasteDeploy in the environment of the app: pip install PasteDeploy`)

	s = launch(t, options{app: "-", python: venv(t), args: []string{"--paste", "app.ini#none"}, files: map[string]string{"app.ini": pasteFile}})
	s.expectExit(3)
	s.log.expect(t, `LookupError: No section 'none'`)
	must(t, os.RemoveAll(empty))
}
