package admin

import (
	"context"
	"errors"
	"fmt"
	"log" //nolint:depguard // net/http wants one; what it writes goes to the log of the server
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// headTimeout is how long a peer has for the head of a request, and readTimeout for all
	// of it.
	headTimeout = 5 * time.Second
	readTimeout = 10 * time.Second
	// answerTimeout is how long making and reading a response may take, except a
	// long one.
	answerTimeout = 30 * time.Second
	// idleTimeout is how long a connection may be without a request: longer than scrapers
	// pause.
	idleTimeout = 3 * time.Minute
	// maxHead is the size of the header fields of a request, and maxBody of its body. net/http
	// reads 4 KiB more than it is told to.
	maxHead = 4 << 10
	maxBody = 4 << 10
	// farewell is how long idle connections are kept when the server leaves: a request that
	// is on its way then is answered.
	farewell = 250 * time.Millisecond
)

// A Log takes lines for the operator.
type Log interface {
	Errorf(format string, args ...any)
	Warnf(format string, args ...any)
	Debugf(format string, args ...any)
}

// A Page is what is answered under one path. By default it answers GET and HEAD.
type Page struct {
	Path    string // as it is in a request; one that ends in a slash stands for all below it, except /
	Handler http.Handler

	AnyHost bool // it is for tools, which may use any name for this server
	Post    bool // it answers POST alone
	Costly  bool // making it takes so long that it must not be made often; it is kept in memory until its client has read it
	Long    bool // it may take any time: its handler sets the deadlines
	Stream  bool // likewise, and it has no end of its own: its context ends when the server leaves
}

// Access is who may ask.
type Access struct {
	Allow []string // IP addresses, networks, "unix" for the peers of a unix socket, "*" for everybody
	Hosts []string // names besides IP addresses by which browsers may address the server
}

// A Server answers on one listener, or on none.
type Server struct {
	log    Log
	pages  *http.ServeMux
	paths  []string // for people
	access atomic.Pointer[access]
	turn   turn

	farewell time.Duration // for how long idle connections are kept when it leaves

	mu sync.Mutex
	// +checklocks:mu
	serving *serving
}

// A serving is a listener that is being answered.
type serving struct {
	http    *http.Server
	ln      *listener
	leaving atomic.Bool // each response is the last one of its connection
	over    context.Context
	end     context.CancelFunc // ends over, and with it the streams
}

// A servingKey is what the context of a request has its [serving] under.
type servingKey struct{}

// NewServer returns a server that answers nobody yet.
func NewServer(log Log, pages []Page) *Server {
	s := &Server{log: log, pages: http.NewServeMux(), turn: newTurn(), farewell: farewell}
	for _, p := range pages {
		s.paths = append(s.paths, p.Path)
		pattern := p.Path
		if pattern == "/" {
			pattern = "/{$}"
		}
		s.pages.Handle(pattern, s.page(p))
	}
	s.pages.HandleFunc("/", s.nothingHere)
	s.Admit(Access{})
	return s
}

// Admit changes who may ask, also on connections that are open.
func (s *Server) Admit(a Access) { s.access.Store(newAccess(a)) }

// Serve answers on ln, which it takes over, in the place of the listener before.
func (s *Server) Serve(ln net.Listener) {
	next := &serving{ln: newListener(ln, s.admits)}
	next.over, next.end = context.WithCancel(context.Background())
	next.http = &http.Server{
		Handler:           s.handler(next),
		ReadHeaderTimeout: headTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHead,
		ConnState:         next.ln.changed,
		BaseContext:       func(net.Listener) context.Context { return context.WithValue(context.Background(), servingKey{}, next) },
		ErrorLog:          log.New(debugWriter{s.log}, "", 0),

		DisableGeneralOptionsHandler: true,
		Protocols:                    new(http.Protocols),
	}
	next.http.Protocols.SetHTTP1(true)
	s.replace(next)
	go func() {
		if err := next.http.Serve(next.ln); !errors.Is(err, http.ErrServerClosed) {
			s.log.Errorf("the admin address is not answered any more: %s", err)
		}
	}()
}

