package oslayer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary plays the children too.
const envRole = "INDRIK_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(envRole) {
	case "":
		os.Exit(m.Run())
	case "echo":
		echo()
	case "sleep":
		time.Sleep(time.Minute)
	case "orphan":
		orphan()
	case "title":
		titles()
	}
	os.Exit(0)
}

// echo writes what it was started with to descriptor 3.
func echo() {
	out := os.NewFile(3, "out")
	dir, _ := os.Getwd()
	in, _ := io.ReadAll(os.Stdin)
	session, _ := unix.Getsid(0)
	fmt.Fprintf(out, "%q %s %s %s %d", os.Args, os.Getenv("X"), dir, in, session)
	os.Exit(7)
}

// orphan starts a child that ends later than its parent.
func orphan() {
	p, err := Start(Command{Path: "/bin/sh", Args: []string{"sh", "-c", "sleep 0.1; exit 9"}})
	if err != nil {
		os.Exit(1)
	}
	fmt.Fprint(os.NewFile(3, "out"), p.Pid())
}

// start starts the test binary in a role; what it writes to descriptor 3 comes from
// the file.
func start(t *testing.T, role string, c Command) (*Process, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	t.Cleanup(func() { r.Close() })
	in, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, err := in.WriteString("input"); err != nil {
		t.Fatal(err)
	}
	in.Seek(0, io.SeekStart)
	c.Path = Executable()
	c.Env = append(slices.Clone(c.Env), envRole+"="+role)
	c.Files = []*os.File{in, os.Stdout, os.Stderr, w}
	p, err := Start(c)
	if err != nil {
		t.Fatal(err)
	}
	return p, r
}

// reap waits for the end of a child.
func reap(t *testing.T, pid int) syscall.WaitStatus {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		for _, e := range Reap() {
			if e.Pid == pid {
				return e.Status
			}
		}
	}
	t.Fatalf("child %d does not end", pid)
	return 0
}

func TestStart(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "indrik")
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(dir)
	p, out := start(t, "echo", Command{Args: []string{"indrik: front [a]", "b c"}, Env: []string{"X=y"}, Dir: dir, Setsid: true})
	b, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`["indrik: front [a]" "b c"] y %s input %d`, dir, p.Pid())
	if runtime.GOOS == "linux" && string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	if status := reap(t, p.Pid()); status.ExitStatus() != 7 {
		t.Errorf("status %#x", status)
	}
	if err := p.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal after the end: %v", err)
	}
	p.Release()
	if err := p.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal after release: %v", err)
	}
}

func TestStartCredential(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	p, err := Start(Command{
		Path: "/bin/sh", Args: []string{"sh", "-c", "id -u; id -g; id -G"}, Files: []*os.File{nil, w, os.Stderr},
		Credential: &syscall.Credential{Uid: 65534, Gid: 12345, Groups: []uint32{12345, 12346}},
	})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(r)
	if got := string(b); got != "65534\n12345\n12345 12346\n" {
		t.Errorf("got %q", got)
	}
	reap(t, p.Pid())
}

func TestStartMissing(t *testing.T) {
	_, err := Start(Command{Path: "/nonexistent/python", Args: []string{"python"}})
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "/nonexistent/python") {
		t.Errorf("got %v", err)
	}
	if exits := Reap(); len(exits) != 0 {
		t.Errorf("a child that was never started ended: %v", exits)
	}
}

func TestSignal(t *testing.T) {
	for _, find := range []bool{false, true} {
		p, _ := start(t, "sleep", Command{Args: []string{"sleep"}})
		if find {
			p = findChild(t, p.Pid())
		}
		if err := p.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if status := reap(t, p.Pid()); status.Signal() != syscall.SIGKILL {
			t.Errorf("status %#x", status)
		}
		if err := p.Signal(syscall.SIGKILL); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("signal after the end: %v", err)
		}
		if err := findChild(t, p.Pid()).Signal(syscall.SIGKILL); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("signal to a process found after its end: %v", err)
		}
	}
}

func TestSignalNotPermitted(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may signal everyone")
	}
	if err := (&Process{1, processOf(t, 1)}).Signal(syscall.SIGTERM); !errors.Is(err, syscall.EPERM) {
		t.Errorf("got %v", err)
	}
}

func processOf(t *testing.T, pid int) *os.Process {
	t.Helper()
	p, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// findChild returns a child of this process.
func findChild(t *testing.T, pid int) *Process {
	t.Helper()
	p, err := FindChild(pid, os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A pid that somebody names is believed only if it is of a child.
func TestFindChild(t *testing.T) {
	if _, known := parentOf(os.Getpid()); !known {
		t.Skip("the system does not tell whose child a process is")
	}
	child, _ := start(t, "sleep", Command{Args: []string{"sleep"}})
	for _, pid := range []int{1, os.Getpid(), os.Getppid(), 0, -1, -child.Pid()} {
		p, err := FindChild(pid, os.Getpid())
		if !errors.Is(err, ErrStranger) {
			t.Errorf("process %d is taken for a child: %v", pid, err)
		}
		if err := p.Signal(0); !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("process %d can be signalled: %v", pid, err)
		}
	}
	if p, err := FindChild(child.Pid(), 1, 2); !errors.Is(err, ErrStranger) {
		t.Errorf("a child of another process is %v, %v", p, err)
	}
	found := findChild(t, child.Pid())
	if found.Ended() {
		t.Error("a process that sleeps has ended")
	}
	if err := found.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); !found.Ended(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a zombie has not ended")
		}
	}
	reap(t, child.Pid())
	if !found.Ended() {
		t.Error("a process that was reaped has not ended")
	}
	found.Release()
}

func TestReapMany(t *testing.T) {
	pids := map[int]bool{}
	for range 5 {
		p, err := Start(Command{Path: "/bin/sh", Args: []string{"sh", "-c", "exit 3"}})
		if err != nil {
			t.Fatal(err)
		}
		pids[p.Pid()] = true
	}
	for deadline := time.Now().Add(time.Minute); len(pids) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not all children were reaped")
		}
		for _, e := range Reap() {
			if !pids[e.Pid] || e.Status.ExitStatus() != 3 {
				t.Errorf("reaped %v", e)
			}
			delete(pids, e.Pid)
		}
	}
}

func TestSubreaper(t *testing.T) {
	if err := Subreaper(); errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	p, out := start(t, "orphan", Command{Args: []string{"orphan"}})
	b, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(b))
	if err != nil {
		t.Fatal(err)
	}
	var ended []int
	for deadline := time.Now().Add(time.Minute); len(ended) < 2 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		for _, e := range Reap() {
			ended = append(ended, e.Pid)
			if e.Pid == pid && e.Status.ExitStatus() != 9 {
				t.Errorf("status %#x", e.Status)
			}
		}
	}
	if len(ended) != 2 || !slices.Contains(ended, p.Pid()) || !slices.Contains(ended, pid) {
		t.Errorf("reaped %v, want %d and %d", ended, p.Pid(), pid)
	}
}
