package top

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
)

// Each action asks first, says what it will do, is done on y alone, and tells its result.
func TestActions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ keys, question, words string }{
		{"r", "Reload pid 558?", "reload"},
		{"o", "Open the log files anew of pid 558?", "reopen"},
		{"u", "Start the new server beside pid 558?", "upgrade"},
		{"d", "of pid 558?", "drain"},
		{"b", "Roll back", "rollback"},
		{"down k", "End worker 4 (pid 633) after its requests?", "worker kill 633"},
		{"+", "Have 4 workers instead of 3?", "scale 4"},
		{"+ + = -", "Have 5 workers instead of 3?", "scale 5"},
		{"- - - - -", "Have 1 workers instead of 3?", "scale 1"},
	} {
		for _, answer := range []string{"y", "n", "esc", "q", "x", "enter"} {
			s := watching(t, 100, 24)
			s.server.text = "that is done"
			s.press(strings.Fields(c.keys)...)
			if c.keys != "b" {
				s.expect(c.question)
			}
			s.press(answer)
			switch {
			case s.quit:
				t.Errorf("%s %s quits", c.keys, answer)
			case answer == "y":
				s.expect("that is done")
				if fmt.Sprint(s.server.done) != "["+c.words+"]" {
					t.Errorf("%s: %q", c.keys, s.server.done)
				}
			case len(s.server.done) != 0:
				t.Errorf("%s %s: %q", c.keys, answer, s.server.done)
			}
		}
	}
}

// The traceback of a reload that fails is shown, and can be scrolled.
func TestFailedReload(t *testing.T) {
	t.Parallel()
	s := watching(t, 60, 12)
	var text strings.Builder
	for i := range 50 {
		fmt.Fprintf(&text, "  File \"app.py\", line %d\n", i)
	}
	s.server.fails = errors.New("Reload failed, nothing was changed\n" + text.String() + "ValueError: \x1b[31mx")
	s.press("r", "y")
	s.expect("RESULT OF THE LAST ACTION  1-", "of 52", "reload: Reload failed, nothing was changed", "line 3")
	s.press("end")
	s.expect("ValueError: \ufffd[31mx", "line 49")
	s.send(tea.WindowSizeMsg{Width: 60, Height: 11}) // what is the end stays it
	s.expect("ValueError: \ufffd[31mx")
	s.send(tea.WindowSizeMsg{Width: 60, Height: 12})
	s.press("end", "up")
	s.expect("line 49")
	s.press("home", "pgdown")
	s.expect("line 8")
	s.press("esc")
	s.expect(">  631", "reload: Reload failed, nothing was changed")
	s.press("6")
	s.expect("RESULT OF THE LAST ACTION")
}

// While an action is under way there is no second one; it can be left to the server.
func TestActionUnderWay(t *testing.T) {
	t.Parallel()
	s := watching(t, 80, 24)
	s.press("r")
	_, cmd := s.m.Update(tea.KeyPressMsg(tea.Key{Code: 'y', Text: "y"}))
	s.send(tickMsg(s.m.clock.Add(3 * time.Second)))
	s.expect("reload … 3 s")
	s.press("o")
	if s.m.question != nil {
		t.Error("a second action is asked for")
	}
	s.press("esc")
	s.expect("reload: not waited for; the server goes on with it")
	s.m.Update(cmd())
	s.expect("reload: not waited for")
	s.press("o")
	s.expect("Open the log files anew")
}

// A server that ends is told of, with how old the figures are, and so is the one after it.
func TestServerEnds(t *testing.T) {
	t.Parallel()
	s := watching(t, 80, 24)
	s.m.Update(statusMsg{nil, errors.New("nobody answers at srv.ctl: the server that made it has ended\x1b"), start.Add(15 * time.Second), false})
	s.send(tickMsg(start.Add(17 * time.Second)))
	s.expect("as of 5 s ago", "nobody answers at srv.ctl: the server that made it has ended", ">  631")
	s.press("r")
	s.expect("no server answers")
	s.m.notice = ""
	next := at(3)
	next.PID, next.Started = 700, start.Add(20*time.Second)
	s.shows(next)
	s.expect("another server answers: pid 700, before it 558", "pid 700", "- req/s")
	if strings.Contains(s.screen(), "as of") {
		t.Errorf("still old:\n%s", s.screen())
	}
	s.m.Update(statusMsg{nil, context.DeadlineExceeded, start, false})
	s.m.notice = ""
	s.expect("the server has not answered for 10s")
}

// A server that does not answer is told of while it is waited for.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	s := watching(t, 80, 24)
	for i := range 5 {
		s.m.Update(tickMsg(start.Add(time.Duration(20+i) * time.Second)))
	}
	s.expect("no answer for 4 s")
}

// In an upgrade the other server can be looked at, until it is the only one.
func TestSuccessor(t *testing.T) {
	t.Parallel()
	s := watching(t, 80, 24)
	old := at(14)
	old.Successor = 700
	s.shows(old)
	s.expect("new server: pid 700 (v)")
	s.press("v")
	s.m.asking = false
	next := at(3)
	next.PID, next.Role = 700, "successor"
	s.shows(next)
	s.expect("pid 700", "the new server of an upgrade")
	s.m.Update(statusMsg{nil, errors.New("there is no control socket at srv.ctl.2"), start, true})
	if s.m.successor || s.m.trouble != "" || !s.m.asking {
		t.Errorf("the server is not asked for: %+v", s.m)
	}
	s.m.Update(statusMsg{next, nil, start, true}) // an answer that was under way
	if s.m.successor {
		t.Error("the successor is shown")
	}
}
