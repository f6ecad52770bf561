package wire

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// adoptedPair returns both ends of a message socket.
func adoptedPair(t *testing.T) (a, b Socket) {
	t.Helper()
	f, g, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	sockets, err := AdoptAll([]*os.File{f, g})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		sockets[0].File.Close()
		sockets[1].File.Close()
	})
	return sockets[0], sockets[1]
}

func fdOf(t *testing.T, s Socket) (fd uintptr) {
	t.Helper()
	if err := s.Raw.Control(func(f uintptr) { fd = f }); err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestReceiver(t *testing.T) {
	a, b := adoptedPair(t)
	var in Receiver
	buf := make([]byte, 16)
	if in.Receive(fdOf(t, b), buf, 0); !errors.Is(in.Err, unix.EAGAIN) {
		t.Errorf("with nothing there: %v", in.Err)
	}
	for files := range 4 {
		list := []*os.File{os.Stdin, os.Stdin, os.Stdin}[:files]
		if err := SendNow(fdOf(t, a), []byte("hello"), list); err != nil {
			t.Fatal(err)
		}
		in.Receive(fdOf(t, b), buf, 0)
		if in.Err != nil || string(buf[:in.N]) != "hello" {
			t.Fatalf("received %q, %v", buf[:in.N], in.Err)
		}
		f := in.File()
		if (f != nil) != (files > 0) {
			t.Fatalf("of %d files there is %v", files, f)
		}
		if f == nil {
			continue
		}
		fd := f.Fd()
		if flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
			t.Errorf("the file would be inherited: flags %#x, %v", flags, err)
		}
		f.Close()
	}
}

// Of files that cannot all be adopted none stays open.
func TestAdoptAllOrNone(t *testing.T) {
	f, g, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	closed, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	if _, err := AdoptAll([]*os.File{f, closed, g}); err == nil {
		t.Fatal("a closed file was adopted")
	}
	for _, f := range []*os.File{f, g} {
		if err := f.Close(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("it is still open: %v", err)
		}
	}
}

// A sender whose socket is full tries again when the other side has read, and not
// before.
func TestRetryWhenWritable(t *testing.T) {
	a, b := adoptedPair(t)
	testRetryWhenWritable(t, fdOf(t, a), fdOf(t, b), func(try func() bool) { RetryWhenWritable(a.Raw, try) })
}

// fill sends messages until the socket takes no more, and returns how many.
func fill(t *testing.T, fd uintptr, message []byte) (sent int) {
	t.Helper()
	for ; ; sent++ {
		if err := SendNow(fd, message, nil); IsFull(err) {
			return sent
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func testRetryWhenWritable(t *testing.T, fd, other uintptr, retry func(try func() bool)) {
	t.Helper()
	message := make([]byte, 32<<10)
	sent := fill(t, fd, message)
	tried, done := make(chan error), make(chan struct{})
	retry(func() bool {
		err := SendNow(fd, message, nil)
		tried <- err
		if err == nil {
			close(done)
		}
		return err == nil
	})
	if err := <-tried; err == nil {
		t.Fatal("the socket was not full")
	}
	var in Receiver
	buf := make([]byte, len(message))
	for range sent {
		if in.Receive(other, buf, 0); in.Err != nil {
			t.Fatal(in.Err)
		}
	}
	for err := range tried {
		if err == nil {
			break
		}
	}
	<-done
}

func TestHasEnded(t *testing.T) {
	a, b := adoptedPair(t)
	if HasEnded(fdOf(t, b)) {
		t.Error("an open socket has ended")
	}
	if err := unix.Shutdown(int(fdOf(t, a)), unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	if !HasEnded(fdOf(t, b)) {
		t.Error("a socket whose other side is shut down has not ended")
	}
}
