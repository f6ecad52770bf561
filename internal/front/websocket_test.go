package front

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"indrik/internal/errlog"
	"indrik/internal/http1"
	"indrik/internal/websocket"
	"indrik/internal/wire"
)

// A socketFixture is a socket whose client and worker are a list of what they got.
type socketFixture struct {
	sk *webSocket

	mu   sync.Mutex
	said []string
	full bool // the client takes nothing
	low  func()
}

func (f *socketFixture) say(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said = append(f.said, fmt.Sprintf(format, args...))
}

// got returns what was said since the last call.
func (f *socketFixture) got() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := strings.Join(f.said, "; ")
	f.said = nil
	return s
}

func (f *socketFixture) accept(fields []http1.Field) error { f.say("accepted"); return nil }
func (f *socketFixture) frames(b []byte)                   { f.say("%q", b) }
func (f *socketFixture) finish(keep bool)                  { f.say("finished") }
func (f *socketFixture) kill()                             { f.say("killed") }
func (f *socketFixture) wake()                             {}

func (f *socketFixture) pending() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.full
}

func (f *socketFixture) whenLow(g func()) {
	f.mu.Lock()
	full := f.full
	if full {
		f.low = g // as the outbox: the last one counts
	}
	f.mu.Unlock()
	if !full {
		g()
	}
}

func (f *socketFixture) message(text bool, data []byte, more bool) {
	f.say("pass %v %.20q of %d %v", text, data, len(data), more)
}
func (f *socketFixture) credit(n int64)                 { f.say("grant %d", n) }
func (f *socketFixture) closed(code int, reason []byte) { f.say("gone %d %s", code, reason) }

