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

// A new module that cannot be imported is mended: it was never imported.
func TestCodeReloadOfWhatWasNotImported(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "website:app", Files: siteFiles(), Args: []string{"--reload"}})
	s.WriteFile("text.py", "def broken(:\n")
	s.WriteFile("page.py", "from text import TEXT\n")
	expectBody(s, "first")
	s.Log.Expect(t, `text.py", line 1`)
	s.WriteFile("text.py", pageWith("mended"))
	expectBody(s, "mended")

	// One that is missing is made, a package too.
	s.WriteFile("page.py", "from missing import TEXT\n")
	expectBody(s, "mended")
	s.WriteFile("missing/__init__.py", pageWith("found"))
	expectBody(s, "found")
	s.Log.Expect(t, `Worker reloading: `+s.Path("missing/__init__.py")+` added`)
	s.WriteFile("page.py", "from missing.inner import TEXT\n")
	expectBody(s, "found")
	s.WriteFile("missing/inner.py", pageWith("inner"))
	expectBody(s, "inner")

	// A module that is imported is deleted, and comes back.
	harness.Must(t, os.Remove(s.Path("missing/inner.py")))
	expectBody(s, "inner")
	s.Log.Expect(t, `Worker reloading: `+s.Path("missing/inner.py")+` deleted`)
	s.Log.Expect(t, `No module named 'missing.inner'`)
	s.WriteFile("missing/inner.py", pageWith("again"))
	expectBody(s, "again")
	s.WriteFile("missing/__init__.py", "raise RuntimeError('in a package')\n")
	expectBody(s, "again")
	s.Log.Expect(t, `RuntimeError: in a package`)
}

func TestConfigFileReload(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "website:app", Files: siteFiles(), Args: []string{"--reload"}})
	s.Workers(1)
	// It comes to be, changes, imports something, and goes.
	s.WriteFile("gunicorn.conf.py", "workers = 2\n")
	s.Workers(2)
	s.WriteFile("gunicorn.conf.py", "import howmany\nworkers = howmany.N\n")
	s.Log.Expect(t, `No module named 'howmany'`)
	s.WriteFile("howmany.py", "N = 3\n")
	s.Workers(3)
	s.WriteFile("howmany.py", "N = 1\n")
	s.Workers(1)
	mark := s.Log.Mark()
	s.WriteFile("gunicorn.conf.py", "workers = 'many'\n")
	s.Log.ExpectFrom(t, mark, `Reload failed, nothing was changed`)
	mark = s.Log.Mark()
	s.WriteFile("gunicorn.conf.py", "workers = 2\nraw_env = ['A=b']\nreload_extra_files = ['notes.*']\n")
	s.Workers(2)
	s.Log.ExpectFrom(t, mark, `Ready: 2 workers`) // they serve, and the files are watched
	expectBody(s, "first")
	// The new setting counts.
	mark = s.Log.Mark()
	s.WriteFile("notes.txt", "")
	s.Log.ExpectFrom(t, mark, `Worker reloading: `+s.Path("notes.txt")+` added`)
}

func TestReloadExtraFiles(t *testing.T) {
	t.Parallel()
	files := siteFiles()
	files["page.py"] = "TEXT = ' '.join(open(n).read() for n in ('one.txt', 'templates/a/b/two.html', 'data/x/three'))\n"
	files["one.txt"], files["templates/a/b/two.html"], files["data/x/three"] = "1", "2", "3"
	s := harness.Start(t, harness.Options{App: "website:app", Files: files, Args: []string{
		"--reload", "--reload-extra-file", "one.txt", "--reload-extra-file", "templates/**/*.html", "--reload-extra-file", "data",
	}})
	expectBody(s, "1 2 3")
	s.WriteFile("one.txt", "one")
	expectBody(s, "one 2 3")
	s.WriteFile("templates/a/b/two.html", "two")
	expectBody(s, "one two 3")
	s.WriteFile("data/x/three", "three")
	expectBody(s, "one two three")
	mark := s.Log.Mark()
	s.WriteFile("templates/new.html", "")
	expectBody(s, "one two three")
	s.Log.ExpectFrom(t, mark, `Worker reloading: `+s.Path("templates/new.html")+` added`)
	harness.Must(t, os.Remove(s.Path("data/x/three")))
	expectBody(s, "one two three") // it cannot be loaded without
	s.Log.ExpectFrom(t, mark, `Worker reloading: `+s.Path("data/x/three")+` deleted`)
}

