//go:build linux

package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
	"indrik/test/pythons"
)

// library installs a version of prometheus_client into a directory, which it returns.
func library(t *testing.T, version string) string {
	t.Helper()
	harness.NeedsAll(t)
	dir := harness.TempDir(t)
	install := exec.Command(harness.Venv(t), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target", dir, "prometheus_client=="+version)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("prometheus_client %s: %v\n%s", version, err, out)
	}
	return dir
}

// TestAllAppMetricsVersions: the metrics of the app are there with old and new versions of Python
// and of the library, whose form of files and whose variable have changed; and they are what the
// library's own collector says in the app.
func TestAllAppMetricsVersions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ python, library string }{
		{"3.8", "0.8.0"}, {"3.8", "0.16.0"}, {"3.8", "0.21.1"}, {"3.13", "0.18.0"}, {"3.13", "0.26.0"}, {"3.14t", "0.26.0"}, {"pypy3", "0.21.1"},
	} {
		t.Run(c.python+" "+c.library, func(t *testing.T) {
			t.Parallel()
			interpreter := pythons.Find(c.python)
			if interpreter == "" {
				t.Skip("not installed here")
			}
			s, admin := withAdmin(t, harness.Options{
				App: "measured.plain:app", Python: interpreter, Args: []string{"--workers", "2", "--pythonpath", library(t, c.library)},
			})
			gets(t, s, 20)
			expectMetrics(t, admin, counted(20))
			pid := s.Workers(2)[0]
			harness.Kill(t, pid, syscall.SIGKILL)
			harness.WaitGone(t, pid)
			s.Workers(2)
			s.Reload(2)
			gets(t, s, 10)
			page := expectMetrics(t, admin, counted(30))
			own := readMetrics(t, strings.ReplaceAll(s.Get("/own"), `.0"}`, `"}`))
			for name, want := range own.only("app_") {
				if strings.HasPrefix(name, "app_each") || strings.HasPrefix(name, "app_all") || strings.HasPrefix(name, "app_latest") {
					continue // requests since, and processes that have ended since
				}
				if got, found := page[name]; !found || got != want {
					t.Errorf("%s is %v, and the library says %v", name, got, want)
				}
			}
			s.Terminate()
		})
	}
}

// copyOfLibrary copies prometheus_client to where other users can read it.
func copyOfLibrary(t *testing.T) string {
	t.Helper()
	dir := harness.TempDir(t)
	source := strings.TrimSpace(harness.Output(t, "/", nil, harness.Venv(t), "-c", "import prometheus_client as p, os; print(os.path.dirname(p.__file__))"))
	harness.Output(t, "/", nil, "cp", "-r", source, dir)
	harness.Output(t, "/", nil, "chmod", "-R", "go+rX", dir)
	return dir
}

// TestAppMetricsOfUsers: with another user for the workers, a spawner that is root writes to a
// directory that they cannot enter, and what both have counted is added up; so it is when a
// preloaded app is imported anew beside workers that run.
func TestAppMetricsOfUsers(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root, to start processes of other users")
	}
	files := map[string]string{}
	for _, name := range []string{"__init__.py", "values.py", "plain.py"} {
		files["measured/"+name] = harness.TestFile(t, "apps/measured/"+name)
	}
	s, admin := withAdmin(t, harness.Options{
		App: "measured.plain:app", Python: harness.SystemPython(), Files: files,
		Args: []string{
			"--workers", "2", "--preload", "--user", "nobody", "--group", "nogroup", "--front-user", "daemon", "--pythonpath", copyOfLibrary(t),
		},
	})
	own, server := metricsDir(t, s)
	if want := fmt.Sprintf("%s/%d", server, nobody); own != want {
		t.Errorf("the workers have %s, not %s", own, want)
	}
	for dir, uid := range map[string]uint32{server: 0, own: nobody, filepath.Join(server, "0"): 0} {
		st, err := os.Stat(dir)
		harness.Must(t, err)
		if got := st.Sys().(*syscall.Stat_t).Uid; got != uid || st.Mode().Perm()&^0o711 != 0 {
			t.Errorf("%s is of user %d, with mode %v", dir, got, st.Mode())
		}
	}
	rooted, _ := filepath.Glob(filepath.Join(server, "0", "*.db"))
	if len(rooted) == 0 {
		t.Error("the spawner has written nothing")
	}
	gets(t, s, 10)
	expectMetrics(t, admin, counted(10))
	expectMetrics(t, admin, metricPage{"app_imports": 1})
	s.Reload(2)
	gets(t, s, 10)
	expectMetrics(t, admin, counted(20))
	s.Terminate()
	expectNoFile(t, server)
}
