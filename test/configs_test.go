//go:build linux

package test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// The files of configs/ are config files as people have them for Gunicorn: each test
// starts a server with one, and looks at its effect from outside.

// configured reads one.
func configured(t *testing.T, name string, o options) options {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("configs", name))
	must(t, err)
	o.conf = string(text)
	return o
}

func TestConfigDjangoPreload(t *testing.T) {
	t.Parallel()
	o := configured(t, "django_preload.py", options{app: "-", python: venv(t), mayLeave: true, files: map[string]string{
		"site_settings.py": `
SECRET_KEY = "x"
ROOT_URLCONF = "site_urls"
ALLOWED_HOSTS = ["*"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3", "CONN_MAX_AGE": 600}}
`,
		"site_urls.py": `
import os
from django.db import connection
from django.http import JsonResponse
from django.urls import path

def visit(request):
    with connection.cursor() as c:
        c.execute("INSERT INTO visits (pid) VALUES (%s)", [os.getpid()])
        c.execute("SELECT count(*) FROM visits")
        return JsonResponse({"visits": c.fetchone()[0], "connection": MADE_BY[id(connection.connection)], "pid": os.getpid()})

MADE_BY = {}

def made(connection, **kwargs):
    MADE_BY[id(connection.connection)] = os.getpid()

from django.db.backends.signals import connection_created
connection_created.connect(made)

urlpatterns = [path("", visit)]
`,
		"site_wsgi.py": `
import django
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()

import site_urls
from django.db import connection
with connection.cursor() as c:  # while it is loaded: every worker inherits this connection
    c.execute("CREATE TABLE IF NOT EXISTS visits (pid INTEGER)")
`,
	}})
	s := start(t, o)
	s.workers(2)
	var last int
	for range 20 {
		var got struct{ Visits, Connection, Pid int }
		must(t, json.Unmarshal([]byte(s.get("/")), &got))
		if got.Connection != got.Pid {
			t.Errorf("worker %d uses a connection that %d has made", got.Pid, got.Connection)
		}
		if got.Visits <= last {
			t.Errorf("%d visits after %d", got.Visits, last)
		}
		last = got.Visits
	}
	s.log.expectFrom(t, 0, `Worker \d+ has connections of its own$`)
	s.terminate()
}

func TestConfigPrometheus(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	s := start(t, configured(t, "prometheus.py", options{app: "webapp:app", python: venv(t), env: []string{fmt.Sprintf("METRICS_PORT=%d", port)},
		files: map[string]string{"webapp.py": `
import os
from prometheus_client import Counter, Gauge
REQUESTS = Counter("app_requests", "Requests")
ALIVE = Gauge("app_workers", "Workers", multiprocess_mode="livesum")

def app(environ, start_response):
    ALIVE.set(1)
    if environ["PATH_INFO"] == "/count":
        REQUESTS.inc()
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
`}}))
	metric := func(name string) string {
		r, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", port))
		if err != nil {
			return err.Error()
		}
		defer r.Body.Close()
		text, _ := io.ReadAll(r.Body)
		m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(text)
		if m == nil {
			return ""
		}
		return string(m[1])
	}
	pids := s.workers(2)
	seen := map[string]bool{}
	eventually(t, "both workers have served", func() bool {
		seen[s.get("/")] = true
		return len(seen) == 2
	})
	for range 10 {
		s.get("/count")
	}
	if got := metric("app_requests_total"); got != "10.0" {
		t.Errorf("%s requests", got)
	}
	if got := metric("app_workers"); got != "2.0" {
		t.Errorf("%s workers", got)
	}
	// A worker that dies counts no more, what it has counted does.
	kill(t, pids[0], syscall.SIGKILL)
	file := s.path(fmt.Sprintf("metrics/gauge_livesum_%d.db", pids[0]))
	eventually(t, "the dead worker is marked", func() bool { return metric("app_workers") == "1.0" })
	if _, err := os.Stat(file); err == nil {
		t.Errorf("%s is still there", file)
	}
	if got := metric("app_requests_total"); got != "10.0" {
		t.Errorf("%s requests", got)
	}
	// After a reload the metrics server is still there.
	s.reload(2)
	s.get("/count")
	if got := metric("app_requests_total"); got != "11.0" {
		t.Errorf("after a reload: %s requests", got)
	}
	s.terminate()
}

