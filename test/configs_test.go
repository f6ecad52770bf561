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
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// The files of configs/ are config files as people have them for Gunicorn: each test
// starts a server with one, and looks at its effect from outside.

// configured reads one.
func configured(t *testing.T, name string, o harness.Options) harness.Options {
	t.Helper()
	o.Conf = harness.TestFile(t, "configs/"+name)
	return o
}

func TestConfigDjangoPreload(t *testing.T) {
	t.Parallel()
	o := configured(t, "django_preload.py", harness.Options{App: "-", Python: harness.Venv(t), MayLeave: true})
	s := harness.Start(t, o)
	s.Workers(2)
	var last int
	for range 20 {
		var got struct{ Visits, Connection, Pid int }
		harness.Must(t, json.Unmarshal([]byte(s.Get("/")), &got))
		if got.Connection != got.Pid {
			t.Errorf("worker %d uses a connection that %d has made", got.Pid, got.Connection)
		}
		if got.Visits <= last {
			t.Errorf("%d visits after %d", got.Visits, last)
		}
		last = got.Visits
	}
	s.Log.ExpectFrom(t, 0, `Worker \d+ has connections of its own$`)
	s.Terminate()
}

func TestConfigPrometheus(t *testing.T) {
	t.Parallel()
	port := harness.FreePort(t)
	s := harness.Start(t, configured(t, "prometheus.py", harness.Options{App: "webapp:app", Python: harness.Venv(t), Env: []string{fmt.Sprintf("METRICS_PORT=%d", port)},
		Files: map[string]string{"webapp.py": `
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
		var text []byte
		// A worker that begins makes its files in two steps, and who reads them between these fails.
		harness.Eventually(t, "there are metrics", func() bool {
			r, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/metrics", port))
			if err != nil {
				return false
			}
			defer r.Body.Close()
			text, err = io.ReadAll(r.Body)
			return err == nil && r.StatusCode == http.StatusOK
		})
		m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(text)
		if m == nil {
			return ""
		}
		return string(m[1])
	}
	pids := s.Workers(2)
	seen := map[string]bool{}
	harness.Eventually(t, "both workers have served", func() bool {
		seen[s.Get("/")] = true
		return len(seen) == 2
	})
	for range 10 {
		s.Get("/count")
	}
	if got := metric("app_requests_total"); got != "10.0" {
		t.Errorf("%s requests", got)
	}
	if got := metric("app_workers"); got != "2.0" {
		t.Errorf("%s workers", got)
	}
	// A worker that dies counts no more, what it has counted does.
	harness.Kill(t, pids[0], syscall.SIGKILL)
	file := s.Path(fmt.Sprintf("metrics/gauge_livesum_%d.db", pids[0]))
	harness.Eventually(t, "the dead worker is marked", func() bool { return metric("app_workers") == "1.0" })
	if _, err := os.Stat(file); err == nil {
		t.Errorf("%s is still there", file)
	}
	if got := metric("app_requests_total"); got != "10.0" {
		t.Errorf("%s requests", got)
	}
	// After a reload the metrics server is still there.
	s.Reload(2)
	s.Get("/count")
	if got := metric("app_requests_total"); got != "11.0" {
		t.Errorf("after a reload: %s requests", got)
	}
	s.Terminate()
}

func TestConfigAPMAgent(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, configured(t, "apm_agent.py", harness.Options{}))
	pids := s.Workers(2)
	for i := range 10 {
		s.Get(fmt.Sprint("/", i))
	}
	for _, pid := range pids {
		s.Log.ExpectFrom(t, 0, fmt.Sprintf(`APM agent started in worker %d of hello:app$`, pid))
	}
	s.Terminate()
	var spans string
	for _, pid := range pids {
		spans += s.ReadFile(fmt.Sprintf("agent-%d.spans", pid))
	}
	for i := range 10 {
		if n := strings.Count(spans, fmt.Sprintf("GET /%d 200\n", i)); n != 1 {
			t.Errorf("request %d is in the spans %d times", i, n)
		}
	}
}

func TestConfigMemoryWatchdog(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, configured(t, "memory_watchdog.py", harness.Options{App: "webapp:app", Env: []string{"WORKER_MEMORY_LIMIT_MB=120"},
		Files: map[string]string{"webapp.py": `
LEAK = []
def app(environ, start_response):
    if environ["PATH_INFO"] == "/leak":
        LEAK.append(bytearray(b"x" * (150 << 20)))
    start_response("200 OK", [])
    return [b"ok"]
`}}))
	for range 2 { // the second time after a reload
		pids := s.Workers(1)
		if got := s.Get("/leak"); got != "ok" {
			t.Errorf("%s", got)
		}
		s.Log.Expect(t, fmt.Sprintf(`\[WARNING\] Worker %d \(age \d+\) uses too much memory, it is replaced$`, pids[0]))
		s.Replaced(pids, 1)
		s.Get("/")
		s.Reload(1)
	}
	s.Terminate()
}

func TestConfigDumpStacks(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, configured(t, "dump_stacks.py", harness.Options{App: "gated:app"}))
	m := inFlight(s)
	harness.Kill(t, s.Workers(1)[0], syscall.SIGINT)
	s.Log.ExpectFrom(t, 0, `worker received INT or QUIT signal$`)
	s.Log.ExpectFrom(t, 0, `# Thread: MainThread\(\d+\)$`)
	s.Log.ExpectFrom(t, 0, `^File: ".*gated\.py", line \d+, in app$`)
	m.flight.Expect(502)
	s.Get("/")
	s.Terminate()
}

func TestConfigJSONLogs(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, configured(t, "json_logs.py", harness.Options{Python: harness.Venv(t), Env: []string{"SERVICE=shop"}}))
	s.Get("/basket?id=5")
	s.Log.ExpectFrom(t, 0, `/basket`)
	s.Reload(1)
	s.Terminate()
	levels := map[string]int{}
	for _, m := range s.Log.All(`.*`) {
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
	port := harness.FreePort(t)
	o := configured(t, "env_driven.py", harness.Options{App: "webapp:app", Bind: []string{}, NoProbe: true, Env: []string{
		fmt.Sprintf("APP_PORT=%d", port), "GUNICORN_WORKERS=3", "GUNICORN_THREADS=2", "LOG_LEVEL=DEBUG", "ACCESS_LOG=yes", "SERVICE_NAME=shop",
		"GUNICORN_SET_KEEPALIVE=0", "REGION=us=2",
	}, Files: map[string]string{"webapp.py": `
import os
def app(environ, start_response):
    start_response("200 OK", [])
    return [("%s %s %s" % (os.environ["REGION"], os.environ["SERVICE_STARTED_BY"], environ["wsgi.multithread"])).encode()]
`}})
	s := harness.Start(t, o)
	s.ListensOn(port)
	s.Ready()
	s.Workers(3)
	if r := s.Client().Do(t, "GET", "/x", ""); r.Body != "us=2 nobody True" || !r.Closes() {
		t.Errorf("%v", r)
	}
	if got := title(s, s.PID()); got != harness.ProgramName()+": master [shop]" {
		t.Errorf("%s", got)
	}
	s.Log.ExpectFrom(t, 0, `\[DEBUG\] 3 workers$`)
	s.Log.ExpectFrom(t, 0, `"GET /x HTTP/1\.1" 200 `)
	s.Terminate()
}

func TestConfigSeveralBinds(t *testing.T) {
	t.Parallel()
	first, second := harness.FreePort(t), harness.FreePort(t)
	s := harness.Start(t, configured(t, "several_binds.py", harness.Options{App: "showenviron:app", Bind: []string{}, NoProbe: true,
		Env: []string{fmt.Sprintf("FIRST_PORT=%d", first), fmt.Sprintf("SECOND_PORT=%d", second)}}))
	s.Log.Expect(t, fmt.Sprintf(`serving http://127\.0\.0\.1:%[1]d at \('127\.0\.0\.1', %[1]d\)$`, first))
	s.Log.Expect(t, fmt.Sprintf(`serving http://\[::1\]:%[1]d at \('::1', %[1]d\)$`, second))
	s.Log.Expect(t, `serving unix:.*/web\.sock at '.*/web\.sock'$`)
	for _, addr := range [][2]string{
		{"tcp", fmt.Sprintf("127.0.0.1:%d", first)}, {"tcp", fmt.Sprintf("[::1]:%d", second)}, {"unix", s.Path("web.sock")},
	} {
		var c *harness.Client
		harness.Eventually(t, addr[1]+" is served", func() bool {
			var err error
			c, err = harness.Dial(addr[0], addr[1])
			return err == nil
		})
		if r := c.Do(t, "GET", "/", "", "X-Forwarded-Proto: https"); !strings.Contains(r.Body, `"wsgi.url_scheme": "https"`) {
			t.Errorf("%s: %v", addr[1], r)
		}
		c.Close()
	}
	if st, err := os.Stat(s.Path("web.sock")); err != nil || st.Mode().Perm() != 0o770 {
		t.Errorf("%v, %v", st, err)
	}
	s.Terminate()
}

func TestConfigTLS(t *testing.T) {
	t.Parallel()
	o := harness.WithTLS(t, configured(t, "tls_termination.py", harness.Options{}))
	o.Args = nil // the file says it
	s := harness.Start(t, o)
	if r := s.Client().Do(t, "GET", "/", ""); r.Body != "Hello, World!\n" {
		t.Errorf("%v", r)
	}
	if c, err := s.Handshake(s.TLSConfig(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS11, tls.VersionTLS11 })); err == nil {
		c.Close()
		t.Error("TLS 1.1 was accepted")
	}
	s.Terminate()
}

func TestConfigHealthFilter(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, configured(t, "health_filter.py", harness.Options{}))
	for _, path := range []string{"/healthz", "/pay?token=secret&x=1", "/healthz"} {
		s.Get(path)
	}
	s.Log.ExpectFrom(t, 0, `^127\.0\.0\.1 "GET /pay\?token=\*\*\*&x=1 HTTP/1\.1" 200$`)
	s.Terminate()
	if s.Log.Count("healthz|secret") != 0 || s.Log.Count(`^\[INFO\] \[\d+\] Starting indrik`) != 1 {
		t.Errorf("%s", s.Log)
	}
}

func TestConfigIntercepted(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, configured(t, "intercepted.py", harness.Options{}))
	s.Get("/path")
	for _, want := range []string{"info|gunicorn.error|Starting indrik", "info|gunicorn.error|Booting worker", `info|gunicorn.access|127.0.0.1 - - [`} {
		harness.Eventually(t, "the sink has "+want, func() bool { return strings.Contains(s.ReadFile("sink.log"), want) })
	}
	s.Terminate()
	if !strings.Contains(s.ReadFile("sink.log"), "info|gunicorn.error|Shutting down: Master") || s.Log.Count(".") != 0 {
		t.Errorf("%s\n%s", s.ReadFile("sink.log"), s.Log)
	}
}

func TestConfigProduction(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, configured(t, "production.py", harness.Options{}))
	n := min(runtime.NumCPU()*2+1, 5)
	for _, pid := range s.Workers(n) {
		s.Log.ExpectFrom(t, 0, fmt.Sprintf(`Worker spawned \(pid: %d\)$`, pid))
	}
	s.Log.Expect(t, fmt.Sprintf(`Starting shop with %d workers$`, n))
	s.Log.Expect(t, `Server is ready\. Spawning workers$`)
	if got := strings.TrimSpace(s.ReadFile("srv.pid")); got != strconv.Itoa(s.PID()) {
		t.Errorf("the pid file names %s", got)
	}
	s.Client().Do(t, "GET", "/path", "", "User-Agent: test", "Referer: there")
	s.Log.ExpectFrom(t, 0, `^127\.0\.0\.1 - - \[.*\] "GET /path HTTP/1\.1" 200 14 "there" "test" \d+µs$`)
	s.Terminate()
	s.Log.Expect(t, `Goodbye$`)
	for _, line := range s.Log.All(`\[(WARNING|ERROR)\]`) {
		t.Errorf("%s", line)
	}
}

