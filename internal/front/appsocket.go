package front

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/websocket"
	"indrik/internal/wire"
)

// appReadSize is how much of what an app has sent is read at a time, in bytes. What a
// decoder leaves of it, the start of a header or of a control frame, is a fraction.
const appReadSize = 64 << 10

var appBuffers = sync.Pool{New: func() any { b := make([]byte, appReadSize); return &b }}

// appRest is how much an app may send when its connection is over, in bytes: its answer to a
// close frame, and what it was about to say.
const appRest = 64 << 10

// appEndWait is how long after the app has shut its socket its worker has to say how it has
// ended.
const appEndWait = time.Second

var errNoStream = errors.New("it sent what is no stream socket with an accepted WebSocket connection")

// An appSocket is the worker's side of a WebSocket whose app frames its messages itself, as
// apps of WSGI do: a stream socket, whose other end the app has for the connection of the
// client. There the app's frames are read as those of a server, and what the client says is
// written as a client would, with a mask of zeros. The handshake is not part of that: the
// worker has accepted it by a message. It implements messageReceiver.
//
// The worker has made the socket, and may have kept this end of it, too. So no call on it
// may wait but by the poller.
type appSocket struct {
	sk   *webSocket
	file *os.File
	raw  syscall.RawConn

	stopped  atomic.Bool   // the connection is over: nothing that the app sends goes anywhere
	credited chan struct{} // wakes run: the client has taken something, or it is over

	reading sync.Mutex // comes before webSocket.mu
	// +checklocks:reading
	dec websocket.Decoder
	// +checklocks:reading
	rest []byte // what dec has left
	// +checklocks:reading
	pace tokenBucket // of frames that ask for nothing
	// +checklocks:reading
	over bool // nothing more is read
	// +checklocks:reading
	dropped int // bytes that were for nobody
	// +checklocks:reading
	end *appEnd // nil: the app runs

	writing sync.Mutex // comes after webSocket.mu
	// +checklocks:writing
	enc websocket.Encoder
	// +checklocks:writing
	out []byte // what the kernel has not taken
	// +checklocks:writing
	cost int64 // of out, in bytes of the window
	// +checklocks:writing
	isWriting bool // a goroutine writes
	// +checklocks:writing
	ended bool // nothing follows out
}

// An appEnd is what the client is told once it has got all that the app has sent.
type appEnd struct {
	code   int
	reason []byte
}

// newAppSocket takes the socket over that a worker has sent. The error says that it is none
// that an app can have.
func newAppSocket(sk *webSocket, file *os.File) (*appSocket, error) {
	if !isStream(file) {
		file.Close()
		return nil, errNoStream
	}
	file, raw, err := wire.Adopt(file)
	if err != nil {
		return nil, fmt.Errorf("WebSocket of an app: %w", err)
	}
	a := &appSocket{sk: sk, file: file, raw: raw, credited: make(chan struct{}, 1), pace: socketPace()}
	a.dec.OfServer = true
	return a, nil
}

// isStream reports whether a file is a stream socket of this machine.
func isStream(file *os.File) bool {
	fd := int(file.Fd())
	if kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || kind != unix.SOCK_STREAM {
		return false
	}
	name, err := unix.Getsockname(fd)
	_, local := name.(*unix.SockaddrUnix)
	return err == nil && local
}

// passOn passes on what the app sends, as far as the client takes it.
func (a *appSocket) passOn() {
	for a.awaitWindow() {
		if a.raw.Read(a.readAll) != nil {
			return
		}
	}
}

// isFull reports whether as much as may be is on its way to the client.
func (a *appSocket) isFull() bool {
	return a.sk.unacked.Load() >= wire.ResponseWindow && !a.stopped.Load()
}

// awaitWindow waits until more may be sent to the client. It reports false if nothing
// more is read.
func (a *appSocket) awaitWindow() bool {
	for a.isFull() {
		<-a.credited
	}
	a.reading.Lock()
	defer a.reading.Unlock()
	return !a.over
}

// readAll acts on what the app has sent until nothing more is there, and then ends what is
// to be ended. It reports whether there is nothing to wait for: the window is full, or
// nothing more is read.
func (a *appSocket) readAll(fd uintptr) bool {
	a.reading.Lock()
	defer a.reading.Unlock()
	more := true
	for more && !a.over && !a.isFull() {
		more = a.readLocked(int(fd))
	}
	if a.end != nil && (a.over || !more) {
		a.finishLocked()
	}
	return a.over || more
}

// readLocked reads and acts on a buffer of what the app has sent. It reports false if
// nothing is there.
// +checklocks:a.reading
func (a *appSocket) readLocked(fd int) bool {
	b := appBuffers.Get().(*[]byte)
	defer appBuffers.Put(b)
	buf := *b
	n := copy(buf, a.rest)
	size, err := receiveBytes(fd, buf[n:])
	switch {
	case errors.Is(err, unix.EAGAIN):
		return false
	case err != nil || size == 0:
		a.over = true
		time.AfterFunc(appEndWait, func() { a.endAfterRest(websocket.CloseInternalError, nil) })
	case a.stopped.Load():
		if a.dropped += size; a.dropped > appRest {
			a.over = true
			_ = unix.Shutdown(fd, unix.SHUT_RD)
		}
	default:
		a.actLocked(buf[:n+size])
	}
	return true
}

