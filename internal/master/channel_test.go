package master

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/oslayer"
	"indrik/internal/settings"
	"indrik/internal/wire"
)

var withReload = settings.FromFile("test", map[string]any{"reload": true}, nil)

// A fakeServer is a master without processes, whose loop the test runs.
type fakeServer struct {
	*Master
	t    testing.TB
	text bytes.Buffer // what the log has
}

// newFakeServer returns a master that serves. Its spawner is dead, so that it starts
// nothing.
func newFakeServer(t testing.TB, args ...settings.Layer) *fakeServer {
	cfg, err := settings.Resolve("app:app", args...)
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeServer{t: t}
	sp := &spawner{proc: &fakeProcess{pid: 1 << 30, gone: true}, calls: map[int]func(wire.FromSpawner){}, dead: true}
	f.Master = bareMaster(&f.text, realSystem())
	// Room for the timers of what is ended: nobody runs the loop then.
	f.loop.(*eventLoop).events = make(chan func(), 4096)
	f.state, f.cfg, f.pool.target, f.logging.toldKind = running, cfg, 10, true
	f.gen = &generation{number: 1, cfg: cfg, sp: sp}
	return f
}

// until runs the loop until something is so.
func (f *fakeServer) until(what string, is func() bool) {
	f.t.Helper()
	limit := time.After(time.Minute)
	for !is() {
		select {
		case event := <-eventsOf(f.Master):
			event()
		case <-limit:
			f.t.Fatalf("not %s; log:\n%s", what, f.text.String())
		}
	}
}

// worker adds a worker that is this process, and cannot be signalled; pid 0: one that
// nobody has spoken of yet. It returns the worker's end of the channel.
func (f *fakeServer) worker(pid int) (*worker, *os.File) {
	f.pool.lastAge++
	w := &worker{age: f.pool.lastAge, gen: f.gen, slots: 1, pid: pid}
	if pid != 0 {
		w.proc = &fakeProcess{pid: pid, gone: true}
	}
	ours, end, err := wire.Pair()
	if err != nil {
		f.t.Fatal(err)
	}
	if w.channel, err = wire.NewWorkerChannel(ours); err != nil {
		f.t.Fatal(err)
	}
	f.pool.workers[w.age] = w
	f.hear(w)
	return w, end
}

// close ends what there is of workers.
func (f *fakeServer) close() {
	for _, w := range f.pool.workers {
		w.close()
	}
	f.logging.sinks.Close()
	f.pool.workers = map[int]*worker{}
}

// send sends what a worker sends. The error is EAGAIN if there is no room for it; the
// master may have closed the channel.
func send(end *os.File, data []byte, rights ...*os.File) error {
	var oob []byte
	if len(rights) > 0 {
		oob = unix.UnixRights(wire.Descriptors(rights)...)
	}
	return unix.Sendmsg(int(end.Fd()), data, oob, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

func linuxOnly(t testing.TB) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux says who sent a message")
	}
}

