//go:build linux

package test

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"indrik/test/harness"
)

func TestDjango(t *testing.T) {
	t.Parallel()
	harness.ForEachKind(t, func(t *testing.T, k harness.Kind) {
		o := k.Options(t, "frameworks.djangosite.wsgi", "--preload", "--workers", "2", "--timeout", "300")
		o.Files = harness.DjangoFiles(t)
		harness.EachWay(t, o, func(t *testing.T, s *harness.Server, w *harness.Web) {
			harness.CheckFramework(t, s, w)
			w.Upload("/hash", 1<<20, false)
			testDjangoAdmin(t, w)
			testWhiteNoise(t, w)
			w.UploadLarge("/hash")
		})
	})
}

var csrfToken = regexp.MustCompile(`name="csrfmiddlewaretoken" value="(\w+)"`)

// testDjangoAdmin logs in.
func testDjangoAdmin(t *testing.T, w *harness.Web) {
	t.Helper()
	if p := w.Fetch("GET", "/admin", ""); p.StatusCode != 301 || p.Header.Get("Location") != "/admin/" {
		t.Errorf("GET /admin: %v", p)
	}
	const login = "/admin/login/?next=/admin/"
	p := w.Fetch("GET", login, "")
	token := csrfToken.FindStringSubmatch(p.Text)
	if p.StatusCode != 200 || token == nil {
		t.Fatalf("the login page: %v", p)
	}
	form := url.Values{"username": {"admin"}, "password": {"secret"}, "next": {"/admin/"}}
	post := func() *harness.WebPage {
		return w.Fetch("POST", login, form.Encode(), "Content-Type", "application/x-www-form-urlencoded", "Referer", w.URL+login)
	}
	if p := post(); p.StatusCode != 403 {
		t.Errorf("a form without its token: %v", p)
	}
	form.Set("csrfmiddlewaretoken", token[1])
	if p := post(); p.StatusCode != 302 || p.Header.Get("Location") != "/admin/" {
		t.Fatalf("the login: %v", p)
	}
	if p := w.Fetch("GET", "/admin/", ""); p.StatusCode != 200 || !strings.Contains(p.Text, "Site administration") {
		t.Errorf("the admin page: %v", p)
	}
}

// testWhiteNoise gets a static file, which goes out by wsgi.file_wrapper.
func testWhiteNoise(t *testing.T, w *harness.Web) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(harness.Repository, ".cache/venv/lib/python3*/site-packages/django/contrib/admin/static/admin/css/base.css"))
	if err != nil || len(found) != 1 {
		t.Fatalf("base.css: %v, %v", found, err)
	}
	file, err := os.ReadFile(found[0])
	harness.Must(t, err)
	p := w.Fetch("GET", "/static/admin/css/base.css", "")
	if p.StatusCode != 200 || p.Text != string(file) || !strings.HasPrefix(p.Header.Get("Content-Type"), "text/css") {
		t.Errorf("a static file: %v", p)
	}
	if p := w.Fetch("GET", "/static/admin/css/base.css", "", "If-Modified-Since", p.Header.Get("Last-Modified")); p.StatusCode != 304 || p.Text != "" {
		t.Errorf("a static file that has not changed: %v", p)
	}
	if p := w.Fetch("GET", "/static/admin/css/base.css", "", "Range", "bytes=10-19"); p.StatusCode != 206 || p.Text != string(file[10:20]) {
		t.Errorf("a part of a static file: %v", p)
	}
	if p := w.Fetch("HEAD", "/static/admin/css/base.css", ""); p.StatusCode != 200 || p.ContentLength != int64(len(file)) || p.Text != "" {
		t.Errorf("HEAD of a static file: %v", p)
	}
}

func TestFlask(t *testing.T) {
	t.Parallel()
	harness.ForEachKind(t, func(t *testing.T, k harness.Kind) {
		harness.EachWay(t, k.Options(t, "frameworks.flaskapp:app"), func(t *testing.T, s *harness.Server, w *harness.Web) {
			harness.CheckFramework(t, s, w)
			w.Upload("/hash", 1<<20, false)
			source, err := os.ReadFile("apps/frameworks/flaskapp.py")
			harness.Must(t, err)
			if p := w.Fetch("GET", "/source", ""); p.StatusCode != 200 || p.Text != string(source) {
				t.Errorf("a file: %v", p)
			}
			if p := w.Fetch("GET", "/source", "", "Range", "bytes=-5"); p.StatusCode != 206 || p.Text != string(source[len(source)-5:]) {
				t.Errorf("the end of a file: %v", p)
			}
			testSocketIO(t, w, k.Name != "sync")
		})
	})
}

// testSocketIO speaks Socket.IO by long polling. waits: a poll can wait while
// another request is served.
func testSocketIO(t *testing.T, w *harness.Web, waits bool) {
	t.Helper()
	const polling = "/socket.io/?EIO=4&transport=polling"
	p := w.Fetch("GET", polling, "")
	var opened struct{ Sid string }
	if !strings.HasPrefix(p.Text, "0{") || json.Unmarshal([]byte(p.Text[1:]), &opened) != nil || opened.Sid == "" {
		t.Fatalf("the handshake: %v", p)
	}
	target := polling + "&sid=" + opened.Sid
	post := func(text string) {
		t.Helper()
		if p := w.Fetch("POST", target, text, "Content-Type", "text/plain;charset=UTF-8"); p.Text != "OK" {
			t.Fatalf("post %s: %v", text, p)
		}
	}
	poll := func(want string) {
		t.Helper()
		if p := w.Fetch("GET", target, ""); !strings.HasPrefix(p.Text, want) {
			t.Errorf("the poll: %v, want %s", p, want)
		}
	}
	post("40")
	poll("40{")
	post(`42["echo","one"]`)
	poll(`42["echoed","one"]`)
	if waits {
		waiting := w.Begin(t.Context(), target)
		post(`42["echo","two"]`)
		if p := w.Expect(waiting, 200); p.Text != `42["echoed","two"]` {
			t.Errorf("the poll that waits: %v", p)
		}
	}
	post("1")
}

func TestFalcon(t *testing.T) {
	t.Parallel()
	harness.ForEachKind(t, func(t *testing.T, k harness.Kind) {
		harness.EachWay(t, k.Options(t, "frameworks.falconapp:app"), func(t *testing.T, s *harness.Server, w *harness.Web) {
			harness.CheckFramework(t, s, w)
			w.Upload("/hash", 1<<20, false)
			p := w.Fetch("PUT", "/items/caf%C3%A9?q=1&q=2", `{"a": [1, "é"]}`, "Content-Type", "application/json")
			if p.StatusCode != 201 || p.Text != `{"name": "café", "got": {"a": [1, "é"]}, "query": ["1", "2"]}` {
				t.Errorf("PUT: %v", p)
			}
			if p := w.Fetch("DELETE", "/items/a", ""); p.StatusCode != 405 || p.Header.Get("Allow") == "" {
				t.Errorf("DELETE: %v", p)
			}
		})
	})
}
