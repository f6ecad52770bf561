package wire

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// MaxMessage is the size of the largest message on any channel, in bytes.
const MaxMessage = 128 << 10

// MaxDescriptors is the number of descriptors that one message may carry.
// The kernel's own limit is 253 (unix(7), SCM_RIGHTS).
const MaxDescriptors = 200

// Pair returns the two ends of a message socket: close-on-exec, non-blocking
// on neither end. The caller owns both.
func Pair() (a, b *os.File, err error) {
	fds, err := socketpair()
	if err != nil {
		return nil, nil, fmt.Errorf("make a message socket: %w", err)
	}
	return os.NewFile(uintptr(fds[0]), "message socket"), os.NewFile(uintptr(fds[1]), "message socket"), nil
}

// A Conn carries control messages. Send may be called from any goroutine;
// Recv from one at a time.
type Conn struct {
	file   *os.File
	raw    syscall.RawConn
	sender int // the pid that messages count from, 0: any

	// Of Recv.
	in  *Receiver
	buf []byte

	mu sync.Mutex
	// +checklocks:mu
	queue []outgoing
	// +checklocks:mu
	busy bool // the writer is about to send, or sends
	wake chan struct{}
	// +checklocks:mu
	closed bool
	done   chan struct{} // the writer has ended
}

type outgoing struct {
	data  []byte
	files []*os.File
}

// NewConn takes over f, one end of a [Pair].
func NewConn(f *os.File) (*Conn, error) {
	file, raw, err := Adopt(f)
	if err != nil {
		return nil, err
	}
	c := &Conn{file: file, raw: raw, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go c.write()
	return c, nil
}

// NameSenders asks the kernel to name the sender of each message that comes over f, on systems
// where the kernel can. It must be called before another process has the other end.
func NameSenders(f *os.File) error {
	return os.NewSyscallError("setsockopt", wantCredentials(int(f.Fd())))
}

// OnlyFrom makes Recv ignore messages from processes other than pid, as the kernel names them:
// descriptors are inherited, and can be passed on. [NameSenders] must have been called
// for the socket, and Recv not yet.
func (c *Conn) OnlyFrom(pid int) { c.sender = pid }

// Send queues v as a JSON message, in which bytes that are not UTF-8 survive, and returns at
// once: a peer that does not read never holds up the caller. It takes over files and closes
// them once they are sent. That the peer is gone shows in Recv; the error is
// about v, which is too large for a message.
func (c *Conn) Send(v any, files ...*os.File) error {
	data, err := encodeMessage(v)
	if err != nil {
		CloseAll(files)
		return err
	}
	c.enqueue(data, files)
	return nil
}

// encodeMessage makes a message of v.
func encodeMessage(v any) ([]byte, error) {
	data, err := marshal(v)
	if err == nil && len(data) > MaxMessage {
		err = fmt.Errorf("a message of %d bytes is over the limit of %d", len(data), MaxMessage)
	}
	return data, err
}

// enqueue leaves a message to the writer, with files that it closes.
func (c *Conn) enqueue(data []byte, files []*os.File) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		CloseAll(files)
		return
	}
	c.queue = append(c.queue, outgoing{data, files})
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// SendKeeping is like [Conn.Send], but the files stay the caller's, who may close them
// at once. As a rule the kernel takes the message at once, and no descriptor is needed
// for it; otherwise the files are duplicated, and that this fails is an error too.
func (c *Conn) SendKeeping(v any, files ...*os.File) error {
	data, err := encodeMessage(v)
	if err != nil {
		return err
	}
	if c.sendNow(data, files) {
		return nil
	}
	dups := make([]*os.File, 0, len(files))
	for _, f := range files {
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			CloseAll(dups)
			return fmt.Errorf("duplicate %s: %w", f.Name(), err)
		}
		dups = append(dups, os.NewFile(uintptr(fd), f.Name()))
	}
	c.enqueue(data, dups)
	return nil
}