func TestConfigStatsd(t *testing.T) {
	t.Parallel()
	got, addr := harness.ListenPackets(t, "udp")
	s := harness.Start(t, configured(t, "statsd_metrics.py", harness.Options{Env: []string{"STATSD=" + addr, "SERVICE=shop", "ENV=test", "VERSION=3"}}))
	if _, err := s.Request("POST", "/upload", "12345"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`boot:1\|c\|@1\.0`, `uploaded:5\|h`, `gunicorn\.requests:1\|c\|@1\.0`, `gunicorn\.workers:1\|g`} {
		got.ExpectFrom(t, 0, `^shop\.`+want+`\|#env:test,version:3$`)
	}
	s.Terminate()
}

func TestConfigAccessLogOnStdout(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, configured(t, "access_stdout.py", harness.Options{}))
	s.Client().Do(t, "POST", "/a%20b?q=1", "", "X-Forwarded-For: 192.0.2.7", `User-Agent: a "b"`)
	want := fmt.Sprintf(`remote=192.0.2.7 method=POST path="/a b" query="q=1" proto=HTTP/1.1 status=200 bytes=14 type="text/plain" agent="a \"b\"" pid=<%d> none=-`,
		s.Workers(1)[0])
	s.Log.ExpectFrom(t, 0, "^"+regexp.QuoteMeta(want)+"$")
	s.Terminate()
	if s.Log.Count(`\[INFO\]`) != 0 || s.ReadFile("error.log") != "" {
		t.Errorf("there are messages below the level: %s", s.ReadFile("error.log"))
	}
}

