package wire

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// This file is what the channels of this package, and those who have sockets of their
// own to the workers, do with message sockets: take them over, and send and receive on
// them.

// Adopt returns f for use with the poller of the runtime, in its place: a duplicate,
// so that a blocked read costs no thread and ends with Close. It closes f, also after
// an error.
func Adopt(f *os.File) (*os.File, syscall.RawConn, error) {
	fd, err := duplicate(f.Fd())
	f.Close()
	if err != nil {
		return nil, nil, err
	}
	return pollable(fd)
}

// duplicate returns a duplicate of a descriptor that does not block.
func duplicate(of uintptr) (int, error) {
	// The poller gets what does not block when os.NewFile sees it.
	fd, err := unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return -1, fmt.Errorf("take over a message socket: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("take over a message socket: %w", err)
	}
	return fd, nil
}

// pollable returns a descriptor that does not block as a file, for use with the poller.
func pollable(fd int) (*os.File, syscall.RawConn, error) {
	file := os.NewFile(uintptr(fd), "message socket")
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, nil, fmt.Errorf("take over a message socket: %w", err)
	}
	return file, raw, nil
}

// AdoptAll adopts files: all of them or none, and then it closes them.
func AdoptAll(files []*os.File) ([]Socket, error) {
	var sockets []Socket
	for i, f := range files {
		file, raw, err := Adopt(f)
		if err != nil {
			CloseAll(files[i+1:])
			for _, s := range sockets {
				s.File.Close()
			}
			return nil, err
		}
		sockets = append(sockets, Socket{file, raw})
	}
	return sockets, nil
}

// A Socket is a message socket that was adopted.
type Socket struct {
	File *os.File
	Raw  syscall.RawConn
}

// IsFull reports whether an error of [SendNow] says that the kernel takes no more for now.
func IsFull(err error) bool { return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENOBUFS) }

// IsClosed reports whether an error of [SendNow] says that nobody can read the message.
func IsClosed(err error) bool {
	return errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.ECONNREFUSED)
}

// SendNow sends a message without waiting. The files stay the caller's. [IsFull] and
// [IsClosed] tell what its errors mean.
func SendNow(fd uintptr, message []byte, files []*os.File) error {
	if len(files) == 0 {
		_, err := WriteNow(fd, message) // does not allocate, as sendmsg does
		return err
	}
	oob := unix.UnixRights(Descriptors(files)...)
	for {
		if err := unix.Sendmsg(int(fd), message, oob, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL); err != unix.EINTR {
			return err
		}
	}
}

// SendMsg sends one message with descriptors on a non-blocking message
// socket, waiting for room. The descriptors stay the caller's.
func SendMsg(raw syscall.RawConn, data []byte, fds ...int) error {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	var err error
	werr := raw.Write(func(fd uintptr) bool {
		err = unix.Sendmsg(int(fd), data, oob, nil, unix.MSG_NOSIGNAL)
		return err != unix.EAGAIN && err != unix.ENOBUFS
	})
	if werr != nil {
		return werr
	}
	return os.NewSyscallError("sendmsg", err)
}

// RetryWhenWritable calls try from another goroutine, first at once, and then whenever
// the kernel has sent some of what it keeps for the socket, until try returns true or
// the socket is closed. The poller is armed before each call: room that came before the
// call shows in it, room that comes later causes the next one.
func RetryWhenWritable(raw syscall.RawConn, try func() bool) {
	go func() { _ = raw.Write(func(uintptr) bool { return try() }) }()
}

// SetSendBuffer sets the size of a socket's send buffer, as far as the system grants it.
func SetSendBuffer(fd uintptr, size int) {
	for _, opt := range []int{unix.SO_SNDBUF, sndbufForce} {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, opt, size)
	}
}

// A Receiver receives messages with descriptors. It is kept and reused, since
// recvmsg(2) needs structures that would have to be allocated each time. The zero value
// has space for more descriptors than any message of a worker has.
type Receiver struct {
	N     int // bytes of the message
	Flags int // unix.MSG_TRUNC and the like
	Err   error

	oobn  int // bytes of control data
	oob   []byte
	small [64]byte // what oob is if nothing else was said
	recvmsg
}

// newReceiver returns a receiver with space for so many bytes of control data.
func newReceiver(control int) *Receiver { return &Receiver{oob: make([]byte, control)} }

// Receive receives one message into buf, on a descriptor that does not block or with
// unix.MSG_DONTWAIT among the flags.
func (r *Receiver) Receive(fd uintptr, buf []byte, flags int) {
	if r.oob == nil {
		r.oob = r.small[:]
	}
	r.receive(fd, buf, flags|recvFlags)
}

// Files returns the descriptors that came with the message, as files that the caller
// owns.
func (r *Receiver) Files() ([]*os.File, error) {
	if r.Err != nil || r.oobn == 0 {
		return nil, nil //nolint:nilerr // the caller has r.Err, and no files came
	}
	cmsgs, err := unix.ParseSocketControlMessage(r.oob[:r.oobn])
	if err != nil {
		return nil, os.NewSyscallError("recvmsg", err)
	}
	var files []*os.File
	for i := range cmsgs {
		fds, err := unix.ParseUnixRights(&cmsgs[i])
		if err != nil {
			continue // credentials and the like
		}
		for _, fd := range fds {
			setCloexec(fd)
			files = append(files, os.NewFile(uintptr(fd), "received"))
		}
	}
	return files, nil
}

// File returns the descriptor that came with the message, nil if none did. The caller
// owns it. Others that came with it are closed.
func (r *Receiver) File() *os.File {
	files, err := r.Files()
	if err != nil || len(files) == 0 {
		return nil
	}
	CloseAll(files[1:])
	return files[0]
}

// sender returns the pid of the process that sent the message, 0 if that is not known.
func (r *Receiver) sender() int { return senderOf(r.oob[:r.oobn]) }

// Descriptors returns the descriptors of files, which still own them.
func Descriptors(files []*os.File) []int {
	fds := make([]int, len(files))
	for i, f := range files {
		fds[i] = int(f.Fd())
	}
	return fds
}

// CloseAll closes files, of which some may be nil.
func CloseAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// HasEnded reports whether the other side of a socket sends no more than what is
// there already.
func HasEnded(fd uintptr) bool { return Poll(fd, pollEnded) }

// Poll reports, without waiting, whether one of some events of poll(2) holds.
func Poll(fd uintptr, events int16) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
	_, err := unix.Poll(fds, 0)
	return err == nil && fds[0].Revents&events != 0
}