// What one worker sends ends that one, at worst, and the log says what it was.
func TestBreach(t *testing.T) {
	linuxOnly(t)
	flood := func(end *os.File) {
		for range 3 * messageBurst {
			send(end, []byte(`{"type":"files","files":[],"since":1}`))
		}
	}
	one := func(data string) func(*os.File) { return func(end *os.File) { send(end, []byte(data)) } }
	ready := `{"type":"ready"}`
	for _, c := range []struct {
		says string
		send func(*os.File)
	}{
		{"an empty message", one("")},
		{"no message: \"{\"", one("{")},
		{"\"exited\"", one(`{"type":"exited","age":1,"pid":1}`)},
		{"\"age\"", one(`{"type":"ready","age":2}`)},
		{"`ready` a second time", func(end *os.File) { send(end, []byte(ready)); send(end, []byte(ready)) }},
		{"`recycle` before `ready`", one(`{"type":"recycle"}`)},
		{"`recycle`", func(end *os.File) {
			for _, data := range []string{ready, `{"type":"recycle"}`, `{"type":"recycle"}`} {
				send(end, []byte(data))
			}
		}},
		{"descriptors", func(end *os.File) { send(end, []byte(ready), os.Stdin) }},
		{"more than 64 KiB", one(strings.Repeat(" ", wire.MaxWorkerMessage+1))},
		{"more messages", flood},
		{"closed its channel", func(end *os.File) { unix.Shutdown(int(end.Fd()), unix.SHUT_WR) }},
	} {
		f := newFakeServer(t, withReload)
		bad, end := f.worker(os.Getpid())
		if c.says == "closed its channel" {
			// It lives, and its channel is at its end.
			bad.proc = sleeping(t)
			bad.pid = bad.proc.Pid()
		}
		good, goodEnd := f.worker(os.Getpid())
		c.send(end)
		f.until(c.says, func() bool { return bad.broke })
		send(goodEnd, []byte(ready))
		f.until("ready", func() bool { return good.ready })
		log := f.text.String()
		if !strings.Contains(log, fmt.Sprintf("Worker (pid:%d) is ended: ", bad.pid)) || !strings.Contains(log, c.says) || strings.Count(log, "is ended") != 1 {
			t.Errorf("%s: the log has\n%s", c.says, log)
		}
		if !bad.leaving || !bad.aborted || good.leaving || !good.active || good.broke {
			t.Errorf("%s: %+v\nthe other one %+v", c.says, bad, good)
		}
		f.close()
		end.Close()
		goodEnd.Close()
	}
}

// files are for workers whose code is watched.
func TestFilesWithoutReload(t *testing.T) {
	linuxOnly(t)
	f := newFakeServer(t)
	defer f.close()
	w, end := f.worker(os.Getpid())
	defer end.Close()
	send(end, []byte(`{"type":"files","files":["/etc/passwd"],"since":1}`))
	f.until("ended", func() bool { return w.broke })
	if len(f.gen.loads) != 0 {
		t.Error("the files were noted")
	}
}

// sleeping is a child that sleeps.
func sleeping(t testing.TB) *oslayer.Process {
	t.Helper()
	p, err := oslayer.Start(oslayer.Command{Path: "/bin/sleep", Args: []string{"sleep", "600"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Signal(syscall.SIGKILL)
		for deadline := time.Now().Add(time.Minute); !p.Ended() && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		oslayer.Reap()
	})
	return p
}

// A message is the worker's own only if the kernel says so. Here this process sends,
// which the worker is not.
func TestMessagesOfOthersAreNotHeard(t *testing.T) {
	linuxOnly(t)
	f := newFakeServer(t)
	defer f.close()
	child := sleeping(t)
	w, end := f.worker(0)
	defer end.Close()
	f.workerForked(w, child.Pid())
	send(end, []byte(`{"type":"ready"}`))
	send(end, []byte(`{"type":"recycle"}`))
	end.Close()
	f.until("silent", func() bool { return w.silent })
	if w.ready || w.exhausted || w.broke {
		t.Errorf("%+v", w)
	}
	if n := strings.Count(f.text.String(), "is not heard"); n != 1 {
		t.Errorf("told %d times:\n%s", n, f.text.String())
	}
}

// What the master knows already is no worker of which nobody has spoken, whoever says so.
func TestPidOfAnother(t *testing.T) {
	linuxOnly(t)
	f := newFakeServer(t)
	defer f.close()
	w, end := f.worker(0)
	defer end.Close()
	send(end, []byte(`{"type":"ready"}`))
	end.Close()
	f.until("forgotten", func() bool { return f.pool.workers[w.age] == nil })
	if w.pid != 0 || w.proc != nil || w.ready {
		t.Errorf("the master takes itself for the worker: %+v", w)
	}
	// A process that is not of this server is never signalled.
	w, end = f.worker(0)
	defer end.Close()
	f.workerForked(w, 1)
	if err := w.proc.Signal(0); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("process 1 can be signalled: %v", err)
	}
	if !strings.Contains(f.text.String(), "Process 1 is no child of this server") {
		t.Errorf("the log has\n%s", f.text.String())
	}
}