// sendNow sends a message if none waits before it and the kernel takes it at once. It
// reports whether there is nothing left to do.
func (c *Conn) sendNow(data []byte, files []*os.File) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return true
	}
	if c.busy || len(c.queue) > 0 {
		return false
	}
	var err error
	werr := c.raw.Write(func(fd uintptr) bool {
		err = SendNow(fd, data, files)
		return true // also after an error: this does not wait
	})
	switch {
	case werr != nil:
		return true // closed
	case IsFull(err) || errors.Is(err, unix.ETOOMANYREFS):
		return false
	}
	return true // or the peer is gone, which shows in Recv
}

// ErrTruncated says that there was no room for the descriptors of a message: the kernel
// leaves out those for which a process has none (recvmsg(2), MSG_CTRUNC). It wraps
// EMFILE, the usual reason.
var ErrTruncated = fmt.Errorf("descriptors of a message were lost: %w", unix.EMFILE)

// Recv waits for the next message and decodes it into v. The caller owns the
// files. The error is io.EOF once the peer is gone, and [ErrTruncated] for a message
// whose descriptors did not arrive; v then holds the rest of it.
func (c *Conn) Recv(v any) ([]*os.File, error) {
	if c.buf == nil {
		c.buf = make([]byte, MaxMessage)
		c.in = newReceiver(unix.CmsgSpace(4*MaxDescriptors) + credentialsSpace)
	}
	for {
		if err := c.receive(); err != nil {
			return nil, err
		}
		files, err := c.in.Files()
		if err != nil {
			return nil, err
		}
		if c.sender != 0 && credentialsSpace != 0 {
			sender := c.in.sender()
			if c.in.N == 0 && sender == 0 {
				return nil, io.EOF // an empty message would have a sender
			}
			if sender != c.sender {
				CloseAll(files)
				continue
			}
		}
		if c.in.N == 0 {
			CloseAll(files)
			return nil, io.EOF
		}
		if err := unmarshal(c.buf[:c.in.N], v); err != nil {
			CloseAll(files)
			return nil, fmt.Errorf("control message: %w", err)
		}
		if c.in.Flags&unix.MSG_CTRUNC != 0 {
			CloseAll(files)
			return nil, ErrTruncated
		}
		return files, nil
	}
}

// receive waits for the next message. The error is io.EOF once the peer is gone.
func (c *Conn) receive() error {
	rerr := c.raw.Read(func(fd uintptr) bool {
		c.in.Receive(fd, c.buf, 0)
		if errors.Is(c.in.Err, unix.ECONNRESET) {
			// The peer ended without reading all that it was sent. Linux says so
			// once, and ahead of what the peer has sent before.
			c.in.Receive(fd, c.buf, 0)
		}
		return !errors.Is(c.in.Err, unix.EAGAIN)
	})
	if rerr != nil {
		c.mu.Lock()
		closed := c.closed
		c.mu.Unlock()
		if closed {
			return io.EOF
		}
		return rerr
	}
	if errors.Is(c.in.Err, unix.ECONNRESET) {
		return io.EOF
	}
	return os.NewSyscallError("recvmsg", c.in.Err)
}

// Flush waits until everything queued so far is with the kernel, or cannot be.
// It closes c for further sends.
func (c *Conn) Flush() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	<-c.done
}

// Close ends the connection; a Recv that waits returns io.EOF.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	err := c.file.Close()
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return err
}

func (c *Conn) write() {
	defer close(c.done)
	for range c.wake {
		for {
			c.mu.Lock()
			c.busy = false
			if len(c.queue) == 0 {
				closed := c.closed
				c.mu.Unlock()
				if closed {
					return
				}
				break
			}
			m := c.queue[0]
			c.queue = c.queue[1:]
			c.busy = true
			c.mu.Unlock()
			// An error means that the peer or this end is gone: there is
			// nobody to tell, but the files must still be closed.
			_ = SendMsg(c.raw, m.data, Descriptors(m.files)...)
			CloseAll(m.files)
		}
	}
}
