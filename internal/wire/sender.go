package wire

import (
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// watchAgain is how long a [Sender] waits for a descriptor when there is none left.
const watchAgain = 20 * time.Millisecond

// A Sender is the end of a message socket that only sends. The poller does not watch it as long
// as messages fit: it would wake this process each time the other side has read one, since a
// socket of AF_UNIX tells those who watch it for room of every message that leaves it.
type Sender struct {
	fd      int // -1: closed
	cleanup runtime.Cleanup
}

// AdoptSender returns f for sending alone. It closes f, also after an error. A Sender that nobody
// refers to any more is closed, as an [os.File] is.
func AdoptSender(f *os.File) (*Sender, error) {
	fd, err := duplicate(f.Fd())
	f.Close()
	if err != nil {
		return nil, err
	}
	s := &Sender{fd: fd}
	s.cleanup = runtime.AddCleanup(s, func(fd int) { unix.Close(fd) }, fd)
	return s, nil
}

// FD returns the descriptor, which does not block and is valid until Close.
func (s *Sender) FD() uintptr { return uintptr(s.fd) }

// Send is [SendNow].
func (s *Sender) Send(message []byte, files []*os.File) error { return SendNow(s.FD(), message, files) }

// RetryWhenWritable is the function of that name, for this socket. It must not be closed before
// try has returned true.
func (s *Sender) RetryWhenWritable(try func() bool) {
	go func() {
		for {
			file, raw, err := s.watched()
			if err == nil {
				_ = raw.Write(func(uintptr) bool { return try() })
				file.Close()
				return
			}
			time.Sleep(watchAgain)
			if try() {
				return
			}
		}
	}()
}

// watched returns a duplicate that the poller watches.
func (s *Sender) watched() (*os.File, syscall.RawConn, error) {
	fd, err := duplicate(s.FD())
	if err != nil {
		return nil, nil, err
	}
	return pollable(fd)
}

// Close closes the socket.
func (s *Sender) Close() {
	if s.fd >= 0 {
		s.cleanup.Stop()
		unix.Close(s.fd)
		s.fd = -1
	}
}
