package test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAllModulePath gives a copy of the tree another module path. It builds, and its tests pass.
func TestAllModulePath(t *testing.T) {
	t.Parallel()
	if os.Getenv("INDRIK_TEST_ALL") == "" {
		t.Skip("builds everything twice more; make test-all runs it")
	}
	dir := t.TempDir()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel("..", path)
		switch {
		case err != nil:
			return err
		case rel == ".git" || rel == ".cache" || rel == "bin" || rel == "dist":
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, rel), 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, rel), text, info.Mode().Perm())
	})
	if err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "MAKEFLAGS=")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	for _, path := range []string{"example.org/x/indrik", "example.com/y"} {
		run("make", "module", "PATH="+path)
		if got := strings.TrimSpace(run("go", "list", "-m")); got != path {
			t.Fatalf("the module is %s", got)
		}
		if text, err := os.ReadFile(filepath.Join(dir, "test/deploy/go.mod")); err != nil || !strings.HasPrefix(string(text), "module "+path+"/test/deploy\n") {
			t.Errorf("the module of test/deploy: %v\n%s", err, text)
		}
	}
	run("go", "build", "-o", "bin/indrik", "./cmd/indrik")
	run("go", "vet", "./internal/wire/...", "./test/...")
	run("go", "test", "-count=1", "./internal/exitcode", "./internal/version", "./internal/settings")
	run("go", "test", "-count=1", "-run", "^TestLayers$", "./test")
	cmd := exec.Command("make", "module", "PATH=no path")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "is no module path") {
		t.Errorf("what is no path: %v\n%s", err, out)
	}
}
