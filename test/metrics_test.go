//go:build linux

package test

import (
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

// A metricPage is what a scrape has found: values by the name with its labels, as in the page.
type metricPage map[string]float64

var metricLine = regexp.MustCompile(`(?m)^(\w+(?:\{[^\n]*\})?) (\S+)$`)

// metrics scrapes a server in the format of text.
func metrics(t testing.TB, admin *harness.Endpoint) metricPage {
	t.Helper()
	r, err := admin.Request("GET", "/metrics", "")
	harness.Must(t, err)
	if r.Status != 200 || !strings.HasPrefix(r.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Fatalf("metrics: %v", r)
	}
	return readMetrics(t, r.Body)
}

// readMetrics returns what a page says.
func readMetrics(t testing.TB, text string) metricPage {
	t.Helper()
	page := metricPage{}
	for _, m := range metricLine.FindAllStringSubmatch(text, -1) {
		value, err := strconv.ParseFloat(m[2], 64)
		if err != nil || math.IsNaN(value) {
			t.Fatalf("%q is no metric", m[0])
		}
		if _, twice := page[m[1]]; twice {
			t.Errorf("%s is there twice", m[1])
		}
		page[m[1]] = value
	}
	return page
}

// of returns the values of one metric, by what is said of its labels.
func (p metricPage) of(name string) metricPage {
	values := metricPage{}
	for key, value := range p {
		if rest, ok := strings.CutPrefix(key, name); ok && (rest == "" || rest[0] == '{') {
			values[rest] = value
		}
	}
	return values
}

// sum adds the values of a metric up, of those that have a label.
func (p metricPage) sum(name, label string) (sum float64) {
	for key, value := range p.of(name) {
		if strings.Contains(key, label) {
			sum += value
		}
	}
	return sum
}

// expectMetrics waits until a scrape has the values that are wanted: a page is up to a second
// old.
func expectMetrics(t testing.TB, admin *harness.Endpoint, want metricPage) metricPage {
	t.Helper()
	var page metricPage
	wrong := func() (keys []string) {
		for _, key := range slices.Sorted(maps.Keys(want)) {
			if got, is := page[key]; !is || got != want[key] {
				keys = append(keys, fmt.Sprintf("%s is %v, want %v", key, got, want[key]))
			}
		}
		return keys
	}
	if !harness.Within(harness.Patience, func() bool { page = metrics(t, admin); return len(wrong()) == 0 }) {
		t.Fatal(strings.Join(wrong(), "\n"))
	}
	return page
}

// requests is the name of the series of requests.
func requests(kind, method string, status int) string {
	return fmt.Sprintf(`indrik_http_requests_total{kind=%q,method=%q,status="%d"}`, kind, method, status)
}

// answering starts a server with an app that metrics can be predicted of, with workers of each
// kind.
func answering(t *testing.T, test func(t *testing.T, s *harness.Server, admin *harness.Endpoint), args ...string) {
	harness.ForEachKind(t, func(t *testing.T, k harness.Kind) {
		s, admin := withAdmin(t, k.Options(t, "answering:app", args...))
		test(t, s, admin)
	})
	t.Run("asgi", func(t *testing.T) {
		s, admin := withAdmin(t, harness.Options{App: "answering:asgi", Args: append([]string{"-k", "asgi"}, args...)})
		test(t, s, admin)
	})
}

// TestMetricsAddUp: what the metrics count is what clients have sent and got, and a reload
// changes nothing of that.
func TestMetricsAddUp(t *testing.T) {
	t.Parallel()
	answering(t, func(t *testing.T, s *harness.Server, admin *harness.Endpoint) {
		const probes = 1.0                                                         // of the harness
		expectMetrics(t, admin, metricPage{requests("http1", "GET", 200): probes}) // it may have its answer a little before that is counted
		c := s.Client()
		defer c.Close()
		for range 20 {
			c.Do(t, "GET", "/", "")
		}
		for range 5 {
			c.Do(t, "POST", "/201", strings.Repeat("b", 1000))
		}
		big, err := s.Request("PUT", "/", strings.Repeat("b", 3<<20)) // not in memory, or in parts
		harness.Must(t, err)
		for _, status := range []string{"/404", "/404", "/500", "/599"} {
			c.Do(t, "GET", status, "")
		}
		c.Do(t, "HEAD", "/", "")
		for i := range 3 {
			c.Do(t, fmt.Sprintf("BREW%d", i), "/", "")
		}
		for _, bad := range []string{"GET\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"} {
			d := s.Client()
			d.Send(t, bad)
			if r := d.Receive(t, "GET"); r.Status != 400 {
				t.Errorf("%q: %v", bad, r)
			}
			d.Close()
		}
		if big.Status != 200 {
			t.Errorf("PUT: %v", big)
		}
		var together sync.WaitGroup
		for range 4 {
			together.Go(func() {
				for range 50 {
					if r, err := s.Request("GET", "/", ""); err != nil || r.Status != 200 {
						t.Errorf("%v, %v", r, err)
					}
				}
			})
		}
		together.Wait()

		const ok = 20 + 4*50.0
		want := metricPage{
			requests("http1", "GET", 200): ok + probes, requests("http1", "POST", 201): 5, requests("http1", "PUT", 200): 1,
			requests("http1", "GET", 404): 2, requests("http1", "GET", 500): 1, requests("http1", "GET", 599): 1,
			requests("http1", "HEAD", 200): 1, requests("http1", "other", 200): 3, requests("http1", "none", 400): 2,
			"indrik_http_request_body_bytes_total":  5*1000 + 3<<20,
			"indrik_http_response_body_bytes_total": 100 * (ok + probes + 5 + 1 + 4 + 3),
			"indrik_http_requests_in_flight":        0, "indrik_queue_length": 0, "indrik_master_up": 1, "indrik_ready": 1,
			`indrik_workers{state="ready"}`: 1, "indrik_workers_target": 1, `indrik_reloads_total{result="success"}`: 0,
		}
		page := expectMetrics(t, admin, want)
		const read = ok + probes + 5 + 1 + 4 + 1 + 3
		counts := metricPage{
			"indrik_http_request_duration_seconds_count": read, "indrik_http_request_queue_seconds_count": read,
			"indrik_http_request_app_seconds_count": read, "indrik_http_response_first_byte_seconds_count": read,
			"indrik_worker_requests_total": read,
		}
		for what, count := range counts {
			// A response is counted in each of them, one after the other.
			var got float64
			if !harness.Within(harness.Patience, func() bool {
				got = page.sum(what, "")
				if got != count {
					page = metrics(t, admin)
				}
				return got == count
			}) {
				t.Errorf("%s: %v, want %v", what, got, count)
			}
		}
		if n := page[`indrik_http_request_duration_seconds_bucket{class="2xx",le="64"}`]; n != read-4 {
			t.Errorf("%v with 2xx took no more than a minute, of %v", n, read-4)
		}

		s.Reload(1)
		delete(want, "indrik_http_requests_in_flight")
		want[`indrik_reloads_total{result="success"}`] = 1
		want["indrik_generation"] = page["indrik_generation"] + 1
		expectMetrics(t, admin, want)
		s.Terminate()
	})
}

// TestMetricsOfAReplacedFront: what the master counts outlives a front; what the front counts
// begins anew.
func TestMetricsOfAReplacedFront(t *testing.T) {
	t.Parallel()
	s, admin := withAdmin(t, harness.Options{App: "dying:app", Args: []string{"--workers", "2"}})
	old := s.Workers(2)
	harness.Kill(t, old[0], syscall.SIGSEGV)
	s.Replaced(old[:1], 2)
	for range 10 {
		s.Get("/")
	}
	page := expectMetrics(t, admin, metricPage{`indrik_worker_deaths_total{cause="signal"}`: 1, "indrik_workers_started_total": 3})
	if n := page[requests("http1", "GET", 200)]; n < 10 {
		t.Errorf("%v requests", n)
	}
	harness.Kill(t, s.Role("front")[0].PID, syscall.SIGKILL)
	s.Ready()
	harness.Eventually(t, "the new front counts", func() bool {
		r, err := admin.Request("GET", "/metrics", "")
		return err == nil && strings.Contains(r.Body, "\nindrik_master_up 1\n")
	})
	page = expectMetrics(t, admin, metricPage{`indrik_worker_deaths_total{cause="signal"}`: 1, "indrik_workers_started_total": 3})
	if n := page[requests("http1", "GET", 200)]; n >= 10 {
		t.Errorf("the new front has %v requests", n)
	}
	s.Terminate()
}

// TestMetricsOfWaiting: what waits and runs, what is refused, and how much of the capacity is in
// use.
func TestMetricsOfWaiting(t *testing.T) {
	t.Parallel()
	s, admin := withAdmin(t, harness.Options{App: "answering:app", Args: []string{"--workers", "2", "--queue-limit", "1"}, Gates: []string{"a", "b"}})
	a, b := s.Begin("/gate/a"), s.Begin("/gate/b")
	s.Gates["a"].Entered()
	s.Gates["b"].Entered()
	page := expectMetrics(t, admin, metricPage{
		"indrik_http_requests_in_flight": 2, "indrik_queue_length": 0,
		`indrik_worker_requests_in_flight{worker="0"}`: 1, `indrik_worker_requests_in_flight{worker="1"}`: 1,
		`indrik_connections{state="running"}`: 2,
	})
	waiting := []*harness.Pending{s.Begin("/"), s.Begin("/"), s.Begin("/")} // a slot has another one in its hand
	harness.Eventually(t, "the queue is full", func() bool { return metrics(t, admin)["indrik_queue_length"] == 3 })
	allWait := time.Now()
	for range 5 {
		if r, err := s.Request("GET", "/", ""); err != nil || r.Status != 503 {
			t.Fatalf("%v, %v", r, err)
		}
	}
	full := expectMetrics(t, admin, metricPage{
		"indrik_http_requests_in_flight": 5, `indrik_refusals_total{reason="queue_full"}`: 5, requests("http1", "GET", 503): 5,
	})
	used := full["indrik_busy_seconds_total"] - page["indrik_busy_seconds_total"]
	capacity := full["indrik_capacity_seconds_total"] - page["indrik_capacity_seconds_total"]
	if capacity <= 0 || used/capacity < 0.999 || used/capacity > 1.001 {
		t.Errorf("%v s of %v s were used", used, capacity)
	}
	if full["indrik_queue_oldest_seconds"] <= 0 || full["indrik_busy_ratio"] <= 0 {
		t.Errorf("oldest %v, busy %v", full["indrik_queue_oldest_seconds"], full["indrik_busy_ratio"])
	}
	waited := time.Since(allWait).Seconds()
	s.Gates["a"].Release()
	s.Gates["b"].Release()
	for _, p := range append(waiting, a, b) {
		if r, err := p.Wait(); err != nil || r.Status != 200 {
			t.Errorf("%v, %v", r, err)
		}
	}
	idle := expectMetrics(t, admin, metricPage{"indrik_http_requests_in_flight": 0, "indrik_queue_length": 0})
	if n := idle["indrik_http_request_queue_seconds_sum"]; n < 3*waited {
		t.Errorf("three requests have waited for %v s, each of them for %v s or more", n, waited)
	}
	s.Terminate()
}

// TestMetricsOfTimeouts: a request that runs for too long, and a client that is too slow.
func TestMetricsOfTimeouts(t *testing.T) {
	t.Parallel()
	s, admin := withAdmin(t, harness.Options{App: "stuck:app", Args: []string{"--timeout", "3", "--header-timeout", "3"}})
	if r, err := s.Request("GET", "/stuck", ""); err != nil || r.Status != 504 {
		t.Errorf("%v, %v", r, err)
	}
	c := s.Client()
	defer c.Close()
	c.Send(t, "GET / HT")
	if r := c.Receive(t, "GET"); r.Status != 408 {
		t.Errorf("%v", r)
	}
	page := expectMetrics(t, admin, metricPage{
		requests("http1", "GET", 504): 1, requests("http1", "none", 408): 1, `indrik_timeouts_total{cause="app"}`: 1,
		`indrik_timeouts_total{cause="header"}`: 1, `indrik_worker_deaths_total{cause="timeout"}`: 1,
	})
	if n := page["indrik_http_request_app_seconds_sum"]; n < 1 {
		t.Errorf("requests ran for %v s", n)
	}
	s.Terminate()
}

// TestMetricsOfLeavingClients: a request whose client leaves while it waits is cancelled; one that
// runs is answered, to nobody.
func TestMetricsOfLeavingClients(t *testing.T) {
	t.Parallel()
	s, admin := withAdmin(t, harness.Options{App: "answering:app", Gates: []string{"a"}})
	running := s.Client()
	running.Send(t, harness.FormatRequest("GET", "/gate/a", ""))
	s.Gates["a"].Entered()
	var waiting []*harness.Client
	for range 3 {
		c := s.Client()
		c.Send(t, harness.FormatRequest("GET", "/404", ""))
		waiting = append(waiting, c)
	}
	expectMetrics(t, admin, metricPage{"indrik_http_requests_in_flight": 4, "indrik_queue_length": 3})
	for _, c := range append(waiting, running) {
		c.Close()
	}
	expectMetrics(t, admin, metricPage{"indrik_http_requests_cancelled_total": 3, "indrik_http_requests_in_flight": 1})
	s.Gates["a"].Release()
	page := expectMetrics(t, admin, metricPage{"indrik_http_requests_in_flight": 0, "indrik_http_requests_cancelled_total": 3})
	if n := page.sum("indrik_http_requests_total", "404"); n != 0 {
		t.Errorf("%v of the cancelled ones were answered", n)
	}
	s.Terminate()
}

// TestMetricsOfRefusedClients: what is turned away before the dispatcher sees it, and clients that
// are too slow in each phase.
func TestMetricsOfRefusedClients(t *testing.T) {
	t.Parallel()
	s, admin := withAdmin(t, harness.Options{App: "answering:app", Args: []string{
		"--limit-client-connections", "3", "--body-timeout", "1", "--forwarded-allow-ips", "10.0.0.1",
	}})
	var opened float64
	harness.Eventually(t, "the connections of the start are gone", func() bool {
		page := metrics(t, admin)
		opened = page["indrik_connections_opened_total"]
		return page.sum("indrik_connections", "state=") == 0
	})
	slow := s.Client() // it sends nothing yet: what follows may take as long as it likes
	defer slow.Close()
	idle := []*harness.Client{s.Client(), s.Client()}
	for _, c := range idle {
		defer c.Close()
		c.Do(t, "GET", "/", "")
	}
	for range 2 {
		c := s.Client()
		if r := c.Receive(t, "GET"); r.Status != 503 {
			t.Errorf("%v", r)
		}
		c.Close()
	}
	slow.Send(t, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
	if r := slow.Receive(t, "POST"); r.Status != 408 {
		t.Errorf("%v", r)
	}
	expectMetrics(t, admin, metricPage{
		`indrik_refusals_total{reason="client_connections"}`: 2, `indrik_timeouts_total{cause="body"}`: 1, requests("http1", "POST", 408): 1,
		`indrik_connections{state="idle"}`: 2, "indrik_connections_opened_total": opened + 3,
	})
	s.Terminate()
}

// TestMetricsOfABlockedLoop: a loop that does not turn is busy, and late.
func TestMetricsOfABlockedLoop(t *testing.T) {
	t.Parallel()
	s, admin := withAdmin(t, harness.Options{App: "blocked:app", Args: []string{"-k", "asgi"}, Gates: []string{"a"}, Files: map[string]string{
		"blocked.py": `import gate

async def app(scope, receive, send):
    if scope["path"] == "/block":
        gate.wait("a")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})
`,
	}})
	s.Get("/")
	page := metrics(t, admin)
	blocked := s.Begin("/block")
	s.Gates["a"].Entered()
	harness.Eventually(t, "the loop is seen to be late", func() bool {
		return metrics(t, admin)[`indrik_worker_loop_lag_seconds{worker="0"}`] > 2
	})
	now := metrics(t, admin)
	used := now["indrik_busy_seconds_total"] - page["indrik_busy_seconds_total"]
	capacity := now["indrik_capacity_seconds_total"] - page["indrik_capacity_seconds_total"]
	if used < 1 || used > capacity {
		t.Errorf("%v s of %v s were used", used, capacity)
	}
	s.Gates["a"].Release()
	if r, err := blocked.Wait(); err != nil || r.Status != 200 {
		t.Errorf("%v, %v", r, err)
	}
	s.Terminate()
}

// TestNoMetrics: without an admin address there are none, on no path.
func TestNoMetrics(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "answering:app", Args: []string{"--health-path", "/-/health"}})
	for _, path := range []string{"/metrics", "/-/health/metrics"} {
		if got := s.Get(path); strings.Contains(got, "indrik") {
			t.Errorf("%s: %q", path, got)
		}
	}
	s.Terminate()
}

