package wire

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestRecords(t *testing.T) {
	a, b, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRecorder(a)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := NewConn(b)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r.Send(&LogRecord{Message: "one", Level: PythonInfo, Pid: 5, Role: "master"}, 0)
	r.Send(&LogRecord{Message: strings.Repeat("x", 1<<20)}, 0)
	r.Send(&LogRecord{Status: "200 OK", Environ: map[string]string{"RAW_URI": "/"}, Request: [][2]string{{"a", strings.Repeat("x", 1<<20)}}}, time.Second)
	r.Close()
	r.Close()
	r.Send(&LogRecord{Message: "late"}, 0)
	var got []LogRecord
	for {
		var rec LogRecord
		if _, err := conn.Recv(&rec); err != nil {
			break
		}
		got = append(got, rec)
	}
	<-r.Done()
	if len(got) != 3 || got[0].Message != "one" || len(got[1].Message) > maxText+10 || got[2].Status != "200 OK" || got[2].Request != nil {
		text, _ := json.Marshal(got)
		t.Errorf("%d records: %.300s", len(got), text)
	}
	if n := r.Lost(); n != 0 {
		t.Errorf("%d lost", n)
	}
}

func TestRecordsNobodyReads(t *testing.T) {
	a, b, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRecorder(a)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 * recordsWaiting {
		r.Send(&LogRecord{Message: "x"}, 0)
	}
	if r.Lost() == 0 {
		t.Error("none were lost")
	}
	b.Close()
	r.Close()
	<-r.Done()
}

// Of those who send to a relay that takes nothing only the first ones wait, until it
// takes something again; whoever waits for ever is let go by the end.
func TestRecordsWaitOnce(t *testing.T) {
	a, b, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	r, err := NewRecorder(a)
	if err != nil {
		t.Fatal(err)
	}
	rec := &LogRecord{Message: strings.Repeat("x", 1<<10)}
	fill(t, fdOf(t, Socket{Raw: r.raw}), []byte("x"))
	for range recordsWaiting + 1 { // of which one has left the queue, and waits for the socket
		r.Send(rec, Forever)
	}
	begun := time.Now()
	for range 100 {
		r.Send(rec, 200*time.Millisecond)
	}
	if d := time.Since(begun); d < 200*time.Millisecond || d > 15*time.Second { // each for itself would take 20 s
		t.Errorf("100 records took %s", d)
	}
	if n := r.Lost(); n != 100 {
		t.Errorf("%d were lost", n)
	}
	sent := make(chan struct{})
	go func() {
		r.Send(rec, Forever)
		close(sent)
	}()
	select {
	case <-sent:
		t.Error("the last one found a place")
	case <-time.After(50 * time.Millisecond):
	}
	r.Close()
	<-sent
}
