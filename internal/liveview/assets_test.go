package liveview

import (
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each file is served with what keeps the page from doing anything else.
func TestFiles(t *testing.T) {
	t.Parallel()
	v := New((&played{}).source())
	total := 0
	for at, file := range files {
		total += len(file.content)
		w := httptest.NewRecorder()
		v.ServeHTTP(w, httptest.NewRequest("GET", at, nil))
		h := w.Header()
		if w.Code != 200 || w.Body.String() != string(file.content) || h.Get("Content-Type") == "" {
			t.Errorf("%s: %d %v", at, w.Code, h)
		}
		if csp := h.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; script-src 'self';") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %q", at, csp)
		}
		again := httptest.NewRequest("GET", at, nil)
		again.Header.Set("If-None-Match", h.Get("ETag"))
		w = httptest.NewRecorder()
		if v.ServeHTTP(w, again); w.Code != 304 || w.Body.Len() > 0 {
			t.Errorf("%s again: %d", at, w.Code)
		}
	}
	if total > 100<<10 {
		t.Errorf("the files are %d bytes long", total)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	v := New((&played{}).source())
	for _, c := range []struct {
		method, path, site string
		code               int
	}{
		{"GET", "/live/", "", 404},
		{"GET", "/live/../view.go", "", 404},
		{"GET", "/live/page.html", "", 404},
		{"POST", "/", "", 405},
		{"POST", "/events", "", 405},
		{"GET", "/events", "cross-site", 403},
		{"GET", "/events", "same-site", 403},
		{"HEAD", "/events", "same-origin", 200},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		if c.site != "" {
			r.Header.Set("Sec-Fetch-Site", c.site)
		}
		w := httptest.NewRecorder()
		if v.ServeHTTP(w, r); w.Code != c.code {
			t.Errorf("%s %s %s: %d, not %d", c.method, c.path, c.site, w.Code, c.code)
		}
	}
}

// The page names no other host, and has no way to make markup of text.
func TestFilesAreHarmless(t *testing.T) {
	t.Parallel()
	bad := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|https?://|//[a-z]+\.[a-z]+|style="|\son[a-z]+="|document\.cookie`)
	namespace := "http://www.w3.org/2000/svg" // a name, which nobody loads
	for at, file := range files {
		text := strings.ReplaceAll(string(file.content), namespace, "")
		if found := bad.FindString(text); found != "" {
			t.Errorf("%s has %q", at, found)
		}
	}
}

// What the scripts compute is tested where they run: in testdata, by Node's own test runner.
func TestScripts(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("needs node")
	}
	tests, err := filepath.Glob("testdata/*.test.js")
	if err != nil || len(tests) == 0 {
		t.Fatal("there are no tests", err)
	}
	out, err := exec.Command(node, append([]string{"--test"}, tests...)...).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
