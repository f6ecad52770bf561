package pidfile

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// count checks how many files there are: no temporary one may be left.
func count(t *testing.T, dir string, want int) {
	t.Helper()
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(names) != want {
		t.Errorf("%d files in the directory, want %d: %v", len(names), want, names)
	}
}

// ended returns the pid of a process that has ended, and was reaped.
func ended(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

func TestCreateAndRemove(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.pid")
	f, err := Create(path, os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := content(t, path), fmt.Sprintf("%d\n", os.Getpid()); got != want {
		t.Errorf("content %q, want %q", got, want)
	}
	if st, _ := os.Stat(path); st.Mode() != 0o644 {
		t.Errorf("mode %s", st.Mode())
	}
	if f.Path() != path {
		t.Errorf("path %s", f.Path())
	}
	count(t, dir, 1)
	f.Remove()
	count(t, dir, 0)
	f.Remove()
}

func TestStale(t *testing.T) {
	for name, old := range map[string]string{
		"dead": strconv.Itoa(ended(t)), "empty": "", "garbage": "abc\n", "negative": "-1", "zero": "0",
		"own": strconv.Itoa(os.Getpid()) + "\n",
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "x.pid")
		if err := os.WriteFile(path, []byte(old), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Create(path, os.Getpid()); err != nil {
			t.Errorf("%s: %s", name, err)
		}
		if got := read(path); got != os.Getpid() {
			t.Errorf("%s: pid %d in the file", name, got)
		}
		count(t, dir, 1)
	}
}

func TestRunning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.pid")
	old := fmt.Sprintf("%d\n", os.Getppid())
	if err := os.WriteFile(path, []byte(old), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Create(path, os.Getpid())
	var running *RunningError
	if !errors.As(err, &running) || running.Pid != os.Getppid() {
		t.Fatalf("got %v", err)
	}
	if want := fmt.Sprintf("Already running on PID %d (or pid file '%s' is stale)", os.Getppid(), path); err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	if content(t, path) != old {
		t.Error("the file was changed")
	}
}

func TestMissingDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	_, err := Create(filepath.Join(dir, "x.pid"), 1)
	if want := dir + " doesn't exist. Can't create pidfile."; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestNotRemovedIfTakenOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.pid")
	f, err := Create(path, os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	f.Remove()
	if content(t, path) != "1\n" {
		t.Error("the file of another process was removed")
	}
}

func TestRename(t *testing.T) {
	dir := t.TempDir()
	plain, second := filepath.Join(dir, "x.pid"), filepath.Join(dir, "x.pid.2")
	f, err := Create(second, os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(plain, []byte(strconv.Itoa(os.Getppid())), 0o644); err != nil {
		t.Fatal(err)
	}
	var running *RunningError
	if err := f.Rename(plain); !errors.As(err, &running) {
		t.Errorf("took the file of a living process: %v", err)
	}
	if f.Path() != second || read(second) != os.Getpid() {
		t.Error("the file is not where it was")
	}
	if err := os.WriteFile(plain, []byte(strconv.Itoa(ended(t))), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.Rename(plain); err != nil {
			t.Fatal(err)
		}
		if f.Path() != plain || read(plain) != os.Getpid() {
			t.Error("the file has not moved")
		}
		count(t, dir, 1)
	}
}

func TestRelativePath(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	f, err := Create("x.pid", os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	f.Remove()
	count(t, dir, 0)
}

func TestNil(t *testing.T) {
	var f *File
	f.Remove()
	if err := f.Rename("x"); err != nil || f.Path() != "" {
		t.Error("a nil file did something")
	}
}

// Of several masters that start at once one gets the file.
func TestRace(t *testing.T) {
	var children []*exec.Cmd
	for range 4 {
		cmd := exec.Command("sleep", "60")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Wait()
		defer cmd.Process.Kill()
		children = append(children, cmd)
	}
	dir := t.TempDir()
	for i := range 40 {
		path := filepath.Join(dir, strconv.Itoa(i))
		if i%2 == 0 { // stale
			if err := os.WriteFile(path, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		errs := make([]error, len(children))
		for j, c := range children {
			wg.Go(func() { _, errs[j] = Create(path, c.Process.Pid) })
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			var running *RunningError
			if err == nil {
				won++
			} else if !errors.As(err, &running) {
				t.Error(err)
			}
		}
		if won != 1 {
			t.Fatalf("%d masters have the file", won)
		}
	}
	count(t, dir, 40)
}
