package wire

import (
	"encoding/json"
	"strings"
	"testing"
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
	r.Send(&LogRecord{Message: "one", Level: PythonInfo, Pid: 5, Role: "master"}, false)
	r.Send(&LogRecord{Message: strings.Repeat("x", 1<<20)}, false)
	r.Send(&LogRecord{Status: "200 OK", Environ: map[string]string{"RAW_URI": "/"}, Request: [][2]string{{"a", strings.Repeat("x", 1<<20)}}}, true)
	r.Close()
	r.Close()
	r.Send(&LogRecord{Message: "late"}, false)
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
		r.Send(&LogRecord{Message: "x"}, false)
	}
	if r.Lost() == 0 {
		t.Error("none were lost")
	}
	b.Close()
	r.Close()
	<-r.Done()
}