// TestMetricsOfKinds: HTTP/2 and WebSocket have kinds of their own.
func TestMetricsOfKinds(t *testing.T) {
	t.Parallel()
	s, admin := withAdmin(t, harness.Options{App: "sockets:app", Args: []string{"-k", "asgi", "--http-protocols", "h2,h1", "--http2-cleartext", "prior-knowledge"}})
	w := s.Web(harness.WebH2C)
	for range 3 {
		if p, err := w.Try(t.Context(), "GET", "/", nil); err != nil || p.StatusCode != 200 {
			t.Fatalf("%v, %v", p, err)
		}
	}
	socket := s.WebSocket("/echo")
	defer socket.Close()
	expectMetrics(t, admin, metricPage{
		requests("http2", "GET", 200): 3, requests("websocket", "GET", 101): 1, `indrik_connections{state="websocket"}`: 1,
		`indrik_connections{state="http2"}`: 1,
	})
	// Its head is forgotten by now, and what was asked for is not.
	if r := asBrowser(t, admin, "127.0.0.1", "GET", "/status"); !strings.Contains(r.Body, `"/echo"`) {
		t.Errorf("the status does not have the WebSocket: %v", r)
	}
}

// TestDocumentedMetrics: a page has the metrics that docs/observe.md lists, of the types that
// stand there, and no others. Text has no native histograms; protobuf has.
func TestDocumentedMetrics(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(harness.Repository + "/docs/observe.md")
	harness.Must(t, err)
	want := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(indrik_\\w+)` \\| (\\w+) \\|").FindAllStringSubmatch(string(page), -1) {
		want[m[1]] = m[2]
	}
	if len(want) < 40 {
		t.Fatalf("docs/observe.md lists %d metrics", len(want))
	}
	s, admin := withAdmin(t, harness.Options{App: "answering:asgi", Args: []string{"-k", "asgi", "--dirty-app", "pooled:Pooled", "--dirty-workers", "1"}})
	s.Get("/")
	expectMetrics(t, admin, metricPage{requests("http1", "GET", 200): metrics(t, admin)[requests("http1", "GET", 200)]})
	var body string
	harness.Eventually(t, "the worker is known", func() bool {
		r, err := admin.Request("GET", "/metrics", "")
		if err != nil {
			return false
		}
		body = r.Body
		return strings.Contains(body, "indrik_worker_loop_lag_seconds{") && strings.Contains(body, "indrik_http_requests_total{")
	})
	got := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (\w+) (\w+)$`).FindAllStringSubmatch(body, -1) {
		got[m[1]] = m[2]
	}
	if !maps.Equal(got, want) {
		t.Errorf("the page has %v\ndocs/observe.md %v", got, want)
	}
	s.Terminate()
}

