package front

import (
	"errors"
	"indrik/internal/wire"
	"syscall"

	"golang.org/x/sys/unix"
)

// A line is how the bytes of a response reach a client.
type line interface {
	// try sends as much of p as it can without waiting for the client, and
	// returns the rest.
	try(p []byte) (rest []byte, err error)
	// waits tells whether something that try took still waits for the client.
	waits() bool
	// send sends all of p and all that waits, however long it takes.
	send(p []byte) error
	// sendFile sends some of a part of a file, and returns how much. The
	// position of the file's descriptor, which it may share with the app,
	// does not change.
	sendFile(p piece) (int, error)
	// flush passes on what send kept to be sent with more. It is called when
	// there is nothing else to send yet.
	flush() error
}

// A plainLine is a socket without TLS.
type plainLine struct {
	c     *conn
	p     []byte // of tryFn
	err   error
	tryFn func(fd uintptr) bool
}

func (l *plainLine) tryWrite(fd uintptr) bool {
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

func (l *plainLine) try(p []byte) ([]byte, error) {
	l.p, l.err = p, nil
	err := l.c.raw.Write(l.tryFn)
	p, l.p = l.p, nil
	if err == nil && !errors.Is(l.err, unix.EAGAIN) {
		err = l.err
	}
	return p, err
}

func (l *plainLine) waits() bool { return false }

func (l *plainLine) flush() error { return nil }

func (l *plainLine) send(data []byte) error { return sendRaw(l.c.raw, data, l.c.progress) }

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

func (l *plainLine) sendFile(p piece) (int, error) {
	if !l.c.ex.cfg.Sendfile {
		return copyPiece(p, l.send)
	}
	count := int(min(p.size, filePiece))
	var n int
	var err error
	werr := l.c.raw.Write(func(fd uintptr) bool {
		for {
			offset := p.offset
			n, err = unix.Sendfile(int(fd), int(p.file.Fd()), &offset, count)
			if err != unix.EINTR {
				return err != unix.EAGAIN
			}
		}
	})
	if werr != nil {
		return 0, werr
	}
	if err == unix.EINVAL || err == unix.ENOSYS || err == unix.EOPNOTSUPP {
		return copyPiece(p, l.send) // not every file system can
	}
	l.c.progress()
	return max(n, 0), err
}

// copyPiece sends some of a part of a file by way of memory.
func copyPiece(p piece, send func([]byte) error) (int, error) {
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	n, err := p.file.ReadAt((*buf)[:min(p.size, copyBuffer)], p.offset)
	if n == 0 {
		return 0, err
	}
	return n, send((*buf)[:n])
}
