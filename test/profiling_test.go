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

// block returns the block of a page of the documentation that begins with a line.
func block(t *testing.T, page, first string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(harness.Repository, "docs", page))
	harness.Must(t, err)
	_, rest, found := strings.Cut(string(text), "\n    "+first+"\n")
	if !found {
		t.Fatalf("%s has no block that begins with %s", page, first)
	}
	var b strings.Builder
	for line := range strings.Lines(rest) {
		code, indented := strings.CutPrefix(line, "    ")
		if !indented && line != "\n" {
			break
		}
		b.WriteString(code)
	}
	return b.String()
}

// The profilers that docs/observe.md names work with workers, as it says.
func TestAllProfilers(t *testing.T) {
	python := venvAll(t)
	if os.Getuid() != 0 {
		t.Skip("needs root, to trace")
	}
	tool := func(name string, args ...string) string {
		t.Helper()
		out, err := exec.Command(filepath.Join(filepath.Dir(python), name), args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	recorded := filepath.Join(harness.TempDir(t), "memory")
	s := harness.Start(t, harness.Options{
		App: "webapp:app", Python: python, Conf: block(t, "observe.md", "# memory.py, for `-c memory.py`"), Env: []string{"MEMRAY=" + recorded},
		Gates: []string{"held"}, Args: []string{"--threads", "2"}, MayLeave: true,
		Files: map[string]string{"gate.py": harness.TestFile(t, "apps/gate.py"), "webapp.py": `
import gate
kept = []
def keeps():
    kept.append(bytearray(300_000))
def waits_here():
    gate.wait("held")
def app(environ, start_response):
    keeps()
    if environ["PATH_INFO"] == "/held":
        waits_here()
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
`},
	})
	pid := s.Workers(1)[0]
	held := s.Begin("/held")
	s.Gates["held"].Entered()
	if out := tool("py-spy", "dump", "--pid", fmt.Sprint(pid)); !strings.Contains(out, "waits_here (webapp.py:") {
		t.Errorf("py-spy dump: %s", out)
	}
	profile := filepath.Join(s.Dir, "profile.txt")
	tool("py-spy", "record", "--subprocesses", "--idle", "--duration", "1", "--format", "raw", "--output", profile, "--pid", fmt.Sprint(s.Role("spawner")[0].PID))
	if text, err := os.ReadFile(profile); err != nil || !strings.Contains(string(text), "waits_here (webapp.py:") {
		t.Errorf("py-spy record: %v, %.500s", err, text)
	}
	for range 10 {
		s.Get("/")
	}
	s.Gates["held"].Release()
	held.Expect(200)
	s.Terminate()
	if out := tool("memray", "summary", fmt.Sprintf("%s.%d.bin", recorded, pid)); !strings.Contains(out, "keeps") {
		t.Errorf("memray: %s", out)
	}
}
