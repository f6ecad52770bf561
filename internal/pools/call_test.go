package pools

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"

	"indrik/internal/wire"
)

func TestCalls(t *testing.T) {
	r := newRig(t)
	th := r.worker(1, 1, "m:A", "m:B")[0]
	l := r.client(1).dial()
	for i := range 3 { // one after the other, on one connection
		l.call("m:A", "go", fmt.Sprint(i), 0)
		m, _ := th.read(wire.PoolCall)
		if string(m.App) != "m:A" || string(m.Action) != "go" || string(m.Payload) != fmt.Sprint(i) {
			t.Errorf("the worker got %q, %q, %q", m.App, m.Action, m.Payload)
		}
		th.say(wire.PoolResult, []byte("done"), nil)
		l.expect(wire.PoolResult, "done")
	}
	l.call("m:B", "fail", "", 0)
	th.read(wire.PoolCall)
	th.say(wire.PoolError, []byte("why"), nil)
	l.expect(wire.PoolError, "why")
	if r.outcome(Done) != 3 || r.outcome(Raised) != 1 {
		t.Errorf("%+v", r.set.Status())
	}
	l.call("m:Other", "go", "", 0)
	l.readError("DirtyAppNotFoundError")
}

func TestPoolNamesItsOnlyApp(t *testing.T) {
	r := newRig(t, wire.PoolConfig{Name: "gpu", Apps: []string{"ml:Model"}, QueueLimit: 1})
	th := r.workerOf("gpu", 1, 1, "ml:Model")[0]
	l := r.client(1).dial()
	l.call("gpu", "go", "x", 0)
	if m, _ := th.read(wire.PoolCall); string(m.App) != "ml:Model" || string(m.Payload) != "x" {
		t.Errorf("the worker got %q, %q", m.App, m.Payload)
	}
	th.say(wire.PoolEnd, nil, nil)
	l.expect(wire.PoolEnd, "")
}

func TestLargePayloads(t *testing.T) {
	r := newRig(t)
	th := r.worker(1, 1, "m:A")[0]
	l := r.client(1).dial()
	content := bytes.Repeat([]byte("0123456789"), 100_000)
	file, err := wire.ConstantFile("indrik-payload", content)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	m := wire.PoolMessage{Kind: wire.PoolCall, App: []byte("m:A"), InFile: true, Size: int64(len(content))}
	if err := l.send(m.Append(nil), file, time.Time{}); err != nil {
		t.Fatal(err)
	}
	got, came := th.read(wire.PoolCall)
	if !got.InFile || came == nil {
		t.Fatal("the file did not come along")
	}
	data, err := wire.ReadPayload(came, got.Size)
	came.Close()
	if err != nil || !bytes.Equal(data, content) {
		t.Errorf("the worker got %d bytes, %v", len(data), err)
	}
	back := wire.PoolMessage{Kind: wire.PoolResult, InFile: true, Size: int64(len(content))}
	if err := th.send(back.Append(nil), file, time.Time{}); err != nil {
		t.Fatal(err)
	}
	l.expect(wire.PoolResult, string(content))
}

func TestCallsWaitAndAreBounded(t *testing.T) {
	r := newRig(t)
	th := r.worker(1, 1, "m:A")[0]
	c := r.client(1)
	var lines []line
	for i := range 5 { // one runs, four wait
		l := c.dial()
		l.call("m:A", fmt.Sprint(i), "", 0)
		if i == 0 {
			th.read(wire.PoolCall)
		} else {
			eventually(t, "the call does not wait", func() bool { return r.waiting() == i })
		}
		lines = append(lines, l)
	}
	l := c.dial()
	l.call("m:A", "go", "", 0)
	l.readError("DirtyPoolFullError")
	for i, l := range lines { // in the order in which they came
		th.say(wire.PoolResult, fmt.Append(nil, i), nil)
		l.expect(wire.PoolResult, fmt.Sprint(i))
		if i+1 < len(lines) {
			if m, _ := th.read(wire.PoolCall); string(m.Action) != fmt.Sprint(i+1) {
				t.Errorf("after %d came %q", i, m.Action)
			}
		}
	}
}

