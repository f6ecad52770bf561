package front

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"

	"indrik/internal/outbox"
	"indrik/internal/wire"
)

// filePiece is how much of a file is sent between two looks at progress.
const filePiece = 1 << 20

// A plainTransport is the transport of a connection without TLS.
type plainTransport struct {
	c *conn

	// Of Try.
	head, p []byte
	both    wire.Vector
	err     error
	tryFn   func(fd uintptr) bool
}

func (t *plainTransport) tryWrite(fd uintptr) bool {
	for len(t.head)+len(t.p) > 0 {
		var n int
		if len(t.head) > 0 && len(t.p) > 0 {
			n, t.err = t.both.WriteNow(fd, t.head, t.p)
		} else if len(t.head) > 0 {
			n, t.err = wire.WriteNow(fd, t.head)
		} else {
			n, t.err = wire.WriteNow(fd, t.p)
		}
		if t.err != nil {
			return true
		}
		ofHead := min(n, len(t.head))
		t.head, t.p = t.head[ofHead:], t.p[n-ofHead:]
	}
	return true
}

// Try implements [outbox.Transport].
func (t *plainTransport) Try(head, p []byte) ([]byte, []byte, error) {
	t.head, t.p, t.err = head, p, nil
	err := t.c.raw.Write(t.tryFn)
	head, p = t.head, t.p
	t.head, t.p = nil, nil
	if err == nil && !errors.Is(t.err, unix.EAGAIN) {
		err = t.err
	}
	return head, p, err
}

// Pending implements [outbox.Transport].
func (t *plainTransport) Pending() bool { return false }

// Flush implements [outbox.Transport].
func (t *plainTransport) Flush() error { return nil }

// Send implements [outbox.Transport].
func (t *plainTransport) Send(data []byte) error { return sendRaw(t.c.raw, data, t.c.progress) }

func (t *plainTransport) sendBoth(head, data []byte) error {
	if err := t.Send(head); err != nil {
		return err
	}
	return t.Send(data)
}

// sendRaw sends data over a socket, however long that takes. It calls progress whenever
// the client has taken some.
func sendRaw(raw syscall.RawConn, data []byte, progress func()) error {
	var err error
	werr := raw.Write(func(fd uintptr) bool {
		for len(data) > 0 {
			var n int
			if n, err = wire.WriteNow(fd, data); err != nil {
				return !errors.Is(err, unix.EAGAIN)
			}
			data = data[n:]
			progress()
		}
		err = nil
		return true
	})
	if werr != nil {
		return werr
	}
	return err
}

// SendFile implements [outbox.Transport].
func (t *plainTransport) SendFile(head []byte, p outbox.FilePart) (int, error) {
	if !t.c.s.config().Sendfile { // a connection of HTTP/2 has no exchange of its own
		return t.copyPart(head, p)
	}
	count := int(min(p.Size, filePiece))
	var n int
	var err error
	werr := t.c.raw.Write(func(fd uintptr) bool {
		for len(head) > 0 {
			if n, err = wire.WriteMoreNow(fd, head); err != nil {
				return !errors.Is(err, unix.EAGAIN)
			}
			head = head[n:]
			t.c.progress()
		}
		for {
			offset := p.Offset
			n, err = unix.Sendfile(int(fd), int(p.File.Fd()), &offset, count)
			if !errors.Is(err, unix.EINTR) {
				return !errors.Is(err, unix.EAGAIN)
			}
		}
	})
	if werr != nil {
		return 0, werr
	}
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) {
		return t.copyPart(head, p) // not every file system can
	}
	t.c.progress()
	return max(n, 0), err
}

func (t *plainTransport) copyPart(head []byte, p outbox.FilePart) (int, error) {
	return copyPart(p, func(data []byte) error { return t.sendBoth(head, data) })
}

// copyPart sends some of a part of a file through memory.
func copyPart(p outbox.FilePart, send func([]byte) error) (int, error) {
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	n, err := p.File.ReadAt((*buf)[:min(p.Size, copyBuffer)], p.Offset)
	if n == 0 {
		return 0, err
	}
	return n, send((*buf)[:n])
}
