//go:build linux

package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"indrik/test/harness"
)

// inPlaceOfGunicorn is an environment with the package indrik and the distribution
// indrik-gunicorn, as far as that needs no installer: more are files besides.
func inPlaceOfGunicorn(t *testing.T, more map[string]string) string {
	t.Helper()
	dir := sitePackages(t)
	harness.Must(t, os.Symlink(filepath.Join(harness.Repository, "packaging", "gunicorn", "gunicorn"), filepath.Join(dir, "gunicorn")))
	for name, text := range more {
		harness.Must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		harness.Must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	return dir
}

// TestModuleInPlaceOfGunicorn: python -m gunicorn is the server, imports find its modules in
// any process, and a program of Gunicorn's needs no word changed.
func TestModuleInPlaceOfGunicorn(t *testing.T) {
	t.Parallel()
	env := []string{"PYTHONPATH=" + inPlaceOfGunicorn(t, nil), "PYTHONDONTWRITEBYTECODE=1"}
	s := harness.Start(t, harness.Options{Wrap: []string{harness.Python(), "-m"}, Binary: "gunicorn", Env: env, Args: []string{"--workers", "2"},
		App: "webapp:app", Files: map[string]string{"webapp.py": "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'served']\n"}})
	s.Workers(2)
	s.Reload(2)
	s.Terminate()

	port := harness.FreePort(t)
	s = startProgram(t, harness.Python(), nil, port, harness.Options{
		Files: map[string]string{"run.py": fmt.Sprintf(standalone, "gunicorn", port)}, Env: env,
	}, "run.py", "--color", "red")
	s.Workers(2)
	s.Reload(2)
	if got, _ := reply(t, port); got != "one" {
		t.Errorf("%s", got)
	}
	s.Terminate()

	cmd := exec.Command(harness.Python(), "-c", "import gunicorn, gunicorn.util, gunicorn.workers.sync; print(gunicorn.__version__, gunicorn.workers.sync.SyncWorker)")
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "27.0.1 <class 'gunicorn.workers.sync.SyncWorker'>\n" {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestBesideARealGunicorn: the command refuses to start, and says which of the two to remove.
func TestBesideARealGunicorn(t *testing.T) {
	t.Parallel()
	dir := inPlaceOfGunicorn(t, map[string]string{"gunicorn-27.0.1.dist-info/METADATA": "Metadata-Version: 2.1\nName: gunicorn\nVersion: 27.0.1\n"})
	cmd := exec.Command(harness.Python(), "-m", "gunicorn", "app:app")
	cmd.Env = append(os.Environ(), "PYTHONPATH="+dir, "PYTHONDONTWRITEBYTECODE=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.HasPrefix(string(out), "Error: gunicorn 27.0.1 is installed in ") || strings.Count(string(out), "pip uninstall") != 2 {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestAllGunicornWheel: pip install of indrik-gunicorn beside the wheel of indrik.
func TestAllGunicornWheel(t *testing.T) {
	t.Parallel()
	file, stand := wheel(t), distributed(t, "indrik_gunicorn-*.whl")
	env := filepath.Join(harness.TempDir(t), "venv")
	harness.Output(t, "/", nil, harness.Python(), "-m", "venv", env)
	pip(t, env, file, stand)
	o := harness.Options{App: "packaged:app", Python: "-", Files: map[string]string{"packaged.py": packaged}}
	for _, wrap := range [][]string{{filepath.Join(env, "bin", "gunicorn")}, {filepath.Join(env, "bin", "python"), "-m", "gunicorn"}} {
		o := o
		o.Binary, o.Wrap = wrap[len(wrap)-1], wrap[:len(wrap)-1]
		expectEnvironment(t, harness.Start(t, o), env)
	}
	pip(t, env, "gunicorn")
	cmd := exec.Command(filepath.Join(env, "bin", "python"), "-m", "gunicorn", "--version")
	if out, _ := cmd.CombinedOutput(); !strings.Contains(string(out), "gunicorn (version") && !strings.Contains(string(out), "is installed in") {
		t.Errorf("%s", out)
	}
}
