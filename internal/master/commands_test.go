package master

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/internal/control"
	"indrik/internal/listen"
	"indrik/internal/wire"
)

// A reply is what a command was answered with.
type reply struct {
	done bool
	data string // as JSON
	err  error
}

// command gives the master a command. The answer may come later.
func (w *world) command(words string) *reply {
	r := &reply{}
	w.m.post(func() {
		w.m.command(context.Background(), commander{"Test", "uid:0, pid:7"}, strings.Fields(words), func(data any, err error) {
			b, _ := json.Marshal(data)
			*r = reply{true, string(b), err}
		})
		w.m.control.settle()
	})
	w.wait()
	return r
}

// expectReply fails the test unless a command was answered, and with a text.
func (w *world) expectReply(r *reply, text string) {
	w.t.Helper()
	switch {
	case !r.done:
		w.t.Errorf("no answer; want %q; log:\n%s", text, w.log())
	case r.err != nil && !strings.Contains(r.err.Error(), text), r.err == nil && !strings.Contains(r.data, text):
		w.t.Errorf("the answer is %s, %v; want %q", r.data, r.err, text)
	}
}

// Commands that show something have Gunicorn's names.
func TestShowCommands(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		for words, want := range map[string]string{
			"show all": `"web_worker_count":2`, "SHOW workers": `"count":2`, "show dirty": `"enabled":false`, "show config": `"workers":2`,
			"show stats": `"workers_spawned":2`, "show listeners": `"type":"unix"`, "help": `"worker kill \u003cPID\u003e"`,
		} {
			w.expectReply(w.command(words), want)
		}
		for words, want := range map[string]string{
			"show": "Missing show target", "show x": "Unknown show target: x", "worker": "Missing worker action", "worker x": "Unknown worker action: x",
			"dirty add": "There are no dirty workers", "x": "Unknown command: x", "reload 1": `"1" is one too many for reload`,
			"worker add x": "is not a number from 1 on", "worker kill": "Missing PID", "worker kill 1": "Worker 1 not found",
			"shutdown now": "is neither graceful nor quick", "scale and wait": "Missing number of workers", "scale and wait 99999": "are more than 10000",
			"worker kill and wait 1": "Worker 1 not found", "rollback and wait": "There is no upgrade to roll back", "drain and wait": "There is no successor",
		} {
			w.expectReply(w.command(words), want)
		}
	})
}

// The status has what the front knows, or goes without it.
func TestStatusCommand(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.live()[0].die(signaled(syscall.SIGSEGV))
		w.pass(2 * time.Second)
		w.expectReply(w.command("status"), `"reason":"was sent SIGSEGV"`)
		w.expectReply(w.command("status"), `"state":"running"`)
		f := w.front()
		real := f.conn.hear
		f.conn.hear = func(data []byte, files []*os.File) {
			if !strings.Contains(string(data), `"status"`) {
				real(data, files)
			}
		}
		r := w.command("status")
		if r.done {
			t.Error("the front was not waited for")
		}
		w.pass(frontStatusWait)
		w.expectReply(r, `"workers":[`)
		f.conn.hear = real
		w.refuse["start front"] = syscall.EAGAIN
		f.die(signaled(syscall.SIGKILL))
		w.pass(time.Millisecond)
		w.expectReply(w.command("status"), `"front":null`)
		w.refuse["start front"] = nil
	})
}

// Workers are added, removed and scaled; who waits is told when they are there.
func TestScaleCommands(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.expectReply(w.command("worker add 2"), `"total":4`)
		w.expectReply(w.command("worker remove 9"), `"removed":3`)
		w.pass(time.Second)
		w.expectWorkers(1)
		r := w.command("scale and wait 3")
		if r.done {
			t.Error("it was answered too early")
		}
		w.pass(time.Second)
		w.expectReply(r, `"workers":3`)
		w.expectWorkers(3)
		w.stuck = true
		first, second := w.command("scale and wait 4"), w.command("scale and wait 5")
		w.wait()
		w.expectReply(first, "The number of workers has been set to 5 meanwhile")
		w.signal(syscall.SIGTERM)
		w.wait()
		w.expectReply(second, "The server is ")
	})
}

// A worker is ended, and the one that waits is told when another one is in its place.
func TestWorkerKillCommand(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		worker := w.live()[0]
		w.expectReply(w.command("worker kill "+strconv.Itoa(worker.proc.pid)), `"success":true`)
		w.pass(time.Second)
		if !worker.proc.gone {
			t.Error("it is still there")
		}
		r := w.command("worker kill and wait " + strconv.Itoa(w.live()[0].proc.pid))
		w.pass(10 * time.Millisecond)
		if r.done {
			t.Error("nobody is in its place yet")
		}
		w.pass(time.Second)
		w.expectReply(r, `"killed":`)
	})
}

// A reload is answered with what came of it.
func TestReloadCommand(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		r := w.command("reload and wait")
		if r.done {
			t.Error("it was answered too early")
		}
		w.pass(time.Second)
		w.expectReply(r, `"generation":2`)
		w.failures[wire.TypeConfigure] = "broken config"
		r = w.command("reload and wait")
		w.pass(time.Second)
		w.expectReply(r, "broken config")
		w.failures[wire.TypeConfigure] = "silent"
		r = w.command("reload and wait")
		w.expectReply(w.command("reload"), "reloading")
		w.signal(syscall.SIGTERM)
		w.expectReply(r, "the reload was given up")
		w.expectReply(w.command("reload and wait"), "it cannot be reloaded")
	})
}

