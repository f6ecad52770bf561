package wire

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// isWatched reports whether an epoll instance of this process watches a descriptor.
func isWatched(t *testing.T, fd uintptr) bool {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, link := range links {
		if kind, err := os.Readlink(link); err != nil || kind != "anon_inode:[eventpoll]" {
			continue // it may be closed by now
		}
		text, err := os.ReadFile(strings.Replace(link, "/fd/", "/fdinfo/", 1))
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			var watched uintptr
			if n, _ := fmt.Sscanf(string(line), "tfd: %d", &watched); n == 1 && watched == fd {
				found = true
			}
		}
	}
	return found
}

// sender returns a Sender, and the other end of its socket.
func sender(t *testing.T) (*Sender, Socket) {
	t.Helper()
	f, g, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	s, err := AdoptSender(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	others, err := AdoptAll([]*os.File{g})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { others[0].File.Close() })
	return s, others[0]
}

// The poller watches a Sender only while that waits for room.
func TestSenderIsNotWatched(t *testing.T) {
	s, other := sender(t)
	if !isWatched(t, fdOf(t, other)) {
		t.Fatal("the test does not see what is watched")
	}
	if isWatched(t, s.FD()) {
		t.Error("it is watched")
	}
	before := descriptors(t)
	testRetryWhenWritable(t, s.FD(), fdOf(t, other), s.RetryWhenWritable)
	// What earlier tests have left may be closed meanwhile.
	for end := time.Now().Add(30 * time.Second); descriptors(t) > before || isWatched(t, s.FD()); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d descriptors, before it was full %d", descriptors(t), before)
		}
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	links, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(links)
}

// Without a descriptor to watch it tries again, too.
func TestSenderWithoutDescriptors(t *testing.T) {
	s, other := sender(t)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 0
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Error(err)
		}
	}()
	testRetryWhenWritable(t, s.FD(), fdOf(t, other), s.RetryWhenWritable)
}

func TestSenderClosed(t *testing.T) {
	s, other := sender(t)
	s.Close()
	if err := s.Send([]byte("x"), nil); err == nil {
		t.Error("a closed socket has sent")
	}
	s.Close() // does not close a descriptor that is another file's by now
	if !HasEnded(fdOf(t, other)) {
		t.Error("its descriptor is open")
	}
}
