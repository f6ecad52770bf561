//go:build linux

package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// The tests of this file are of what make dist has put into INDRIK_TEST_DIST, installed as
// users do. They need the package index, and some need root.

// distributed returns the one file in INDRIK_TEST_DIST that matches a pattern.
func distributed(t *testing.T, pattern string) string {
	t.Helper()
	dir := os.Getenv("INDRIK_TEST_DIST")
	if dir == "" {
		t.Skip("INDRIK_TEST_DIST names no directory that make dist has filled; make test-all does")
	}
	found, _ := filepath.Glob(filepath.Join(dir, pattern))
	if len(found) != 1 {
		t.Fatalf("%s: %d files, want one", pattern, len(found))
	}
	return found[0]
}

func wheel(t *testing.T) string { return distributed(t, "indrik-*manylinux*_x86_64*.whl") }

// packaged is an app that says which Python and which of its packages it runs with.
const packaged = `import sys
import indrik

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [("%s %s" % (sys.prefix, indrik.deadline(environ) is not None)).encode()]

if __name__ == "__main__":
    indrik.run(app, port=int(sys.argv[1]), workers=1)
`

// TestAllWheel: pip install into an environment of each Python, and every way to start it.
func TestAllWheel(t *testing.T) {
	t.Parallel()
	file := wheel(t)
	forEachInterpreter(t, slices.Concat(unlike, inBetween), func(t *testing.T, interpreter string) {
		env := filepath.Join(harness.TempDir(t), "venv")
		harness.Output(t, "/", nil, interpreter, "-m", "venv", env)
		pip(t, env, file)
		bin := filepath.Join(env, "bin")
		o := harness.Options{App: "packaged:app", Python: "-", Files: map[string]string{"packaged.py": packaged}}
		for name, wrap := range map[string][]string{
			"command":          {filepath.Join(bin, "indrik")},
			"python -m indrik": {filepath.Join(bin, "python"), "-m", "indrik"},
		} {
			t.Run(name, func(t *testing.T) {
				o := o
				o.Binary, o.Wrap = wrap[len(wrap)-1], wrap[:len(wrap)-1]
				expectEnvironment(t, harness.Start(t, o), env)
			})
		}
		t.Run("python packaged.py", func(t *testing.T) {
			o := o
			port := harness.FreePort(t)
			o.Binary, o.Bind, o.App = filepath.Join(bin, "python"), []string{}, "-"
			o.Args = []string{"packaged.py", fmt.Sprint(port)}
			o.NoProbe = true
			s := harness.Start(t, o)
			s.ListensOn(port)
			s.Ready()
			expectEnvironment(t, s, env)
		})
	})
}