// Modules that are imported in a request are watched, too.
func TestCodeReloadLazyImport(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "website:app", Files: map[string]string{
		"website.py": strings.Replace(site, "from page import TEXT\n", "", 1) + "\n", "page.py": pageWith("first"),
	}, Conf: "def post_worker_init(worker):\n    pass\n", Args: []string{"--reload"}, NoProbe: true})
	s.WriteFile("website.py", `
def app(environ, start_response):
    from page import TEXT
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [TEXT.encode()]
`)
	harness.Eventually(t, "the page is there", func() bool {
		r, err := s.Request("GET", "/", "")
		return err == nil && r.Body == "first"
	})
	// Until the worker has told that it imported the module nobody watches it, but
	// the change is not missed.
	s.WriteFile("page.py", pageWith("second"))
	harness.Eventually(t, "the new code serves", func() bool {
		r, err := s.Request("GET", "/", "")
		return err == nil && r.Body == "second"
	})
	s.Log.Expect(t, `Worker reloading: `+s.Path("page.py")+` modified`)
}

// An app that writes a module each time it is imported does not keep the server
// from serving.
func TestCodeReloadOfWhatImportsWrite(t *testing.T) {
	t.Parallel()
	files := siteFiles()
	files["page.py"] = "import time, os\nwith open('stamp.py', 'w') as f: f.write('T = %r\\n' % time.time())\nimport stamp\nTEXT = 'served'\n"
	s := harness.Start(t, harness.Options{App: "website:app", Files: files, Args: []string{"--reload"}})
	for range 5 {
		mark := s.Log.Mark()
		expectBody(s, "served")
		s.Log.ExpectFrom(t, mark, `Worker reloading: `+s.Path("stamp.py"))
	}
}

// Without the setting nothing is watched.
func TestNoCodeReload(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "website:app", Files: siteFiles()})
	s.WriteFile("page.py", pageWith("second"))
	expectBody(s, "first")
	s.Reload(1)
	expectBody(s, "second")
	if s.Log.Count("Reloader is on|Worker reloading") > 0 {
		t.Error("there is a reloader")
	}
}

// The setting can be changed by a reload.
func TestCodeReloadTurnedOnAndOff(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "website:app", Files: siteFiles(), Conf: "reload = False\n"})
	s.WriteFile("gunicorn.conf.py", "reload = True\n")
	s.Reload(1)
	s.Log.Expect(t, `Reloader is on`)
	s.WriteFile("page.py", pageWith("second"))
	expectBody(s, "second")
	old := s.Workers(1)
	s.WriteFile("gunicorn.conf.py", "reload = False\n")
	s.Replaced(old, 1)
	s.WriteFile("page.py", pageWith("third"))
	expectBody(s, "second")
}

// A replaced interpreter environment (pip install) is noticed like the app's code.
func TestCodeReloadOfInstalledPackages(t *testing.T) {
	t.Parallel()
	dir := harness.TempDir(t)
	packages := filepath.Join(dir, "lib", "site-packages")
	harness.Must(t, os.MkdirAll(packages, 0o755))
	install := func(text string) { // at once: a file that is written for longer than changes need to settle is told of twice
		path := filepath.Join(packages, "page.py")
		harness.Must(t, os.WriteFile(path+".new", []byte(pageWith(text)), 0o644))
		harness.Must(t, os.Rename(path+".new", path))
	}
	install("one")
	s := harness.Start(t, harness.Options{App: "website:app", Files: map[string]string{"website.py": site}, Args: []string{"--reload", "--pythonpath", packages}})
	expectBody(s, "one")
	// Files beside it that nobody imported are none of our business.
	harness.Must(t, os.WriteFile(filepath.Join(packages, "other.py"), nil, 0o644))
	expectBody(s, "one")
	install("another")
	expectBody(s, "another")
	if n := s.Log.Count("Worker reloading"); n != 1 {
		t.Errorf("%d reloads, want 1", n)
	}
}

// No process, say a version control hook, is told apart from an editor.
func TestCodeReloadByTouch(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "website:app", Files: siteFiles(), Args: []string{"--reload"}})
	old := s.Workers(1)
	harness.Must(t, exec.Command("touch", s.Path("page.py")).Run())
	s.Replaced(old, 1)
	expectBody(s, "first")
}
