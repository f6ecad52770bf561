package top

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"indrik/internal/status"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

var update = flag.Bool("update", false, "write the screens to testdata instead of comparing them")

// A fakeServer records what it is told to do.
type fakeServer struct {
	status *status.Status
	err    error
	done   []string
	text   string
	fails  error
}

func (f *fakeServer) Status(_ context.Context, successor bool) (*status.Status, error) {
	return f.status, f.err
}

func (f *fakeServer) Do(ctx context.Context, successor bool, words ...string) (string, error) {
	f.done = append(f.done, strings.Join(words, " "))
	return f.text, f.fails
}

var start = time.Date(2026, 11, 30, 1, 0, 0, 0, time.UTC)

// at is the status of a busy server some seconds after its start.
func at(seconds float64) *status.Status {
	n := int(seconds)
	return &status.Status{
		Version: "1.2.3", State: "running", Role: "master", PID: 558, Started: start, Uptime: seconds, App: "shop:app", Generation: 2, Target: 3,
		Listeners: []status.Listener{{Address: "127.0.0.1:8000"}, {Address: "unix:/run/shop/shop.sock"}},
		Workers: []status.Worker{
			{PID: 631, Age: 3, Generation: 2, Kind: "sync", State: "ready", Uptime: seconds - 5, RSS: 16 << 20, PSS: 6 << 20, CPU: seconds / 2, Load: status.Load{
				Requests: 100 * n, Errors: n, InFlight: 1, Running: []status.Running{{Method: "GET", Path: "/report", Client: "10.0.0.7", Seconds: 4.1}},
			}},
			{PID: 633, Age: 4, Generation: 2, Kind: "sync", State: "ready", Uptime: seconds - 5, RSS: 18 << 20, PSS: 7 << 20, CPU: seconds / 10, Load: status.Load{
				Requests: 12 * n, InFlight: 1, Running: []status.Running{{Method: "PUT", Path: "/basket/items", Client: "10.0.0.9", Seconds: 0.012}},
			}},
			{PID: 640, Age: 5, Generation: 2, Kind: "sync", State: "booting", RSS: 9 << 20},
		},
		Front: &status.Front{
			PID: 560, Queue: status.Queue{Length: 3, Oldest: 0.25, WaitP50: 0.00017, WaitP99: 0.002, Refused: 7 + 2*n},
			Connections: status.Connections{Total: 42, Idle: 39, Running: 2, WebSocket: 1}, Unlisted: 2,
		},
		LastReload:  &status.Reload{At: start.Add(time.Minute), Seconds: 0.4, Reason: "Traceback (most recent call last):\n  File \"app.py\", line 1, in <module>\nValueError: x"},
		LastReloads: []status.Reload{{At: start.Add(time.Minute), Seconds: 0.4, Reason: "ValueError: x"}, {At: start.Add(time.Second), OK: true, Seconds: 0.3}},
		Slow: []status.SlowRequest{{
			At: start.Add(5 * time.Second), Method: "GET", Path: "/report", PID: 631, Waited: 0.01, Ran: 2.5,
			Stack: []string{`File "/srv/shop/db.py", line 12 in query`, `File "/srv/shop/views.py", line 7 in report`},
		}},
		Deaths: []status.Death{
			{At: start, PID: 600, Age: 1, Reason: "was sent SIGKILL", Running: []status.Running{{Method: "GET", Path: "/a", Seconds: 1}}},
			{At: start, PID: 601, Age: 2, Reason: "exited with code 1"},
		},
	}
}