func pip(t *testing.T, env string, args ...string) {
	t.Helper()
	harness.Output(t, "/", nil, append([]string{filepath.Join(env, "bin", "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"}, args...)...)
}

// expectEnvironment checks that a server runs its app in an environment, and ends it.
func expectEnvironment(t *testing.T, s *harness.Server, env string) {
	t.Helper()
	real, err := filepath.EvalSymlinks(env)
	harness.Must(t, err)
	if got := s.Get("/"); got != env+" True" && got != real+" True" {
		t.Errorf("%q, want the environment %s", got, env)
	}
	s.Terminate()
}

// TestAllSdist: pip builds the server with Go from the source distribution.
func TestAllSdist(t *testing.T) {
	t.Parallel()
	file := distributed(t, "indrik-*.tar.gz")
	env := filepath.Join(harness.TempDir(t), "venv")
	harness.Output(t, "/", nil, harness.Python(), "-m", "venv", env)
	pip(t, env, file)
	s := harness.Start(t, harness.Options{App: "packaged:app", Python: "-", Binary: filepath.Join(env, "bin", "indrik"), Files: map[string]string{"packaged.py": packaged}})
	expectEnvironment(t, s, env)
}

// TestAllSdistWithoutGo: the error says what is missing, and what needs no Go.
func TestAllSdistWithoutGo(t *testing.T) {
	t.Parallel()
	file := distributed(t, "indrik-*.tar.gz")
	env := filepath.Join(harness.TempDir(t), "venv")
	harness.Output(t, "/", nil, harness.Python(), "-m", "venv", env)
	cmd := exec.Command(filepath.Join(env, "bin", "python"), "-m", "pip", "install", "--disable-pip-version-check", file)
	cmd.Env = append(os.Environ(), "PATH="+filepath.Join(env, "bin")+":/usr/bin:/bin")
	if _, err := exec.LookPath("/usr/bin/go"); err == nil {
		t.Skip("Go is in /usr/bin")
	}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "Indrik is built with Go 1.26 or later") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestAllInstallers: the other programs by which people install packages. They come from
// the environment of make venv-tools.
func TestAllInstallers(t *testing.T) {
	t.Parallel()
	file := wheel(t)
	tools := filepath.Join(harness.Repository, ".cache", "venv-tools", "bin")
	if _, err := os.Stat(tools); err != nil {
		t.Skip("needs make venv-tools")
	}
	tool := func(name string) string { return filepath.Join(tools, name) }
	project := func(t *testing.T, text string) string {
		dir := harness.TempDir(t)
		harness.Must(t, os.WriteFile(filepath.Join(dir, "packaged.py"), []byte(packaged), 0o644))
		if text != "" {
			harness.Must(t, os.WriteFile(filepath.Join(dir, "pyproject.toml"), []byte(text), 0o644))
		}
		return dir
	}
	t.Run("uv", func(t *testing.T) {
		dir := project(t, "[project]\nname = 'site'\nversion = '1'\nrequires-python = '>=3.8'\ndependencies = []\n")
		env := []string{"UV_CACHE_DIR=" + filepath.Join(dir, "cache"), "UV_PYTHON=" + harness.Python(), "UV_PYTHON_DOWNLOADS=never"}
		harness.Output(t, dir, env, tool("uv"), "add", "--quiet", file)
		out := harness.Output(t, dir, env, tool("uv"), "run", "indrik", "--check-config", "packaged:app")
		expectPython(t, out, filepath.Join(dir, ".venv"))
		out = harness.Output(t, dir, env, tool("uvx"), "--from", file, "indrik", "--version")
		if !strings.HasPrefix(out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:], "indrik (version ") {
			t.Errorf("uvx: %s", out)
		}
	})
	t.Run("pipx", func(t *testing.T) {
		dir := project(t, "")
		env := []string{"PIPX_HOME=" + filepath.Join(dir, "pipx"), "PIPX_BIN_DIR=" + filepath.Join(dir, "bin")}
		harness.Output(t, dir, env, tool("pipx"), "install", "--quiet", file)
		// pipx has given it an environment of its own, without the packages of the app: the
		// active one is the app's.
		app := filepath.Join(dir, "venv")
		harness.Output(t, dir, nil, harness.Python(), "-m", "venv", app)
		out := harness.Output(t, dir, []string{"VIRTUAL_ENV=" + app}, filepath.Join(dir, "bin", "indrik"), "--check-config", "packaged:app")
		expectPython(t, out, app)
	})
	t.Run("poetry", func(t *testing.T) {
		dir := project(t, "[project]\nname = 'site'\nversion = '1'\nrequires-python = '>=3.9'\n[tool.poetry]\npackage-mode = false\n")
		env := []string{"POETRY_VIRTUALENVS_IN_PROJECT=1", "POETRY_CACHE_DIR=" + filepath.Join(dir, "cache")}
		harness.Output(t, dir, env, tool("poetry"), "add", "--quiet", file)
		expectPython(t, harness.Output(t, dir, env, tool("poetry"), "run", "indrik", "--check-config", "packaged:app"), filepath.Join(dir, ".venv"))
	})
	t.Run("pipenv", func(t *testing.T) {
		dir := project(t, "")
		env := []string{"PIPENV_VENV_IN_PROJECT=1", "PIPENV_CACHE_DIR=" + filepath.Join(dir, "cache"), "PIPENV_QUIET=1"}
		harness.Output(t, dir, env, tool("pipenv"), "--python", harness.Python(), "install", file)
		expectPython(t, harness.Output(t, dir, env, tool("pipenv"), "run", "indrik", "--check-config", "packaged:app"), filepath.Join(dir, ".venv"))
	})
	t.Run("requirements.txt", func(t *testing.T) {
		// In the manner of a buildpack: an environment outside of the app, on PATH.
		dir := project(t, "")
		env := filepath.Join(dir, "python")
		harness.Output(t, dir, nil, harness.Python(), "-m", "venv", env)
		harness.Must(t, os.WriteFile(filepath.Join(dir, "requirements.txt"), []byte("indrik @ file://"+file+"\n"), 0o644))
		pip(t, env, "-r", filepath.Join(dir, "requirements.txt"))
		path := "PATH=" + filepath.Join(env, "bin") + ":" + os.Getenv("PATH")
		out := harness.Output(t, dir, []string{path, "PORT=1"}, "sh", "-c", "indrik --check-config packaged:app")
		expectPython(t, out, env)
	})
}

