package master

import (
	"encoding/json"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/internal/status"
	"indrik/internal/wire"
)

// asks has the front ask the master, and returns the last answer with its document.
func (f *fakeFront) asks(msg wire.FromFront) (wire.Answer, string) {
	f.w.t.Helper()
	var document string
	hear := f.conn.hear
	f.conn.hear = func(data []byte, files []*os.File) {
		if len(files) == 1 {
			content, err := io.ReadAll(io.NewSectionReader(files[0], 0, 1<<30))
			if err != nil {
				f.w.t.Error(err)
			}
			document = string(content)
		}
		hear(data, files)
	}
	msg.Ask = 7
	f.conn.tell(msg)
	f.w.wait()
	f.conn.hear = hear
	answers := f.told(wire.TypeAnswer)
	if len(answers) == 0 || answers[len(answers)-1].Ask != 7 {
		f.w.t.Fatalf("the master does not answer %s", msg.Type)
	}
	a := *answers[len(answers)-1].Answer
	if document == "" {
		document = string(a.Document)
	}
	return a, document
}

// The front gets the status of all, also a large one, but not too often.
func TestStatusForTheFront(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		question := wire.FromFront{Type: wire.TypeStatus, Status: json.RawMessage(`{"pid":5,"loads":{"1":{"requests":9}}}`)}
		_, document := w.front().asks(question)
		var s status.Status
		if err := json.Unmarshal([]byte(document), &s); err != nil || len(s.Workers) != 2 || s.Workers[0].Requests != 9 || s.Front.PID != 5 {
			t.Errorf("%s, %v", document, err)
		}
		if a, _ := w.front().asks(question); a.Code != 429 {
			t.Errorf("at once again: %+v", a)
		}
		w.m.post(func() { w.m.control.history.lastReload = &status.Reload{Reason: strings.Repeat("x", 2*maxDocument)} })
		w.pass(time.Second)
		if _, document = w.front().asks(question); json.Unmarshal([]byte(document), &s) != nil || len(s.LastReload.Reason) != 2*maxDocument {
			t.Errorf("a large one has %d bytes", len(document))
		}
		w.pass(time.Second)
		question.Status = json.RawMessage(`[]`)
		if _, document = w.front().asks(question); !strings.Contains(document, `"front":null`) {
			t.Errorf("of a front that talks nonsense: %s", document)
		}
	})
}

// A process whose memory the kernel cannot look at holds up nobody: the master goes on, and a
// status says what was known before.
func TestStatusOfProcessesThatAreHeld(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.expectReply(w.command("status"), `"rss":1048576,"pss":524288,"cpu":1`)
		held, readings := make(chan struct{}), 0
		w.m.sys.usage = func(int) (rss, pss int64, cpu time.Duration) {
			readings++ // by one goroutine at a time
			<-held
			return 9 << 20, 8 << 20, 2 * time.Second
		}
		one, other := w.command("status"), w.command("status")
		w.signal(syscall.SIGTTIN)
		w.pass(usageWait / 2)
		w.expectWorkers(3)
		if one.done || other.done || readings != 1 {
			t.Errorf("after a while: %+v, %+v; %d readings", one, other, readings)
		}
		w.pass(usageWait)
		w.expectReply(one, `"rss":1048576,"pss":524288,"cpu":1`)
		w.expectReply(other, `"rss":1048576,"pss":524288,"cpu":1`)
		if n := len(w.m.usage.waiting); n != 0 {
			t.Errorf("%d wait yet", n)
		}
		close(held)
		w.wait()
		w.expectReply(w.command("status"), `"rss":9437184,"pss":8388608,"cpu":2`)
	})
}
