//go:build linux

package test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

// forging starts a server whose worker writes what it likes into the directory of the app's
// metrics.
func forging(t *testing.T, args ...string) (s *harness.Server, admin *harness.Endpoint, dir string) {
	t.Helper()
	const key = `["secret", "secret_total", {}, "Of root."]   `
	data := append(binary.NativeEndian.AppendUint32(make([]byte, 8), uint32(len(key)-3)), key...)
	data = append(data, make([]byte, 16)...)
	binary.NativeEndian.PutUint32(data, uint32(len(data)))
	secret := harness.TempDir(t) + "/secret"
	harness.Must(t, os.WriteFile(secret, data, 0o600))
	s, admin = withAdmin(t, harness.Options{
		App: "forging:app", Python: harness.SystemPython(), Env: []string{"SECRET=" + secret}, Args: append(args, "--workers", "1"),
	})
	dir = s.Get("/")
	t.Cleanup(func() { os.RemoveAll(filepath.Dir(dir)) })
	if s.Get("/honest") == "" {
		t.Fatal("the app has no directory for its metrics")
	}
	return s, admin, dir
}

// TestHostileAppMetrics: whatever a worker puts into the directory of the app's metrics, the
// server reads nothing else, does not wait, shows what makes sense, and goes on.
func TestHostileAppMetrics(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"own user":   nil,
		"other user": {"--user", "nobody", "--group", "nogroup", "--front-user", "daemon"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if args != nil && os.Getuid() != 0 {
				t.Skip("needs root, to start processes of other users")
			}
			s, admin, dir := forging(t, args...)
			front, master := s.Role("front")[0].PID, s.PID()
			honest := metricPage{"honest_total": 3}
			expectMetrics(t, admin, honest)
			for _, what := range []string{"links", "nonsense", "flood", "lease"} {
				if got := s.Get("/" + what); got != "done" {
					t.Fatalf("%s: %s", what, got)
				}
			}
			var page string
			harness.Eventually(t, "the flood is seen", func() bool {
				r, err := admin.Request("GET", "/metrics", "")
				harness.Must(t, err)
				page = r.Body
				return r.Status == 200 && strings.Contains(page, "flood_total")
			})
			for _, text := range []string{"secret", "indrik_forged", "TYPE forged", "leased"} {
				if strings.Contains(page, text) {
					t.Errorf("/metrics has %s", text)
				}
			}
			if n := strings.Count(page, "\nflood_total{"); n > 50_000 {
				t.Errorf("%d series are shown", n)
			}
			if !strings.Contains(page, "\nindrik_build_info{") {
				t.Error("the server's own metrics are missing")
			}
			began := time.Now()
			for range 3 {
				metrics(t, admin)
			}
			t.Logf("three scrapes took %s, of %d bytes", time.Since(began), len(page))
			for _, line := range []string{
				`The app's metrics: the file counter_w201\.db is left out: it has 2147483647 bytes, and the limit is 16777216$`,
				`The app's metrics: the metric "indrik_forged" has a name of the server's: those begin with indrik_$`,
				`The app's metrics: a key is not the JSON that it should be$`,
			} {
				s.Log.ExpectFrom(t, 0, line)
				if n := s.Log.Count(line); n != 1 {
					t.Errorf("the log says %d times: %s", n, line)
				}
			}
			if n := s.Log.Count(`The app's metrics`); n > 110 {
				t.Errorf("the log has %d lines", n)
			}
			if got := s.Get("/unlink"); got != "done" {
				t.Fatal(got)
			}
			s.Get("/honest")
			expectMetrics(t, admin, honest)
			if s.Role("front")[0].PID != front || s.PID() != master || !s.Running() {
				t.Error("the front or the master has been replaced")
			}
			s.Terminate()
			expectNoFile(t, filepath.Dir(dir))
		})
	}
}

// TestAppMetricsThatCannotBeRemoved: what the app has made of its directory is no reason not to
// end.
func TestAppMetricsThatCannotBeRemoved(t *testing.T) {
	t.Parallel()
	s, _, dir := forging(t)
	if got := s.Get("/links"); got != "done" {
		t.Fatal(got)
	}
	s.Terminate()
	s.Log.Expect(t, `Cannot remove the directory of the app's metrics: remove .*: directory not empty$`)
	harness.Must(t, os.RemoveAll(filepath.Dir(dir)))
}

// TestAppMetricsOfAKilledServer: the next server of the user removes what one that was killed
// has left, and not what belongs to one that runs.
func TestAppMetricsOfAKilledServer(t *testing.T) {
	t.Parallel()
	running, admin, _ := forging(t)
	killed, _, dir := forging(t)
	killed.Signal(syscall.SIGKILL)
	if code := killed.Exit(); code != 128+int(syscall.SIGKILL) {
		t.Errorf("it exited with %d", code)
	}
	// Its workers, which see that later, can write to the directory until they have ended.
	harness.Eventually(t, "every process has ended", func() bool { return len(killed.Tree()) == 0 })
	next, _, _ := forging(t)
	// Another server that starts at this moment may have been the first to remove it, and be
	// about to.
	harness.Eventually(t, "what the killed server has left is gone", func() bool {
		_, err := os.Lstat(filepath.Dir(dir))
		return os.IsNotExist(err)
	})
	expectMetrics(t, admin, metricPage{"honest_total": 3})
	running.Terminate()
	next.Terminate()
}

// TestAppMetricsSurviveTheFront: a front that dies takes no counts along.
func TestAppMetricsSurviveTheFront(t *testing.T) {
	t.Parallel()
	s, admin := withAdmin(t, harness.Options{App: "measured.flaskapp:app", Python: harness.Venv(t), Args: []string{"--workers", "2", "--max-requests", "5"}})
	gets(t, s, 100)
	front := s.Role("front")[0].PID
	harness.Kill(t, front, syscall.SIGKILL)
	harness.WaitGone(t, front)
	harness.Eventually(t, "the new front answers", func() bool {
		r, err := admin.Request("GET", "/metrics", "")
		return err == nil && r.Status == 200
	})
	expectMetrics(t, admin, counted(100))
	harness.Eventually(t, "the new front serves", func() bool {
		r, err := s.Request("GET", "/other", "")
		return err == nil && r.Status == 200
	})
	gets(t, s, 20)
	expectMetrics(t, admin, counted(120))
	s.Terminate()
}

// TestAppMetricsInAnUpgrade: each of the two servers has a directory of its own, and the new one
// begins anew.
func TestAppMetricsInAnUpgrade(t *testing.T) {
	t.Parallel()
	s, admin := withAdmin(t, harness.Options{App: "measured.flaskapp:app", Python: harness.Venv(t), Daemon: true, Args: []string{"--workers", "2"}})
	_, old := metricsDir(t, s)
	gets(t, s, 10)
	expectMetrics(t, admin, counted(10))
	u := upgrade(s, 2)
	s.Signal(syscall.SIGTERM)
	harness.WaitGone(t, s.PID())
	expectNoFile(t, old)
	_, server := metricsDir(t, s)
	if server == old {
		t.Errorf("the new server has the directory of the old one, %s", server)
	}
	gets(t, s, 10)
	harness.Eventually(t, "the new server answers", func() bool {
		return metrics(t, admin)[`app_requests_total{path="/a"}`] <= 20
	})
	harness.Kill(t, u.successor, syscall.SIGTERM)
	harness.WaitGone(t, u.successor)
	expectNoFile(t, server)
}
