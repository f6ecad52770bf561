package wire

import (
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func isBreach(err error) bool {
	var b *BreachError
	return errors.As(err, &b)
}

func TestDecodeFromWorker(t *testing.T) {
	for _, good := range []string{
		`{"type":"ready"}`,
		`{"type":"ready","kind":"asgi","stand_in":true}`,
		` {"stand_in": false, "type": "ready"} `,
		`{"type":"ready","modules":["gunicorn","gunicorn.http.wsgi","uvicorn_worker"]}`,
		`{"type":"ready","speed":"1.20.3rc1"}`,
		`{"type":"recycle"}`,
		`{"type":"files","files":["/srv/a.py"],"since":12.5}`,
		`{"type":"files","files":[],"since":0}`,
		`{"type":"warm"}`,
		`{"type":"born"}`,
		`{"type":"promoted"}`,
		`{"type":"refused","reason":"it has a thread"}`,
		`{"type":"forked","age":7}`,
		`{"type":"failed","age":7,"reason":"no","errno":11}`,
	} {
		if _, err := DecodeFromWorker([]byte(good)); err != nil {
			t.Errorf("%s: %s", good, err)
		}
	}
	for _, bad := range []struct{ data, says string }{
		{``, "empty"},
		{`{`, "no message"},
		{`null`, "no message"},
		{`[]`, "no message"},
		{`"ready"`, "no message"},
		{`{"type":"ready"}{"type":"ready"}`, "no message"},
		{`{}`, `""`},
		{`{"type":"READY"}`, `"READY"`},
		{`{"type":"exited","worker":2}`, `"exited"`},
		{`{"type":"ok","call":3}`, `"ok"`},
		{`{"type":"ready","worker":2}`, `"worker"`},
		{`{"type":"ready","pid":1}`, `"pid"`},
		{`{"Type":"ready"}`, `"Type"`},
		{`{"type":"ready","kind":"sync"}`, `"sync"`},
		{`{"type":"ready","kind":7}`, "no message"},
		{`{"type":"ready","modules":["os"]}`, "no module"},
		{`{"type":"ready","modules":["gunicorn\n[ERROR] x"]}`, "no module"},
		{`{"type":"ready","modules":["gunicorn` + strings.Repeat("a", 61) + `"]}`, "no module"},
		{`{"type":"ready","modules":[` + strings.Repeat(`"gunicorn",`, maxModules) + `"gunicorn"]}`, "no module"},
		{`{"type":"ready","speed":"1.0\n[ERROR] x"}`, "no version"},
		{`{"type":"ready","speed":"latest"}`, "no version"},
		{`{"type":"ready","speed":"1` + strings.Repeat("0", 32) + `"}`, "no version"},
		{`{"type":"recycle","speed":"1.0"}`, `"speed"`},
		{`{"type":"recycle","modules":["gunicorn"]}`, `"modules"`},
		{`{"type":"recycle","files":["/a"]}`, `"files"`},
		{`{"type":"promote"}`, `"promote"`},
		{`{"type":"forked","age":-1}`, "out of bounds"},
		{`{"type":"forked","pid":1}`, `"pid"`},
		{`{"type":"failed","age":1,"errno":4096}`, "out of bounds"},
		{`{"type":"refused","reason":"` + strings.Repeat("a", maxReason+1) + `"}`, "out of bounds"},
		{`{"type":"files","files":["a"],"since":1}`, "no path"},
		{`{"type":"files","files":["/a\u0000b"],"since":1}`, "no path"},
		{`{"type":"files","files":["/` + strings.Repeat("a", maxPath) + `"],"since":1}`, "no path"},
		{`{"type":"files","files":["/a"],"since":1e300}`, "time"},
		{`{"type":"files","files":["/a"],"since":-1}`, "time"},
		{strings.Repeat("[", MaxWorkerMessage), "no message"},
	} {
		_, err := DecodeFromWorker([]byte(bad.data))
		if !isBreach(err) || !strings.Contains(err.Error(), bad.says) || len(err.Error()) > 400 {
			t.Errorf("%.80s: %v", bad.data, err)
		}
	}
}

func FuzzDecodeFromWorker(f *testing.F) {
	f.Add([]byte(`{"type":"ready","kind":"asgi","stand_in":true}`))
	f.Add([]byte(`{"type":"files","files":["/srv/a.py"],"since":12.5}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		msg, err := DecodeFromWorker(data)
		if err != nil {
			if !isBreach(err) || len(err.Error()) > 1000 {
				t.Fatalf("%T of %d bytes", err, len(err.Error()))
			}
			return
		}
		if fromWorkerFields[msg.Type] == nil {
			t.Fatalf("a message of type %q", msg.Type)
		}
	})
}

// channel returns the master's end of a worker's channel, and a worker's.
func channel(t *testing.T) (*WorkerChannel, *os.File) {
	t.Helper()
	ours, theirs, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewWorkerChannel(ours)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		theirs.Close()
	})
	return c, theirs
}

func sendRaw(t *testing.T, f *os.File, data []byte, files ...*os.File) {
	t.Helper()
	var oob []byte
	if len(files) > 0 {
		oob = unix.UnixRights(Descriptors(files)...)
	}
	if err := unix.Sendmsg(int(f.Fd()), data, oob, nil, 0); err != nil {
		t.Fatal(err)
	}
}

func TestWorkerChannel(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux says who sent a message")
	}
	c, theirs := channel(t)
	sendRaw(t, theirs, []byte(`{"type":"ready"}`))
	msg, sender, err := c.Recv()
	if err != nil || msg.Type != TypeReady || sender != os.Getpid() {
		t.Fatalf("got %+v from %d, %v", msg, sender, err)
	}
	before := openFiles(t)
	for what, send := range map[string]func(){
		"empty":       func() { sendRaw(t, theirs, nil) },
		"descriptors": func() { sendRaw(t, theirs, []byte(`{"type":"recycle"}`), os.Stdin, os.Stdout) },
		"more than":   func() { sendRaw(t, theirs, make([]byte, MaxWorkerMessage+1)) },
		"no message":  func() { sendRaw(t, theirs, []byte("{")) },
	} {
		send()
		_, sender, err := c.Recv()
		if !isBreach(err) || !strings.Contains(err.Error(), what) || sender != os.Getpid() {
			t.Errorf("%s: from %d, %v", what, sender, err)
		}
	}
	if after := openFiles(t); after > before { // what earlier tests have left may be closed meanwhile
		t.Errorf("%d descriptors, before %d", after, before)
	}
	sendRaw(t, theirs, []byte(`{"type":"recycle"}`))
	theirs.Close()
	if msg, _, err := c.Recv(); err != nil || msg.Type != TypeRecycle {
		t.Errorf("what was sent before the end: %+v, %v", msg, err)
	}
	if _, _, err := c.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func TestWorkerChannelClosed(t *testing.T) {
	c, _ := channel(t)
	done := make(chan error)
	go func() {
		_, _, err := c.Recv()
		done <- err
	}()
	c.Close()
	if err := <-done; !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}

// What another process sends over a socket that it has inherited is passed over.
func TestOnlyFrom(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux says who sent a message")
	}
	for _, sender := range []int{os.Getpid(), os.Getppid()} {
		ours, theirs, err := Pair()
		if err != nil {
			t.Fatal(err)
		}
		if err := NameSenders(ours); err != nil {
			t.Fatal(err)
		}
		conn, err := NewConn(ours)
		if err != nil {
			t.Fatal(err)
		}
		conn.OnlyFrom(sender)
		sendRaw(t, theirs, []byte(`{"type":"ok","call":1}`), os.Stdin)
		if sender != os.Getpid() {
			sendRaw(t, theirs, nil)
			sendRaw(t, theirs, []byte("{"))
		}
		theirs.Close()
		var msg FromSpawner
		files, err := conn.Recv(&msg)
		CloseAll(files)
		if sender == os.Getpid() {
			if err != nil || msg.Call != 1 {
				t.Errorf("own: %+v, %v", msg, err)
			}
			_, err = conn.Recv(&msg)
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("at the end: %v", err)
		}
		conn.Close()
	}
}
