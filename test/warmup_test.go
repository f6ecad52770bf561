//go:build linux

package test

import (
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// warmed is an app that answers with what it was asked before, and /cold, /raise and /hang as
// these say.
func warmed(kind string) string {
	const common = `import time
ASKED = []

def answer(path, host, scheme, agent):
    if path == "/hang":
        time.sleep(1000)
    if path == "/raise":
        raise RuntimeError("raised for a test")
    if path == "/cold":
        return "503 Service Unavailable", "the cache is cold: " + host
    ASKED.append("%s://%s%s" % (scheme, host, path))
    return "200 OK", " ".join(ASKED) + " by " + agent
`
	if kind == "asgi" {
		return common + `
async def app(scope, receive, send):
    assert scope["type"] == "http"
    headers = dict(scope["headers"])
    status, text = answer(scope["path"], headers[b"host"].decode(), scope["scheme"], headers.get(b"user-agent", b"").decode())
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": int(status[:3]), "headers": []})
    await send({"type": "http.response.body", "body": text.encode()})
`
	}
	return common + `
def app(environ, start_response):
    status, text = answer(environ["PATH_INFO"], environ["HTTP_HOST"], environ["wsgi.url_scheme"], environ.get("HTTP_USER_AGENT", ""))
    start_response(status, [("Content-Type", "text/plain")])
    yield text.encode()
`
}

// Each new worker asks its app for the paths before it is ready; nobody else notices.
func TestWarmup(t *testing.T) {
	t.Parallel()
	for kind, args := range map[string]string{"sync": "", "gthread": "--threads 3", "asgi": "-k asgi"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{
				App: "webapp:app", Args: strings.Fields("--workers 1 --access-logfile access.log --control-socket srv.ctl " + args),
				Conf:  "warmup = ['/first?x=1', 'https://www.example.com/second']\n",
				Files: map[string]string{"webapp.py": warmed(kind)},
			})
			const before = "http://localhost/first https://www.example.com/second "
			if got := s.Get("/mine"); !strings.HasPrefix(got, before) {
				t.Errorf("the app was asked %q", got)
			}
			pid := s.Workers(1)[0]
			harness.Kill(t, pid, syscall.SIGTERM)
			s.Replaced([]int{pid}, 1)
			if got := s.Get("/mine"); !strings.HasPrefix(got, before) || strings.Count(got, "http") != 3 {
				t.Errorf("the app of the next worker was asked %q", got)
			}
			s.Terminate()
			if log := s.ReadFile("access.log"); strings.Contains(log, "/first") || strings.Count(log, "/mine") != 2 {
				t.Errorf("the access log:\n%s", log)
			}
		})
	}
}

// A response that says that the app cannot answer, an exception, and one that does not come fail
// a reload, which says why.
func TestWarmupFails(t *testing.T) {
	t.Parallel()
	for kind, args := range map[string]string{"sync": "", "asgi": "-k asgi"} {
		for path, says := range map[string]string{
			"/cold":  "warmup: GET /cold was answered with 503[^\n]*\nthe cache is cold: localhost",
			"/raise": "(?s)warmup: GET /raise raised an exception\n.*RuntimeError: raised for a test",
			"/hang":  "(?s)warmup: GET /hang had no answer within warmup_timeout, 4 s\n.*time.sleep",
		} {
			t.Run(kind+path, func(t *testing.T) {
				t.Parallel()
				s := harness.Start(t, harness.Options{
					App: "webapp:app", Args: strings.Fields("--workers 1 --control-socket srv.ctl " + args),
					Conf:  "warmup = '/'\n",
					Files: map[string]string{"webapp.py": warmed(kind)},
				})
				before := s.Workers(1)
				s.WriteFile("gunicorn.conf.py", fmt.Sprintf("warmup = ['/', %q]\nwarmup_timeout = %d\n", path, map[bool]int{true: 4, false: 60}[path == "/hang"]))
				out, errs, code := indrik(t, s, "reload")
				if code != 1 || !regexp.MustCompile(says).MatchString(errs) {
					t.Errorf("exit code %d, %s%s", code, out, errs)
				}
				if got := s.Get("/mine"); !strings.Contains(got, "/mine") {
					t.Errorf("after it: %s", got)
				}
				if now := s.Workers(1); now[0] != before[0] {
					t.Error("the worker is another one")
				}
				s.Terminate()
			})
		}
	}
}