// expectPython checks that --check-config named the Python of an environment.
func expectPython(t *testing.T, out, env string) {
	t.Helper()
	if !strings.Contains(out, filepath.Base(env)) {
		t.Errorf("the check does not name the Python of %s:\n%s", env, out)
	}
}

// TestAllReproducible: make dist gives the same bytes again.
func TestAllReproducible(t *testing.T) {
	t.Parallel()
	dir := filepath.Dir(wheel(t))
	again := harness.TempDir(t)
	harness.Output(t, harness.Repository, []string{
		"WHEELS=linux/amd64", "PACKAGES=amd64", "SPEED=linux/amd64",
		"PYTHON=" + filepath.Join(harness.Repository, ".cache/venv-dist/bin/python"),
		"NFPM=" + filepath.Join(harness.Repository, ".cache/bin/nfpm"), "CYCLONEDX=" + filepath.Join(harness.Repository, ".cache/bin/cyclonedx-gomod"),
	}, "packaging/dist", again)
	entries, err := os.ReadDir(again)
	harness.Must(t, err)
	for _, e := range entries {
		if e.Name() == "SHA256SUMS" {
			continue // it lists fewer files
		}
		one, err := os.ReadFile(filepath.Join(dir, e.Name()))
		harness.Must(t, err)
		two, err := os.ReadFile(filepath.Join(again, e.Name()))
		harness.Must(t, err)
		if string(one) != string(two) {
			t.Errorf("%s differs", e.Name())
		}
	}
}

// TestAllLintian: the deb has no errors.
func TestAllLintian(t *testing.T) {
	t.Parallel()
	deb := distributed(t, "indrik_*_amd64.deb")
	if _, err := exec.LookPath("lintian"); err != nil {
		t.Skip("needs lintian")
	}
	out, _ := exec.Command("lintian", "--allow-root", "--fail-on", "none", deb).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "E:") {
			t.Error(line)
		}
	}
}

