package errlog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestFormat(t *testing.T) {
	zone := time.Local
	time.Local = time.FixedZone("", -(3*3600 + 1800))
	defer func() { time.Local = zone }()
	var b bytes.Buffer
	l := New(&b)
	l.SetLevel("debug")
	l.Debugf("a")
	l.Infof("Handling signal: %s", "hup")
	l.Warnf("c")
	l.Errorf("Traceback\n  %d%%", 5)
	l.Criticalf("e")
	want := regexp.MustCompile(fmt.Sprintf(`^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d -0330\] \[%[1]d\] \[DEBUG\] a
\[.* -0330\] \[%[1]d\] \[INFO\] Handling signal: hup
\[.* -0330\] \[%[1]d\] \[WARNING\] c
\[.* -0330\] \[%[1]d\] \[ERROR\] Traceback
  5%%
\[.* -0330\] \[%[1]d\] \[CRITICAL\] e
$`, os.Getpid()))
	if !want.Match(b.Bytes()) {
		t.Errorf("got\n%s", b.String())
	}
}

// Whoever stops reading a log does not stop those who write it.
func TestNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		l := New(w)
		begin := time.Now()
		for _, text := range []string{"a", "b", "c"} {
			l.Infof("%s", text)
		}
		if waited := time.Since(begin); waited != patience {
			t.Errorf("three messages took %s", waited)
		}
		lines := bufio.NewReader(r)
		expect := func(want string) {
			t.Helper()
			if line, err := lines.ReadString('\n'); err != nil || !strings.HasSuffix(line, want+"\n") {
				t.Errorf("%q, %v, want %s", line, err, want)
			}
		}
		expect("[INFO] a")
		synctest.Wait()
		go l.Infof("d")
		expect("[WARNING] 2 messages are missing here: nobody read the log")
		expect("[INFO] d")
	})
}

func TestLevels(t *testing.T) {
	for name, want := range map[string]string{
		"debug": "DIWEC", "info": "IWEC", "WARNING": "WEC", "error": "EC", "Critical": "C", "loud": "IWEC", "": "IWEC",
	} {
		var b bytes.Buffer
		l := New(&b)
		l.SetLevel(name)
		l.Debugf("x")
		l.Infof("x")
		l.Warnf("x")
		l.Errorf("x")
		l.Criticalf("x")
		var got string
		for line := range strings.Lines(b.String()) {
			got += strings.Split(line, "[")[3][:1]
		}
		if got != want {
			t.Errorf("%q: levels %s, want %s", name, got, want)
		}
	}
	if s := Level(9).String(); s != "Level(9)" {
		t.Errorf("unknown level is %s", s)
	}
}

func TestTapsAndRelay(t *testing.T) {
	var b bytes.Buffer
	var tapped, relayed []string
	l := New(&b)
	l.SetTaps(func(v Level, text string) { tapped = append(tapped, v.String()+" "+text) })
	l.Infof("a%d", 1)
	l.Debugf("not this")
	l.SetLogger(func(v Level, text string) { relayed = append(relayed, v.String()+" "+text) })
	l.Errorf("b")
	l.SetLogger(nil)
	l.SetTaps()
	l.Warnf("c")
	if got := fmt.Sprint(tapped, relayed); got != "[INFO a1 ERROR b] [ERROR b]" {
		t.Errorf("%s", got)
	}
	if got := strings.Count(b.String(), "\n"); got != 2 {
		t.Errorf("the file has %q", b.String())
	}
}

func messages(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(b)) {
		got = append(got, strings.TrimSpace(line[strings.LastIndex(line, "]")+2:]))
	}
	return strings.Join(got, " ")
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "error.log")
	l := New(os.Stderr)
	if err := l.Reopen(); err != nil {
		t.Errorf("nothing to open again: %s", err)
	}
	if err := l.Open(path, os.Getuid(), os.Getgid()); err != nil {
		t.Fatal(err)
	}
	l.Infof("one")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	l.Infof("two")
	old := l.File()
	if err := l.Reopen(); err != nil {
		t.Fatal(err)
	}
	l.Infof("three")
	if got := messages(t, path+".1"); got != "one two" {
		t.Errorf("the old file has %q", got)
	}
	if got := messages(t, path); got != "three" {
		t.Errorf("the new file has %q", got)
	}
	if err := old.Close(); !errors.Is(err, os.ErrClosed) {
		t.Error("the old file is still open")
	}

	// A directory that went away must not end the log.
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	defer os.Rename(dir+".away", dir)
	var unwritable *UnwritableError
	if err := l.Reopen(); !errors.As(err, &unwritable) {
		t.Errorf("reopen without a directory: %v", err)
	}
	l.Infof("four")
	if got := messages(t, filepath.Join(dir+".away", "error.log")); got != "three four" {
		t.Errorf("the file has %q", got)
	}
}

func TestUnwritable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "error.log")
	var b bytes.Buffer
	l := New(&b)
	err := l.Open(path, -1, -1)
	want := fmt.Sprintf("'%s' isn't writable [[Errno 2] No such file or directory: '%s']", path, path)
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if !errors.Is(err, os.ErrNotExist) {
		t.Error("the error does not wrap the system's")
	}
	l.Infof("on")
	if !strings.HasSuffix(b.String(), "] on\n") {
		t.Error("the log does not go on where it was")
	}
}

func TestAppends(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("] before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := New(os.Stderr)
	if err := l.Open(path, -1, -1); err != nil {
		t.Fatal(err)
	}
	l.Infof("after")
	if got := messages(t, path); got != "before after" {
		t.Errorf("got %q", got)
	}
	if st, _ := os.Stat(path); st.Mode().Perm() != 0o600 {
		t.Errorf("mode became %s", st.Mode())
	}
}

func TestPipeWithoutReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := New(os.Stderr).Open(path, -1, -1); !errors.Is(err, syscall.ENXIO) {
		t.Errorf("got %v", err)
	}
}

// A reader of the log that goes away must not take the server with it.
func TestClosedPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	l := New(os.Stderr)
	l.SetFile(w)
	r.Close()
	l.Infof("nobody reads this")
	if l.File() != w {
		t.Error("the log has another file")
	}
	if err := l.Open("-", -1, -1); err != nil {
		t.Fatal(err)
	}
	if fd := l.File().Fd(); fd < 3 {
		t.Errorf("the log has descriptor %d, for which Go raises SIGPIPE", fd)
	}
	l.File().Close()
}

func TestConcurrent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l := New(os.Stderr)
	if err := l.Open(path, -1, -1); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 50 {
				l.Infof("%s", strings.Repeat(string(rune('a'+i)), 3000))
				if err := l.Reopen(); err != nil {
					t.Error(err)
				}
				l.SetLevel("info")
			}
		})
	}
	wg.Wait()
	words := strings.Fields(messages(t, path))
	if len(words) != 200 {
		t.Errorf("%d lines, want 200", len(words))
	}
	for _, w := range words {
		if len(w) != 3000 || strings.Trim(w, w[:1]) != "" {
			t.Fatal("lines are mixed")
		}
	}
}