// receiveBytes receives without waiting. Descriptors that come along are dropped by the
// kernel.
func receiveBytes(fd int, b []byte) (int, error) {
	for {
		n, _, err := unix.Recvfrom(fd, b, unix.MSG_DONTWAIT)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// violatedLocked is called when the app does not keep to the protocol.
// +checklocks:a.reading
func (a *appSocket) violatedLocked(err error) {
	a.sk.ex.s.log.Errorf("WebSocket of an app, %s: %s", a.sk.asked, err)
	a.over = true
	a.sk.closeByApp(websocket.CloseInternalError, nil)
}

// actLocked acts on what the app has sent.
// +checklocks:a.reading
func (a *appSocket) actLocked(b []byte) {
	for {
		n, ev, err := a.dec.Next(b)
		b = b[n:]
		if idle := a.dec.Idle(); err == nil && idle > 0 && a.pace.spend(now(), idle) > 0 {
			err = errTooIdle
		}
		if err != nil {
			a.violatedLocked(err)
			return
		}
		switch ev.Kind {
		case websocket.Nothing:
			a.rest = append(a.rest[:0], b...)
			return
		case websocket.Part:
			a.sk.sendPart(ev.Text, ev.Data, !ev.Last)
		case websocket.Ping:
			a.sk.pingByApp(ev.Data)
		case websocket.Pong: // pings of the client are answered without the app
		case websocket.Close:
			a.over = true
			a.sk.closeByApp(ev.Code, ev.Data)
			return
		}
	}
}

var errTooIdle = errors.New("the app sends too many frames that ask for nothing")

// endAfterRest ends the connection once the client was sent what the app has sent: the
// app is done, or its worker has gone.
func (a *appSocket) endAfterRest(code int, reason []byte) {
	a.reading.Lock()
	if a.end != nil {
		a.reading.Unlock()
		return
	}
	a.end = &appEnd{code, bytes.Clone(reason)}
	if a.over {
		a.finishLocked()
	}
	a.reading.Unlock()
	_ = a.raw.Control(func(fd uintptr) { a.readAll(fd) })
}

// finishLocked ends the connection of which all was read, and gives the socket up.
// +checklocks:a.reading
func (a *appSocket) finishLocked() {
	a.over = true
	a.sk.closeByApp(a.end.code, a.end.reason)
	go a.file.Close() // which waits for who reads, as the caller may
}

// stop is called when the connection is over. The app still gets what is left for it. What it
// sends is for nobody, and after a while an error to it.
func (a *appSocket) stop() {
	if a.stopped.Swap(true) {
		return
	}
	a.credit(0)
	a.writing.Lock()
	defer a.writing.Unlock()
	a.endWritingLocked()
}

// message implements messageReceiver.
func (a *appSocket) message(text bool, data []byte, more bool) {
	b := messages.Get().(*[]byte)
	a.writing.Lock()
	frame := a.enc.AppendPart((*b)[:0], text, data, !more)
	a.sendLocked(frame, int64(len(data)+wire.PartCost))
	a.writing.Unlock()
	if cap(frame) <= maxPooled {
		*b = frame[:0]
		messages.Put(b)
	}
}

// pong gives the app the client's answer to its ping.
func (a *appSocket) pong(data []byte) {
	a.writing.Lock()
	defer a.writing.Unlock()
	a.sendLocked(websocket.AppendPong(nil, data), 0)
}

// credit implements messageReceiver.
func (a *appSocket) credit(int64) {
	select {
	case a.credited <- struct{}{}:
	default: // run will look
	}
}

// closed implements messageReceiver. A connection that has broken ends without a frame.
func (a *appSocket) closed(code int, reason []byte) {
	a.writing.Lock()
	defer a.writing.Unlock()
	if code != websocket.CloseAbnormal {
		a.sendLocked(websocket.AppendClose(nil, code, reason), 0)
	}
	a.endWritingLocked()
}

// sendLocked sends a frame to the app.
// +checklocks:a.writing
func (a *appSocket) sendLocked(frame []byte, cost int64) {
	if a.ended {
		return
	}
	size := len(a.out)
	a.out = websocket.AppendMasked(a.out, frame)
	a.cost += cost
	a.sk.ex.holder.Hold(int64(len(a.out) - size))
	if !a.isWriting {
		a.isWriting = true
		go a.write()
	}
}

// endWritingLocked shows the app the end once it has got what was sent to it.
// +checklocks:a.writing
func (a *appSocket) endWritingLocked() {
	if a.ended {
		return
	}
	a.ended = true
	if !a.isWriting {
		a.shutLocked()
	}
}

// +checklocks:a.writing
func (a *appSocket) shutLocked() {
	_ = a.raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_WR) })
}

// write sends what is left for the app, until nothing is.
func (a *appSocket) write() {
	for {
		a.writing.Lock()
		b, cost := a.out, a.cost
		a.out, a.cost = nil, 0
		if len(b) == 0 {
			a.isWriting = false
			if a.ended {
				a.shutLocked()
			}
			a.writing.Unlock()
			return
		}
		a.writing.Unlock()
		a.writeAll(b)
		a.sk.ex.holder.Hold(-int64(len(b)))
		a.sk.addCredit(cost)
	}
}

// writeAll waits until the app has taken b, or takes nothing any more.
func (a *appSocket) writeAll(b []byte) {
	_ = a.raw.Write(func(fd uintptr) bool {
		for len(b) > 0 {
			n, err := unix.SendmsgN(int(fd), b, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
			switch {
			case errors.Is(err, unix.EINTR):
			case errors.Is(err, unix.EAGAIN):
				return false
			case err != nil:
				return true
			default:
				b = b[n:]
			}
		}
		return true
	})
}
