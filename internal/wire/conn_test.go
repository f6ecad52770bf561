package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func connPair(t *testing.T) (a, b *Conn) {
	t.Helper()
	fa, fb, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	if a, err = NewConn(fa); err != nil {
		t.Fatal(err)
	}
	if b, err = NewConn(fb); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// pipe returns a file to send, and the other end to see whether it is open.
func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// wantClosed fails unless every writing end of the pipe is closed soon.
func wantClosed(t *testing.T, r *os.File) {
	t.Helper()
	r.SetReadDeadline(time.Now().Add(30 * time.Second))
	if _, err := r.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the file is still open somewhere: %v", err)
	}
}

func TestConn(t *testing.T) {
	a, b := connPair(t)
	a.Send(ToFront{Type: TypeWorker, Age: 3, First: 4})
	a.Send(ToFront{Type: TypeQuit})
	var m ToFront
	if files, err := b.Recv(&m); err != nil || len(files) > 0 || m.Type != TypeWorker || m.Age != 3 || m.First != 4 {
		t.Fatalf("%+v, %d files, %v", m, len(files), err)
	}
	m = ToFront{}
	if _, err := b.Recv(&m); err != nil || m.Type != TypeQuit || m.Age != 0 {
		t.Fatalf("%+v, %v", m, err)
	}
	b.Send(FromFront{Type: TypeTimeout, Seconds: 1.5})
	var answer FromFront
	if _, err := a.Recv(&answer); err != nil || answer.Seconds != 1.5 {
		t.Fatalf("%+v, %v", answer, err)
	}
}

func TestConnFiles(t *testing.T) {
	a, b := connPair(t)
	r, w := pipe(t)
	a.Send(ToFront{Type: TypeListen}, w)
	var m ToFront
	files, err := b.Recv(&m)
	if err != nil || len(files) != 1 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	flags, err := unix.FcntlInt(files[0].Fd(), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %#x, %v: a child would inherit it", flags, err)
	}
	if _, err := files[0].WriteString("x"); err != nil {
		t.Error(err)
	}
	if n, err := r.Read(make([]byte, 2)); n != 1 || err != nil {
		t.Error(n, err)
	}
	files[0].Close()
	wantClosed(t, r) // Send closed the one that it was given
}