// TestAllDeb: a system that has nothing but Debian's base and Python installs the deb, runs
// the server as the user that the package makes, upgrades and removes it.
func TestAllDeb(t *testing.T) {
	t.Parallel()
	deb := distributed(t, "indrik_*_amd64.deb")
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	root := debianRoot(t)
	harness.Output(t, "/", nil, "cp", deb, filepath.Join(root, "tmp", "indrik.deb"))
	chroot := func(args ...string) string {
		t.Helper()
		return harness.Output(t, "/", []string{"LANG=C.UTF-8", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, append([]string{"chroot", root}, args...)...)
	}
	chroot("dpkg", "--install", "/tmp/indrik.deb")
	if got := chroot("indrik", "--version"); !strings.HasPrefix(got, "indrik (version ") {
		t.Errorf("indrik --version: %q", got)
	}
	if got := chroot("getent", "passwd", "indrik"); !strings.Contains(got, "/nologin") {
		t.Errorf("the user indrik: %q", got)
	}
	harness.Must(t, os.WriteFile(filepath.Join(root, "srv", "hello.py"), []byte("def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'hello']\n"), 0o644))
	harness.Must(t, os.WriteFile(filepath.Join(root, "etc/indrik/web.conf.py"), []byte("chdir = '/srv'\nwsgi_app = 'hello:app'\n"), 0o644))
	s := harness.Start(t, harness.Options{
		App: "-", Bind: nil, Binary: "/usr/bin/indrik", Python: "/usr/bin/python3", MayLeave: true,
		Wrap: []string{"chroot", "--userspec=indrik:indrik", root, "env", "PYTHONPATH="}, Args: []string{"--config", "/etc/indrik/web.conf.py"},
	})
	if got := s.Get("/"); got != "hello" {
		t.Errorf("%q", got)
	}
	// An upgrade of the package lets what runs go on; USR2 takes the new binary.
	chroot("dpkg", "--install", "/tmp/indrik.deb")
	if got := s.Get("/"); got != "hello" {
		t.Errorf("after the upgrade of the package: %q", got)
	}
	s.Signal(syscall.SIGTERM)
	s.ExpectExit(0)
	chroot("dpkg", "--remove", "indrik")
	if _, err := os.Stat(filepath.Join(root, "usr/bin/indrik")); err == nil {
		t.Error("the binary stayed")
	}
	if _, err := os.Stat(filepath.Join(root, "etc/indrik/web.conf.py")); err != nil {
		t.Error("the operator's configuration went")
	}
	chroot("dpkg", "--purge", "indrik")
}

// TestAllRpm: rpm installs, upgrades and removes the rpm, with its scripts, in a root where
// nothing else was installed by rpm.
func TestAllRpm(t *testing.T) {
	t.Parallel()
	file := distributed(t, "indrik-*.x86_64.rpm")
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	harness.NeedsProgram(t, "rpm")
	root := debianRoot(t)
	rpm := func(args ...string) string {
		t.Helper()
		// The root is a Debian, so that what packages need is there, and rpm does not know.
		return harness.Output(t, "/", []string{"LANG=C.UTF-8"}, append([]string{"rpm", "--root", root, "--nodeps"}, args...)...)
	}
	rpm("--install", file)
	if got := rpm("--verify", "indrik"); got != "" {
		t.Errorf("rpm --verify:\n%s", got)
	}
	for _, name := range []string{"usr/lib/systemd/system/indrik@.service", "usr/share/zsh/site-functions/_indrik", "usr/share/man/man1/indrik.1.gz", "etc/logrotate.d/indrik"} {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			t.Error(err)
		}
	}
	if got := harness.Output(t, "/", nil, "chroot", root, "getent", "passwd", "indrik"); !strings.Contains(got, "/nologin") {
		t.Errorf("the user indrik: %q", got)
	}
	if got := harness.Output(t, "/", nil, "chroot", root, "indrik", "--version"); !strings.HasPrefix(got, "indrik (version ") {
		t.Errorf("indrik --version: %q", got)
	}
	harness.Must(t, os.WriteFile(filepath.Join(root, "etc/logrotate.d/indrik"), []byte("# the operator's\n"), 0o644))
	rpm("--upgrade", "--force", file)
	if text, _ := os.ReadFile(filepath.Join(root, "etc/logrotate.d/indrik")); string(text) != "# the operator's\n" {
		t.Errorf("an upgrade has changed what the operator had changed: %q", text)
	}
	rpm("--erase", "indrik")
	if _, err := os.Stat(filepath.Join(root, "usr/bin/indrik")); err == nil {
		t.Error("the binary stayed")
	}
}

// debianRoot returns the root of a small Debian with Python. It is kept in .cache, and copied
// for each test.
func debianRoot(t *testing.T) string {
	t.Helper()
	harness.NeedsProgram(t, "debootstrap")
	needsDebian(t)
	kept := filepath.Join(harness.Repository, ".cache", "debian")
	harness.Output(t, harness.Repository, nil, "packaging/debian-root", kept)
	root := filepath.Join(harness.TempDir(t), "root")
	harness.Output(t, "/", nil, "cp", "--archive", "--reflink=auto", kept, root)
	return root
}

// needsDebian skips the test elsewhere: the mirrors that apt knows are to have Debian.
func needsDebian(t *testing.T) {
	t.Helper()
	if release, _ := os.ReadFile("/etc/os-release"); !strings.Contains("\n"+string(release), "\nID=debian\n") {
		t.Skip("needs Debian")
	}
}
