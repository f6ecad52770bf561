//go:build linux

package test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// only returns the values whose names begin so.
func (p metricPage) only(prefix string) metricPage {
	p = maps.Clone(p)
	maps.DeleteFunc(p, func(name string, _ float64) bool { return !strings.HasPrefix(name, prefix) })
	return p
}

// counted is what /metrics has of the app after n requests for /a.
func counted(n int) metricPage {
	return metricPage{
		`app_requests_total{path="/a"}`: float64(n), `app_sizes_bytes_count`: float64(n), `app_sizes_bytes_sum`: float64(2 * n),
		`app_sizes_bytes_bucket{le="10"}`: float64(n), `app_sizes_bytes_bucket{le="+Inf"}`: float64(n),
		`app_work_seconds_count`: float64(n), `app_work_seconds_sum`: float64(n) / 2,
	}
}

// gets makes n requests for /a, on a connection each.
func gets(t *testing.T, s *harness.Server, n int) {
	t.Helper()
	for range n {
		if got := s.Get("/a"); got != "/a\n" {
			t.Fatalf("GET /a: %q", got)
		}
	}
}

// metricsDir is the directory in which the app has its metrics, in that of its server.
func metricsDir(t *testing.T, s *harness.Server) (own, server string) {
	t.Helper()
	own = s.Get("/directory")
	if !strings.Contains(own, "/indrik-metrics-") {
		t.Fatalf("the app's metrics are in %q", own)
	}
	return own, filepath.Dir(own)
}

func expectNoFile(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", path, err)
	}
}

// TestAppMetrics: the values that the app keeps in its workers are added up over all of them,
// and over those that were killed, recycled or replaced in a reload; nothing is set up for that.
func TestAppMetrics(t *testing.T) {
	t.Parallel()
	python := harness.Venv(t)
	for name, args := range map[string][]string{
		"sync":            {"measured.flaskapp:app"},
		"sync preload":    {"measured.flaskapp:app", "--preload"},
		"gthread":         {"measured.flaskapp:app", "--threads", "4"},
		"gevent":          {"measured.flaskapp:app", "--worker-class", "gevent"},
		"asgi":            {"measured.starletteapp:app"},
		"asgi preload":    {"measured.starletteapp:app", "--preload"},
		"gthread preload": {"measured.flaskapp:app", "--threads", "4", "--preload"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, admin := withAdmin(t, harness.Options{App: args[0], Args: append(args[1:], "--workers", "3"), Python: python})
			workers := s.Workers(3)
			_, server := metricsDir(t, s)
			gets(t, s, 30)
			expectMetrics(t, admin, counted(30))
			// Whoever was killed is alive no more; what it has counted stays.
			for _, pid := range workers {
				harness.Kill(t, pid, syscall.SIGKILL)
				harness.WaitGone(t, pid)
			}
			s.Workers(3)
			expectMetrics(t, admin, counted(30))
			expectMetrics(t, admin, metricPage{"app_alive": 0})
			gets(t, s, 10)
			expectMetrics(t, admin, counted(40))
			s.Reload(3)
			gets(t, s, 10)
			expectMetrics(t, admin, counted(50))
			own := readMetrics(t, s.Get("/own")).only("app_requests")
			if name := `app_requests_total{path="/a"}`; own[name] != 50 {
				t.Errorf("the library's own collector says %v in the app", own)
			}
			s.Terminate()
			expectNoFile(t, server)
		})
	}
}

// TestAppMetricsNeverDecrease: while workers are killed, recycled and replaced under load, no
// counter that is read meanwhile falls, and in the end they say what the clients say.
func TestAppMetricsNeverDecrease(t *testing.T) {
	t.Parallel()
	s, admin := withAdmin(t, harness.Options{
		App: "measured.flaskapp:app", Python: harness.Venv(t), Args: []string{"--workers", "3", "--max-requests", "40", "--max-requests-jitter", "20"},
	})
	// A page has none of the app's metrics if the master takes long to answer the front.
	page := func() (p metricPage) {
		t.Helper()
		harness.Eventually(t, "the app's metrics are there", func() bool { p = metrics(t, admin).only("app_all"); return len(p) > 0 })
		return p
	}
	before := page()["app_all_total"]
	k := s.KeepAliveLoad(3)
	last := metricPage{}
	look := func() {
		t.Helper()
		now := page()
		for name, before := range last {
			if after, found := now[name]; !found || after < before {
				t.Errorf("%s was %v and is %v", name, before, after)
			}
		}
		last = now
	}
	for i := range 12 {
		k.Progress(100)
		if i%4 == 3 {
			s.Reload(3)
		}
		look()
	}
	tally := k.Finish()
	if tally.OK < 1200 || tally.Losses() != 0 {
		t.Errorf("the clients had %v", tally)
	}
	expectMetrics(t, admin, metricPage{"app_all_total": before + float64(tally.OK)})
	s.Terminate()
}

