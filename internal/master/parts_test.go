package master

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/internal/errlog"
	"indrik/internal/listen"
	"indrik/internal/settings"
	"indrik/internal/wire"
)

// A fakeLoop is the loop of a part of the master that is tested alone: time passes when
// the test says so, and f runs in the goroutine of the test.
type fakeLoop struct {
	time   time.Time
	timers []alarm
}

func (l *fakeLoop) post(f func()) { f() }

func (l *fakeLoop) after(d time.Duration, f func()) *time.Timer {
	a := alarm{l.time.Add(d), f, time.AfterFunc(time.Hour, func() {})}
	l.timers = append(l.timers, a)
	return a.t
}

// pass runs what is due within d, in order.
func (l *fakeLoop) pass(d time.Duration) {
	for end := l.time.Add(d); ; {
		next := -1
		for i, a := range l.timers {
			if !a.at.After(end) && (next < 0 || a.at.Before(l.timers[next].at)) {
				next = i
			}
		}
		if next < 0 {
			l.time = end
			return
		}
		a := l.timers[next]
		l.timers = slices.Delete(l.timers, next, next+1)
		l.time = a.at
		if a.t.Stop() {
			a.f()
		}
	}
}

// part returns what a part of the master gets, and where its log is.
func part() (base, *fakeLoop, *bytes.Buffer) {
	l, log := &fakeLoop{time: time.Unix(1e9, 0)}, &bytes.Buffer{}
	sys := realSystem()
	sys.now = func() time.Time { return l.time }
	return base{l, sys, errlog.New(log)}, l, log
}

// poolOf returns a pool with one worker, which does not obey, and the front that is told.
func poolOf(t *testing.T) (p *pool, w *worker, l *fakeLoop, told *[]string) {
	t.Helper()
	b, l, _ := part()
	cfg, err := settings.Resolve("app:app", settings.FromFile("test", map[string]any{"graceful_timeout": 10}, nil))
	if err != nil {
		t.Fatal(err)
	}
	conn := &fakeConn{inbox: make(chan []byte, 1)}
	told = new([]string)
	conn.hear = func(data []byte, _ []*os.File) {
		typ, _, _ := strings.Cut(strings.TrimPrefix(string(data), `{"type":"`), `"`)
		*told = append(*told, typ)
	}
	front := &frontLink{base: b, current: &frontProcess{conn: conn}}
	p = &pool{base: b, front: front, retiring: func(*worker) {}, forgotten: func(*generation) {}, workers: map[int]*worker{}}
	w = &worker{age: 1, pid: 7, asked: true, ready: true, proc: &fakeProcess{pid: 7}, gen: &generation{cfg: cfg}}
	p.workers[1] = w
	return p, w, l, told
}

// A worker that is retired and does not leave is reminded, then its requests are answered,
// then it is aborted, then killed.
func TestPoolRetires(t *testing.T) {
	p, w, l, told := poolOf(t)
	got := &w.proc.(*fakeProcess).got
	p.activate(w)
	p.retire(w)
	p.retire(w)
	if !slices.Equal(*told, []string{wire.TypeActivate, wire.TypeRetire}) {
		t.Errorf("the front was told %v", *told)
	}
	l.pass(terminateAgain + 2*terminateAgain + 4*terminateAgain)
	if want := slices.Repeat([]syscall.Signal{syscall.SIGTERM}, 4); !slices.Equal(*got, want) {
		t.Errorf("it got %v, want %v", *got, want)
	}
	l.pass(10*time.Second - 7*terminateAgain)
	if last := (*told)[len(*told)-1]; last != wire.TypeExpire {
		t.Errorf("the front was told %s last", last)
	}
	if slices.Contains(*got, syscall.SIGABRT) {
		t.Error("it was aborted before the front had time")
	}
	l.pass(reportGrace)
	if !slices.Contains(*got, syscall.SIGABRT) {
		t.Error("it was not aborted")
	}
	l.pass(abortGrace)
	if !slices.Contains(*got, syscall.SIGKILL) || p.kills != 1 {
		t.Error("it was not killed")
	}
	p.forget(w)
	n := len(*got)
	l.pass(time.Hour)
	if len(*got) != n || (*told)[len(*told)-1] != wire.TypeGone {
		t.Errorf("after its end it got %v", (*got)[n:])
	}
}

// WebSocket connections of ASGI workers may stay for longer.
func TestPoolRetiresASGI(t *testing.T) {
	p, w, l, told := poolOf(t)
	w.kind = wire.KindASGI
	p.retire(w)
	l.pass(w.gen.gracefulTimeout() + w.gen.webSocketDrainMax() - time.Millisecond)
	if slices.Contains(*told, wire.TypeExpire) {
		t.Error("too early")
	}
	l.pass(time.Millisecond)
	if !slices.Contains(*told, wire.TypeExpire) {
		t.Error("its time is not over")
	}
}

