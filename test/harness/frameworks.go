//go:build linux

package harness

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

// EachWay runs a test against one server over HTTP/1.1 and over HTTP/2, with a
// client that keeps cookies.
func EachWay(t *testing.T, o Options, test func(t *testing.T, s *Server, w *Web)) {
	t.Helper()
	o.Python = Venv(t)
	s := Start(t, WithHTTP2(t, WebH2C, o))
	for _, way := range []string{WebH1, WebH2C} {
		t.Run(way, func(t *testing.T) {
			w := s.Web(way)
			w.T = t
			w.Jar, _ = cookiejar.New(nil)
			test(t, s, w)
		})
	}
	s.Terminate()
}

// CheckFramework does what all apps in apps/frameworks can do.
func CheckFramework(t *testing.T, s *Server, w *Web) {
	t.Helper()
	if p := w.Fetch("GET", "/", ""); p.StatusCode != 200 || p.Text != "GET localhost\n" {
		t.Errorf("GET /: %v", p)
	}
	for want := 1; want <= 3; want++ {
		if p := w.Fetch("GET", "/visits", ""); p.Text != fmt.Sprint(want) {
			t.Errorf("visit %d: %v", want, p)
		}
	}
	w.Upload("/hash", 5<<20, true)
	w.expectStream(s, "/stream")
	mark := s.Log.Mark()
	if p := w.Fetch("GET", "/error", ""); p.StatusCode != 500 {
		t.Errorf("GET /error: %v", p)
	}
	s.Log.ExpectFrom(t, mark, `RuntimeError: an error on purpose`)
	if p := w.Fetch("GET", "/missing", ""); p.StatusCode != 404 {
		t.Errorf("GET /missing: %v", p)
	}
}

// UploadLarge posts 200 MB, if there is time.
func (w *Web) UploadLarge(target string) {
	if os.Getenv("INDRIK_TEST_LONG") == "1" {
		w.Timeout = 5 * time.Minute
		w.Upload(target, 200<<20, true)
	}
}

// Upload posts a file of that size as a form, and expects its hash. With length
// the request says how long it is, as those of browsers do.
func (w *Web) Upload(target string, size int64, length bool) {
	w.T.Helper()
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	Must(w.T, form.WriteField("note", "before the file"))
	_, err := form.CreateFormFile("file", "data.bin")
	Must(w.T, err)
	tail := "\r\n--" + form.Boundary() + "--\r\n"
	hash := sha256.New()
	file := io.TeeReader(&zeros{size}, hash)
	req, err := http.NewRequest("POST", w.URL+target, io.MultiReader(&head, file, strings.NewReader(tail)))
	Must(w.T, err)
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.ContentLength = -1
	if length {
		req.ContentLength = int64(head.Len()) + size + int64(len(tail))
	}
	p, err := w.Send(req)
	want := fmt.Sprintf("%d %s", size, hex.EncodeToString(hash.Sum(nil)))
	if err != nil || p.StatusCode/100 != 2 || p.Text != want {
		w.T.Errorf("the upload of %d bytes: %v, %v, want %s", size, p, err, want)
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
func (w *Web) expectStream(s *Server, target string) {
	w.T.Helper()
	between := s.Gate("stream")
	r, err := w.Get(w.URL + target)
	Must(w.T, err)
	defer r.Body.Close()
	first := make([]byte, 4)
	if _, err := io.ReadFull(r.Body, first); err != nil || string(first) != "one\n" {
		w.T.Fatalf("the first part is %q, %v", first, err)
	}
	between.Release()
	rest, err := io.ReadAll(r.Body)
	if err != nil || string(rest) != "two\n" || r.StatusCode != http.StatusOK {
		w.T.Errorf("the rest is %q, %v", rest, err)
	}
}

// djangoDatabase is the text of a database with the user admin.
var djangoDatabase = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(Scratch, "django")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", err
	}
	cmd := exec.Command(filepath.Join(Repository, ".cache", "venv", "bin", "python"), "-m", "frameworks.djangosite.database")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PYTHONPATH="+filepath.Join(Repository, "test", "apps"), "PYTHONDONTWRITEBYTECODE=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make a database for Django: %w\n%s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(dir, "db.sqlite3"))
	return string(data), err
})

// DjangoFiles are what a server of the Django site needs in its directory.
func DjangoFiles(t testing.TB) map[string]string {
	t.Helper()
	Venv(t)
	database, err := djangoDatabase()
	Must(t, err)
	return map[string]string{"db.sqlite3": database}
}