func TestCallsGoWhereTheirAppIs(t *testing.T) {
	r := newRig(t)
	a := r.worker(1, 1, "m:A")[0]
	b := r.worker(2, 1, "m:B")[0]
	c := r.client(1)
	first, second, third := c.dial(), c.dial(), c.dial()
	first.call("m:A", "1", "", 0)
	a.read(wire.PoolCall)
	second.call("m:A", "2", "", 0) // waits for a
	eventually(t, "the call does not wait", func() bool { return r.waiting() == 1 })
	third.call("m:B", "3", "", 0) // passes it
	b.read(wire.PoolCall)
	b.say(wire.PoolResult, nil, nil)
	third.expect(wire.PoolResult, "")
	a.say(wire.PoolResult, nil, nil)
	first.expect(wire.PoolResult, "")
	if m, _ := a.read(wire.PoolCall); string(m.Action) != "2" {
		t.Errorf("%q", m.Action)
	}
}

func TestSlotsTakeTurns(t *testing.T) {
	r := newRig(t)
	threads := []thread{r.worker(1, 1, "m:A")[0], r.worker(2, 1, "m:A")[0]}
	eventually(t, "the slots are not ready", func() bool {
		r.set.mu.Lock()
		defer r.set.mu.Unlock()
		return len(r.set.workers[1].pool.idle) == 2
	})
	l := r.client(1).dial()
	r.set.mu.Lock()
	first := r.set.workers[1].pool.idle[0].worker.age - 1
	r.set.mu.Unlock()
	for i := range 4 {
		l.call("m:A", "go", "", 0)
		th := threads[(first+i)%2]
		th.read(wire.PoolCall)
		th.say(wire.PoolResult, nil, nil)
		l.expect(wire.PoolResult, "")
	}
}

// A stream reaches the caller part by part, and the worker waits when the caller does not read.
func TestStreamsHaveBackPressure(t *testing.T) {
	r := newRig(t)
	th := r.worker(1, 1, "m:A")[0]
	l := r.client(1).dial()
	l.call("m:A", "tokens", "", 0)
	th.read(wire.PoolCall)
	part := wire.PoolMessage{Kind: wire.PoolChunk, Payload: make([]byte, 32<<10)}
	sent := 0
	for ; ; sent++ {
		if err := th.send(part.Append(nil), nil, time.Now().Add(200*time.Millisecond)); err != nil {
			break
		}
		if sent > 1000 {
			t.Fatal("the worker never waits")
		}
	}
	for range sent {
		l.read(wire.PoolChunk)
	}
	th.say(wire.PoolEnd, nil, nil)
	l.expect(wire.PoolEnd, "")
}

