package front

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"

	"indrik/internal/admin"
	"indrik/internal/liveview"
	"indrik/internal/wire"
)

// An adminAddress is the listener for those who watch the server; the control goroutine
// alone changes it. It is no [listener]: a drain does not close it, and its connections are no
// clients of the app.
type adminAddress struct {
	server *admin.Server
	view   *liveview.View
	watch  sync.Once // begins the view
	id     int       // of the listener, 0: there is none

	takesCommands atomic.Bool // from who has the token
	left          atomic.Bool // another server answers there: who asks here still comes from before that
}

// adminPages are what is answered at the admin address.
func (s *server) adminPages() []admin.Page {
	return []admin.Page{
		s.healthPage("livez"), s.healthPage("readyz"), s.healthPage("startupz"), s.metricsPage(),
		{Path: "/", Handler: s.admin.view},
		{Path: "/live/", Handler: s.admin.view},
		{Path: "/events", Handler: s.admin.view, Stream: true},
		{Path: "/status", Handler: http.HandlerFunc(s.statusPage)},
		{Path: "/actions/", Handler: http.HandlerFunc(s.actionPage), Post: true, Long: true},
	}
}

// healthPage answers a question about the health of the server.
func (s *server) healthPage(question string) admin.Page {
	answer := func(w http.ResponseWriter, _ *http.Request) {
		h, _ := s.health(question)
		if s.admin.left.Load() {
			h.OK, h.Reason = true, ""
		}
		body, code := h.encode()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = w.Write(body) // the client has gone
	}
	return admin.Page{Path: "/" + question, Handler: http.HandlerFunc(answer), AnyHost: true}
}

// statusPage answers with the status of the whole server, as `indrik status --json` prints it.
func (s *server) statusPage(w http.ResponseWriter, r *http.Request) {
	document, err := s.statusDocument(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(document) // others have the same one
	_, _ = w.Write([]byte{'\n'})
}

// setAdmin answers at the admin address that the master gives, and at no other.
func (s *server) setAdmin(m wire.ToFront, files []*os.File) error {
	if m.Admin == nil {
		wire.CloseAll(files)
		s.admin.id = 0
		s.admin.left.Store(true)
		s.admin.server.Leave()
		return nil
	}
	if len(files) != 1 {
		return incomplete(m, files)
	}
	defer files[0].Close()
	s.admin.takesCommands.Store(m.Admin.Commands)
	s.admin.left.Store(false)
	s.admin.server.Admit(admin.Access{Allow: m.Admin.Allow, Hosts: m.Admin.Hosts})
	if m.Admin.ID == s.admin.id {
		return nil
	}
	ln, err := net.FileListener(files[0])
	if err != nil {
		return fmt.Errorf("cannot accept on the admin address %s: %w", m.Admin.Bind, err)
	}
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false) // the file is the master's
	}
	s.admin.id = m.Admin.ID
	s.beginMetrics()
	s.beginView()
	s.admin.server.Serve(ln)
	return nil
}
