//go:build linux

package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// site is an app whose answer is in another module.
const site = `
from page import TEXT

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [TEXT.encode()]
`

func pageWith(text string) string { return fmt.Sprintf("TEXT = %q\n", text) }

func siteFiles() map[string]string {
	return map[string]string{"website.py": site, "page.py": pageWith("first")}
}

// expectBody asks once, and at once.
func (s *server) expectBody(want string) {
	s.t.Helper()
	r, err := s.request("GET", "/", "")
	if err != nil || r.body != want {
		s.t.Fatalf("the answer is %v, %v, want %q", r, err, want)
	}
}

// A request that comes after a file was saved gets the new code, with no time
// in between.
func TestCodeReload(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"auto", "inotify", "poll"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := start(t, options{app: "website:app", files: siteFiles(), args: []string{"--reload", "--reload-engine", engine, "--workers", "2"}})
			s.log.expect(t, `\[WARNING\] Reloader is on\. Use in development only!`)
			s.expectBody("first")
			old := s.workers(2)
			for i := range 3 {
				text := fmt.Sprint("edit ", i)
				s.write("page.py", pageWith(text))
				s.expectBody(text)
			}
			s.log.expect(t, `\[INFO\] Worker reloading: `+s.path("page.py")+` modified`)
			s.replaced(old, 2)
			s.terminate()
		})
	}
}

// Nobody needs to ask for anything: the reload is done when the browser comes.
func TestCodeReloadUnasked(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"inotify", "poll"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := start(t, options{app: "website:app", files: siteFiles(), args: []string{"--reload", "--reload-engine", engine}})
			old := s.workers(1)
			s.write("page.py", pageWith("second"))
			s.replaced(old, 1)
			s.expectBody("second")
		})
	}
}

// Requests that come while the new code is being imported wait for it.
func TestCodeReloadIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "website:app", files: siteFiles(), args: []string{"--reload", "--workers", "2"}})
	s.workers(2)
	importing := s.gate("importing")
	s.write("page.py", "import gate\ngate.wait('importing')\n"+pageWith("second"))
	p := s.begin("/")
	importing.entered()
	q := s.begin("/")
	importing.release()
	for _, p := range []*pending{p, q} {
		if r := p.expect(200); r.body != "second" {
			t.Errorf("%v", r)
		}
	}
}

// What is wrong with the new code is in the log, and the old one goes on.
func TestBrokenCodeReload(t *testing.T) {
	t.Parallel()
	for _, preload := range []bool{false, true} {
		t.Run(fmt.Sprintf("preload=%t", preload), func(t *testing.T) {
			t.Parallel()
			o := options{app: "website:app", files: siteFiles(), args: []string{"--reload"}}
			if preload {
				o.args = append(o.args, "--preload")
			}
			s := start(t, o)
			old := s.workers(1)
			for _, broken := range []string{"TEXT = (\n", "import no_such_module\n", "TEXT = 1 / 0\n"} {
				mark := s.log.mark()
				s.write("page.py", broken)
				s.expectBody("first")
				s.log.expectFrom(t, mark, `Reload failed, nothing was changed`)
			}
			s.log.expect(t, `SyntaxError`)
			s.log.expect(t, `No module named 'no_such_module'`)
			s.log.expect(t, `ZeroDivisionError`)
			if now := s.workers(1); now[0] != old[0] {
				t.Errorf("the worker was %v, and is %v", old, now)
			}
			s.write("page.py", pageWith("mended"))
			s.expectBody("mended")
		})
	}
}

// A new module that cannot be imported is mended: it was never imported.
func TestCodeReloadOfWhatWasNotImported(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "website:app", files: siteFiles(), args: []string{"--reload"}})
	s.write("text.py", "def broken(:\n")
	s.write("page.py", "from text import TEXT\n")
	s.expectBody("first")
	s.log.expect(t, `text.py", line 1`)
	s.write("text.py", pageWith("mended"))
	s.expectBody("mended")

	// One that is missing is made, a package too.
	s.write("page.py", "from missing import TEXT\n")
	s.expectBody("mended")
	s.write("missing/__init__.py", pageWith("found"))
	s.expectBody("found")
	s.log.expect(t, `Worker reloading: `+s.path("missing/__init__.py")+` added`)
	s.write("page.py", "from missing.inner import TEXT\n")
	s.expectBody("found")
	s.write("missing/inner.py", pageWith("inner"))
	s.expectBody("inner")

	// A module that is imported is deleted, and comes back.
	must(t, os.Remove(s.path("missing/inner.py")))
	s.expectBody("inner")
	s.log.expect(t, `Worker reloading: `+s.path("missing/inner.py")+` deleted`)
	s.log.expect(t, `No module named 'missing.inner'`)
	s.write("missing/inner.py", pageWith("again"))
	s.expectBody("again")
	s.write("missing/__init__.py", "raise RuntimeError('in a package')\n")
	s.expectBody("again")
	s.log.expect(t, `RuntimeError: in a package`)
}

