package python_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"indrik/test/pythons"
)

// speedTests are those in which workers run apps, and those that compare what the compiled code
// does with what Python does.
var speedTests = []string{
	"test_speed", "test_speed_same", "test_speed_same_asgi", "test_forks",
	"test_wsgi_batches", "test_wsgi_bodies", "test_wsgi_failures", "test_wsgi_files", "test_wsgi_functions",
	"test_wsgi_requests", "test_wsgi_response", "test_asgi_claims", "test_asgi_disconnect", "test_asgi_life",
	"test_asgi_requests", "test_asgi_responses", "test_asgi_response_buffer",
}

// buildSpeed builds indrik-speed for an interpreter, of the version that the Python tests know, or
// skips the test.
func buildSpeed(t *testing.T, python string, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	err := pythons.BuildSpeed(python, "..", "1.2.3", dir, flags...)
	if errors.Is(err, pythons.ErrNoCompiler) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// runSpeedTests runs tests in Python with the module that is in a directory.
func runSpeedTests(t *testing.T, python, dir string, env []string, modules ...string) {
	t.Helper()
	var names []string
	for _, module := range modules {
		names = append(names, "tests."+module)
	}
	runUnittest(t, python, append(env, "INDRIK_TEST_SPEED="+dir), names...)
}

func TestPythonWithSpeed(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("starts many processes")
	}
	readTests(t)
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip(err)
	}
	runSpeedTests(t, python, buildSpeed(t, python), nil, speedTests...)
}

// One build is for all of them from CPython 3.11 on.
func TestSpeedInOtherPythons(t *testing.T) {
	t.Parallel()
	readTests(t)
	built := pythons.Find("3.11")
	if built == "" {
		t.Skip("no CPython 3.11, for whose limited API it is built")
	}
	dir := buildSpeed(t, built)
	for _, version := range []string{"3.12", "3.13", "3.14"} {
		t.Run(version, func(t *testing.T) {
			python := pythons.Find(version)
			if python == "" {
				t.Skip("not installed here")
			}
			runSpeedTests(t, python, dir, nil, "test_speed", "test_speed_same", "test_speed_same_asgi")
		})
	}
}

// sanitizers stop a program at the first thing that C does not allow.
var sanitizers = []string{"-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"}

// The reader gets what the front never sends, and the module all that tests compare.
func TestSpeedWithSanitizers(t *testing.T) {
	t.Parallel()
	reader := filepath.Join(t.TempDir(), "reader")
	args := append(append([]string{}, sanitizers...), "-o", reader)
	if err := pythons.Compile("..", args, "speed/fuzz/reader.c", "speed/src/reader.c"); err != nil {
		t.Skip("no compiler with sanitizers: ", err)
	}
	spell := time.Second
	if text := os.Getenv("INDRIK_TEST_SPEED_FUZZ"); text != "" {
		var err error
		if spell, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	out, err := command(t, reader, fmt.Sprint(int(spell.Seconds()))).CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	readTests(t)
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip(err)
	}
	var preload []string
	for _, library := range []string{"libasan.so", "libubsan.so"} {
		path, err := exec.Command("cc", "-print-file-name="+library).Output()
		if err != nil || !filepath.IsAbs(strings.TrimSpace(string(path))) {
			t.Skip("no ", library)
		}
		preload = append(preload, strings.TrimSpace(string(path)))
	}
	env := []string{"LD_PRELOAD=" + strings.Join(preload, " "), "ASAN_OPTIONS=detect_leaks=0", "PYTHONMALLOC=malloc"}
	runSpeedTests(t, python, buildSpeed(t, python, sanitizers...), env, "test_speed_same", "test_speed_same_asgi")
}