// Leave stops accepting at once, for whoever else has the socket. Requests that are here are
// answered.
func (s *Server) Leave() { s.replace(nil) }

func (s *Server) replace(next *serving) {
	s.mu.Lock()
	before := s.serving
	s.serving = next
	s.mu.Unlock()
	if before != nil {
		before.leave(s.farewell)
	}
}

// leave ends a serving when its clients have their answers; those that are idle have a while to ask.
func (v *serving) leave(while time.Duration) {
	v.leaving.Store(true)
	v.ln.Close()
	time.AfterFunc(while, func() {
		v.end()
		_ = v.http.Shutdown(context.Background()) // every request has an end
	})
}

// handler answers the requests of one listener.
func (s *Server) handler(v *serving) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			trouble := recover()
			if trouble == nil {
				return
			}
			if err, ok := trouble.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				s.log.Errorf("%q at the admin address failed: %v", r.URL.Path, trouble)
			}
			panic(http.ErrAbortHandler) // cuts the response off
		}()
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		if v.leaving.Load() {
			h.Set("Connection", "close")
		}
		if !s.admits(peerOf(r.RemoteAddr)) {
			h.Set("Connection", "close")
			s.refuse(w, http.StatusForbidden, fmt.Sprintf("%s may not see this: admin_allow does not name it.", describe(peerOf(r.RemoteAddr))))
			return
		}
		if r.ContentLength != 0 && r.Method != http.MethodPost {
			h.Set("Connection", "close") // its body is not read
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		s.pages.ServeHTTP(w, r)
	})
}

// page checks what concerns a page before its handler has the request.
func (s *Server) page(p Page) http.Handler {
	methods := []string{http.MethodGet, http.MethodHead}
	if p.Post {
		methods = []string{http.MethodPost}
	}
	handler := p.Handler
	if p.Costly {
		handler = s.turn.handler(handler)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !slices.Contains(methods, r.Method):
			w.Header().Set("Allow", strings.Join(methods, ", "))
			s.refuse(w, http.StatusMethodNotAllowed, fmt.Sprintf("only %s is answered here.", strings.Join(methods, " and ")))
			return
		case !p.AnyHost && !s.access.Load().isHost(r):
			s.refuse(w, http.StatusForbidden, fmt.Sprintf("%q is not a name of this server: admin_hosts does not have it.", r.Host))
			return
		case p.Post && !isOwnOrigin(r):
			s.refuse(w, http.StatusForbidden, fmt.Sprintf("commands are not taken from pages of %q.", r.Header.Get("Origin")))
			return
		}
		if p.Long || p.Stream {
			c := http.NewResponseController(w)
			_, _ = c.SetReadDeadline(time.Time{}), c.SetWriteDeadline(time.Time{})
		}
		if p.Stream {
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			defer context.AfterFunc(r.Context().Value(servingKey{}).(*serving).over, cancel)()
			r = r.WithContext(ctx)
		}
		handler.ServeHTTP(w, r)
	})
}

// nothingHere answers requests for which there is no page.
func (s *Server) nothingHere(w http.ResponseWriter, _ *http.Request) {
	s.refuse(w, http.StatusNotFound, "there is nothing here. There is: "+strings.Join(s.paths, ", "))
}

// refuse answers with a line that says why there is nothing else.
func (s *Server) refuse(w http.ResponseWriter, code int, why string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	fmt.Fprintln(w, why)
}

// A debugWriter takes what net/http has to say: that clients break the protocol.
type debugWriter struct{ log Log }

func (w debugWriter) Write(line []byte) (int, error) {
	w.log.Debugf("admin address: %s", strings.TrimSpace(string(line)))
	return len(line), nil
}