// TestAppMetricsRecycling: two hundred workers that are recycled leave few files, and all that
// they have counted.
func TestAppMetricsRecycling(t *testing.T) {
	t.Parallel()
	s, admin := withAdmin(t, harness.Options{
		App: "measured.flaskapp:app", Python: harness.Venv(t), Args: []string{"--preload", "--workers", "2", "--max-requests", "3"},
	})
	dir, _ := metricsDir(t, s)
	most, requests := 0, 0
	for s.Log.Count(`Autorestarting worker`) < 200 {
		gets(t, s, 10)
		requests += 10
		files, err := os.ReadDir(dir)
		harness.Must(t, err)
		most = max(most, len(files))
	}
	t.Logf("at most %d files after %d workers", most, s.Log.Count(`Autorestarting worker`))
	// Of each type and mode those of living processes, and some ten of others, more if the front is
	// kept from its work; twenty of gauges that each process has for itself. All that there were
	// would be a thousand and more.
	if most > 300 {
		t.Errorf("there were %d files", most)
	}
	expectMetrics(t, admin, counted(requests))
	// Workers that have had their requests may take a while to end.
	harness.Eventually(t, "there are values of 25 processes at most: ended ones, the spawner, workers, and their successors", func() bool {
		each := 0
		for name := range metrics(t, admin) {
			if strings.HasPrefix(name, "app_each{") {
				each++
			}
		}
		return each <= 20+3+2
	})
	s.Terminate()
}

// TestAppMetricsOfTheOperator: where the library has been given a directory, everything is as
// its documentation says, and none of it is at the admin address.
func TestAppMetricsOfTheOperator(t *testing.T) {
	t.Parallel()
	const hook = "from prometheus_client import multiprocess\ndef child_exit(server, worker):\n    multiprocess.mark_process_dead(worker.pid)\n"
	for name, o := range map[string]harness.Options{
		"environment": {Env: []string{"PROMETHEUS_MULTIPROC_DIR=HERE"}, Conf: hook},
		"old name":    {Env: []string{"prometheus_multiproc_dir=HERE"}, Conf: hook},
		"config file": {Conf: "import os\nos.environ['PROMETHEUS_MULTIPROC_DIR'] = 'HERE'\n" + hook},
		"raw_env":     {Conf: "raw_env = ['PROMETHEUS_MULTIPROC_DIR=HERE']\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := harness.TempDir(t)
			o.App, o.Python, o.Args = "measured.flaskapp:app", harness.Venv(t), []string{"--workers", "2"}
			o.Conf = strings.ReplaceAll(o.Conf, "HERE", dir)
			for i := range o.Env {
				o.Env[i] = strings.ReplaceAll(o.Env[i], "HERE", dir)
			}
			s, admin := withAdmin(t, o)
			workers := s.Workers(2)
			gets(t, s, 10)
			own := readMetrics(t, s.Get("/own"))
			if own[`app_requests_total{path="/a"}`] != 10 {
				t.Errorf("the app says %v", own.only("app_"))
			}
			for _, pid := range workers {
				harness.Kill(t, pid, syscall.SIGTERM)
				harness.WaitGone(t, pid)
			}
			s.Workers(2)
			if strings.Contains(o.Conf, "child_exit") {
				harness.Eventually(t, "the hook removes what is of living processes", func() bool {
					left, _ := filepath.Glob(filepath.Join(dir, "gauge_livesum_*.db"))
					return !slices.ContainsFunc(workers, func(pid int) bool {
						return slices.Contains(left, filepath.Join(dir, fmt.Sprintf("gauge_livesum_%d.db", pid)))
					})
				})
			}
			if counters, _ := filepath.Glob(filepath.Join(dir, "counter_*.db")); len(counters) < 1 {
				t.Errorf("%s has no files any more", dir)
			}
			if got := metrics(t, admin).only("app_"); len(got) != 0 {
				t.Errorf("/metrics has %v", got)
			}
			s.Log.Expect(t, `The app's metrics are not shown at admin_bind: (?i:PROMETHEUS_MULTIPROC_DIR) is set, so they are where that says$`)
			s.Terminate()
		})
	}
}

// TestAppMetricsOnlyAtTheAdminAddress: without it, and where it is turned off, the library is as
// it always is.
func TestAppMetricsOnlyAtTheAdminAddress(t *testing.T) {
	t.Parallel()
	python := harness.Venv(t)
	expect := func(s *harness.Server) {
		t.Helper()
		if got := s.Get("/directory"); got != "none" {
			t.Errorf("the app's metrics are in %q", got)
		}
		s.Terminate()
	}
	expect(harness.Start(t, harness.Options{App: "measured.flaskapp:app", Python: python}))
	s, admin := withAdmin(t, harness.Options{App: "measured.flaskapp:app", Python: python, Args: []string{"--no-app-metrics"}})
	gets(t, s, 1)
	if got := metrics(t, admin).only("app_"); len(got) != 0 {
		t.Errorf("/metrics has %v", got)
	}
	expect(s)
	s, _ = withAdmin(t, harness.Options{
		App: "measured.flaskapp:app", Python: python, Conf: "import prometheus_client\n",
	})
	s.Log.Expect(t, `The app's metrics are not shown at admin_bind: prometheus_client was imported before the app`)
	expect(s)
}
