//go:build linux

package test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
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
func expectBody(s *harness.Server, want string) {
	s.T.Helper()
	r, err := s.Request("GET", "/", "")
	if err != nil || r.Body != want {
		s.T.Fatalf("the answer is %v, %v, want %q", r, err, want)
	}
}

// A request that comes after a file was saved gets the new code, with no time
// in between.
func TestCodeReload(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"auto", "inotify", "poll"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{App: "website:app", Files: siteFiles(), Args: []string{"--reload", "--reload-engine", engine, "--workers", "2"}})
			s.Log.Expect(t, `\[WARNING\] Reloader is on\. Use in development only!`)
			expectBody(s, "first")
			old := s.Workers(2)
			for i := range 3 {
				text := fmt.Sprint("edit ", i)
				s.WriteFile("page.py", pageWith(text))
				expectBody(s, text)
			}
			s.Log.Expect(t, `\[INFO\] Worker reloading: `+s.Path("page.py")+` modified`)
			s.Replaced(old, 2)
			s.Terminate()
		})
	}
}

// Nobody needs to ask for anything: the reload is done when the browser comes.
func TestCodeReloadUnasked(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"inotify", "poll"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{App: "website:app", Files: siteFiles(), Args: []string{"--reload", "--reload-engine", engine}})
			old := s.Workers(1)
			s.WriteFile("page.py", pageWith("second"))
			s.Replaced(old, 1)
			expectBody(s, "second")
		})
	}
}

// Requests that come while the new code is being imported wait for it.
func TestCodeReloadIsWaitedFor(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "website:app", Files: siteFiles(), Args: []string{"--reload", "--workers", "2"}})
	s.Workers(2)
	importing := s.Gate("importing")
	s.WriteFile("page.py", "import gate\ngate.wait('importing')\n"+pageWith("second"))
	p := s.Begin("/")
	importing.Entered()
	q := s.Begin("/")
	importing.Release()
	for _, p := range []*harness.Pending{p, q} {
		if r := p.Expect(200); r.Body != "second" {
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
			o := harness.Options{App: "website:app", Files: siteFiles(), Args: []string{"--reload"}}
			if preload {
				o.Args = append(o.Args, "--preload")
			}
			s := harness.Start(t, o)
			old := s.Workers(1)
			for _, broken := range []string{"TEXT = (\n", "import no_such_module\n", "TEXT = 1 / 0\n"} {
				mark := s.Log.Mark()
				s.WriteFile("page.py", broken)
				expectBody(s, "first")
				s.Log.ExpectFrom(t, mark, `Reload failed, nothing was changed`)
			}
			s.Log.Expect(t, `SyntaxError`)
			s.Log.Expect(t, `No module named 'no_such_module'`)
			s.Log.Expect(t, `ZeroDivisionError`)
			if now := s.Workers(1); now[0] != old[0] {
				t.Errorf("the worker was %v, and is %v", old, now)
			}
			s.WriteFile("page.py", pageWith("mended"))
			expectBody(s, "mended")
		})
	}
}

// As with Gunicorn, an app that does not compile is no reason not to start.
func TestCodeReloadFromSyntaxError(t *testing.T) {
	t.Parallel()
	for _, preload := range []bool{false, true} {
		t.Run(fmt.Sprintf("preload=%t", preload), func(t *testing.T) {
			t.Parallel()
			files := siteFiles()
			files["page.py"] = "TEXT = (\n"
			o := harness.Options{App: "website:app", Files: files, Args: []string{"--reload"}, NoProbe: true}
			if preload {
				o.Args = append(o.Args, "--preload")
			}
			s := harness.Start(t, o)
			s.Workers(1)
			s.Log.Expect(t, `SyntaxError: `)
			shows := func(text string) {
				t.Helper()
				harness.Eventually(t, "the page shows "+text, func() bool {
					r, err := s.Request("GET", "/", "")
					return err == nil && r.Status == 500 && strings.HasPrefix(r.Get("Content-Type"), "text/plain") && strings.Contains(r.Body, text)
				})
			}
			shows(`page.py", line 1`)
			s.WriteFile("page.py", "TEXT = 'a'\nTEXT = [\n")
			shows(`page.py", line 2`)
			s.WriteFile("page.py", pageWith("mended"))
			expectBody(s, "mended")
			// Now there is something better than the error.
			s.WriteFile("page.py", "TEXT = (\n")
			expectBody(s, "mended")
		})
	}
	t.Run("without reload", func(t *testing.T) {
		s := harness.Launch(t, harness.Options{App: "website:app", Files: map[string]string{"website.py": "def app(:\n"}})
		s.ExpectExit(3)
	})
}