func TestConfigCleanup(t *testing.T) {
	t.Parallel()
	o := configured(t, "cleanup.py", harness.Options{})
	// A worker that is ended before it serves has not heard of that yet, and leaves its file behind.
	o.Conf += "\n\ndef post_worker_init(worker):\n    worker.log.info(\"worker %s serves\", worker.pid)\n"
	s := harness.Start(t, o)
	serving := func() (pids []int) {
		t.Helper()
		harness.Eventually(t, "both workers serve", func() bool {
			pids = s.Workers(2)
			return !slices.ContainsFunc(pids, func(pid int) bool {
				return s.Log.Count(fmt.Sprintf(`worker %d serves$`, pid)) == 0 || s.Log.Count(fmt.Sprintf(`worker %d leaves`, pid)) > 0
			})
		})
		return pids
	}
	dirs := func() []string {
		found, _ := filepath.Glob(s.Path("worker-*"))
		return found
	}
	pids := serving()
	if n := len(dirs()); n != 2 {
		t.Errorf("%d directories", n)
	}
	harness.Kill(t, pids[0], syscall.SIGKILL)
	s.Log.ExpectFrom(t, 0, fmt.Sprintf(`\[WARNING\] .*worker %d left pid behind$`, pids[0]))
	for range 120 {
		s.Get("/")
	}
	s.Log.ExpectFrom(t, 0, `worker \d+ leaves after \d\d+ requests$`)
	serving()
	s.Terminate()
	if left := dirs(); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	if n := s.Log.Count("left pid behind"); n != 1 {
		t.Errorf("%d workers left their file behind", n)
	}
}

func TestConfigTiming(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, configured(t, "timing.py", harness.Options{App: "showenviron:app"}))
	s.Client().Do(t, "GET", "/known", "", "X-Request-Id: abc")
	s.Log.ExpectFrom(t, 0, `slow: GET /known took \d+\.\d{3} s, status 200, id abc$`)
	body := s.Get("/new")
	m := regexp.MustCompile(`"HTTP_X_REQUEST_ID": "([0-9a-f]{32})"`).FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("the app does not see the id: %s", body)
	}
	s.Log.ExpectFrom(t, 0, `slow: GET /new took .*, id `+m[1]+`$`)
	s.Terminate()
}
