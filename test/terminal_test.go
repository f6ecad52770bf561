//go:build linux

package test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

// A screen is a terminal with a server in its foreground.
type screen struct {
	master *os.File
	cmd    *exec.Cmd

	mu   sync.Mutex
	text strings.Builder
}

// onScreen starts the server in a terminal of its own.
func onScreen(t *testing.T, app string, args ...string) (*screen, string) {
	t.Helper()
	dir := harness.TempDir(t)
	harness.Must(t, os.WriteFile(filepath.Join(dir, "webapp.py"), []byte(app), 0o644))
	master, slave := harness.OpenPTY(t)
	defer slave.Close()
	addr := fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t))
	sc := &screen{master: master, cmd: exec.Command(harness.Command(t)[0], append([]string{"--bind", addr}, append(args, "webapp:app")...)...)}
	sc.cmd.Dir = dir
	sc.cmd.Env = append(harness.BinaryEnv(), "PATH="+os.Getenv("PATH"), "HOME="+dir, "LANG=C.UTF-8", "INDRIK_PYTHON="+harness.Python(), "TERM=dumb")
	sc.cmd.Stdin, sc.cmd.Stdout, sc.cmd.Stderr = slave, slave, slave
	sc.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	harness.Must(t, sc.cmd.Start())
	done := make(chan struct{})
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := master.Read(buf)
			sc.mu.Lock()
			sc.text.Write(buf[:n])
			sc.mu.Unlock()
			if err != nil { // EIO: nobody has the other end any more
				close(done)
				return
			}
		}
	}()
	t.Cleanup(func() {
		sc.cmd.Process.Signal(syscall.SIGTERM)
		sc.cmd.Wait()
		<-done
		master.Close()
		if t.Failed() {
			t.Logf("on the screen:\n%s", sc.shows())
		}
	})
	return sc, addr
}

func (sc *screen) shows() string {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	return sc.text.String()
}

func (sc *screen) expect(t *testing.T, text string) {
	t.Helper()
	harness.Eventually(t, fmt.Sprintf("the screen shows %q", text), func() bool { return strings.Contains(sc.shows(), text) })
}

func (sc *screen) enter(text string) { io.WriteString(sc.master, text) }

// breakpoint() stops in a debugger with which one can talk, in a request of WSGI and of
// ASGI; Ctrl-C ends the server.
func TestBreakpoint(t *testing.T) {
	t.Parallel()
	const wsgi = `
import pdb  # it takes long on a busy machine, and counts if it comes first with the request

def app(environ, start_response):
    x = 41
    breakpoint()
    start_response("200 OK", [])
    return [str(x).encode()]
`
	const asgi = `
async def app(scope, receive, send):
    assert scope["type"] == "http"
    x = 41
    breakpoint()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(x).encode()})
`
	for name, c := range map[string]struct {
		app  string
		args []string
	}{"sync": {wsgi, []string{"--timeout", "4"}}, "gthread": {wsgi, []string{"--threads", "2", "--timeout", "4"}}, "asgi": {asgi, nil}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sc, addr := onScreen(t, c.app, c.args...)
			sc.expect(t, "Ready: 1 worker")
			answer := make(chan string, 1)
			go func() {
				r, err := http.Get("http://" + addr + "/")
				if err != nil {
					answer <- err.Error()
					return
				}
				defer r.Body.Close()
				body, _ := io.ReadAll(r.Body)
				answer <- string(body)
			}()
			sc.expect(t, "(Pdb)")
			if len(c.args) > 0 {
				time.Sleep(6 * time.Second) // the time that a request has does not run meanwhile
			}
			sc.enter("x = x + 1\n")
			sc.enter("continue\n")
			select {
			case got := <-answer:
				if got != "42" {
					t.Errorf("the app answered %q", got)
				}
			case <-time.After(harness.Patience):
				t.Error("no answer")
			}
			sc.enter("\x03")
			sc.expect(t, "Handling signal: int")
			sc.expect(t, "Shutting down: Master")
		})
	}
}

// With several workers, who would all read from it, the terminal is nobody's.
func TestBreakpointInSeveralWorkers(t *testing.T) {
	t.Parallel()
	sc, addr := onScreen(t, "def app(environ, start_response):\n    breakpoint()\n", "-w", "2")
	sc.expect(t, "Ready: 2 workers")
	r, err := http.Get("http://" + addr + "/")
	if err != nil || r.StatusCode != 500 {
		t.Errorf("%v %v", r, err)
	}
	sc.expect(t, "BdbQuit")
	sc.enter("\x03")
	sc.expect(t, "Shutting down: Master")
}