// caring is the same with all that the server does by itself, and a pool.
func caring(seconds float64) *status.Status {
	s := at(seconds)
	s.Scale = &status.Scale{Least: 2, Most: 16, Busy: 0.84, Wait: 0.12, Offered: 2.6, Grown: 3, Shrunk: 1, Last: &status.ScaleChange{At: start, From: 2, To: 3, Why: "90 % busy"}, Held: "no\x1b room"}
	s.Canary = &status.Canary{
		Generation: 3, Share: 0.05, Window: 60, Elapsed: 14,
		New: status.CanarySide{Requests: 143, Failed: 3, Median: 0.012, P95: 0.038, P99: 0.12}, Old: status.CanarySide{Requests: 2717, Median: 0.012, P95: 0.038, P99: 0.11},
	}
	s.Template = &status.Template{PID: 622, Uptime: 60, Forked: 4, RSS: 30 << 20, PSS: 20 << 20}
	s.Reforks, s.FailedReforks, s.Recycled, s.Canaries = 2, 1, map[string]int{"max_requests": 7, "max_worker_age": 0}, status.Canaries{Passed: 4, Failed: 1}
	s.Workers[1].Replacement = &status.Replacement{Reason: "max_requests", Text: "it has asked for it (max_requests, or a hook)", Waits: 2}
	s.Front.Quarantine = []status.Quarantine{{Scope: "request", Client: "10.0.0.66", Path: "/rep\x1bort", Deaths: 3, Seconds: 41, Refused: 12}}
	s.Front.Quarantines = 1
	s.Front.Pools = []status.Pool{{
		Name: "gp\x1bu", Waiting: 3, Limit: 50, Oldest: 0.4, Calls: map[string]int{"done": 70},
		Workers: []status.PoolWorker{{PID: 700, Age: 1, State: "ready", Apps: []string{"ml:Model"}, Slots: 2, Busy: 1, Calls: 70, Running: []status.PoolCall{{App: "ml:Model", Action: "predict", Seconds: 0.2}}}},
	}}
	return s
}

// What the server does by itself is on the screen, and so are pools.
func TestScreensOfSelfCare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		columns, rows int
		keys          string
	}{
		{"caring", 120, 24, ""}, {"caring-narrow", 40, 24, ""}, {"caring-small", 40, 10, ""}, {"selfcare", 100, 24, "7"}, {"pools", 80, 24, "8"}, {"scale-range", 80, 12, "+ + -"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := watching(t, c.columns, c.rows)
			s.shows(caring(14))
			s.press(strings.Fields(c.keys)...)
			golden(t, c.name, s.screen())
		})
	}
}

// Where the load decides how many workers there are, more of them is another range.
func TestScaleOfARange(t *testing.T) {
	t.Parallel()
	s := watching(t, 80, 24)
	s.shows(caring(14))
	s.press("+", "+", "y", "-", "-", "-", "-", "-", "y")
	if want := []string{"scale 4..18", "scale 1..14"}; !slices.Equal(s.server.done, want) {
		t.Errorf("%q, want %q", s.server.done, want)
	}
}

// A session is a view with a server and a person.
type session struct {
	t      *testing.T
	m      *Model
	server *fakeServer
	quit   bool
}

// watching is a session of a terminal of a size, in which two statuses have come.
func watching(t *testing.T, columns, rows int) *session {
	t.Helper()
	s := &session{t: t, server: &fakeServer{}, m: NewModel(nil, time.Second)}
	s.m.server = s.server
	s.m.clock = start
	s.send(tea.WindowSizeMsg{Width: columns, Height: rows})
	s.shows(at(10))
	s.shows(at(12))
	return s
}

// send gives a message to the view, and carries out what follows from it at once, except that
// no time passes.
func (s *session) send(msg tea.Msg) {
	s.t.Helper()
	_, cmd := s.m.Update(msg)
	if cmd == nil {
		return
	}
	switch got := cmd().(type) {
	case tea.QuitMsg:
		s.quit = true
	case resultMsg:
		s.m.Update(got)
		s.m.asking = false
	}
	s.fits()
}

// shows has the server answer with a status.
func (s *session) shows(st *status.Status) {
	s.t.Helper()
	s.m.Update(statusMsg{st, nil, start.Add(time.Duration(st.Uptime * float64(time.Second))), s.m.successor})
	s.fits()
}

var keys = map[string]tea.Key{
	"up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown}, "pgdown": {Code: tea.KeyPgDown}, "pgup": {Code: tea.KeyPgUp}, "end": {Code: tea.KeyEnd},
	"home": {Code: tea.KeyHome}, "enter": {Code: tea.KeyEnter}, "esc": {Code: tea.KeyEscape}, "tab": {Code: tea.KeyTab},
	"ctrl+c": {Code: 'c', Mod: tea.ModCtrl}, "shift+tab": {Code: tea.KeyTab, Mod: tea.ModShift},
}