func TestConfigAPMAgent(t *testing.T) {
	t.Parallel()
	s := start(t, configured(t, "apm_agent.py", options{}))
	pids := s.workers(2)
	for i := range 10 {
		s.get(fmt.Sprint("/", i))
	}
	for _, pid := range pids {
		s.log.expectFrom(t, 0, fmt.Sprintf(`APM agent started in worker %d of hello:app$`, pid))
	}
	s.terminate()
	var spans string
	for _, pid := range pids {
		spans += s.read(fmt.Sprintf("agent-%d.spans", pid))
	}
	for i := range 10 {
		if n := strings.Count(spans, fmt.Sprintf("GET /%d 200\n", i)); n != 1 {
			t.Errorf("request %d is in the spans %d times", i, n)
		}
	}
}

func TestConfigMemoryWatchdog(t *testing.T) {
	t.Parallel()
	s := start(t, configured(t, "memory_watchdog.py", options{app: "webapp:app", env: []string{"WORKER_MEMORY_LIMIT_MB=120"},
		files: map[string]string{"webapp.py": `
LEAK = []
def app(environ, start_response):
    if environ["PATH_INFO"] == "/leak":
        LEAK.append(bytearray(b"x" * (150 << 20)))
    start_response("200 OK", [])
    return [b"ok"]
`}}))
	for range 2 { // the second time after a reload
		pids := s.workers(1)
		if got := s.get("/leak"); got != "ok" {
			t.Errorf("%s", got)
		}
		s.log.expect(t, fmt.Sprintf(`\[WARNING\] Worker %d \(age \d+\) uses too much memory, it is replaced$`, pids[0]))
		s.replaced(pids, 1)
		s.get("/")
		s.reload(1)
	}
	s.terminate()
}

func TestConfigDumpStacks(t *testing.T) {
	t.Parallel()
	s := start(t, configured(t, "dump_stacks.py", options{app: "gated:app"}))
	m := inFlight(s)
	kill(t, s.workers(1)[0], syscall.SIGINT)
	s.log.expectFrom(t, 0, `worker received INT or QUIT signal$`)
	s.log.expectFrom(t, 0, `# Thread: MainThread\(\d+\)$`)
	s.log.expectFrom(t, 0, `^File: ".*gated\.py", line \d+, in app$`)
	m.flight.expect(502)
	s.get("/")
	s.terminate()
}

func TestConfigJSONLogs(t *testing.T) {
	t.Parallel()
	s := start(t, configured(t, "json_logs.py", options{python: venv(t), env: []string{"SERVICE=shop"}}))
	s.get("/basket?id=5")
	s.log.expectFrom(t, 0, `/basket`)
	s.reload(1)
	s.terminate()
	levels := map[string]int{}
	for _, m := range s.log.all(`.*`) {
		var line struct{ Time, Level, Name, Message, Service string }
		if err := json.Unmarshal([]byte(m[0]), &line); err != nil {
			t.Errorf("%q: %s", m[0], err)
			continue
		}
		if line.Service != "shop" || line.Time == "" {
			t.Errorf("%+v", line)
		}
		levels[line.Name+" "+line.Level]++
		if line.Name == "gunicorn.access" {
			var request struct {
				Method, Path string
				Status       int
			}
			if err := json.Unmarshal([]byte(line.Message), &request); err != nil || request.Status != 200 {
				t.Errorf("%q: %v", line.Message, err)
			}
		}
	}
	if levels["gunicorn.error INFO"] < 8 || levels["gunicorn.access INFO"] < 2 {
		t.Errorf("%v", levels)
	}
}

func TestConfigEnvDriven(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	o := configured(t, "env_driven.py", options{app: "webapp:app", bind: []string{}, noProbe: true, env: []string{
		fmt.Sprintf("APP_PORT=%d", port), "GUNICORN_WORKERS=3", "GUNICORN_THREADS=2", "LOG_LEVEL=DEBUG", "ACCESS_LOG=yes", "SERVICE_NAME=shop",
		"GUNICORN_SET_KEEPALIVE=0", "REGION=us=2",
	}, files: map[string]string{"webapp.py": `
import os
def app(environ, start_response):
    start_response("200 OK", [])
    return [("%s %s %s" % (os.environ["REGION"], os.environ["SERVICE_STARTED_BY"], environ["wsgi.multithread"])).encode()]
`}})
	s := start(t, o)
	s.port = port
	s.ready()
	s.workers(3)
	if r := s.client().do(t, "GET", "/x", ""); r.body != "us=2 nobody True" || !r.closes() {
		t.Errorf("%v", r)
	}
	if got := s.title(s.pid()); got != name()+": master [shop]" {
		t.Errorf("%s", got)
	}
	s.log.expectFrom(t, 0, `\[DEBUG\] 3 workers$`)
	s.log.expectFrom(t, 0, `"GET /x HTTP/1\.1" 200 `)
	s.terminate()
}

