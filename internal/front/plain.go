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

// A plainTransport is a socket without TLS.
type plainTransport struct {
	c     *conn
	p     []byte // of tryFn
	err   error
	tryFn func(fd uintptr) bool
}

func (l *plainTransport) tryWrite(fd uintptr) bool {
	for len(l.p) > 0 {
		n, err := wire.WriteNow(fd, l.p)
		if err != nil {
			l.err = err
			return true
		}
		l.p = l.p[n:]
	}
	return true
}

func (l *plainTransport) Try(p []byte) ([]byte, error) {
	l.p, l.err = p, nil
	err := l.c.raw.Write(l.tryFn)
	p, l.p = l.p, nil
	if err == nil && !errors.Is(l.err, unix.EAGAIN) {
		err = l.err
	}
	return p, err
}

func (l *plainTransport) Pending() bool { return false }

func (l *plainTransport) Flush() error { return nil }

func (l *plainTransport) Send(data []byte) error { return sendRaw(l.c.raw, data, l.c.progress) }

// sendRaw sends data over a socket, however long it takes as long as the client
// takes some.
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

func (l *plainTransport) SendFile(p outbox.FilePart) (int, error) {
	if !l.c.ex.cfg.Sendfile {
		return copyPiece(p, l.Send)
	}
	count := int(min(p.Size, filePiece))
	var n int
	var err error
	werr := l.c.raw.Write(func(fd uintptr) bool {
		for {
			offset := p.Offset
			n, err = unix.Sendfile(int(fd), int(p.File.Fd()), &offset, count)
			if err != unix.EINTR {
				return !errors.Is(err, unix.EAGAIN)
			}
		}
	})
	if werr != nil {
		return 0, werr
	}
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) {
		return copyPiece(p, l.Send) // not every file system can
	}
	l.c.progress()
	return max(n, 0), err
}

// copyPiece sends some of a part of a file by way of memory.
func copyPiece(p outbox.FilePart, send func([]byte) error) (int, error) {
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	n, err := p.File.ReadAt((*buf)[:min(p.Size, copyBuffer)], p.Offset)
	if n == 0 {
		return 0, err
	}
	return n, send((*buf)[:n])
}
