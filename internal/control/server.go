package control

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxConns is how many connections a server has at a time, and maxForeign how many of
	// them may belong to others than root, who can always ask what is wrong.
	maxConns   = 16
	maxForeign = 12
	// maxRefused is how many peers are being told that they get no connection. The
	// connections of others are closed without a word.
	maxRefused = 32
	// refusalTimeout is how long a peer that is refused may take to send its request: one
	// that has not sent it would not read the answer.
	refusalTimeout = time.Second
	// idleTimeout is how long a connection may be without a request.
	idleTimeout = 5 * time.Minute
	// transferTimeout is how long a peer may take to send a request that it has begun, or to
	// read a response.
	transferTimeout = 10 * time.Second
)

// A Peer is the process at the other end of a connection, as the kernel names it. It may
// have given its descriptor to another process since.
type Peer struct{ Pid, UID, GID int }

// A Handler carries out commands.
type Handler interface {
	// Admit returns nil if the peer may give commands, else why not. The text is sent to
	// the peer.
	Admit(Peer) error
	// Do carries out a command and returns the data of the response, which is encoded as
	// JSON. The context ends when the peer closes the connection or the server is closed.
	// The text of an error is sent to the peer.
	Do(ctx context.Context, peer Peer, words []string) (any, error)
}

// A connState is what a server knows of a connection.
type connState struct {
	peer Peer
	busy bool // it carries out a command
}

// A Server answers the requests of any number of clients, each connection in a goroutine.
type Server struct {
	listener net.Listener
	handler  Handler
	ctx      context.Context
	stop     context.CancelFunc

	mu      sync.Mutex
	conns   map[net.Conn]*connState
	closing bool         // by Shutdown
	refused atomic.Int32 // that are being told so
	running sync.WaitGroup
}

// Serve starts a server on f, a listening unix socket, of which the server uses a duplicate:
// f stays the caller's.
func Serve(f *os.File, h Handler) (*Server, error) {
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	if l, ok := l.(*net.UnixListener); ok {
		l.SetUnlinkOnClose(false) // the file is the caller's too
	}
	s := &Server{listener: l, handler: h, conns: map[net.Conn]*connState{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.running.Go(s.accept)
	return s, nil
}

// Shutdown ends the server: it accepts no more connections, and closes each of those that
// are there after the command that it carries out. It does not wait for that.
func (s *Server) Shutdown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	s.listener.Close()
	for conn, c := range s.conns {
		if !c.busy {
			conn.Close()
		}
	}
}

// Close ends the server, its connections and the commands that run, and returns when none
// does any more.
func (s *Server) Close() {
	s.stop()
	s.listener.Close()
	s.mu.Lock()
	for conn := range s.conns {
		conn.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // no descriptors are left, for example
			select {
			case <-s.ctx.Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		s.running.Go(func() {
			defer conn.Close()
			if err := s.enter(conn); err != nil {
				s.refuse(conn, err)
				return
			}
			defer s.leave(conn)
			s.serve(conn)
		})
	}
}

// enter counts a connection, or returns why its peer gets none.
func (s *Server) enter(conn net.Conn) error {
	peer, err := peerOf(conn)
	if err != nil {
		return err
	}
	if err := s.handler.Admit(peer); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil || s.closing {
		return errors.New("The server ends")
	}
	if n := len(s.conns); n >= maxConns || n >= maxForeign && peer.UID != 0 {
		return errors.New("Too many connections to the control socket")
	}
	s.conns[conn] = &connState{peer: peer}
	return nil
}

// refuse answers the first request of a connection with an error.
func (s *Server) refuse(conn net.Conn, why error) {
	if s.refused.Add(1) <= maxRefused {
		_ = conn.SetReadDeadline(time.Now().Add(refusalTimeout))
		var request Request
		_ = readMessage(conn, MaxRequest, &request)
		_ = s.answer(conn, request.ID, nil, why)
	}
	s.refused.Add(-1)
}

func (s *Server) leave(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// serve answers the requests of one connection.
func (s *Server) serve(conn net.Conn) {
	s.mu.Lock()
	peer := s.conns[conn].peer
	s.mu.Unlock()
	requests := &requestReader{conn: conn}
	for {
		var request Request
		if err := requests.read(&request); err != nil {
			var large *TooLargeError
			if errors.As(err, &large) {
				s.answer(conn, nil, nil, err)
			}
			return
		}
		s.setBusy(conn, true)
		words, err := request.Words()
		var data any
		if err == nil {
			data, err = s.do(requests, peer, words)
		}
		if s.answer(conn, request.ID, data, err) != nil || s.setBusy(conn, false) {
			return
		}
	}
}

// setBusy records whether a connection carries out a command, and reports whether the
// server is shut down.
func (s *Server) setBusy(conn net.Conn, busy bool) (closing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[conn].busy = busy
	return s.closing
}

// do carries out one command. While it runs the connection is watched, so that a command
// that waits ends when its client does.
func (s *Server) do(requests *requestReader, peer Peer, words []string) (any, error) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	stop := requests.watch(cancel)
	defer stop()
	return s.handler.Do(ctx, peer, words)
}

// answer sends one response.
func (s *Server) answer(conn net.Conn, id json.RawMessage, data any, err error) error {
	if id == nil {
		id = json.RawMessage("0")
	}
	response := Response{ID: id, Status: StatusOK, Data: data}
	if err != nil {
		response = Response{ID: id, Status: StatusError, Error: err.Error()}
	}
	_ = conn.SetWriteDeadline(time.Now().Add(transferTimeout))
	err = writeMessage(conn, response)
	var large *TooLargeError
	if errors.As(err, &large) {
		err = writeMessage(conn, Response{ID: id, Status: StatusError, Error: err.Error()})
	}
	return err
}

// A requestReader reads the requests of a connection, and watches for its end between them.
// One byte is read ahead by the watch, if the client sends its next request early.
type requestReader struct {
	conn  net.Conn
	ahead []byte
}

func (r *requestReader) Read(p []byte) (int, error) {
	if len(r.ahead) > 0 {
		n := copy(p, r.ahead)
		r.ahead = r.ahead[n:]
		return n, nil
	}
	return r.conn.Read(p)
}

// read waits for the next request.
func (r *requestReader) read(request *Request) error {
	if len(r.ahead) == 0 {
		_ = r.conn.SetReadDeadline(time.Now().Add(idleTimeout))
		var first [1]byte
		if _, err := r.conn.Read(first[:]); err != nil {
			return err
		}
		r.ahead = first[:]
	}
	_ = r.conn.SetReadDeadline(time.Now().Add(transferTimeout))
	return readMessage(r, MaxRequest, request)
}

// watch calls gone if the client closes the connection before stop is called. It must not
// be called while a byte is read ahead: then the client has sent its next request, and is
// there.
func (r *requestReader) watch(gone func()) (stop func()) {
	_ = r.conn.SetReadDeadline(time.Time{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		var first [1]byte
		n, err := r.conn.Read(first[:])
		if n > 0 {
			r.ahead = first[:n]
		} else if !errors.Is(err, os.ErrDeadlineExceeded) {
			gone()
		}
	}()
	return func() {
		_ = r.conn.SetReadDeadline(time.Unix(1, 0))
		<-done
	}
}
