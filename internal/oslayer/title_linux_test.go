package oslayer

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// titles is a child that takes each title it reads from descriptor 4, and answers with
// what it knows of its own start.
func titles() {
	early := os.Args[1:] // made before the first title, as flags are
	in := bufio.NewScanner(os.NewFile(4, "in"))
	in.Buffer(nil, 1<<20)
	out := os.NewFile(3, "out")
	for in.Scan() {
		SetTitle(in.Text())
		fmt.Fprintf(out, "%q %q %s\n", early, os.Args[0], os.Getenv("LAST"))
	}
}

// A titled is a child that sets titles.
type titled struct {
	*testing.T
	pid  int
	room int // of the arguments and the environment
	in   *os.File
	out  *bufio.Scanner
	want string
}

func startTitled(t *testing.T, args, env []string) *titled {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	env = append([]string{envRole + "=title"}, env...)
	p, err := Start(Command{Path: Executable(), Args: args, Env: env, Files: []*os.File{nil, os.Stdout, os.Stderr, outW, r}})
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	outW.Close()
	t.Cleanup(func() {
		w.Close()
		if status := reap(t, p.Pid()); status != 0 {
			t.Errorf("the child ended with %#x", status)
		}
		outR.Close()
	})
	room := 0
	for _, s := range append(args, env...) {
		room += len(s) + 1
	}
	last := ""
	if s, ok := strings.CutPrefix(env[len(env)-1], "LAST="); ok {
		last = s
	}
	return &titled{t, p.Pid(), room, w, bufio.NewScanner(outR), fmt.Sprintf("%q %q %s", args[1:], args[0], last)}
}

// set gives the child a title and checks what it knows then.
func (c *titled) set(title string) (cmdline, comm string) {
	c.Helper()
	if _, err := c.in.WriteString(title + "\n"); err != nil {
		c.Fatal(err)
	}
	if !c.out.Scan() {
		c.Fatal("the child ended")
	}
	if got := c.out.Text(); got != c.want {
		c.Errorf("%s: the child knows %s, want %s", title, got, c.want)
	}
	cmd, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", c.pid))
	if err != nil {
		c.Fatal(err)
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", c.pid))
	if err != nil {
		c.Fatal(err)
	}
	return strings.TrimSuffix(string(cmd), "\x00"), strings.TrimSuffix(string(name), "\n")
}

func TestSetTitle(t *testing.T) {
	args := []string{"indrik", "-w", "4", "test:app"}
	argsLen := len("indrik -w 4 test:app") // with the NULs this is one more
	c := startTitled(t, args, []string{"A=" + strings.Repeat("a", 100), "LAST=" + strings.Repeat("z", 100)})
	for _, title := range []string{
		"indrik: master [test:app.2]",
		"indrik: master [test:app]",
		"i",
		"",
		strings.Repeat("x", argsLen-1),
		strings.Repeat("x", argsLen),
		strings.Repeat("x", argsLen+1),
		strings.Repeat("y", 150),
		"indrik: front [приложение]",
		"short",
		strings.Repeat("q", c.room-1),
		"indrik: master [test:app]",
	} {
		cmdline, comm := c.set(title)
		if cmdline != title {
			t.Errorf("cmdline is %q, want %q", cmdline, title)
		}
		if want := title[:min(len(title), 15)]; comm != want {
			t.Errorf("comm is %q, want %q", comm, want)
		}
	}
}

func TestSetTitleTooLong(t *testing.T) {
	c := startTitled(t, []string{"indrik"}, []string{"LAST=z"})
	for range 2 {
		cmdline, _ := c.set(strings.Repeat("x", 10000))
		if want := strings.Repeat("x", c.room-1); cmdline != want {
			t.Errorf("cmdline has %d bytes, want %d", len(cmdline), len(want))
		}
	}
	// A character is not cut in two.
	cmdline, _ := c.set("a" + strings.Repeat("я", 10000))
	if want := "a" + strings.Repeat("я", (c.room-2)/2); cmdline != want {
		t.Errorf("cmdline is %q", cmdline)
	}
	if cmdline, _ := c.set("b"); cmdline != "b" {
		t.Errorf("cmdline is %q", cmdline)
	}
}

func TestSetTitleOfMoreThanAPage(t *testing.T) {
	c := startTitled(t, []string{"indrik"}, []string{"A=" + strings.Repeat("a", 20000), "LAST=z"})
	if cmdline, _ := c.set(strings.Repeat("x", 10000)); cmdline != strings.Repeat("x", maxTitle) {
		t.Errorf("cmdline has %d bytes", len(cmdline))
	}
	c = startTitled(t, []string{"indrik", strings.Repeat("a", 20000)}, []string{"LAST=z"})
	for _, title := range []string{"indrik: master [a]", strings.Repeat("x", maxTitle)} {
		if cmdline, _ := c.set(title); cmdline != title {
			t.Errorf("cmdline has %d bytes, want %d", len(cmdline), len(title))
		}
	}
}

// The kernel refuses to start a program without any argument today, but the first one
// may be empty.
func TestSetTitleWithoutName(t *testing.T) {
	c := startTitled(t, []string{""}, []string{"LAST=z"})
	if cmdline, comm := c.set("indrik: spawner [x]"); comm != "indrik: spawner" || cmdline != "" && cmdline != "indrik: spawner [x]" {
		t.Errorf("cmdline is %q, comm %q", cmdline, comm)
	}
}

func TestExecutableSurvivesReplacement(t *testing.T) {
	var a, b syscall.Stat_t
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Stat(own, &a); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Stat(Executable(), &b); err != nil {
		t.Fatal(err)
	}
	if Executable() == own || a.Ino != b.Ino {
		t.Errorf("%s is not the running file", Executable())
	}
}
