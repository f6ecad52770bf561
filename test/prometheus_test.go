//go:build linux

package test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"indrik/test/harness"
)

// deployed returns the path of a file that operators load.
func deployed(name string) string { return filepath.Join(harness.Repository, "deploy", name) }

const (
	alertRules     = "prometheus/indrik.rules.yml"
	alertRuleTests = "prometheus/indrik.rules.test.yml"
)

// documentedMetrics are the rows of the table in docs/observe.md: the type and the labels of each
// metric.
func documentedMetrics(t *testing.T) map[string][2]string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(harness.Repository, "docs/observe.md"))
	harness.Must(t, err)
	rows := map[string][2]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(indrik_\\w+)` \\| (\\w+) \\| ([^|]*) \\|").FindAllStringSubmatch(string(page), -1) {
		rows[m[1]] = [2]string{m[2], m[3]}
	}
	if len(rows) < 40 {
		t.Fatalf("docs/observe.md lists %d metrics", len(rows))
	}
	return rows
}

// checkQuery checks that a query asks for metrics that exist, by labels that they have.
func checkQuery(t *testing.T, metrics map[string][2]string, query string) {
	t.Helper()
	found := 0
	for _, m := range regexp.MustCompile(`\b(indrik_\w+)(?:\{([^}]*)\})?`).FindAllStringSubmatch(query, -1) {
		found++
		name := m[1]
		row, is := metrics[name]
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base, cut := strings.CutSuffix(name, suffix); cut && metrics[base][0] == "histogram" {
				row, is = metrics[base], true
			}
		}
		if !is || row[0] == "histogram" && metrics[name][0] == "histogram" {
			t.Errorf("%s is no metric with a value: %s", name, query)
		}
		if row[0] == "counter" && !regexp.MustCompile(`(rate|increase)\(`+name).MatchString(query) {
			t.Errorf("%s grows for ever: %s", name, query)
		}
		for _, label := range regexp.MustCompile(`(\w+)=`).FindAllStringSubmatch(m[2], -1) {
			if l := label[1]; l != "job" && l != "instance" && !strings.Contains(row[1], "`"+l+"`") {
				t.Errorf("%s has no label %s: %s", name, l, query)
			}
		}
	}
	if found == 0 && !strings.Contains(query, "indrik:") && !strings.HasPrefix(query, "up{") {
		t.Errorf("it asks for nothing of ours: %s", query)
	}
}

// TestDashboard: each query of the dashboard asks for metrics that exist, no panel lies on
// another, and each metric that changes is in one.
func TestDashboard(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(deployed("grafana/indrik.json"))
	harness.Must(t, err)
	var board struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
		Templating struct {
			List []struct{ Type, Definition string }
		}
		Annotations struct {
			List []struct{ Expr string }
		}
	}
	harness.Must(t, json.Unmarshal(text, &board))
	metrics := documentedMetrics(t)
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range board.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%q lies on %q, or beyond the edge", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		for _, target := range p.Targets {
			checkQuery(t, metrics, target.Expr)
		}
	}
	for _, a := range board.Annotations.List {
		checkQuery(t, metrics, a.Expr)
	}
	for _, v := range board.Templating.List {
		if v.Type == "query" {
			checkQuery(t, metrics, v.Definition)
		}
	}
	const apart = "indrik_front_goroutines indrik_front_start_time_seconds indrik_start_time_seconds indrik_generation " +
		"indrik_worker_pid indrik_worker_start_time_seconds indrik_workers_started_total indrik_last_reload_successful " +
		"indrik_master_up indrik_ready indrik_worker_requests_in_flight"
	for name := range metrics {
		if !strings.Contains(string(text), name) && !slices.Contains(strings.Fields(apart), name) {
			t.Errorf("%s is in no panel", name)
		}
	}
}

// TestAlertRules: each rule asks for metrics that exist, and promtool's test has each alert.
func TestAlertRules(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile(deployed(alertRules))
	harness.Must(t, err)
	tests, err := os.ReadFile(deployed(alertRuleTests))
	harness.Must(t, err)
	metrics := documentedMetrics(t)
	expressions := regexp.MustCompile(`(?m)^        expr: (?:>-\n((?:          .*\n)+)|(.*)\n)`).FindAllStringSubmatch(string(rules), -1)
	for _, m := range expressions {
		checkQuery(t, metrics, m[1]+m[2])
	}
	alerts := regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(string(rules), -1)
	if records := strings.Count(string(rules), "- record:"); len(alerts) < 10 || len(expressions) != len(alerts)+records {
		t.Fatalf("%d expressions, %d alerts", len(expressions), len(alerts))
	}
	page, err := os.ReadFile(filepath.Join(harness.Repository, "docs/observe.md"))
	harness.Must(t, err)
	for _, a := range alerts {
		if !regexp.MustCompile("(?m)^\\| .*`" + a[1] + "`.* \\|").Match(page) {
			t.Errorf("docs/observe.md does not explain %s", a[1])
		}
		if strings.Count(string(tests), "alertname: "+a[1]+"\n") != 1 || strings.Count(string(tests), "alertname: "+a[1]+",") != 1 {
			t.Errorf("no test has %s fire, and not fire", a[1])
		}
	}
}

// TestAllPromtool: promtool finds the rules right, their tests pass, and the names and texts of
// the metrics are as Prometheus wants them.
func TestAllPromtool(t *testing.T) {
	t.Parallel()
	promtool := harness.NeedsProgram(t, "promtool")
	for _, args := range [][]string{
		{"check", "rules", deployed(alertRules)}, {"test", "rules", deployed(alertRuleTests)},
	} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	s, admin := withAdmin(t, harness.Options{App: "answering:asgi", Args: []string{"-k", "asgi"}})
	s.Get("/")
	r, err := admin.Request("GET", "/metrics", "")
	harness.Must(t, err)
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = strings.NewReader(r.Body)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	s.Terminate()
}

// A prometheus is a Prometheus that scrapes one server.
type prometheus struct {
	t    testing.TB
	base string
}

// startPrometheus starts one that scrapes each second. The rules are those that operators
// load, with seconds in the place of minutes.
func startPrometheus(t *testing.T, admin *harness.Endpoint) *prometheus {
	t.Helper()
	program := harness.NeedsProgram(t, "prometheus")
	dir := harness.TempDir(t)
	rules, err := os.ReadFile(deployed(alertRules))
	harness.Must(t, err)
	text := regexp.MustCompile(`\[\d+m\]`).ReplaceAllString(string(rules), "[10s]")
	text = regexp.MustCompile(`for: \d+m`).ReplaceAllString(text, "for: 3s")
	harness.Must(t, os.WriteFile(filepath.Join(dir, "rules.yml"), []byte(text), 0o644))
	harness.Must(t, os.WriteFile(filepath.Join(dir, "prometheus.yml"), fmt.Appendf(nil, `global: {scrape_interval: 1s, evaluation_interval: 500ms}
rule_files: [rules.yml]
scrape_configs:
  - job_name: indrik
    static_configs: [{targets: [%q]}]
`, admin.Address), 0o644))
	port := harness.FreePort(t)
	cmd := exec.Command(program, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		fmt.Sprintf("--web.listen-address=127.0.0.1:%d", port), "--enable-feature=native-histograms", "--log.level=warn")
	log, err := os.Create(filepath.Join(dir, "log"))
	harness.Must(t, err)
	cmd.Stdout, cmd.Stderr = log, log
	harness.Must(t, cmd.Start())
	p := &prometheus{t, fmt.Sprintf("http://127.0.0.1:%d/api/v1/", port)}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		log.Close()
		if t.Failed() {
			said, _ := os.ReadFile(log.Name())
			t.Logf("Prometheus says:\n%s", said)
		}
	})
	harness.Eventually(t, "Prometheus has scraped", func() bool { return p.value(`up{job="indrik"}`) == 1 })
	return p
}

// ask asks for something of the API.
func (p *prometheus) ask(what string, into any) bool {
	r, err := http.Get(p.base + what)
	if err != nil {
		return false
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	return err == nil && r.StatusCode == http.StatusOK && json.Unmarshal(body, into) == nil
}

// value returns what a query finds, −1 if that is not one value.
func (p *prometheus) value(query string) float64 {
	var got struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	if !p.ask("query?query="+url.QueryEscape(query), &got) || len(got.Data.Result) != 1 {
		return -1
	}
	text, _ := got.Data.Result[0].Value[1].(string)
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return -1
	}
	return n
}

// alerts returns the alerts that fire.
func (p *prometheus) alerts() (firing []string) {
	var got struct {
		Data struct {
			Alerts []struct {
				State  string
				Labels map[string]string
			}
		}
	}
	if !p.ask("alerts", &got) {
		return nil
	}
	for _, a := range got.Data.Alerts {
		if a.State == "firing" {
			firing = append(firing, a.Labels["alertname"])
		}
	}
	return firing
}

// TestAllPrometheus: a real Prometheus scrapes a server under load. Its counts are the
// clients', it knows quantiles by both kinds of histogram, and the alert of what is wrong fires
// alone: requests are refused, and no worker has died.
func TestAllPrometheus(t *testing.T) {
	t.Parallel()
	harness.NeedsProgram(t, "prometheus")
	s, admin := withAdmin(t, harness.Options{App: "answering:app", Args: []string{"--workers", "1", "--queue-limit", "2"}})
	p := startPrometheus(t, admin)
	if n := p.alerts(); len(n) > 0 {
		t.Errorf("at rest %v fire", n)
	}
	requested := func(status string) float64 {
		return max(0, p.value(`sum(indrik_http_requests_total{status="`+status+`"})`))
	}
	before := requested("200")

	var mu sync.Mutex
	answers := map[int]int{}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 12 { // one runs, one is in the hand of the worker, two wait: the others are refused
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond): // as clients that are told to come back later
				}
				r, err := s.Request("GET", "/busy", "")
				mu.Lock()
				if err == nil {
					answers[r.Status]++
				} else {
					answers[0]++
				}
				mu.Unlock()
			}
		})
	}
	harness.Eventually(t, "the refusals are noticed, and the busy worker", func() bool {
		firing := p.alerts()
		return slices.Contains(firing, "IndrikRefusals") && slices.Contains(firing, "IndrikBusy") && slices.Contains(firing, "IndrikErrors")
	})
	for _, quantile := range []string{
		`histogram_quantile(0.5, rate(indrik_http_request_app_seconds[10s]))`,
	} {
		if n := p.value(quantile); n < 0.04 || n > 5 { // the worker is not alone on its processor
			t.Errorf("%s is %v", quantile, n)
		}
	}
	close(stop)
	clients.Wait()
	firing := p.alerts()
	for _, quiet := range []string{"IndrikWorkerDeaths", "IndrikReloadFailed", "IndrikDown", "IndrikNoWorkerReady", "IndrikTimeouts", "IndrikMasterSilent"} {
		if slices.Contains(firing, quiet) {
			t.Errorf("%s fires", quiet)
		}
	}
	if answers[200] == 0 || answers[503] == 0 || answers[0] > 0 {
		t.Errorf("the clients got %v", answers)
	}
	harness.Eventually(t, "the counts are the clients'", func() bool {
		return requested("200") == before+float64(answers[200]) && requested("503") == float64(answers[503])
	})
	s.Terminate()
}
