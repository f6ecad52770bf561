package front

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/listen"
	"indrik/internal/wire"
)

const (
	// acceptPause is how long a listener rests after an error such as "too
	// many open files", which the next accept would meet again at once.
	acceptPause = 100 * time.Millisecond
	// lastHandshakes is how long a listener that is to close waits for
	// connections whose handshake has begun (see listen.RefuseNew).
	lastHandshakes = 50 * time.Millisecond
)

// A listener accepts on one socket.
type listener struct {
	wire.Listener
	file     *os.File
	ln       acceptor
	endpoint *endpoint
	stopped  chan struct{} // closed when accepting has ended
	stop     chan bool     // true: accept what is in the backlog first

	refusing atomic.Bool // see listen.RefuseNew
	closing  atomic.Bool // it does not accept for much longer
}

// An acceptor accepts the connections of a listener.
type acceptor interface {
	syscall.Conn
	Accept() (net.Conn, error)
	SetDeadline(t time.Time) error
	Close() error
}

var errNoAcceptor = errors.New("not a listener of TCP or of a unix socket")

// openNet makes package net accept.
func openNet(f *os.File) (acceptor, error) {
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // the file is the master's
	}
	a, ok := ln.(acceptor)
	if !ok {
		ln.Close()
		return nil, errNoAcceptor
	}
	return a, nil
}

// listen opens the listeners that the master gave, and closes all others.
func (s *server) listen(want []wire.Listener, files []*os.File) {
	if len(files) != len(want) {
		s.log.Errorf("control message with %d listeners and %d descriptors", len(want), len(files))
		wire.CloseAll(files)
		return
	}
	keep := map[int]bool{}
	for i, w := range want {
		keep[w.ID] = true
		s.mu.Lock()
		open := s.listeners[w.ID] != nil
		s.mu.Unlock()
		if open {
			files[i].Close()
			continue
		}
		ln, err := openAcceptor(files[i], w.Network)
		if err != nil {
			s.log.Errorf("cannot accept on %s: %s", w.Bind, err)
			files[i].Close()
			continue
		}
		l := &listener{
			Listener: w, file: files[i], ln: ln, endpoint: newEndpoint(w.Bind, w.Network),
			stopped: make(chan struct{}), stop: make(chan bool, 1),
		}
		s.mu.Lock()
		s.listeners[w.ID] = l
		s.mu.Unlock()
		go l.run(s)
	}
	s.mu.Lock()
	var old []*listener
	for id, l := range s.listeners {
		if !keep[id] {
			old = append(old, l)
			delete(s.listeners, id)
		}
	}
	s.mu.Unlock()
	for _, l := range old {
		go l.close(s, true, false)
	}
}

// run accepts connections until the listener is closed.
func (l *listener) run(s *server) {
	defer close(l.stopped)
	complained := false
	for {
		nc, err := l.ln.Accept()
		switch {
		case err == nil:
			complained = false
			l.admit(nc)
			if s.giveAway(nc, l.Listener) {
				continue
			}
			s.awaitCapacity(l)
			s.serve(nc, l.endpoint, nil)
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			if <-l.stop {
				l.acceptBacklog(s)
			}
			return
		default:
			if !complained {
				s.log.Errorf("accept on %s: %s", l.Bind, err)
				complained = true
			}
			time.Sleep(acceptPause)
		}
	}
}

// admit lets a connection receive data that came while others were refused.
func (l *listener) admit(nc net.Conn) {
	if sc, ok := nc.(syscall.Conn); ok && l.refusing.Load() {
		_ = listen.Admit(sc) // a connection that is gone already will show it
	}
}

// acceptBacklog accepts the connections that the kernel still holds, without waiting.
func (l *listener) acceptBacklog(s *server) {
	raw, err := l.ln.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		for {
			nfd, err := acceptNow(int(fd))
			if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ECONNABORTED) {
				continue
			}
			if err != nil {
				return
			}
			f := os.NewFile(uintptr(nfd), "connection")
			nc, err := net.FileConn(f)
			f.Close()
			if err == nil {
				l.admit(nc)
				s.serve(nc, l.endpoint, nil)
			}
		}
	})
}

// close stops accepting and closes the listener. With empty, connections that the kernel
// has accepted already are served; with refuse, the kernel accepts no more meanwhile, for
// any process that holds the socket.
func (l *listener) close(s *server, empty, refuse bool) {
	wait := time.Duration(0)
	if refuse && l.Network == listen.TCP {
		if err := listen.RefuseNew(l.file); err == nil {
			wait = lastHandshakes
			l.refusing.Store(true)
		}
	}
	l.stop <- empty
	s.mu.Lock()
	l.closing.Store(true)
	s.capacity.Broadcast()
	s.mu.Unlock()
	l.ln.SetDeadline(time.Now().Add(wait))
	<-l.stopped
	l.ln.Close()
	l.file.Close()
}