func TestCodeReloadPreload(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "website:app", Files: siteFiles(), Args: []string{"--reload", "--preload", "--workers", "2"}})
	expectBody(s, "first")
	s.WriteFile("page.py", pageWith("second"))
	expectBody(s, "second")
	s.WriteFile("page.py", pageWith("third"))
	expectBody(s, "third")
	s.Workers(2)
}

// worker_int runs in the workers that new code replaces, as in Gunicorn, and in
// no others; on_reload comes with each reload.
func TestCodeReloadHook(t *testing.T) {
	t.Parallel()
	conf := "def worker_int(worker):\n    worker.log.info('worker_int of %s', worker.pid)\n" +
		"def on_reload(server):\n    server.log.info('on_reload')\n"
	s := harness.Start(t, harness.Options{App: "website:app", Files: siteFiles(), Conf: conf, Args: []string{"--reload", "--workers", "2"}})
	old := s.Workers(2)
	s.WriteFile("page.py", pageWith("second"))
	expectBody(s, "second")
	now := s.Replaced(old, 2)
	s.Signal(syscall.SIGHUP)
	s.Replaced(now, 2)
	s.Terminate()
	for _, pid := range old {
		if n := s.Log.Count(fmt.Sprintf("worker_int of %d$", pid)); n != 1 {
			t.Errorf("worker_int was called %d times in worker %d, want 1", n, pid)
		}
	}
	if n := s.Log.Count("worker_int of "); n != 2 {
		t.Errorf("worker_int was called %d times, want 2", n)
	}
	if n := s.Log.Count("on_reload"); n != 2 {
		t.Errorf("on_reload was called %d times, want 2", n)
	}
}

// A reload of code loses no request either.
func TestCodeReloadUnderLoad(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "reloaded:app", Args: []string{"--reload", "--workers", "2"}, Files: map[string]string{
		"reloaded.py": "import number\nfrom echo import app\n", "number.py": "N = 0\n",
	}})
	keepAlive, oneShot := s.BothLoads(2)
	for i := range 3 {
		old := s.Workers(2)
		s.WriteFile("number.py", fmt.Sprintf("N = %d\n", i+1))
		s.Replaced(old, 2)
		keepAlive.Progress(20)
	}
	harness.ExpectNoneLost(t, keepAlive, oneShot)
}

// A file is not read half written, and one save is one reload.
func TestCodeReloadSettles(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "website:app", Files: siteFiles(), Args: []string{"--reload"}})
	for i := range 10 {
		harness.Must(t, os.WriteFile(s.Path("page.py"), fmt.Appendf(nil, "TEXT = (%d,\n", i), 0o644))
	}
	harness.Must(t, os.WriteFile(s.Path("page.py"), []byte(pageWith("whole")), 0o644))
	expectBody(s, "whole")
	if n := s.Log.Count("Booting worker"); n > 6 {
		t.Errorf("%d workers", n)
	}
}

func TestSpew(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--threads", "2"}, {"--preload"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{App: "website:app", Files: siteFiles(), Args: append([]string{"--spew"}, args...)})
			expectBody(s, "first")
			s.Log.Expect(t, `^page:1: TEXT = "first"`)
			s.Log.Expect(t, `^website:5:     start_response\("200 OK"`)
		})
	}
	s := harness.Start(t, harness.Options{App: "website:app", Files: siteFiles()})
	expectBody(s, "first")
	if s.Log.Count(`^website:`) > 0 {
		t.Error("lines are printed without --spew")
	}
}

// A request waits only so long; then it gets what there is.
func TestCodeReloadIsNotWaitedForForever(t *testing.T) {
	t.Parallel()
	if os.Getenv("INDRIK_TEST_LONG") == "" {
		t.Skip("takes 20 seconds: set INDRIK_TEST_LONG=1")
	}
	s := harness.Start(t, harness.Options{App: "website:app", Files: siteFiles(), Args: []string{"--reload"}})
	importing := s.Gate("importing")
	s.WriteFile("page.py", "import gate\ngate.wait('importing')\n"+pageWith("second"))
	expectBody(s, "first")
	importing.Entered()
	importing.Release()
	s.Log.Expect(t, `Worker exiting`)
	expectBody(s, "second")
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
			s := harness.Start(t, harness.Options{App: "website:app", Python: harness.Venv(t), Args: append(strings.Fields(c.args), "--reload"), NoProbe: true, Files: map[string]string{
				"website.py": c.text, "page.py": "TEXT = (\n",
			}})
			harness.Eventually(t, "the page shows what is wrong", func() bool {
				r, err := s.Request("GET", "/", "")
				return err == nil && r.Status == 500 && strings.Contains(r.Body, "SyntaxError")
			})
			for _, text := range []string{"first", "second"} {
				s.WriteFile("page.py", pageWith(text))
				expectBody(s, text)
			}
			s.Terminate()
		})
	}
}