// TestMetricsCardinality: a client with ten thousand methods and paths makes no more series
// than one with two.
func TestMetricsCardinality(t *testing.T) {
	t.Parallel()
	s, admin := withAdmin(t, harness.Options{Args: []string{"--workers", "2"}})
	var c *harness.Client
	for i := range 10_000 {
		if i%1000 == 0 { // a connection has so much time, and not the test
			c = s.Client()
			defer c.Close()
		}
		method := []byte("AAAAA")
		for j, n := range fmt.Sprintf("%04d", i) {
			method[j] = byte('A' + n - '0')
		}
		c.Do(t, string(method), fmt.Sprintf("/%d?%d", i, i), "")
	}
	page := expectMetrics(t, admin, metricPage{requests("http1", "other", 200): 10_000})
	if n := len(page); n > 400 {
		t.Errorf("there are %d series", n)
	}
	s.Terminate()
}

// TestMetricsOfALiar: a worker that writes over all that it can spoils no page, and only what is
// its own.
func TestMetricsOfALiar(t *testing.T) {
	t.Parallel()
	s, admin := withAdmin(t, harness.Options{App: "hostile:app", Args: []string{"--workers", "2"}})
	for range 5 {
		_, _ = s.Request("GET", "/attack/memory", "") // it may lose its worker
		page := metrics(t, admin)
		for key, value := range page {
			if math.IsInf(value, 0) || value < 0 || strings.Contains(key, "seconds") && !strings.Contains(key, "time") && value > 3600 {
				t.Errorf("%s is %v", key, value)
			}
		}
		if n := page["indrik_busy_ratio"]; n > 1 {
			t.Errorf("the busy share is %v", n)
		}
		if n := page["indrik_queue_length"]; n > 10 {
			t.Errorf("the queue has %v requests", n)
		}
	}
	s.Terminate()
}

// TestManyMetricScrapers: however many scrape, clients are served as before.
func TestManyMetricScrapers(t *testing.T) {
	t.Parallel()
	s, admin := withAdmin(t, harness.Options{App: "echo:app", Args: []string{"--workers", "2"}})
	scrapers := scrape(admin, 30, "/metrics")
	load := s.KeepAliveLoad(4)
	load.Progress(300)
	scrapers.progress(t, 20)
	load.Progress(300)
	load.ExpectNoneLost(t)
	scrapers.finish() // some are told to come back later
	harness.Eventually(t, "one who comes when the others have gone is answered", func() bool {
		r, err := admin.Request("GET", "/metrics", "")
		return err == nil && r.Status == 200
	})
	s.Terminate()
}