// As with Gunicorn, an app that does not compile is no reason not to start.
func TestCodeReloadFromSyntaxError(t *testing.T) {
	t.Parallel()
	for _, preload := range []bool{false, true} {
		t.Run(fmt.Sprintf("preload=%t", preload), func(t *testing.T) {
			t.Parallel()
			files := siteFiles()
			files["page.py"] = "TEXT = (\n"
			o := options{app: "website:app", files: files, args: []string{"--reload"}, noProbe: true}
			if preload {
				o.args = append(o.args, "--preload")
			}
			s := start(t, o)
			s.workers(1)
			s.log.expect(t, `SyntaxError: `)
			shows := func(text string) {
				t.Helper()
				eventually(t, "the page shows "+text, func() bool {
					r, err := s.request("GET", "/", "")
					return err == nil && r.status == 500 && strings.HasPrefix(r.get("Content-Type"), "text/plain") && strings.Contains(r.body, text)
				})
			}
			shows(`page.py", line 1`)
			s.write("page.py", "TEXT = 'a'\nTEXT = [\n")
			shows(`page.py", line 2`)
			s.write("page.py", pageWith("mended"))
			s.expectBody("mended")
			// Now there is something better than the error.
			s.write("page.py", "TEXT = (\n")
			s.expectBody("mended")
		})
	}
	t.Run("without reload", func(t *testing.T) {
		s := launch(t, options{app: "website:app", files: map[string]string{"website.py": "def app(:\n"}})
		s.expectExit(3)
	})
}

func TestCodeReloadPreload(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "website:app", files: siteFiles(), args: []string{"--reload", "--preload", "--workers", "2"}})
	s.expectBody("first")
	s.write("page.py", pageWith("second"))
	s.expectBody("second")
	s.write("page.py", pageWith("third"))
	s.expectBody("third")
	s.workers(2)
}

func TestConfigFileReload(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "website:app", files: siteFiles(), args: []string{"--reload"}})
	s.workers(1)
	// It comes to be, changes, imports something, and goes.
	s.write("gunicorn.conf.py", "workers = 2\n")
	s.workers(2)
	s.write("gunicorn.conf.py", "import howmany\nworkers = howmany.N\n")
	s.log.expect(t, `No module named 'howmany'`)
	s.write("howmany.py", "N = 3\n")
	s.workers(3)
	s.write("howmany.py", "N = 1\n")
	s.workers(1)
	mark := s.log.mark()
	s.write("gunicorn.conf.py", "workers = 'many'\n")
	s.log.expectFrom(t, mark, `Reload failed, nothing was changed`)
	s.write("gunicorn.conf.py", "workers = 2\nraw_env = ['A=b']\nreload_extra_files = ['notes.*']\n")
	s.workers(2)
	s.expectBody("first")
	// The new setting counts.
	mark = s.log.mark()
	s.write("notes.txt", "")
	s.log.expectFrom(t, mark, `Worker reloading: `+s.path("notes.txt")+` added`)
}

func TestReloadExtraFiles(t *testing.T) {
	t.Parallel()
	files := siteFiles()
	files["page.py"] = "TEXT = ' '.join(open(n).read() for n in ('one.txt', 'templates/a/b/two.html', 'data/x/three'))\n"
	files["one.txt"], files["templates/a/b/two.html"], files["data/x/three"] = "1", "2", "3"
	s := start(t, options{app: "website:app", files: files, args: []string{
		"--reload", "--reload-extra-file", "one.txt", "--reload-extra-file", "templates/**/*.html", "--reload-extra-file", "data",
	}})
	s.expectBody("1 2 3")
	s.write("one.txt", "one")
	s.expectBody("one 2 3")
	s.write("templates/a/b/two.html", "two")
	s.expectBody("one two 3")
	s.write("data/x/three", "three")
	s.expectBody("one two three")
	mark := s.log.mark()
	s.write("templates/new.html", "")
	s.expectBody("one two three")
	s.log.expectFrom(t, mark, `Worker reloading: `+s.path("templates/new.html")+` added`)
	must(t, os.Remove(s.path("data/x/three")))
	s.expectBody("one two three") // it cannot be loaded without
	s.log.expectFrom(t, mark, `Worker reloading: `+s.path("data/x/three")+` deleted`)
}