func TestConfigSeveralBinds(t *testing.T) {
	t.Parallel()
	first, second := freePort(t), freePort(t)
	s := start(t, configured(t, "several_binds.py", options{app: "showenviron:app", bind: []string{}, noProbe: true,
		env: []string{fmt.Sprintf("FIRST_PORT=%d", first), fmt.Sprintf("SECOND_PORT=%d", second)}}))
	s.log.expect(t, fmt.Sprintf(`serving http://127\.0\.0\.1:%[1]d at \('127\.0\.0\.1', %[1]d\)$`, first))
	s.log.expect(t, fmt.Sprintf(`serving http://\[::1\]:%[1]d at \('::1', %[1]d\)$`, second))
	s.log.expect(t, `serving unix:.*/web\.sock at '.*/web\.sock'$`)
	for _, addr := range [][2]string{
		{"tcp", fmt.Sprintf("127.0.0.1:%d", first)}, {"tcp", fmt.Sprintf("[::1]:%d", second)}, {"unix", s.path("web.sock")},
	} {
		var c *client
		eventually(t, addr[1]+" is served", func() bool {
			var err error
			c, err = dial(addr[0], addr[1])
			return err == nil
		})
		if r := c.do(t, "GET", "/", "", "X-Forwarded-Proto: https"); !strings.Contains(r.body, `"wsgi.url_scheme": "https"`) {
			t.Errorf("%s: %v", addr[1], r)
		}
		c.Close()
	}
	if st, err := os.Stat(s.path("web.sock")); err != nil || st.Mode().Perm() != 0o770 {
		t.Errorf("%v, %v", st, err)
	}
	s.terminate()
}

func TestConfigTLS(t *testing.T) {
	t.Parallel()
	o := withTLS(t, configured(t, "tls_termination.py", options{}))
	o.args = nil // the file says it
	s := start(t, o)
	if r := s.client().do(t, "GET", "/", ""); r.body != "Hello, World!\n" {
		t.Errorf("%v", r)
	}
	if c, err := s.handshake(s.config(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS11, tls.VersionTLS11 })); err == nil {
		c.Close()
		t.Error("TLS 1.1 was accepted")
	}
	s.terminate()
}

func TestConfigHealthFilter(t *testing.T) {
	t.Parallel()
	s := start(t, configured(t, "health_filter.py", options{}))
	for _, path := range []string{"/healthz", "/pay?token=secret&x=1", "/healthz"} {
		s.get(path)
	}
	s.log.expectFrom(t, 0, `^127\.0\.0\.1 "GET /pay\?token=\*\*\*&x=1 HTTP/1\.1" 200$`)
	s.terminate()
	if s.log.count("healthz|secret") != 0 || s.log.count(`^\[INFO\] \[\d+\] Starting indrik`) != 1 {
		t.Errorf("%s", s.log)
	}
}

func TestConfigIntercepted(t *testing.T) {
	t.Parallel()
	s := start(t, configured(t, "intercepted.py", options{}))
	s.get("/path")
	for _, want := range []string{"info|gunicorn.error|Starting indrik", "info|gunicorn.error|Booting worker", `info|gunicorn.access|127.0.0.1 - - [`} {
		eventually(t, "the sink has "+want, func() bool { return strings.Contains(s.read("sink.log"), want) })
	}
	s.terminate()
	if !strings.Contains(s.read("sink.log"), "info|gunicorn.error|Shutting down: Master") || s.log.count(".") != 0 {
		t.Errorf("%s\n%s", s.read("sink.log"), s.log)
	}
}

func TestConfigProduction(t *testing.T) {
	t.Parallel()
	s := start(t, configured(t, "production.py", options{}))
	n := min(runtime.NumCPU()*2+1, 5)
	for _, pid := range s.workers(n) {
		s.log.expectFrom(t, 0, fmt.Sprintf(`Worker spawned \(pid: %d\)$`, pid))
	}
	s.log.expect(t, fmt.Sprintf(`Starting shop with %d workers$`, n))
	s.log.expect(t, `Server is ready\. Spawning workers$`)
	if got := strings.TrimSpace(s.read("srv.pid")); got != strconv.Itoa(s.pid()) {
		t.Errorf("the pid file names %s", got)
	}
	s.client().do(t, "GET", "/path", "", "User-Agent: test", "Referer: there")
	s.log.expectFrom(t, 0, `^127\.0\.0\.1 - - \[.*\] "GET /path HTTP/1\.1" 200 14 "there" "test" \d+µs$`)
	s.terminate()
	s.log.expect(t, `Goodbye$`)
	for _, line := range s.log.all(`\[(WARNING|ERROR)\]`) {
		t.Errorf("%s", line)
	}
}