func (s *session) press(names ...string) {
	s.t.Helper()
	for _, name := range names {
		key, ok := keys[name]
		if !ok {
			key = tea.Key{Code: rune(name[0]), Text: name}
		}
		s.send(tea.KeyPressMsg(key))
	}
}

// screen is what is seen, without styles.
func (s *session) screen() string { return ansi.Strip(s.m.View().Content) }

// fits checks that the screen stays within the terminal, and has nothing but text and styles.
func (s *session) fits() {
	s.t.Helper()
	all := strings.Split(s.screen(), "\n")
	if len(all) > max(s.m.height, 1) {
		s.t.Fatalf("%d lines in %d:\n%s", len(all), s.m.height, s.screen())
	}
	for _, line := range all {
		if n := ansi.StringWidth(line); n > s.m.width {
			s.t.Fatalf("%d cells in %d: %q", n, s.m.width, line)
		}
		for _, r := range line {
			if !unicode.IsPrint(r) {
				s.t.Fatalf("%q is on the screen: %q", r, line)
			}
		}
	}
}

func (s *session) expect(texts ...string) {
	s.t.Helper()
	for _, text := range texts {
		if !strings.Contains(s.screen(), text) {
			s.t.Errorf("the screen lacks %q:\n%s", text, s.screen())
		}
	}
}

// What is seen in terminals of all sizes, on all pages.
func TestScreens(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		columns, rows int
		keys          string
	}{
		{"wide", 120, 24, ""}, {"usual", 80, 24, ""}, {"narrow", 40, 24, ""}, {"short", 80, 10, ""}, {"small", 40, 10, ""}, {"tiny", 20, 5, ""},
		{"requests", 80, 16, "2"}, {"deaths", 80, 16, "3"}, {"reload", 80, 16, "4"}, {"slow", 80, 16, "5"}, {"help", 80, 40, "?"}, {"worker", 60, 30, "down enter"},
		{"small-reload", 40, 10, "4 pgdown"}, {"by-cpu", 80, 16, "s s s s s s"}, {"question", 60, 12, "down k"}, {"scale", 60, 12, "+ + -"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := watching(t, c.columns, c.rows)
			s.press(strings.Fields(c.keys)...)
			golden(t, c.name, s.screen())
		})
	}
}

func golden(t *testing.T, name, screen string) {
	t.Helper()
	trimmed := []string{}
	for line := range strings.SplitSeq(screen, "\n") {
		trimmed = append(trimmed, strings.TrimRight(line, " "))
	}
	text := strings.Join(trimmed, "\n") + "\n"
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("the screen is\n%s\nand not (go test ./internal/top -update writes it anew)\n%s", text, want)
	}
}

// No size and no status breaks the layout.
func TestEverySizeFits(t *testing.T) {
	t.Parallel()
	for _, keys := range []string{"", "2", "3", "4", "5", "6", "?", "enter", "k", "+"} {
		s := watching(t, 80, 24)
		s.press(strings.Fields(keys)...)
		for columns := range 130 {
			for _, rows := range []int{0, 1, 2, 3, 4, 5, 6, 9, 10, 13, 14, 20, 30} {
				s.send(tea.WindowSizeMsg{Width: columns, Height: rows})
				s.press("down", "end")
			}
		}
	}
	empty := &session{t: t, server: &fakeServer{}, m: NewModel(&fakeServer{}, time.Second)}
	empty.press("1", "2", "3", "4", "5", "6", "?", "enter", "down", "k", "y", "+", "s", "S", "1", "down")
	empty.send(tea.WindowSizeMsg{Width: 30, Height: 8})
	empty.shows(&status.Status{})
	for _, page := range []string{"1", "2", "3", "4", "5", "6", "?", "enter", "1"} {
		empty.press(page, "down", "k", "y", "s", "S", "end")
	}
}

