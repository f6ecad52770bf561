package master

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/internal/wire"
)

// withToken are the options of a server that takes commands at its admin address.
func withToken(t *testing.T) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte("the-secret-of-the-operator"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--admin-bind", "unix:" + filepath.Join(t.TempDir(), "admin"), "--admin-token-file", path}
}

// told are the messages of a type that it has got.
func (s *fakeSuccessor) told(typ string) (msgs []linkMessage) {
	for _, msg := range s.got {
		if msg.Type == typ {
			msgs = append(msgs, msg)
		}
	}
	return msgs
}

// servesAdmin reports whether the front was told last to answer at the admin address.
func (w *world) servesAdmin() bool {
	w.t.Helper()
	told := w.front().told(wire.TypeAdmin)
	return len(told) > 0 && told[len(told)-1].Admin != nil
}

func (w *world) expectAdmin(what string, want bool) {
	w.t.Helper()
	w.wait()
	if got := w.servesAdmin(); got != want {
		w.t.Errorf("%s: the front answers: %v", what, got)
	}
}

// Each front is told of the admin address, before its workers are ready, and once; a reload
// tells who may ask from then on.
func TestAdminAddressOfTheFront(t *testing.T) {
	inWorld(t, withToken(t), func(w *world) {
		w.expectAdmin("at first", true)
		if told := w.front().told(wire.TypeAdmin); !told[0].Admin.Commands || told[0].Admin.Network != "unix" || len(told) > 2 {
			t.Errorf("the front was told %+v", told)
		}
		w.front().die(signaled(syscall.SIGKILL))
		w.pass(5 * time.Second)
		w.expectAdmin("the next front", true)
		n := len(w.front().told(wire.TypeAdmin))
		w.pass(time.Minute)
		w.set("admin_allow", "10.0.0.0/8")
		w.signal(syscall.SIGHUP)
		w.pass(5 * time.Second)
		told := w.front().told(wire.TypeAdmin)
		if len(told) != n+1 || strings.Join(told[n].Admin.Allow, ",") != "10.0.0.0/8" {
			t.Errorf("after a reload: %+v", told[n:])
		}
		w.set("admin_bind", "")
		w.signal(syscall.SIGHUP)
		w.pass(5 * time.Second)
		w.expectAdmin("without the setting", false)
	})
}

// While both servers of an upgrade are there the older one answers, until it pauses; after a
// rollback it answers again when its workers are back. A successor with an address of its own
// changes nothing.
func TestAdminAddressOfTwoServers(t *testing.T) {
	for _, shared := range []bool{true, false} {
		inWorld(t, withToken(t), func(w *world) {
			w.signal(syscall.SIGUSR2)
			w.wait()
			s := w.successor()
			s.conn.tell(linkMessage{Type: wire.TypeAdmin, Admin: shared})
			w.expectAdmin("the successor starts", true)
			s.conn.tell(linkMessage{Type: wire.TypeReady})
			w.expectAdmin("the successor is ready", true)
			w.signal(syscall.SIGWINCH)
			w.expectAdmin("paused", !shared)
			if got := s.told(wire.TypeAdmin); shared != (len(got) == 1 && got[0].Admin) {
				t.Errorf("the successor was told %+v", got)
			}
			w.boot = time.Second
			w.signal(syscall.SIGHUP)
			w.expectAdmin("the workers come back", !shared)
			w.pass(3 * time.Second)
			w.expectAdmin("the workers are back", true)
			if got := s.told(wire.TypeAdmin); shared != (len(got) == 2 && !got[1].Admin) {
				t.Errorf("the successor was told %+v", got)
			}
		})
	}
}

// A command of the front counts as much as its token.
func TestCommandsOfTheFront(t *testing.T) {
	inWorld(t, withToken(t), func(w *world) {
		command := func(token string, words ...string) wire.Answer {
			a, _ := w.front().asks(wire.FromFront{Type: wire.TypeCommand, Words: words, Token: token, Client: "10.0.0.7\nINFO forged"})
			return a
		}
		const right = "the-secret-of-the-operator"
		if a := command(right, "show", "workers"); !strings.Contains(string(a.Document), `"count":2`) {
			t.Errorf("with the token: %+v", a)
		}
		if a := command(right, "dance"); a.Code != 409 || a.Error != "Invalid argument: Unknown command: dance" {
			t.Errorf("no command: %+v", a)
		}
		if a := command(right); a.Code != 503 {
			t.Errorf("no words: %+v", a)
		}
		for range 3 {
			w.front().got = nil
			w.front().conn.tell(wire.FromFront{Type: wire.TypeCommand, Ask: 9, Words: []string{"shutdown"}, Token: right[1:]})
		}
		w.wait()
		if got := w.front().told(wire.TypeAnswer); len(got) != 0 {
			t.Errorf("wrong tokens are answered at once: %+v", got)
		}
		w.pass(wrongDelay)
		if got := w.front().told(wire.TypeAnswer); len(got) != 3 || got[0].Answer.Code != 401 {
			t.Errorf("wrong tokens are answered with %+v", got)
		}
		w.pass(wrongSummary)
		w.expectState(running)
		w.expectLog("a command with a wrong token was refused (a unix socket)")
		w.expectLog("2 more commands with wrong tokens were refused within 10s")
		for range wrongMost {
			w.front().conn.tell(wire.FromFront{Type: wire.TypeCommand, Ask: 9, Words: []string{"shutdown"}, Token: "x"})
		}
		if a := command("y", "shutdown"); a.Code != 429 {
			t.Errorf("one too many: %+v", a)
		}
		w.pass(wrongDelay)
		if strings.Contains(w.log(), "forged") || strings.Contains(w.log(), right) {
			t.Errorf("the log: %s", w.log())
		}
		// A front can wait for so many, and each has an end.
		w.stuckCommands(right)
	})
}

// stuckCommands has the front give more commands that do not end than it may.
func (w *world) stuckCommands(token string) {
	w.t.Helper()
	w.stuck = true
	for n := 3; n < 3+maxCommands; n++ {
		w.front().conn.tell(wire.FromFront{Type: wire.TypeCommand, Ask: n, Words: []string{"scale", "and", "wait", "3"}, Token: token})
	}
	w.wait()
	full := wire.FromFront{Type: wire.TypeCommand, Words: []string{"reopen"}, Token: token}
	if a, _ := w.front().asks(full); a.Code != 503 {
		w.t.Errorf("one too many: %+v", a)
	}
	w.pass(commandPatience)
	if a, _ := w.front().asks(full); a.Error != "" {
		w.t.Errorf("when they are given up: %+v", a)
	}
}