func TestConfigStatsd(t *testing.T) {
	t.Parallel()
	got, addr := listenPackets(t, "udp")
	s := start(t, configured(t, "statsd_metrics.py", options{env: []string{"STATSD=" + addr, "SERVICE=shop", "ENV=test", "VERSION=3"}}))
	if _, err := s.request("POST", "/upload", "12345"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`boot:1\|c\|@1\.0`, `uploaded:5\|h`, `gunicorn\.requests:1\|c\|@1\.0`, `gunicorn\.workers:1\|g`} {
		got.expectFrom(t, 0, `^shop\.`+want+`\|#env:test,version:3$`)
	}
	s.terminate()
}

func TestConfigAccessLogOnStdout(t *testing.T) {
	t.Parallel()
	s := start(t, configured(t, "access_stdout.py", options{}))
	s.client().do(t, "POST", "/a%20b?q=1", "", "X-Forwarded-For: 192.0.2.7", `User-Agent: a "b"`)
	want := fmt.Sprintf(`remote=192.0.2.7 method=POST path="/a b" query="q=1" proto=HTTP/1.1 status=200 bytes=14 type="text/plain" agent="a \"b\"" pid=<%d> none=-`,
		s.workers(1)[0])
	s.log.expectFrom(t, 0, "^"+regexp.QuoteMeta(want)+"$")
	s.terminate()
	if s.log.count(`\[INFO\]`) != 0 || s.read("error.log") != "" {
		t.Errorf("there are messages below the level: %s", s.read("error.log"))
	}
}

func TestConfigCleanup(t *testing.T) {
	t.Parallel()
	s := start(t, configured(t, "cleanup.py", options{}))
	s.get("/")
	dirs := func() []string {
		found, _ := filepath.Glob(s.path("worker-*"))
		return found
	}
	if n := len(dirs()); n != 2 {
		t.Errorf("%d directories", n)
	}
	kill(t, s.workers(2)[0], syscall.SIGKILL)
	s.log.expectFrom(t, 0, `\[WARNING\] .*worker \d+ left pid behind$`)
	s.workers(2)
	for range 120 {
		s.get("/")
	}
	s.log.expectFrom(t, 0, `worker \d+ leaves after \d\d+ requests$`)
	s.terminate()
	if left := dirs(); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	if n := s.log.count("left pid behind"); n != 1 {
		t.Errorf("%d workers left their file behind", n)
	}
}

func TestConfigTiming(t *testing.T) {
	t.Parallel()
	s := start(t, configured(t, "timing.py", options{app: "showenviron:app"}))
	s.client().do(t, "GET", "/known", "", "X-Request-Id: abc")
	s.log.expectFrom(t, 0, `slow: GET /known took \d+\.\d{3} s, status 200, id abc$`)
	body := s.get("/new")
	m := regexp.MustCompile(`"HTTP_X_REQUEST_ID": "([0-9a-f]{32})"`).FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("the app does not see the id: %s", body)
	}
	s.log.expectFrom(t, 0, `slow: GET /new took .*, id `+m[1]+`$`)
	s.terminate()
}

// A file that imports gunicorn, which is not installed, says what to change.
func TestConfigImportsGunicorn(t *testing.T) {
	t.Parallel()
	want := "^Hint: the package gunicorn is not installed, and Indrik does not need it: write `from indrik.glogging import Logger` for "
	for _, text := range []string{"from gunicorn.glogging import Logger\n", "import gunicorn\n"} {
		s := launch(t, options{conf: text})
		s.expectExit(1)
		if s.log.count(want) != 1 || s.log.count(`^Failed to read config file: `) != 1 {
			t.Errorf("%s: %s", text, s.log)
		}
		s = launch(t, options{app: "webapp:app", files: map[string]string{"webapp.py": text}})
		s.expectExit(3)
		if s.log.count(want) == 0 {
			t.Errorf("in the app: %s: %s", text, s.log)
		}
	}
	s := start(t, options{conf: "try:\n    import gunicorn\nexcept ImportError:\n    import indrik as gunicorn\nproc_name = 'v' + gunicorn.__version__\n"})
	if got := s.title(s.pid()); !regexp.MustCompile(`\[v\d+\.\d+\.\d+\]$`).MatchString(got) {
		t.Errorf("%s", got)
	}
	s.terminate()
}