// Rates are differences: of counts that went on, of those that began anew, of workers that are
// new. Of another server, or of one status alone, there are none.
func TestRates(t *testing.T) {
	t.Parallel()
	r := ratesOf(at(10), at(12))
	if !r.known || r.requests != 112 || r.errors != 1 || r.refused != 2 || r.workers[3] != (workerRate{100, 1, 0.5}) {
		t.Errorf("%+v", r)
	}
	anew := at(12)
	anew.Front.PID, anew.Front.Queue.Refused = 999, 6
	for i := range anew.Workers {
		anew.Workers[i].Requests = 4
	}
	if r := ratesOf(at(10), anew); r.requests != 6 || r.refused != 3 {
		t.Errorf("of a new front: %+v", r)
	}
	other := at(12)
	other.PID = 1
	silent := at(12)
	silent.Front = nil
	for name, r := range map[string]rates{"first": ratesOf(nil, at(1)), "same": ratesOf(at(1), at(1)), "other": ratesOf(at(10), other)} {
		if r.known || r.requests != 0 {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r := ratesOf(at(10), silent); r.refused != 0 || !r.known {
		t.Errorf("without a front: %+v", r)
	}
}

// Each column sorts, both ways, and the selection stays with its worker.
func TestSorting(t *testing.T) {
	t.Parallel()
	s := watching(t, 200, 24)
	s.press("down")
	order := func() string {
		pids := ""
		for _, r := range s.m.rows() {
			pids += fmt.Sprint(r.PID, " ")
		}
		return pids
	}
	for range len(columns) {
		forth := order()
		s.press("S")
		if back := order(); back == forth && columns[s.m.sort].title != "KIND" && columns[s.m.sort].title != "GEN" && columns[s.m.sort].title != "LAG" {
			t.Errorf("by %s: %s and %s", columns[s.m.sort].title, forth, back)
		}
		s.expect(">  633", columns[s.m.sort].title+"▴")
		s.press("s")
	}
	if s.m.sort != 0 || s.m.backwards {
		t.Errorf("after all columns comes %d", s.m.sort)
	}
	for s.press("s"); columns[s.m.sort].title != "REQ/S"; s.press("s") {
	}
	if got := order(); got != "631 633 640 " {
		t.Errorf("by requests a second: %s", got)
	}
}

// What clients, the app and the server have said does nothing to the terminal.
func TestHostileTexts(t *testing.T) {
	t.Parallel()
	const bad = "\x1b[2J\u009b1m\x7f\r\n\t\b\x00\u202e\u2066\u200d\u2028\xff"
	s := watching(t, 100, 30)
	st := at(14)
	st.Version, st.State, st.App, st.Role = bad, bad, bad, bad
	st.Listeners[0].Address, st.LastReload.Reason, st.Deaths[0].Reason = bad, bad, bad
	st.Workers[0].Kind, st.Workers[0].State = bad, bad
	st.Workers[0].Running[0] = status.Running{Method: bad, Path: "/" + bad, Client: bad, Seconds: 9}
	st.LastReloads[1].Reason = bad
	st.Slow[0] = status.SlowRequest{Method: bad, Path: bad, Client: bad, ID: bad, Stack: []string{bad}}
	st.Workers[1].Running[0].RequestID = bad
	st.Deaths[0].Running[0] = status.Running{Method: bad, Path: bad}
	s.shows(st)
	s.server.text = bad
	s.press("r", "y")
	for _, page := range []string{"1", "2", "3", "4", "5", "6", "?", "enter"} {
		s.press(page)
	}
	s.server.fails = errors.New(bad + bad)
	s.press("r", "y")
	s.m.Update(statusMsg{nil, errors.New(bad), start, false})
	s.fits()
	for _, r := range strings.NewReplacer(bold, "", faint, "", reverse, "", red, "", yellow, "", normal, "").Replace(s.m.View().Content) {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("%q goes to the terminal", r)
		}
	}
}

// Every key of the help does something, and the help names every key.
func TestKeysQuit(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"q", "ctrl+c"} {
		s := watching(t, 80, 24)
		s.press(key)
		if !s.quit {
			t.Errorf("%s does not quit", key)
		}
	}
	s := watching(t, 80, 24)
	s.press("r", "ctrl+c")
	if !s.quit || len(s.server.done) != 0 {
		t.Error("Ctrl-C does not quit while a question is open")
	}
}
