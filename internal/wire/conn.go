package wire

import (
	"fmt"
	"io"
	"os"
	"sync"

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
	raw    rawConn
	sender int // the pid that messages count from, 0: any

	buf, oob []byte // of Recv

	mu     sync.Mutex
	queue  []outgoing
	busy   bool // the writer is about to send, or sends
	wake   chan struct{}
	closed bool
	done   chan struct{} // the writer has ended
}

type rawConn interface {
	Read(func(fd uintptr) bool) error
	Write(func(fd uintptr) bool) error
}

type outgoing struct {
	data  []byte
	files []*os.File
}

// NewConn takes over f, one end of a [Pair].
func NewConn(f *os.File) (*Conn, error) {
	file, raw, err := takeOver(f)
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

// takeOver makes of f a file that the runtime's poller knows.
func takeOver(f *os.File) (*os.File, rawConn, error) {
	// A duplicate made non-blocking before os.NewFile sees it goes to the
	// runtime's poller, so that a blocked Recv costs no thread and ends
	// with Close.
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	f.Close()
	if err != nil {
		return nil, nil, fmt.Errorf("take over a message socket: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, nil, fmt.Errorf("take over a message socket: %w", err)
	}
	file := os.NewFile(uintptr(fd), "control")
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, nil, fmt.Errorf("take over a message socket: %w", err)
	}
	return file, raw, nil
}

// Send queues v as a JSON message, in which bytes that are not UTF-8 survive, and returns at
// once: a peer that does not read never holds up the caller. It takes over files and closes
// them once they are sent. That the peer is gone shows in Recv; the error is
// about v, which is too large for a message.
func (c *Conn) Send(v any, files ...*os.File) error {
	data, err := encodeMessage(v)
	if err != nil {
		closeAll(files)
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
		closeAll(files)
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
			closeAll(dups)
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
	var oob []byte
	if len(files) > 0 {
		oob = unix.UnixRights(Descriptors(files)...)
	}
	var err error
	werr := c.raw.Write(func(fd uintptr) bool {
		err = unix.Sendmsg(int(fd), data, oob, nil, unix.MSG_NOSIGNAL)
		return true // whatever it is, this does not wait
	})
	switch {
	case werr != nil:
		return true // closed
	case err == unix.EAGAIN || err == unix.ENOBUFS || err == unix.EINTR || err == unix.ETOOMANYREFS:
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
		c.oob = make([]byte, unix.CmsgSpace(4*MaxDescriptors)+credentialsSpace)
	}
	buf, oob := c.buf, c.oob
	for {
		n, oobn, flags, err := c.receive(buf, oob)
		if err != nil {
			return nil, err
		}
		files, err := filesOf(oob[:oobn])
		if err != nil {
			return nil, err
		}
		if c.sender != 0 && credentialsSpace != 0 {
			sender := senderOf(oob[:oobn])
			if n == 0 && sender == 0 {
				return nil, io.EOF // an empty message would have a sender
			}
			if sender != c.sender {
				closeAll(files)
				continue
			}
		}
		if n == 0 {
			closeAll(files)
			return nil, io.EOF
		}
		if err := unmarshal(buf[:n], v); err != nil {
			closeAll(files)
			return nil, fmt.Errorf("control message: %w", err)
		}
		if flags&unix.MSG_CTRUNC != 0 {
			closeAll(files)
			return nil, ErrTruncated
		}
		return files, nil
	}
}

// receive waits for the next message. The error is io.EOF once the peer is gone.
func (c *Conn) receive(buf, oob []byte) (n, oobn, flags int, err error) {
	rerr := c.raw.Read(func(fd uintptr) bool {
		n, oobn, flags, err = recvmsg(int(fd), buf, oob)
		if err == unix.ECONNRESET {
			// The peer ended without reading all that it was sent. Linux says so
			// once, and ahead of what the peer has sent before.
			n, oobn, flags, err = recvmsg(int(fd), buf, oob)
		}
		return err != unix.EAGAIN
	})
	if rerr != nil {
		c.mu.Lock()
		closed := c.closed
		c.mu.Unlock()
		if closed {
			return 0, 0, 0, io.EOF
		}
		return 0, 0, 0, rerr
	}
	if err == unix.ECONNRESET {
		return 0, 0, 0, io.EOF
	}
	return n, oobn, flags, os.NewSyscallError("recvmsg", err)
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
			closeAll(m.files)
		}
	}
}

// SendMsg sends one message with descriptors on a non-blocking message
// socket, waiting for room. The descriptors stay the caller's.
func SendMsg(raw rawConn, data []byte, fds ...int) error {
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

func recvmsg(fd int, buf, oob []byte) (n, oobn, flags int, err error) {
	for {
		n, oobn, flags, _, err = unix.Recvmsg(fd, buf, oob, recvFlags)
		if err != unix.EINTR {
			return n, oobn, flags, err
		}
	}
}

// Descriptors returns the descriptors of files, which still own them.
func Descriptors(files []*os.File) []int {
	fds := make([]int, len(files))
	for i, f := range files {
		fds[i] = int(f.Fd())
	}
	return fds
}

// filesOf returns the descriptors in the control data of a message, as files
// that the caller owns.
func filesOf(oob []byte) ([]*os.File, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	cmsgs, err := unix.ParseSocketControlMessage(oob)
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

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
