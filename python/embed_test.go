package python_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"indrik/python"
	"indrik/test/pythons"
)

// interpreters are those that the Python tests are run with: the oldest that
// Indrik promises to run on, the one that is python3 on PATH, and PyPy.
var interpreters = []string{"3.8", "python3", "pypy3"}

// forEachInterpreter runs a test with each of them that is there.
func forEachInterpreter(t *testing.T, test func(t *testing.T, path string)) {
	for _, version := range interpreters {
		t.Run(version, func(t *testing.T) {
			t.Parallel() // most of the time they wait for processes
			path, err := exec.LookPath(version)
			if err != nil {
				path = pythons.Find(version)
			}
			if path == "" {
				t.Skip("not installed here")
			}
			test(t, path)
		})
	}
}

// loads reads a bundle from standard input as bootstrap.py does, and prints
// the names of its modules, each with the size of its source.
const loads = `
import marshal, sys
modules = marshal.loads(sys.stdin.buffer.read())
for name in sorted(modules):
    compile(modules[name], name, "exec")
    print(name, len(modules[name]))
`

func TestBundle(t *testing.T) {
	bundle := python.Bundle()
	forEachInterpreter(t, func(t *testing.T, path string) {
		cmd := command(t, path, "-c", loads)
		cmd.Stdin = bytes.NewReader(bundle)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		got := map[string]bool{}
		for line := range strings.SplitSeq(strings.TrimSpace(string(out)), "\n") {
			module, _, _ := strings.Cut(line, " ")
			got[module] = true
		}
		var files []string
		for _, pattern := range []string{"indrik/*.py", "indrik/*/*.py"} {
			found, err := filepath.Glob(pattern)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, found...)
		}
		for _, file := range files {
			want := strings.ReplaceAll(strings.TrimSuffix(file, ".py"), "/", ".")
			if want = strings.TrimSuffix(want, ".__init__"); !got[want] {
				t.Errorf("%s is not in the bundle", want)
			}
		}
		if len(got) != len(files) {
			t.Errorf("the bundle has %d modules, want %d:\n%s", len(got), len(files), out)
		}
	})
}

// The program must refuse an old Python, which it can only if that parses it.
func TestBootstrapChecksFirst(t *testing.T) {
	check := strings.Index(python.Bootstrap, "\nif sys.version_info < (3, 8):\n")
	if first := strings.Index(python.Bootstrap, "\nclass "); check < 0 || first < check {
		t.Error("the version of Python is not checked first")
	}
	for _, name := range []string{"python2.7", "python3.6", "python3.8"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		cmd := exec.Command(path, "-c", "import sys; compile(sys.stdin.read(), 'bootstrap', 'exec')")
		cmd.Stdin = strings.NewReader(python.Bootstrap)
		if out, err := cmd.CombinedOutput(); err != nil && cmd.ProcessState.ExitCode() != 127 { // a version manager's wrapper
			t.Errorf("%s cannot parse it: %s", name, out)
		}
	}
}

func TestPython(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts many processes")
	}
	readTests(t)
	forEachInterpreter(t, func(t *testing.T, path string) {
		runUnittest(t, path, nil, "discover", "-s", "tests", "-t", ".")
	})
}

// Workers of the kinds gevent and tornado are tested with the interpreter that
// has these packages.
func TestPythonWithPackages(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts many processes")
	}
	readTests(t)
	path := filepath.Join("..", ".cache", "venv", "bin", "python")
	if _, err := os.Stat(path); err != nil {
		t.Skip("needs packages from PyPI: run `make venv` first")
	}
	runUnittest(t, path, nil, "tests.test_gevent", "tests.test_tornado")
}

// runUnittest runs Python tests with an interpreter, and with more in their environment.
func runUnittest(t *testing.T, path string, env []string, args ...string) {
	t.Helper()
	cmd := command(t, path, append([]string{"-W", "error::ResourceWarning", "-m", "unittest"}, args...)...)
	cmd.Env = append(append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// readTests reads the files of the Python tests: with that go test knows what its
// result depends on, and does not take it from its cache after a change.
func readTests(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("tests", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".py" {
			return err
		}
		_, err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func command(t *testing.T, path string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, path, args...)
}