// The last reloads are kept, with the end of a reason that is long.
func TestReloadsThatAreKept(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		for i := range maxReloads + 5 {
			w.m.reloaded(&candidate{begun: w.m.now()}, &failure{text: fmt.Sprint(i, strings.Repeat("x", maxReason), "the end")})
		}
		w.m.reloaded(&candidate{begun: w.m.now()}, nil)
		kept := w.m.status(nil).LastReloads
		if len(kept) != maxReloads || !kept[0].OK || kept[1].OK {
			t.Fatalf("%d reloads are kept", len(kept))
		}
		if r := kept[1].Reason; len(r) != maxReason || !strings.HasSuffix(r, "the end") {
			t.Errorf("a reason of %d bytes", len(r))
		}
	})
}

// An upgrade by commands: each is answered when it is done.
func TestUpgradeCommands(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.refuse["start successor"] = syscall.ENOENT
		w.expectReply(w.command("upgrade and wait"), "Upgrade failed, nothing was changed: ")
		w.refuse["start successor"] = nil
		r := w.command("upgrade and wait")
		w.successor().conn.tell(linkMessage{Type: wire.TypeFailed, Error: "no app"})
		w.wait()
		w.successor().die(exited(3))
		w.pass(time.Second)
		w.expectReply(r, "no app")

		// Its end may be known before what it has said last.
		r = w.command("upgrade and wait")
		w.exit(w.successor().proc, exited(3))
		w.pass(time.Second)
		w.successor().conn.tell(linkMessage{Type: wire.TypeFailed, Error: "no module"})
		w.successor().conn.Close()
		w.wait()
		w.expectReply(r, "no module")
		r = w.command("upgrade and wait")
		w.successor().die(exited(3))
		w.wait()
		w.expectReply(r, "the log says why")

		r = w.command("upgrade and wait")
		w.successor().conn.tell(linkMessage{Type: wire.TypeReady})
		w.wait()
		w.expectReply(r, `"successor":`)
		w.expectReply(w.command("upgrade and wait"), "An upgrade is under way")
		r = w.command("drain and wait")
		w.pass(time.Second)
		w.expectReply(r, `"workers":0`)
		w.expectState(paused)
		r = w.command("rollback and wait")
		w.pass(time.Second)
		if r.done || len(w.successor().proc.got) == 0 {
			t.Error("the successor was not ended")
		}
		w.successor().die(exited(0))
		w.pass(time.Second)
		w.expectReply(r, `"workers":2`)
		w.expectState(running)
	})
}

// The end of the server by a command, of which the answer goes out first.
func TestShutdownCommand(t *testing.T) {
	for words, quick := range map[string]bool{"shutdown": false, "shutdown quick": true} {
		inWorld(t, nil, func(w *world) {
			w.busy = true
			w.expectReply(w.command("reopen"), "reopening")
			w.expectReply(w.command(words), "shutting_down")
			w.expectState(running)
			w.pass(shutdownAfter + time.Second)
			if ended := w.code == 0; ended != quick {
				t.Errorf("%s: it has ended: %v", words, ended)
			}
		})
	}
}

// Who may give commands: root and whoever started the server, and no process that runs
// the app's code.
func TestMayCommand(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		below := false
		w.sys.descends = func(int, ...int) (bool, bool) { return below, true }
		if err := w.m.mayCommand(control.Peer{UID: 0, Pid: 7}); err != nil {
			t.Error(err)
		}
		if err := w.m.mayCommand(control.Peer{UID: os.Getuid() + 1, Pid: 7}); err == nil {
			t.Error("another user may")
		}
		below = true
		if err := w.m.mayCommand(control.Peer{UID: 0, Pid: 7}); err == nil {
			t.Error("a worker may")
		}
	})
}

// Where the control socket is.
func TestControlPath(t *testing.T) {
	for _, c := range []struct {
		args      []string
		directory string
		want      string
	}{
		{nil, "", ""},
		{[]string{"--control-socket", "/run/x.ctl"}, "/run/y", "/run/x.ctl"},
		{nil, "/run/a:/run/b", "/run/a/indrik.ctl"},
		{[]string{"--name", "a/b"}, "/run/a", "/run/a/a-b.ctl"},
		{[]string{"--no-control-socket"}, "/run/a", ""},
	} {
		atStart(t, append(c.args, "app:app"), func(w *world) {
			w.env[runtimeDirectory] = c.directory
			w.sys.listen = func(a listen.Address, o listen.Options) (*listen.Listener, error) {
				if strings.HasSuffix(a.Path, ".ctl") {
					return nil, errors.New("not here")
				}
				return listen.Open(a, o)
			}
			w.start()
			w.pass(time.Second)
			w.expectState(running)
			if got := w.m.controlPath(w.m.cfg); got != c.want {
				t.Errorf("%v, %s: %s, want %s", c.args, c.directory, got, c.want)
			}
			if told := w.said("There is no control socket: not here"); told != (c.want != "") {
				t.Errorf("%v: the log says it: %v", c.args, told)
			}
		})
	}
}