// As many descriptors as one message may carry arrive, in order.
func TestConnManyFiles(t *testing.T) {
	a, b := connPair(t)
	var sent []*os.File
	for range MaxDescriptors {
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(f, len(sent))
		sent = append(sent, f)
	}
	a.Send(ToFront{Type: TypeWorker}, sent...)
	var m ToFront
	files, err := b.Recv(&m)
	if err != nil || len(files) != MaxDescriptors {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for i, f := range files {
		var buf [8]byte
		n, _ := f.ReadAt(buf[:], 0)
		if string(buf[:n]) != fmt.Sprint(i) {
			t.Errorf("file %d is %s", i, buf[:n])
		}
		f.Close()
	}
}

// A peer that does not read holds up nobody, and loses nothing.
func TestConnSendDoesNotBlock(t *testing.T) {
	a, b := connPair(t)
	const count = 200
	path := strings.Repeat("/", 20000)
	for i := range count {
		a.Send(FromFront{Type: TypeTimeout, Age: i + 1, Path: path})
	}
	flushed := make(chan bool)
	go func() { a.Flush(); close(flushed) }()
	for i := range count {
		var m FromFront
		if _, err := b.Recv(&m); err != nil || m.Age != i+1 || len(m.Path) != len(path) {
			t.Fatalf("message %d: %d, %v", i, m.Age, err)
		}
	}
	select {
	case <-flushed:
	case <-time.After(30 * time.Second):
		t.Fatal("Flush did not return")
	}
	a.Flush() // again: returns
	r, w := pipe(t)
	a.Send(FromFront{Type: TypeReady}, w)
	wantClosed(t, r) // dropped, with its file
}

// SendKeeping leaves the files to the caller and keeps the order, whether the kernel
// takes a message at once or it waits.
func TestConnSendKeeping(t *testing.T) {
	a, b := connPair(t)
	const count = 200
	path := strings.Repeat("/", 20000)
	for i := range count {
		r, w := pipe(t)
		fmt.Fprint(w, i+1)
		send := a.SendKeeping
		if i%5 == 4 {
			send = a.Send
		}
		if err := send(FromFront{Type: TypeTimeout, Age: i + 1, Path: path}, r); err != nil {
			t.Fatal(err)
		}
		if i%5 != 4 {
			if err := r.Close(); err != nil {
				t.Fatalf("the file of message %d is not the caller's any more: %v", i+1, err)
			}
		}
		w.Close()
	}
	for i := range count {
		var m FromFront
		files, err := b.Recv(&m)
		if err != nil || m.Age != i+1 || len(files) != 1 {
			t.Fatalf("message %d: %d with %d files, %v", i+1, m.Age, len(files), err)
		}
		if text, _ := io.ReadAll(files[0]); string(text) != fmt.Sprint(i+1) {
			t.Errorf("message %d has the file of %s", i+1, text)
		}
		files[0].Close()
	}
}

func TestConnEnd(t *testing.T) {
	a, b := connPair(t)
	a.Send(FromFront{Type: TypeReady})
	a.Flush()
	a.Close()
	var m FromFront
	if _, err := b.Recv(&m); err != nil || m.Type != TypeReady {
		t.Fatalf("%+v, %v: what was sent before the end is lost", m, err)
	}
	if _, err := b.Recv(&m); !errors.Is(err, io.EOF) {
		t.Errorf("%v, want EOF", err)
	}
	b.Send(FromFront{Type: TypeReady}) // must not raise SIGPIPE
	b.Flush()
}

func TestConnCloseEndsRecv(t *testing.T) {
	a, _ := connPair(t)
	done := make(chan error)
	go func() {
		var m FromFront
		_, err := a.Recv(&m)
		done <- err
	}()
	time.Sleep(10 * time.Millisecond)
	a.Close()
	select {
	case err := <-done:
		if !errors.Is(err, io.EOF) {
			t.Errorf("%v, want EOF", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("Recv did not return")
	}
}

// What is no message is an error, and its files are closed.
func TestConnGarbage(t *testing.T) {
	fa, fb, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer fa.Close()
	b, err := NewConn(fb)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	raw, err := fa.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	r, w := pipe(t)
	if err := SendMsg(raw, []byte(`{"type":`), int(w.Fd())); err != nil {
		t.Fatal(err)
	}
	w.Close()
	var m FromFront
	if _, err := b.Recv(&m); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("accepted: %+v, %v", m, err)
	}
	wantClosed(t, r)
}

func TestConnTooLarge(t *testing.T) {
	a, b := connPair(t)
	path := string(bytes.Repeat([]byte("a"), MaxMessage-100))
	a.Send(FromFront{Type: TypeTimeout, Path: path})
	var m FromFront
	if _, err := b.Recv(&m); err != nil || m.Path != path {
		t.Errorf("%d bytes, %v", len(m.Path), err)
	}
	if err := a.Send(FromFront{Type: TypeTimeout, Path: path + path}); err == nil {
		t.Error("a message over the limit was sent")
	}
	if err := a.Send(FromFront{Type: TypeReady}); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// What a peer said last arrives, also if it ended without reading what it was sent.
func TestLastWordsBeforeReset(t *testing.T) {
	ours, theirs, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	a, err := NewConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := a.Send(map[string]string{"type": "unread"}); err != nil {
		t.Fatal(err)
	}
	a.Flush()
	if _, err := unix.Write(int(theirs.Fd()), []byte(`{"type": "last"}`)); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	var got struct{ Type string }
	if _, err := a.Recv(&got); err != nil || got.Type != "last" {
		t.Errorf("received %q, %v", got.Type, err)
	}
	if _, err := a.Recv(&got); !errors.Is(err, io.EOF) {
		t.Errorf("then %v", err)
	}
}
