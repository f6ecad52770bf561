package master

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/internal/oslayer"
	"indrik/internal/stacktext"
	"indrik/internal/status"
	"indrik/internal/wire"
)

// Of a worker that reads the queue faulthandler shows the threads, and the scoreboard says
// which of them runs which request; whoever asks meanwhile gets the same answer.
func TestTrace(t *testing.T) {
	inWorld(t, []string{"--threads", "2"}, func(w *world) {
		worker := w.m.pool.byAge()[0]
		w.runs = []status.Running{{Method: "GET", Path: "/x", Seconds: 2, Slot: 1, Number: 7}, {Method: "GET", Path: "/y", Slot: 99, Number: 8}}
		pid := strconv.Itoa(worker.pid)
		first, second := w.command("trace "+pid), w.command("trace "+pid)
		w.pass(time.Second)
		for _, r := range []*reply{first, second} {
			w.expectReply(r, `"running":[{"method":"GET","path":"/x"`)
		}
		dumps := 0
		for _, sig := range w.procs[worker.pid].got {
			if sig == oslayer.SignalDump {
				dumps++
			}
		}
		if dumps != 1 {
			t.Errorf("it was asked %d times", dumps)
		}
		stacks := w.m.attribute(worker, w.runs, stacktext.Parse("Thread 0x1 (most recent call first):\n  File \"a.py\", line 1 in f\nThread 0x0 (most recent call first):\n"))
		if len(stacks) != 2 || stacks[0].Running != nil || stacks[1].Running != nil {
			t.Errorf("%+v", stacks)
		}
		all := w.command("trace")
		slow := w.command("trace slow 3")
		w.pass(3 * time.Second)
		w.expectReply(all, `},{"pid"`)
		w.expectReply(slow, `does not say what runs`) // this front answers with nothing
		w.expectReply(w.command("trace slow"), "Missing number of seconds")
		w.expectReply(w.command("trace slow NaN"), "not a number of seconds")
		w.expectReply(w.command("trace 1"), "Worker 1 not found")
	})
}

// Of a loop that turns the tasks are shown, otherwise the threads.
func TestTraceOfALoop(t *testing.T) {
	atStart(t, []string{"app:app"}, func(w *world) {
		w.kind = wire.KindASGI
		w.start()
		w.pass(time.Second)
		w.runs = []status.Running{{Method: "GET", Path: "/x", Seconds: 2, Number: 7}}
		pid := strconv.Itoa(w.m.pool.byAge()[0].pid)
		w.turns = true
		r := w.command("trace " + pid)
		w.pass(100 * time.Millisecond)
		w.expectReply(r, `"calls":["File \"a.py\", line 1 in awaits"]`)
		w.expectReply(r, `"what":"Request 7","running":{"method":"GET","path":"/x"`)
		w.turns = false
		r = w.command("trace " + pid)
		w.pass(400 * time.Millisecond)
		if r.done {
			t.Error("the loop was not waited for")
		}
		w.pass(time.Second)
		w.expectReply(r, `"stacks":[]`) // of `the stacks` the fake writes nothing is one
		// A worker that ends meanwhile, and a front that is away.
		r = w.command("trace " + pid)
		w.live()[0].die(signaled(syscall.SIGKILL))
		w.pass(time.Second)
		w.expectReply(r, `"stacks":[]`)
	})
}

func TestKeepSlow(t *testing.T) {
	long, short := status.Running{Seconds: 5, Number: 1}, status.Running{Seconds: 1, Number: 2}
	trace := func() *status.Trace {
		return &status.Trace{
			Running: []status.Running{long, short},
			Stacks:  []status.Stack{{What: "a", Running: &long}, {What: "b", Running: &short}, {What: "c"}},
		}
	}
	a := trace()
	if !keepSlow(a, 3) || len(a.Running) != 1 || len(a.Stacks) != 1 || a.Stacks[0].What != "a" {
		t.Errorf("%+v", a)
	}
	a = trace()
	a.Stacks = a.Stacks[1:]
	if !keepSlow(a, 3) || len(a.Stacks) != 2 {
		t.Errorf("%+v", a)
	}
	if keepSlow(trace(), 6) {
		t.Error("nothing has run for so long")
	}
}

// A dump file that has grown large is emptied before stacks are asked for again.
func TestDumpFilesStaySmall(t *testing.T) {
	f, err := realSystem().growing("indrik-stacks")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range 3 {
		if _, err := f.WriteString(strings.Repeat("x", mostDump/2+1)); err != nil {
			t.Fatal(err)
		}
	}
	if at := trimmed(f); at != 0 {
		t.Errorf("it is read from %d on", at)
	}
	if _, err := f.WriteString("new"); err != nil {
		t.Fatal(err)
	}
	if size := fileSize(f); size != 3 {
		t.Errorf("it has %d bytes", size)
	}
}