// Of large parts, which go in files, one is on its way to a caller that does not read.
func TestLargePartsOneByOne(t *testing.T) {
	r := newRig(t)
	th := r.worker(1, 1, "m:A")[0]
	l := r.client(1).dial()
	l.call("m:A", "frames", "", 0)
	th.read(wire.PoolCall)
	file, err := wire.ConstantFile("indrik-payload", make([]byte, wire.MaxPoolInline+1))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	part := wire.PoolMessage{Kind: wire.PoolChunk, InFile: true, Size: wire.MaxPoolInline + 1}
	for range 3 {
		if err := th.send(part.Append(nil), file, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the first part does not come", func() bool { return wire.Poll(l.File.Fd(), 1) })
	time.Sleep(50 * time.Millisecond) // the next two must not: nothing tells of that
	if err := th.socket.awaitRead(t.Context(), time.Now().Add(time.Millisecond)); err == nil {
		t.Error("the front has read the next parts")
	}
	for range 3 {
		l.read(wire.PoolChunk)
	}
	th.say(wire.PoolEnd, nil, nil)
	l.expect(wire.PoolEnd, "")
	// A caller that leaves meanwhile ends it.
	l.call("m:A", "frames", "", 0)
	th.read(wire.PoolCall)
	if err := th.send(part.Append(nil), file, time.Time{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the part does not come", func() bool { return wire.Poll(l.File.Fd(), 1) })
	l.File.Close()
	th.read(wire.PoolCancel)
}

func TestCallerWithoutPatience(t *testing.T) {
	r := newRig(t)
	th := r.worker(1, 1, "m:A")[0]
	c := r.client(1)
	l := c.dial()
	l.call("m:A", "slow", "", time.Second)
	th.read(wire.PoolCall)
	l.readError("DirtyTimeoutError")
	th.read(wire.PoolCancel)
	// The slot is free once the worker says so; what it says of the call is for nobody.
	next := c.dial()
	next.call("m:A", "next", "", 0)
	eventually(t, "the next call does not wait", func() bool { return r.waiting() == 1 })
	th.say(wire.PoolResult, []byte("late"), nil)
	th.read(wire.PoolCall)
	th.say(wire.PoolResult, []byte("next"), nil)
	next.expect(wire.PoolResult, "next")
	// One that waits has a limit too.
	l.call("m:A", "first", "", 0)
	th.read(wire.PoolCall)
	next.call("m:A", "second", "", 50*time.Millisecond)
	next.readError("DirtyTimeoutError")
	th.say(wire.PoolResult, nil, nil)
	l.expect(wire.PoolResult, "")
}

func TestCallerLeaves(t *testing.T) {
	r := newRig(t)
	th := r.worker(1, 1, "m:A")[0]
	c := r.client(1)
	running, waiting := c.dial(), c.dial()
	running.call("m:A", "1", "", 0)
	th.read(wire.PoolCall)
	waiting.call("m:A", "2", "", 0)
	eventually(t, "the call does not wait", func() bool { return r.waiting() == 1 })
	waiting.File.Close()
	eventually(t, "a call waits whose caller has gone", func() bool { return r.waiting() == 0 })
	running.File.Close()
	th.read(wire.PoolCancel)
	th.say(wire.PoolChunk, []byte("x"), nil)
	th.say(wire.PoolEnd, nil, nil)
	l := c.dial()
	l.call("m:A", "3", "", 0)
	th.read(wire.PoolCall)
	th.say(wire.PoolResult, nil, nil)
	l.expect(wire.PoolResult, "")
	if r.outcome(Cancelled) != 2 {
		t.Errorf("%+v", r.set.Status())
	}
	eventually(t, "a connection stays", func() bool {
		r.set.mu.Lock()
		defer r.set.mu.Unlock()
		return r.set.callers[callerID{1, false}].connections.Load() == 1
	})
}

// A worker that dies takes its call with it, and no other.
func TestWorkerDies(t *testing.T) {
	r := newRig(t)
	first := r.worker(1, 1, "m:A")[0]
	c := r.client(1)
	l, other := c.dial(), c.dial()
	l.call("m:A", "1", "", 0)
	first.read(wire.PoolCall)
	other.call("m:A", "2", "", 0)
	eventually(t, "the call does not wait", func() bool { return r.waiting() == 1 })
	first.File.Close()
	l.readError("DirtyWorkerError")
	r.set.WorkerGone(1, "")
	second := r.worker(2, 1, "m:A")[0]
	second.read(wire.PoolCall)
	second.say(wire.PoolResult, nil, nil)
	other.expect(wire.PoolResult, "")
}

// A call that the worker has not read when it died was not begun: it goes to another one.
func TestWorkerDiesWithACallUnread(t *testing.T) {
	r := newRig(t)
	first := r.worker(1, 1, "m:A")[0]
	l := r.client(1).dial()
	l.call("m:A", "1", "", 0)
	eventually(t, "the call is not sent", func() bool { return wire.Poll(first.File.Fd(), 1) })
	first.File.Close()
	second := r.worker(2, 1, "m:A")[0]
	if m, _ := second.read(wire.PoolCall); string(m.Action) != "1" {
		t.Errorf("%q", m.Action)
	}
	second.say(wire.PoolResult, []byte("done"), nil)
	l.expect(wire.PoolResult, "done")
}

// The master's word that a worker has gone counts where a child of it still has its sockets. What it
// has said before counts too.
func TestWorkerGoneWithItsSocketsOpen(t *testing.T) {
	r := newRig(t)
	threads := r.worker(1, 2, "m:A")
	c := r.client(1)
	l, other := c.dial(), c.dial()
	l.call("m:A", "1", "", 0)
	other.call("m:A", "2", "", 0)
	m, _ := threads[0].read(wire.PoolCall)
	threads[1].read(wire.PoolCall)
	if string(m.Action) == "2" {
		l, other = other, l
	}
	threads[0].say(wire.PoolResult, []byte("last"), nil)
	r.set.WorkerGone(1, "")
	l.expect(wire.PoolResult, "last")
	other.readError("DirtyWorkerError")
}

func TestRetiredWorkerFinishes(t *testing.T) {
	r := newRig(t)
	threads := r.worker(1, 2, "m:A")
	l := r.client(1).dial()
	l.call("m:A", "1", "", 0)
	busy, idle := threads[0], threads[1]
	eventually(t, "the call is not sent", func() bool {
		if wire.Poll(threads[1].File.Fd(), 1) {
			busy, idle = threads[1], threads[0]
		}
		return wire.Poll(busy.File.Fd(), 1)
	})
	busy.read(wire.PoolCall)
	r.set.Retire(1)
	idle.closed()
	busy.say(wire.PoolResult, []byte("done"), nil)
	l.expect(wire.PoolResult, "done")
	busy.closed()
}

// A worker can be retired before it has its apps.
func TestWorkerRetiredEarly(t *testing.T) {
	r := newRig(t)
	channel, _ := r.pair()
	ours, theirs := r.pair()
	m := wire.ToFront{Type: wire.TypePoolWorker, Generation: 1, Age: 1, Pool: "dirty", Apps: []string{"m:A"}}
	if err := r.set.AddWorker(m, []*os.File{channel, ours}); err != nil {
		t.Fatal(err)
	}
	r.set.Retire(1)
	thread{t, theirs}.closed()
	r.set.Activate(1, 1001)
}

func TestNoWorkers(t *testing.T) {
	r := newRig(t)
	r.worker(1, 1, "m:A")
	l := r.client(1).dial()
	r.set.WorkerGone(1, "")
	r.set.mu.Lock()
	p := r.set.generations[1].pools["dirty"]
	r.set.mu.Unlock()
	l.call("m:A", "1", "", 0)
	eventually(t, "the call does not wait", func() bool { return r.waiting() == 1 })
	r.set.mu.Lock()
	p.lost["m:A"] = loss{time.Now().Add(-hostGrace), "ImportError: no"}
	r.set.mu.Unlock()
	r.set.failUnhosted(p, "m:A")
	l.readError("DirtyNoWorkersAvailableError")
	l.call("m:A", "2", "", 0) // at once from now on
	l.readError("ImportError: no")
	th := r.worker(2, 1, "m:A")[0]
	l.call("m:A", "3", "", 0)
	th.read(wire.PoolCall)
	th.say(wire.PoolResult, nil, nil)
	l.expect(wire.PoolResult, "")
}

// A thread cannot be ended. A call that does not come back has its worker ended, once the others that
// it runs are over.
func TestCallThatDoesNotComeBack(t *testing.T) {
	r := newRig(t, wire.PoolConfig{Name: "dirty", Apps: []string{"m:A"}, Timeout: 3, QueueLimit: 4})
	threads := r.worker(1, 2, "m:A")
	c := r.client(1)
	hangs, streams := c.dial(), c.dial()
	hangs.call("m:A", "hangs", "", 0)
	streams.call("m:A", "streams", "", 0)
	m, _ := threads[0].read(wire.PoolCall)
	threads[1].read(wire.PoolCall)
	hanging, streaming := threads[0], threads[1]
	if string(m.Action) == "streams" {
		hanging, streaming = streaming, hanging
	}
	stop := make(chan struct{})
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
				streaming.say(wire.PoolChunk, []byte("x"), nil)
				streams.expect(wire.PoolChunk, "x")
			}
		}
	}()
	hangs.readError("DirtyTimeoutError")
	hanging.read(wire.PoolCancel)
	eventually(t, "the worker is not overdue", func() bool {
		r.set.mu.Lock()
		defer r.set.mu.Unlock()
		return r.set.workers[1].overdue
	})
	r.host.mu.Lock()
	if len(r.host.sent) > 0 {
		t.Errorf("the master was told while another call ran: %+v", r.host.sent)
	}
	r.host.mu.Unlock()
	close(stop)
	<-over
	streaming.say(wire.PoolEnd, nil, nil)
	streams.expect(wire.PoolEnd, "")
	if m := r.host.await(t, wire.TypePoolTimeout); m.Age != 1 {
		t.Errorf("%+v", m)
	}
}

// A generation is forgotten once a newer one has served and it has no workers any more.
func TestGenerationsAreForgotten(t *testing.T) {
	r := newRig(t)
	r.client(1)
	r.worker(1, 1, "m:A")
	r.set.AddGeneration(2, []wire.PoolConfig{{Name: "dirty", Apps: []string{"m:A"}, QueueLimit: 1}}, 1<<20)
	known := func() int {
		r.set.mu.Lock()
		defer r.set.mu.Unlock()
		return len(r.set.generations)
	}
	r.set.WorkerGone(1, "")
	r.set.CallerGone(1, false)
	if n := known(); n != 2 {
		t.Errorf("%d generations, while none has served but the first", n)
	}
	ours, _ := r.pair()
	if err := r.set.AddCaller(2, 2, ours); err != nil {
		t.Fatal(err)
	}
	r.set.Serves(1)
	if n := known(); n != 2 {
		t.Errorf("%d generations, while the second is tried", n)
	}
	r.set.Serves(2)
	if n := known(); n != 1 {
		t.Errorf("%d generations", n)
	}
}

// A front that comes after another one hears nothing of the calls of that.
func TestHelloAfterACall(t *testing.T) {
	r := newRig(t)
	channel, _ := r.pair()
	ours, theirs := r.pair()
	th := thread{t, theirs}
	m := wire.ToFront{Type: wire.TypePoolWorker, Generation: 1, Age: 1, Pool: "dirty", Apps: []string{"m:A"}}
	if err := r.set.AddWorker(m, []*os.File{channel, ours}); err != nil {
		t.Fatal(err)
	}
	r.set.Activate(1, 1001)
	hello, _ := th.read(wire.PoolHello)
	l := r.client(1).dial()
	l.call("m:A", "1", "", 0)
	th.say(wire.PoolChunk, []byte("of the front before"), nil)
	th.say(wire.PoolReady, []byte{9, 9, 9, 9}, nil)
	th.say(wire.PoolResult, []byte("of the front before"), nil)
	th.say(wire.PoolReady, hello.Payload, nil)
	th.read(wire.PoolCall)
	th.say(wire.PoolResult, []byte("mine"), nil)
	l.expect(wire.PoolResult, "mine")
}

func BenchmarkCall(b *testing.B) {
	t := &testing.T{}
	r := newRig(t)
	th := r.worker(1, 1, "m:A")[0]
	l := r.client(1).dial()
	go func() {
		for {
			if m, _, _, err := read(t, th.socket); err != nil || m.Kind != wire.PoolCall {
				return
			}
			th.say(wire.PoolResult, make([]byte, 1024), nil)
		}
	}()
	for b.Loop() {
		l.call("m:A", "go", "x", 0)
		l.read(wire.PoolResult)
	}
	th.File.Close()
}