// Modules that are imported in a request are watched, too.
func TestCodeReloadLazyImport(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "website:app", files: map[string]string{
		"website.py": strings.Replace(site, "from page import TEXT\n", "", 1) + "\n", "page.py": pageWith("first"),
	}, conf: "def post_worker_init(worker):\n    pass\n", args: []string{"--reload"}, noProbe: true})
	s.write("website.py", `
def app(environ, start_response):
    from page import TEXT
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [TEXT.encode()]
`)
	eventually(t, "the page is there", func() bool {
		r, err := s.request("GET", "/", "")
		return err == nil && r.body == "first"
	})
	// Until the worker has told that it imported the module nobody watches it, but
	// the change is not missed.
	s.write("page.py", pageWith("second"))
	eventually(t, "the new code serves", func() bool {
		r, err := s.request("GET", "/", "")
		return err == nil && r.body == "second"
	})
	s.log.expect(t, `Worker reloading: `+s.path("page.py")+` modified`)
}

// worker_int runs in the workers that new code replaces, as in Gunicorn, and in
// no others; on_reload comes with each reload.
func TestCodeReloadHook(t *testing.T) {
	t.Parallel()
	conf := "def worker_int(worker):\n    worker.log.info('worker_int of %s', worker.pid)\n" +
		"def on_reload(server):\n    server.log.info('on_reload')\n"
	s := start(t, options{app: "website:app", files: siteFiles(), conf: conf, args: []string{"--reload", "--workers", "2"}})
	old := s.workers(2)
	s.write("page.py", pageWith("second"))
	s.expectBody("second")
	now := s.replaced(old, 2)
	s.signal(syscall.SIGHUP)
	s.replaced(now, 2)
	s.terminate()
	for _, pid := range old {
		if n := s.log.count(fmt.Sprintf("worker_int of %d$", pid)); n != 1 {
			t.Errorf("worker_int was called %d times in worker %d, want 1", n, pid)
		}
	}
	if n := s.log.count("worker_int of "); n != 2 {
		t.Errorf("worker_int was called %d times, want 2", n)
	}
	if n := s.log.count("on_reload"); n != 2 {
		t.Errorf("on_reload was called %d times, want 2", n)
	}
}

// A reload of code loses no request either.
func TestCodeReloadUnderLoad(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "reloaded:app", args: []string{"--reload", "--workers", "2"}, files: map[string]string{
		"reloaded.py": "import number\nfrom echo import app\n", "number.py": "N = 0\n",
	}})
	keepAlive, oneShot := s.bothLoads(2)
	for i := range 3 {
		old := s.workers(2)
		s.write("number.py", fmt.Sprintf("N = %d\n", i+1))
		s.replaced(old, 2)
		keepAlive.progress(20)
	}
	expectNoneLost(t, keepAlive, oneShot)
}

// A file is not read half written, and one save is one reload.
func TestCodeReloadSettles(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "website:app", files: siteFiles(), args: []string{"--reload"}})
	for i := range 10 {
		must(t, os.WriteFile(s.path("page.py"), []byte(fmt.Sprintf("TEXT = (%d,\n", i)), 0o644))
	}
	must(t, os.WriteFile(s.path("page.py"), []byte(pageWith("whole")), 0o644))
	s.expectBody("whole")
	if n := s.log.count("Booting worker"); n > 6 {
		t.Errorf("%d workers", n)
	}
}

// An app that writes a module each time it is imported does not keep the server
// from serving.
func TestCodeReloadOfWhatImportsWrite(t *testing.T) {
	t.Parallel()
	files := siteFiles()
	files["page.py"] = "import time, os\nwith open('stamp.py', 'w') as f: f.write('T = %r\\n' % time.time())\nimport stamp\nTEXT = 'served'\n"
	s := start(t, options{app: "website:app", files: files, args: []string{"--reload"}})
	for range 5 {
		mark := s.log.mark()
		s.expectBody("served")
		s.log.expectFrom(t, mark, `Worker reloading: `+s.path("stamp.py"))
	}
}

