package pools

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/wire"
)

// A socket is a message socket to another process, which may hold the same end and may have
// made it block: every call of the system says that it does not wait.
type socket struct {
	wire.Socket
	in   wire.Receiver // of recv, which one goroutine calls at a time
	gone atomic.Bool   // no more will come: its process has ended
}

// newSocket takes over f.
func newSocket(f *os.File) (*socket, error) {
	file, raw, err := wire.Adopt(f)
	if err != nil {
		return nil, err
	}
	return &socket{Socket: wire.Socket{File: file, Raw: raw}}, nil
}

// errReset says that the other process has ended, or closed the socket, without having read
// what it was sent.
var errReset = errors.New("the message was not read")

// errEmpty says that the other process has sent a message without a byte, which nobody does that
// means well.
var errEmpty = errors.New("the message is empty")

// past is a time that makes what waits for a socket stop.
var past = time.Unix(1, 0)

// recv waits for the next message, until limit unless that is zero, and until ctx ends. The
// caller owns the file, which may be nil. The error is that of ctx, os.ErrDeadlineExceeded,
// errReset once, errEmpty, or io.EOF.
func (s *socket) recv(ctx context.Context, limit time.Time) (data []byte, file *os.File, err error) {
	stop := context.AfterFunc(ctx, func() { s.File.SetReadDeadline(past) })
	defer stop()
	for {
		s.File.SetReadDeadline(limit)
		// After the deadline is set: whatever happens from here on sets another one.
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		if s.gone.Load() {
			return s.recvLast()
		}
		rerr := s.Raw.Read(func(fd uintptr) bool {
			data, file, err = s.recvNow(fd)
			return !errors.Is(err, unix.EAGAIN)
		})
		if rerr == nil {
			return data, file, err
		}
		if !errors.Is(rerr, os.ErrDeadlineExceeded) {
			return nil, nil, io.EOF // closed here
		}
		if ctx.Err() == nil && !s.gone.Load() && !limit.IsZero() && !time.Now().Before(limit) {
			return nil, nil, os.ErrDeadlineExceeded
		}
	}
}

// recvLast returns a message that is there, without waiting. The error is io.EOF if there is none.
func (s *socket) recvLast() (data []byte, file *os.File, err error) {
	if cerr := s.Raw.Control(func(fd uintptr) { data, file, err = s.recvNow(fd) }); cerr != nil || errors.Is(err, unix.EAGAIN) {
		return nil, nil, io.EOF
	}
	return data, file, err
}

// recvNow receives a message into memory of the size that it has.
func (s *socket) recvNow(fd uintptr) (data []byte, file *os.File, err error) {
	n, _, err := unix.Recvfrom(int(fd), nil, unix.MSG_PEEK|unix.MSG_TRUNC|unix.MSG_DONTWAIT)
	switch {
	case errors.Is(err, unix.ECONNRESET):
		return nil, nil, errReset
	case errors.Is(err, unix.EINTR):
		return nil, nil, unix.EAGAIN
	case err != nil:
		return nil, nil, err
	case n == 0 && wire.HasEnded(fd):
		return nil, nil, io.EOF
	case n == 0:
		return nil, nil, errEmpty
	}
	data = make([]byte, min(n, wire.MaxPoolMessage+1)) // one that is longer is no message
	s.in.Receive(fd, data, unix.MSG_DONTWAIT)
	if s.in.Err != nil {
		return nil, nil, s.in.Err
	}
	return data[:s.in.N], s.in.File(), nil
}

// send sends a message, and waits for room until limit unless that is zero. The file stays
// the caller's. The error is os.ErrDeadlineExceeded, io.EOF, or that of the system.
func (s *socket) send(data []byte, file *os.File, limit time.Time) error {
	s.File.SetWriteDeadline(limit)
	var err error
	werr := s.Raw.Write(func(fd uintptr) bool {
		err = sendmsg(fd, data, file)
		return !errors.Is(err, unix.EAGAIN)
	})
	return sendError(werr, err)
}

// sendNow sends a message without waiting. The file stays the caller's. The error is
// os.ErrDeadlineExceeded if there is no room, io.EOF, or that of the system.
func (s *socket) sendNow(data []byte, file *os.File) error {
	var err error
	werr := s.Raw.Control(func(fd uintptr) { err = sendmsg(fd, data, file) })
	if errors.Is(err, unix.EAGAIN) {
		return os.ErrDeadlineExceeded
	}
	return sendError(werr, err)
}

func sendmsg(fd uintptr, data []byte, file *os.File) error {
	var oob []byte
	if file != nil {
		oob = unix.UnixRights(int(file.Fd()))
	}
	for {
		err := unix.Sendmsg(int(fd), data, oob, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// sendError makes the error of a send of that of the poller, or that of the system.
func sendError(poller, system error) error {
	switch {
	case errors.Is(poller, os.ErrDeadlineExceeded):
		return poller
	case poller != nil || wire.IsClosed(system):
		return io.EOF
	}
	return os.NewSyscallError("sendmsg", system)
}

// awaitRead waits until the other process has read all that it was sent. A socket has room for
// hundreds of messages, whatever is in the files that come along with them. The error is that of
// ctx, or os.ErrDeadlineExceeded.
func (s *socket) awaitRead(ctx context.Context, limit time.Time) error {
	for pause := time.Millisecond / 2; ; pause = min(2*pause, 20*time.Millisecond) {
		unread := 0
		_ = s.Raw.Control(func(fd uintptr) { unread = unreadOf(fd) }) // what is wrong shows in the next send
		switch {
		case unread == 0:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !limit.IsZero() && time.Now().After(limit):
			return os.ErrDeadlineExceeded
		}
		time.Sleep(pause)
	}
}

// end makes recv return what is there, and then io.EOF: the process of the other end is gone, even
// if others still hold it.
func (s *socket) end() {
	s.gone.Store(true)
	s.File.SetReadDeadline(past)
}
