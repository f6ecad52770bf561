//go:build linux

package test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// eachWay runs a test against one server over HTTP/1.1 and over HTTP/2, with a
// client that keeps cookies.
func eachWay(t *testing.T, o options, test func(t *testing.T, s *server, w *web)) {
	t.Helper()
	o.python = venv(t)
	s := start(t, withHTTP2(t, webH2C, o))
	for _, way := range []string{webH1, webH2C} {
		t.Run(way, func(t *testing.T) {
			w := s.web(way)
			w.t = t
			w.Jar, _ = cookiejar.New(nil)
			test(t, s, w)
		})
	}
	s.terminate()
}

// testFramework does what all apps in apps/frameworks can do.
func testFramework(t *testing.T, s *server, w *web) {
	t.Helper()
	if p := w.do("GET", "/", ""); p.StatusCode != 200 || p.body != "GET localhost\n" {
		t.Errorf("GET /: %v", p)
	}
	for want := 1; want <= 3; want++ {
		if p := w.do("GET", "/visits", ""); p.body != fmt.Sprint(want) {
			t.Errorf("visit %d: %v", want, p)
		}
	}
	w.upload("/hash", 5<<20, true)
	w.expectStream(s, "/stream")
	mark := s.log.mark()
	if p := w.do("GET", "/error", ""); p.StatusCode != 500 {
		t.Errorf("GET /error: %v", p)
	}
	s.log.expectFrom(t, mark, `RuntimeError: an error on purpose`)
	if p := w.do("GET", "/missing", ""); p.StatusCode != 404 {
		t.Errorf("GET /missing: %v", p)
	}
}

// uploadLarge posts 200 MB, if there is time.
func (w *web) uploadLarge(target string) {
	if os.Getenv("INDRIK_TEST_LONG") == "1" {
		w.Timeout = 5 * time.Minute
		w.upload(target, 200<<20, true)
	}
}

// upload posts a file of that size as a form, and expects its hash. With length
// the request says how long it is, as those of browsers do.
func (w *web) upload(target string, size int64, length bool) {
	w.t.Helper()
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	must(w.t, form.WriteField("note", "before the file"))
	_, err := form.CreateFormFile("file", "data.bin")
	must(w.t, err)
	tail := "\r\n--" + form.Boundary() + "--\r\n"
	hash := sha256.New()
	file := io.TeeReader(&zeros{size}, hash)
	req, err := http.NewRequest("POST", w.url+target, io.MultiReader(&head, file, strings.NewReader(tail)))
	must(w.t, err)
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.ContentLength = -1
	if length {
		req.ContentLength = int64(head.Len()) + size + int64(len(tail))
	}
	p, err := w.send(req)
	want := fmt.Sprintf("%d %s", size, hex.EncodeToString(hash.Sum(nil)))
	if err != nil || p.StatusCode/100 != 2 || p.body != want {
		w.t.Errorf("the upload of %d bytes: %v, %v, want %s", size, p, err, want)
	}
}

// zeros is a file of that many zeros.
type zeros struct{ left int64 }

func (z *zeros) Read(b []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(z.left, int64(len(b)))
	clear(b[:n])
	z.left -= n
	return int(n), nil
}

// expectStream expects the first part of a response while its app still has to
// make the second.
func (w *web) expectStream(s *server, target string) {
	w.t.Helper()
	between := s.gate("stream")
	r, err := w.Get(w.url + target)
	must(w.t, err)
	defer r.Body.Close()
	first := make([]byte, 4)
	if _, err := io.ReadFull(r.Body, first); err != nil || string(first) != "one\n" {
		w.t.Fatalf("the first part is %q, %v", first, err)
	}
	between.release()
	rest, err := io.ReadAll(r.Body)
	if err != nil || string(rest) != "two\n" || r.StatusCode != http.StatusOK {
		w.t.Errorf("the rest is %q, %v", rest, err)
	}
}

// djangoDatabase is the text of a database with the user admin.
var djangoDatabase = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(scratch, "django")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	cmd := exec.Command(filepath.Join(repository, ".cache", "venv", "bin", "python"), "-m", "frameworks.djangosite.database")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PYTHONPATH="+filepath.Join(repository, "test", "apps"), "PYTHONDONTWRITEBYTECODE=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make a database for Django: %w\n%s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(dir, "db.sqlite3"))
	return string(data), err
})

func djangoFiles(t testing.TB) map[string]string {
	t.Helper()
	venv(t)
	database, err := djangoDatabase()
	must(t, err)
	return map[string]string{"db.sqlite3": database}
}