// Without the setting nothing is watched.
func TestNoCodeReload(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "website:app", files: siteFiles()})
	s.write("page.py", pageWith("second"))
	s.expectBody("first")
	s.reload(1)
	s.expectBody("second")
	if s.log.count("Reloader is on|Worker reloading") > 0 {
		t.Error("there is a reloader")
	}
}

// The setting can be changed by a reload.
func TestCodeReloadTurnedOnAndOff(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "website:app", files: siteFiles(), conf: "reload = False\n"})
	s.write("gunicorn.conf.py", "reload = True\n")
	s.reload(1)
	s.log.expect(t, `Reloader is on`)
	s.write("page.py", pageWith("second"))
	s.expectBody("second")
	old := s.workers(1)
	s.write("gunicorn.conf.py", "reload = False\n")
	s.replaced(old, 1)
	s.write("page.py", pageWith("third"))
	s.expectBody("second")
}

func TestSpew(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--threads", "2"}, {"--preload"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			s := start(t, options{app: "website:app", files: siteFiles(), args: append([]string{"--spew"}, args...)})
			s.expectBody("first")
			s.log.expect(t, `^page:1: TEXT = "first"`)
			s.log.expect(t, `^website:5:     start_response\("200 OK"`)
		})
	}
	s := start(t, options{app: "website:app", files: siteFiles()})
	s.expectBody("first")
	if s.log.count(`^website:`) > 0 {
		t.Error("lines are printed without --spew")
	}
}

// A replaced interpreter environment (pip install) is noticed like the app's code.
func TestCodeReloadOfInstalledPackages(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	packages := filepath.Join(dir, "lib", "site-packages")
	must(t, os.MkdirAll(packages, 0o755))
	install := func(text string) {
		must(t, os.WriteFile(filepath.Join(packages, "page.py"), []byte(pageWith(text)), 0o644))
	}
	install("one")
	s := start(t, options{app: "website:app", files: map[string]string{"website.py": site}, args: []string{"--reload", "--pythonpath", packages}})
	s.expectBody("one")
	// Files beside it that nobody imported are none of our business.
	must(t, os.WriteFile(filepath.Join(packages, "other.py"), nil, 0o644))
	s.expectBody("one")
	install("another")
	s.expectBody("another")
	if n := s.log.count("Worker reloading"); n != 1 {
		t.Errorf("%d reloads, want 1", n)
	}
}

// No process, say a version control hook, is told apart from an editor.
func TestCodeReloadByTouch(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "website:app", files: siteFiles(), args: []string{"--reload"}})
	old := s.workers(1)
	must(t, exec.Command("touch", s.path("page.py")).Run())
	s.replaced(old, 1)
	s.expectBody("first")
}

// A request waits only so long; then it gets what there is.
func TestCodeReloadIsNotWaitedForForever(t *testing.T) {
	t.Parallel()
	if os.Getenv("INDRIK_TEST_LONG") == "" {
		t.Skip("takes 20 seconds: set INDRIK_TEST_LONG=1")
	}
	s := start(t, options{app: "website:app", files: siteFiles(), args: []string{"--reload"}})
	importing := s.gate("importing")
	s.write("page.py", "import gate\ngate.wait('importing')\n"+pageWith("second"))
	s.expectBody("first")
	importing.entered()
	importing.release()
	s.log.expect(t, `Worker exiting`)
	s.expectBody("second")
}

// Apps of ASGI and workers of every kind are reloaded alike, and an app that does
// not compile is told by the same page.
func TestCodeReloadKinds(t *testing.T) {
	t.Parallel()
	asgi := `
from page import TEXT

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("no lifespan")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": TEXT.encode()})
`
	for _, c := range []struct{ args, text string }{
		{"", asgi}, {"-k asgi", asgi}, {"-k asgi --preload", asgi}, {"-k gevent", site}, {"--threads 3", site},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			s := start(t, options{app: "website:app", python: venv(t), args: append(strings.Fields(c.args), "--reload"), noProbe: true, files: map[string]string{
				"website.py": c.text, "page.py": "TEXT = (\n",
			}})
			eventually(t, "the page shows what is wrong", func() bool {
				r, err := s.request("GET", "/", "")
				return err == nil && r.status == 500 && strings.Contains(r.body, "SyntaxError")
			})
			for _, text := range []string{"first", "second"} {
				s.write("page.py", pageWith(text))
				s.expectBody(text)
			}
			s.terminate()
		})
	}
}