func newSocketFixture(t testing.TB) *socketFixture {
	t.Helper()
	cfg, err := newConfig(&wire.FrontConfig{
		ProxyProtocol: "off", AccessLogFormat: "%(s)s",
		WebSocketMaxMessageSize: 1 << 20, WebSocketPingInterval: 20, WebSocketPingTimeout: 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(errlog.New(io.Discard), 0, func(wire.FromFront) {})
	f := &socketFixture{}
	ex := &exchange{s: s, requestState: requestState{cfg: cfg}, info: &connInfo{remote: "192.0.2.1"}, req: &http1.Request{}}
	f.sk = newWebSocket(ex, &websocket.Handshake{Key: []byte("k")}, f, f)
	return f
}

// opened is a fixture whose handshake was accepted.
func opened(t *testing.T, room int64) *socketFixture {
	t.Helper()
	f := newSocketFixture(t)
	f.sk.open(&wire.Reply{})
	if got := f.got(); got != "accepted" {
		t.Fatal(got)
	}
	f.sk.mu.Lock()
	f.sk.window += room
	f.sk.mu.Unlock()
	return f
}

// clientFrame is a short frame whose mask is 0.
func clientFrame(first byte, payload string) []byte {
	return append([]byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
}

func (f *socketFixture) take(t *testing.T, frames ...[]byte) bool {
	t.Helper()
	var b []byte
	for _, fr := range frames {
		b = append(b, fr...)
	}
	n, more := f.sk.receive(b)
	if more && n != len(b) {
		t.Errorf("%d bytes of %d were taken", n, len(b))
	}
	return more
}

func TestSocketMessages(t *testing.T) {
	f := opened(t, wire.BodyWindow)
	if !f.take(t, clientFrame(0x81, "hi"), clientFrame(0x02, "a"), clientFrame(0x00, ""), clientFrame(0x80, ""), clientFrame(0x89, "p"), clientFrame(0x8a, "")) {
		t.Error("the end")
	}
	if got := f.got(); got != `pass true "hi" of 2 false; pass false "a" of 1 true; pass false "" of 0 false; "\x8a\x01p"` {
		t.Error(got)
	}
	f.sk.sendMessage(&wire.Reply{Text: true, Body: []byte("yo")})
	f.sk.sendMessage(&wire.Reply{Body: []byte("a"), More: true})
	f.sk.sendMessage(&wire.Reply{Body: []byte("b")})
	if got := f.got(); got != `"\x81\x02yo"; "\x02\x01a"; "\x80\x01b"` {
		t.Error(got)
	}
}

func TestSocketClosedByClient(t *testing.T) {
	f := opened(t, wire.BodyWindow)
	if f.take(t, clientFrame(0x88, "\x0f\xa1bye"), clientFrame(0x81, "x")) {
		t.Error("not the end")
	}
	if got := f.got(); got != `"\x88\x05\x0f\xa1bye"; gone 4001 bye; finished` {
		t.Error(got)
	}
	f.sk.sendMessage(&wire.Reply{Body: []byte("late")})
	f.sk.closeByApp(1000, nil)
	f.sk.connectionLost()
	f.sk.checkTimeouts(now() + int64(time.Hour))
	if got := f.got(); got != "" {
		t.Error(got)
	}
	f = opened(t, wire.BodyWindow)
	f.take(t, clientFrame(0x88, ""))
	if got := f.got(); got != `"\x88\x00"; gone 1005 ; finished` {
		t.Error(got)
	}
}

func TestSocketClosedByApp(t *testing.T) {
	f := opened(t, wire.BodyWindow)
	f.sk.closeByApp(4000, []byte("so"))
	if got := f.got(); got != `"\x88\x04\x0f\xa0so"` {
		t.Error(got)
	}
	if !f.take(t, clientFrame(0x81, "nobody reads this"), clientFrame(0x89, "")) {
		t.Error("the client's answer is not awaited")
	}
	f.sk.checkTimeouts(now() + int64(closeWait)/2)
	if got := f.got(); got != "" {
		t.Error(got)
	}
	if f.take(t, clientFrame(0x88, "\x0f\xa0")) {
		t.Error("not the end")
	}
	if got := f.got(); got != "finished" {
		t.Error(got)
	}

	f = opened(t, wire.BodyWindow)
	f.sk.closeByApp(1000, nil)
	f.got()
	f.sk.checkTimeouts(now() + int64(closeWait) + int64(time.Second))
	if got := f.got(); got != "finished" {
		t.Error(got)
	}
}

func TestSocketRefused(t *testing.T) {
	f := newSocketFixture(t)
	if n, more := f.sk.receive(clientFrame(0x81, "early")); n != 0 || !more {
		t.Error("something is read before the answer")
	}
	if f.sk.closeByApp(1000, nil) {
		t.Error("there was nothing to close")
	}
	if _, more := f.sk.receive(nil); more {
		t.Error("the reader goes on")
	}
	f.sk.open(&wire.Reply{})
	if got := f.got(); got != "" {
		t.Error(got)
	}
	if f = newSocketFixture(t); f.sk.fail() || !newSocketFixture(t).sk.refuseHandshake() {
		t.Error("not refused")
	}
}

func TestSocketViolations(t *testing.T) {
	for name, c := range map[string]struct {
		frame []byte
		want  string
	}{
		"opcode": {clientFrame(0x83, ""), `"\x88\n\x03\xeaopcode 3"; gone 1002 opcode 3; finished`},
		"UTF-8":  {clientFrame(0x81, "\xff"), `"\x88 \x03\xefa text that is not valid UTF-8"; gone 1007 a text that is not valid UTF-8; finished`},
		"size":   {[]byte{0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 1, 0, 0, 0, 0}, `"\x88\x1d\x03\xf1a message that is too large"; gone 1009 a message that is too large; finished`},
	} {
		f := opened(t, wire.BodyWindow)
		if f.take(t, c.frame) {
			t.Errorf("%s: not the end", name)
		}
		if got := f.got(); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestSocketLost: a connection that breaks is 1006; before the answer, and after
// the app has closed it, the worker hears nothing of that here.
func TestSocketLost(t *testing.T) {
	f := opened(t, wire.BodyWindow)
	f.sk.connectionLost()
	if got := f.got(); got != "gone 1006 ; killed" {
		t.Error(got)
	}
	f = opened(t, wire.BodyWindow)
	f.sk.closeByApp(1000, nil)
	f.got()
	f.sk.connectionLost()
	if got := f.got(); got != "finished" {
		t.Error(got)
	}
}

func TestSocketFails(t *testing.T) {
	f := opened(t, wire.BodyWindow)
	if !f.sk.fail() {
		t.Error("nothing failed")
	}
	if got := f.got(); got != `"\x88\x02\x03\xf3"` {
		t.Error(got)
	}
}

func TestSocketPings(t *testing.T) {
	f := opened(t, wire.BodyWindow)
	at := now()
	tick := func(d time.Duration) string {
		at += int64(d)
		f.sk.checkTimeouts(at)
		return f.got()
	}
	if got := tick(19 * time.Second); got != "" {
		t.Error(got)
	}
	if got := tick(2 * time.Second); got != `"\x89\x00"` {
		t.Error(got)
	}
	if got := tick(9 * time.Second); got != "" {
		t.Error(got)
	}
	f.take(t, clientFrame(0x8a, ""))
	if got := tick(10 * time.Second); got != "" {
		t.Error(got)
	}
	if got := tick(2 * time.Second); got != `"\x89\x00"` {
		t.Error(got)
	}
	f.sk.mu.Lock()
	f.sk.heard = at + int64(5*time.Second) // it says something, if not that
	f.sk.mu.Unlock()
	if got := tick(11 * time.Second); got != "" {
		t.Error(got)
	}
	if got := tick(5 * time.Second); got != `"\x88\x15\x03\xf3no answer to a ping"; gone 1011 no answer to a ping; finished` {
		t.Error(got)
	}
}

// TestSocketNotBlamed: a client whose messages nobody wants to read is not taken for
// dead.
func TestSocketNotBlamed(t *testing.T) {
	f := opened(t, 1)
	at := now()
	f.sk.checkTimeouts(at + int64(21*time.Second))
	if got := f.got(); got != `"\x89\x00"` {
		t.Fatal(got)
	}
	done := make(chan bool)
	go func() { done <- f.take(t, clientFrame(0x81, "a"), clientFrame(0x8a, "")) }()
	eventually(t, "it did not happen", func() bool { f.sk.mu.Lock(); defer f.sk.mu.Unlock(); return f.sk.awaitingCredit })
	f.sk.checkTimeouts(at + int64(time.Hour))
	if got := f.got(); got != `pass true "a" of 1 false` {
		t.Error(got)
	}
	f.sk.addCredit(wire.BodyWindow)
	if !<-done {
		t.Error("the end")
	}
	f.sk.checkTimeouts(at + int64(42*time.Second))
	if got := f.got(); got != `"\x89\x00"` {
		t.Error(got)
	}
}

func TestSocketRoom(t *testing.T) {
	f := opened(t, 0)
	done := make(chan bool)
	go func() { done <- f.take(t, clientFrame(0x81, "a"), clientFrame(0x81, "b"), clientFrame(0x81, "c")) }()
	for _, want := range []string{`pass true "a" of 1 false`, `pass true "b" of 1 false`, `pass true "c" of 1 false`} {
		eventually(t, "it did not happen", func() bool { f.sk.mu.Lock(); defer f.sk.mu.Unlock(); return f.sk.awaitingCredit && f.sk.window <= 0 })
		f.sk.addCredit(1 - f.sk.window)
		eventually(t, "it did not happen", func() bool {
			f.mu.Lock()
			defer f.mu.Unlock()
			return len(f.said) > 0
		})
		if got := f.got(); got != want {
			t.Error(got)
		}
	}
	f.sk.addCredit(1000)
	if !<-done {
		t.Error("the end")
	}
}

// TestSocketGrants: the worker is given room back when the client has taken what it
// sent.
func TestSocketGrants(t *testing.T) {
	f := opened(t, 1)
	body := make([]byte, 40<<10)
	f.sk.sendMessage(&wire.Reply{Body: body})
	f.sk.sendMessage(&wire.Reply{Body: body})
	if got := f.got(); !strings.HasSuffix(got, fmt.Sprintf("; grant %d", 2*(len(body)+wire.PartCost))) {
		t.Errorf("%.100s", got)
	}
	f.full = true
	for range 4 {
		f.sk.sendMessage(&wire.Reply{Body: body})
	}
	if got := f.got(); strings.Contains(got, "grant") {
		t.Error("room for a client that takes nothing")
	}
	f.low()
	if got := f.got(); got != fmt.Sprintf("grant %d", 4*(len(body)+wire.PartCost)) {
		t.Errorf("%.100s", got)
	}
}

// TestSocketPongs: the answers to pings do not pile up.
func TestSocketPongs(t *testing.T) {
	f := opened(t, wire.BodyWindow)
	f.full = true
	for range 1000 {
		f.take(t, clientFrame(0x89, "old"))
	}
	f.take(t, clientFrame(0x89, "last"))
	if got := f.got(); got != "" || f.low == nil {
		t.Errorf("%.100s", got)
	}
	f.full = false
	f.low()
	eventually(t, "it did not happen", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.said) > 0 })
	if got := f.got(); got != `"\x8a\x04last"` {
		t.Error(got)
	}
}

func TestSocketLeaves(t *testing.T) {
	f := opened(t, wire.BodyWindow)
	at := now()
	f.sk.leaveAt(at + int64(5*time.Second))
	f.sk.leaveAt(at + int64(9*time.Second)) // the first counts
	f.sk.checkTimeouts(at + int64(4*time.Second))
	if got := f.got(); got != "" {
		t.Error(got)
	}
	f.sk.checkTimeouts(at + int64(5*time.Second))
	if got := f.got(); got != `"\x88\x11\x03\xf4service restart"` {
		t.Error(got)
	}
	// What the client has sent before it knew is not lost.
	f.take(t, clientFrame(0x81, "on its way"))
	if got := f.got(); got != `pass true "on its way" of 10 false` {
		t.Error(got)
	}
	f.sk.sendMessage(&wire.Reply{Body: []byte("late")})
	if f.take(t, clientFrame(0x88, "\x03\xf4")) {
		t.Error("not the end")
	}
	if got := f.got(); got != `gone 1012 service restart; finished` {
		t.Error(got)
	}
}

// TestSocketLeavesInTime: they end one after the other, and not once a second.
func TestSocketLeavesInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, stays, gone := opened(t, wire.BodyWindow), opened(t, wire.BodyWindow), opened(t, wire.BodyWindow)
		leaveInTurn([]*webSocket{f.sk, stays.sk, gone.sk}, time.Second, 600*time.Millisecond)
		stays.sk.leaveAt(0)
		gone.sk.connectionLost()
		gone.got()
		time.Sleep(599 * time.Millisecond)
		synctest.Wait()
		if got := f.got(); got != "" {
			t.Error(got)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if got := f.got(); got != `"\x88\x11\x03\xf4service restart"` {
			t.Error(got)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := stays.got() + gone.got(); got != "" {
			t.Error(got)
		}
	})
}

// TestSocketLeavesLater: a restart cuts no message, and waits no longer for a client
// than others do.
func TestSocketLeavesLater(t *testing.T) {
	f := opened(t, wire.BodyWindow)
	at := now()
	f.sk.sendMessage(&wire.Reply{Body: []byte("a"), More: true})
	f.sk.leaveAt(at)
	f.sk.checkTimeouts(at + int64(time.Second))
	f.sk.sendMessage(&wire.Reply{Body: []byte("b")})
	f.sk.checkTimeouts(at + int64(2*time.Second))
	if got := f.got(); got != `"\x02\x01a"; "\x80\x01b"; "\x88\x11\x03\xf4service restart"` {
		t.Error(got)
	}
	f.sk.checkTimeouts(now() + int64(closeWait) + int64(time.Second))
	if got := f.got(); got != `gone 1012 service restart; finished` {
		t.Error(got)
	}
}
