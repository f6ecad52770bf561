//go:build linux

package harness

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"golang.org/x/sys/unix"
)

// A Terminal is a pseudo terminal, pty(7), and what a person would see in it.
type Terminal struct {
	t     testing.TB
	pty   *os.File // the person's end
	tty   *os.File // the program's end; it stays open until the program has ended
	shown *vt.Emulator

	mu      sync.Mutex
	written strings.Builder
	stopped bool // it takes nothing
	waits   bool // and has nothing in hand that it would take
	resume  *sync.Cond
	exited  chan error
	read    chan struct{} // closed when nothing more comes
	process *os.Process
}

// OpenPTY returns the two ends of a new pseudo terminal: the person's and the program's.
func OpenPTY(t testing.TB) (pty, tty *os.File) {
	t.Helper()
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	Must(t, err)
	Must(t, unix.IoctlSetPointerInt(int(pty.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(pty.Fd()), unix.TIOCGPTN)
	Must(t, err)
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	Must(t, err)
	return pty, tty
}

// NewTerminal opens a terminal of so many columns and rows.
func NewTerminal(t testing.TB, columns, rows int) *Terminal {
	t.Helper()
	pty, tty := OpenPTY(t)
	term := &Terminal{t: t, pty: pty, tty: tty, shown: vt.NewEmulator(columns, rows)}
	term.resume = sync.NewCond(&term.mu)
	term.Resize(columns, rows)
	return term
}

// Start starts a program in the terminal, as the leader of a session. Its end is that of the
// terminal, too, and the test ends both.
func (term *Terminal) Start(cmd *exec.Cmd) {
	t := term.t
	t.Helper()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = term.tty, term.tty, term.tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	Must(t, cmd.Start())
	term.process, term.exited = cmd.Process, make(chan error, 1)
	go func() { term.exited <- cmd.Wait() }()
	answers := make(chan struct{})
	go func() { // to what the program asks the terminal
		defer close(answers)
		_, _ = io.Copy(term.pty, term.shown)
	}()
	term.read = make(chan struct{})
	go func() {
		defer close(term.read)
		buf := make([]byte, 4096)
		for {
			n, err := term.pty.Read(buf)
			term.mu.Lock()
			for term.stopped {
				term.waits = true
				term.resume.Wait()
			}
			term.written.Write(buf[:n])
			_, _ = term.shown.Write(buf[:n])
			term.mu.Unlock()
			if err != nil { // EIO: nobody has the other end any more
				return
			}
		}
	}()
	t.Cleanup(func() {
		term.Continue()
		_ = cmd.Process.Kill()
		if term.exited != nil {
			<-term.exited
		}
		term.tty.Close()
		<-term.read
		_ = term.shown.Close()
		<-answers
		term.pty.Close()
		if t.Failed() {
			t.Logf("on the screen:\n%s", term.Screen())
		}
	})
}

// Stop has the terminal take nothing more, as one does at the other end of a line that is cut:
// what it holds is full, and whoever writes waits.
func (term *Terminal) Stop() {
	term.t.Helper()
	term.mu.Lock()
	term.stopped = true
	term.mu.Unlock()
	// Opened anew: the program has the other description of the file, and its writes have to wait.
	fd, err := unix.Open(term.tty.Name(), unix.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	Must(term.t, err)
	defer unix.Close(fd)
	Eventually(term.t, "the terminal is full", func() bool {
		for {
			if _, err := unix.Write(fd, []byte("x")); err != nil {
				break
			}
		}
		term.mu.Lock()
		defer term.mu.Unlock()
		return term.waits
	})
	for { // what its last read has made room for
		if _, err := unix.Write(fd, []byte("x")); err != nil {
			return
		}
	}
}

// Continue ends what Stop began.
func (term *Terminal) Continue() {
	term.mu.Lock()
	defer term.mu.Unlock()
	term.stopped = false
	term.resume.Broadcast()
}

// Resize makes the terminal another size, and the program gets SIGWINCH.
func (term *Terminal) Resize(columns, rows int) {
	term.t.Helper()
	term.mu.Lock()
	defer term.mu.Unlock()
	term.shown.Resize(columns, rows)
	Must(term.t, unix.IoctlSetWinsize(int(term.pty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(columns), Row: uint16(rows)}))
}

// Type types keys.
func (term *Terminal) Type(keys string) {
	term.t.Helper()
	_, err := io.WriteString(term.pty, keys)
	Must(term.t, err)
}

// Signal sends a signal to the program.
func (term *Terminal) Signal(sig syscall.Signal) {
	term.t.Helper()
	Must(term.t, term.process.Signal(sig))
}

// Screen returns the lines that are seen, without blanks at their ends.
func (term *Terminal) Screen() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	all := strings.Split(term.shown.String(), "\n")
	for i, line := range all {
		all[i] = strings.TrimRight(line, " \r")
	}
	return strings.Join(all, "\n")
}

// Written returns all that the program has written, sequences of control characters and all.
func (term *Terminal) Written() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.written.String()
}

// Expect waits until the screen shows a text.
func (term *Terminal) Expect(text string) {
	term.t.Helper()
	Eventually(term.t, fmt.Sprintf("the screen shows %q", text), func() bool { return strings.Contains(term.Screen(), text) })
}

// ExpectNot waits until the screen does not show a text.
func (term *Terminal) ExpectNot(text string) {
	term.t.Helper()
	Eventually(term.t, fmt.Sprintf("the screen does not show %q", text), func() bool { return !strings.Contains(term.Screen(), text) })
}

// Exit waits until the program has ended and the terminal has taken what it wrote, unless Stop
// keeps it from that, and returns the program's state.
func (term *Terminal) Exit() *exec.ExitError {
	term.t.Helper()
	var err error
	select {
	case err = <-term.exited:
		term.exited = nil
	case <-time.After(Patience):
		term.t.Fatalf("the program has not ended within %s", Patience)
	}
	term.mu.Lock()
	stopped := term.stopped
	term.mu.Unlock()
	if !stopped {
		term.tty.Close()
		select {
		case <-term.read:
		case <-time.After(Patience):
			term.t.Fatalf("something still has the terminal after %s", Patience)
		}
	}
	if err == nil {
		return nil
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		term.t.Fatal(err)
	}
	return exit
}

// Mode describes how the terminal treats keys and lines, for comparison, and reports whether
// it is as a shell expects it: keys are echoed and come in lines.
func (term *Terminal) Mode() (state unix.Termios, usual bool) {
	term.t.Helper()
	now, err := unix.IoctlGetTermios(int(term.pty.Fd()), unix.TCGETS) // of the program's end, tty_ioctl(4)
	Must(term.t, err)
	return *now, now.Lflag&(unix.ECHO|unix.ICANON|unix.ISIG) == unix.ECHO|unix.ICANON|unix.ISIG
}

// OtherScreen reports whether a program has the terminal's second screen, beside the one with
// the shell's lines.
func (term *Terminal) OtherScreen() bool {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.shown.IsAltScreen()
}