// FuzzWorkerChannel sends sequences of messages, in order and out of it, whole and
// broken, to a master by several workers. Each is ended if, and only if, it broke the
// protocol itself.
func FuzzWorkerChannel(f *testing.F) {
	linuxOnly(f)
	f.Add([]byte{0, 0, 1, 1, 0, 2, 1, 3})
	f.Add([]byte{0, 0, 0, 0, 0, 1, 1, 1, 2, 5, 2, 6, 2, 7, 0, 9, 1, 10, 2, 11})
	f.Add([]byte("0123456789abcdefghijklmnopqrstuvwxyz"))
	f.Fuzz(func(t *testing.T, ops []byte) {
		const count = 3
		if len(ops) > 2*messageBurst {
			ops = ops[:2*messageBurst]
		}
		s := newFakeServer(t, withReload)
		defer s.close()
		var workers [count]*worker
		var ends [count]*os.File
		var models [count]model
		for i := range workers {
			workers[i], ends[i] = s.worker(os.Getpid())
		}
		for len(ops) >= 2 {
			i, op := int(ops[0])%count, ops[1]
			ops = ops[2:]
			data, rights := models[i].message(op, &ops)
			for errors.Is(send(ends[i], data, rights...), unix.EAGAIN) && !workers[i].broke {
				select {
				case event := <-eventsOf(s.Master):
					event()
				case <-time.After(time.Millisecond):
				}
			}
			if op%5 == 0 { // the loop runs now and then
				select {
				case event := <-eventsOf(s.Master):
					event()
				default:
				}
			}
		}
		for i, w := range workers {
			ends[i].Close()
			s.until("at its end", func() bool { return w.silent || w.broke })
			if w.broke != models[i].broke {
				t.Errorf("worker %d: broke the protocol: %v, want %v; log:\n%s", i, w.broke, models[i].broke, s.text.String())
			}
			if w.leaving && !w.broke && !w.recycling {
				t.Errorf("worker %d is told to end; log:\n%s", i, s.text.String())
			}
			if w.ready != models[i].ready || w.pid != os.Getpid() {
				t.Errorf("worker %d: %+v, want %+v", i, w, models[i])
			}
		}
	})
}

// A model is what a master may know of a worker.
type model struct{ ready, recycling, broke bool }

// message returns a message, and notes what is to come of it.
func (m *model) message(op byte, rest *[]byte) (data []byte, rights []*os.File) {
	heard := !m.broke
	breaks := func(is bool) {
		if heard && is {
			m.broke = true
		}
	}
	kinds := []wire.Kind{wire.KindSync, wire.KindASGI, wire.KindGevent}
	switch op % 12 {
	case 0, 1, 2:
		breaks(m.ready)
		m.ready = m.ready || heard
		data, _ = json.Marshal(wire.FromWorker{Type: wire.TypeReady, Kind: kinds[op%3], StandIn: op%2 == 0})
	case 3:
		breaks(!m.ready || m.recycling)
		m.recycling = true
		data = []byte(`{"type":"recycle"}`)
	case 4, 5:
		data, _ = json.Marshal(wire.FromWorker{Type: wire.TypeFiles, Files: []string{"/a", "/b"}, Since: float64(op)})
	case 6:
		breaks(true)
		data = []byte(`{"type":"ready","age":2,"pid":1}`)
	case 7:
		breaks(true)
		data = []byte(`{"type":"ok","call":1,"pid":1}`)
	case 8:
		breaks(true) // empty
	case 9:
		breaks(true)
		data, rights = []byte(`{"type":"files","files":[],"since":0}`), []*os.File{os.Stdin}
	case 10:
		breaks(true)
		data = make([]byte, wire.MaxWorkerMessage+1+int(op))
	default:
		// The bytes that follow, or a message that they changed.
		data = []byte(`{"type":"ready","kind":"asgi"}`)
		for n := 0; n < 4 && len(*rest) >= 2; n++ {
			data[int((*rest)[0])%len(data)] ^= (*rest)[1]
			*rest = (*rest)[2:]
		}
		msg, err := wire.DecodeFromWorker(data)
		breaks(err != nil)
		if err == nil && msg.Type == wire.TypeReady {
			breaks(m.ready)
			m.ready = m.ready || heard
		}
	}
	return data, rights
}