// A worker that is to end at once gets QUIT, is woken by TERM, and is killed after a while;
// one that was not forked is forgotten.
func TestPoolQuits(t *testing.T) {
	p, w, l, told := poolOf(t)
	got := &w.proc.(*fakeProcess).got
	p.quit(w)
	l.pass(terminateAgain)
	if want := []syscall.Signal{syscall.SIGQUIT, syscall.SIGTERM}; !slices.Equal(*got, want) {
		t.Errorf("it got %v, want %v", *got, want)
	}
	l.pass(abortGrace)
	if (*got)[len(*got)-1] != syscall.SIGKILL {
		t.Errorf("it got %v", *got)
	}
	early := &worker{age: 2, gen: w.gen}
	p.workers[2] = early
	p.quit(early)
	if p.has(early) || (*told)[len(*told)-1] != wire.TypeGone {
		t.Error("a worker that was never forked is kept")
	}
	if p.countReady(w.gen) != 1 || !p.uses(w.gen) || p.running() != 1 || p.withPid(7) != w || p.withPid(8) != nil {
		t.Error("the pool has lost count")
	}
}

// A listener keeps its origin on its way to the next master.
func TestOriginOfAListener(t *testing.T) {
	for _, l := range []listen.Listener{
		{}, {Systemd: true}, {Owned: true}, {Asked: listen.Address{Network: listen.FD, FD: 5}},
	} {
		var next listen.Listener
		setOrigin(&next, origin(&l))
		if next.Systemd != l.Systemd || next.Owned != l.Owned || next.Asked != l.Asked {
			t.Errorf("%+v became %+v", l, next)
		}
	}
}

// What a front cannot be sent is answered as what it cannot carry out.
func TestFrontLinkCannotSend(t *testing.T) {
	b, l, log := part()
	front := &frontLink{base: b, current: &frontProcess{conn: brokenConn{}, calls: map[int]func(wire.FromFront){}}}
	var why *failure
	front.call(wire.ToFront{Type: wire.TypeWorker}, func(f *failure) { why = f })
	if why != nil {
		t.Error("the answer came before the call was over")
	}
	l.pass(0)
	if why == nil || why.code != 71 || !strings.Contains(log.String(), "was not sent") {
		t.Errorf("%+v; log: %s", why, log)
	}
}

// A brokenConn has no descriptors left.
type brokenConn struct{ controlConn }

func (brokenConn) SendKeeping(any, ...*os.File) error { return syscall.EMFILE }

// A spawner that cannot be sent a call answers that it failed.
func TestSpawnersCannotSend(t *testing.T) {
	b, _, _ := part()
	s := &spawners{base: b}
	sp := &spawner{conn: brokenConn{}, calls: map[int]func(wire.FromSpawner){}}
	var answer wire.FromSpawner
	s.call(sp, wire.ToSpawner{Type: wire.TypePing}, nil, func(r wire.FromSpawner) { answer = r })
	if answer.Type != wire.TypeFailed || answer.Errno != int(syscall.EMFILE) || len(sp.calls) != 0 {
		t.Errorf("%+v, %d calls", answer, len(sp.calls))
	}
	sp.dead = true
	s.call(sp, wire.ToSpawner{Type: wire.TypePing}, nil, func(r wire.FromSpawner) { answer = r })
	if answer.Stage != "spawner" {
		t.Errorf("%+v", answer)
	}
}

// A daemon lets the command that started it return when it serves, and gives the
// terminal back.
func TestDaemonServes(t *testing.T) {
	r, wr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var log bytes.Buffer
	sys := realSystem()
	fd, err := syscall.Dup(int(wr.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	wr.Close()
	sys.getenv = func(name string) string {
		if name == envDaemon {
			return strconv.Itoa(fd) + withStdio
		}
		return ""
	}
	sys.redirect = func(*os.File, int) error { return nil }
	m := bareMaster(&log, sys)
	m.becomeDaemon()
	dir := t.TempDir()
	if m.cfg, err = settings.Resolve("app:app", settings.FromFile("test", map[string]any{"errorlog": dir + "/log"}, nil)); err != nil {
		t.Fatal(err)
	}
	m.ending.letCommandReturn(0)
	m.ending.letCommandReturn(0)
	b := make([]byte, 2)
	if n, _ := r.Read(b); n != 1 {
		t.Errorf("the command read %d bytes", n)
	}
	if n, _ := r.Read(b); n != 0 {
		t.Error("the pipe is still open")
	}
	m.log.SetFile(nil)
}
