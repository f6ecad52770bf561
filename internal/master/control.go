package master

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"indrik/internal/control"
	"indrik/internal/listen"
	"indrik/internal/settings"
)

// A controlSocket is the socket through which an operator's tools give commands, and the
// commands that are not answered yet. What the commands do is in commands.go.
type controlSocket struct {
	base
	handler  control.Handler
	path     string // as it is configured; empty: there is none
	listener *listen.Listener
	server   *control.Server
	waits    []*wait
	history  history
}

// A wait is a command that is answered once something has happened.
type wait struct {
	ctx    context.Context
	over   func() (data any, err error, done bool)
	answer func(data any, err error)
}

// runtimeDirectory is the variable by which systemd says where a service may have sockets
// (systemd.exec(5), RuntimeDirectory=). It is a list; the first is taken.
const runtimeDirectory = "RUNTIME_DIRECTORY"

// controlPath returns where the control socket of a configuration is, "" if it has none.
func (m *Master) controlPath(cfg *settings.Config) string {
	path := cfg.ControlSocket()
	if dir, _, _ := strings.Cut(m.sys.getenv(runtimeDirectory), ":"); path == "" && dir != "" {
		name := "indrik"
		if cfg.IsSet("proc_name") {
			name = strings.ReplaceAll(cfg.ProcName(), "/", "-")
		}
		path = filepath.Join(dir, name+".ctl")
	}
	if path == "" || cfg.ControlSocketDisable() {
		return ""
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs // a reload may change the directory
	}
	return path + m.upgrader.suffix()
}

// openControl makes the control socket of the configuration that serves.
func (m *Master) openControl() {
	m.control.open(m.controlPath(m.cfg), m.cfg.ControlSocketMode())
}

// open makes the socket at a path, if that is not the one that is open, and closes the one
// that is. A socket that cannot be made is logged, and no reason to stop: the server serves
// without it.
func (c *controlSocket) open(path string, mode int) {
	if path == c.path {
		return
	}
	c.close()
	if path == "" {
		return
	}
	if err := c.listen(path, mode); err != nil {
		c.log.Warnf("There is no control socket: %s", err)
		return
	}
	c.path = path
	c.log.Debugf("Control socket: %s", path)
}

// listen makes the socket.
func (c *controlSocket) listen(path string, mode int) error {
	l, err := c.sys.listen(listen.Address{Network: listen.Unix, Path: path}, listen.Options{
		Backlog: 16, Umask: 0o777 &^ mode, UID: -1, GID: -1,
	})
	if err != nil {
		return err
	}
	server, err := control.Serve(l.File, c.handler)
	if err != nil {
		l.Unlink()
		l.Close()
		return err
	}
	c.listener, c.server = l, server
	return nil
}

// close ends the socket. Commands that wait are still answered.
func (c *controlSocket) close() {
	if c.listener == nil {
		return
	}
	c.listener.Unlink()
	c.listener.Close()
	c.server.Shutdown()
	c.path, c.listener, c.server = "", nil, nil
}

// settle answers the commands whose time has come. The loop calls it after each event.
func (c *controlSocket) settle() {
	waits := c.waits
	c.waits = nil
	for _, w := range waits {
		if w.ctx.Err() != nil {
			continue
		}
		if data, err, done := w.over(); done {
			w.answer(data, err)
		} else {
			c.waits = append(c.waits, w)
		}
	}
}

// A controlHandler carries out commands in the loop of the master.
type controlHandler struct{ m *Master }

// Admit implements [control.Handler]: root and whoever started the server may give commands,
// and no process that runs the app's code.
func (h *controlHandler) Admit(p control.Peer) error {
	allowed, err := ask(context.Background(), h.m, func() error { return h.m.mayCommand(p) })
	if err != nil {
		return err
	}
	return allowed
}

// Do implements [control.Handler].
func (h *controlHandler) Do(ctx context.Context, p control.Peer, words []string) (any, error) {
	type answer struct {
		data any
		err  error
	}
	answers := make(chan answer, 1)
	if _, err := ask(ctx, h.m, func() error {
		by := commander{"Control socket", fmt.Sprintf("uid:%d, pid:%d", p.UID, p.Pid)}
		h.m.command(ctx, by, words, func(data any, err error) { answers <- answer{data, err} })
		return nil
	}); err != nil {
		return nil, err
	}
	select {
	case a := <-answers:
		return a.data, a.err
	case <-ctx.Done():
		return nil, errEnds
	}
}

var errEnds = errors.New("The server ends")

// ask runs f in the loop and returns its result.
func ask[T any](ctx context.Context, m *Master, f func() T) (result T, err error) {
	done := make(chan T, 1)
	select {
	case m.loop.(*eventLoop).events <- func() { done <- f() }:
	case <-ctx.Done():
		return result, errEnds
	case <-m.ending.ended:
		return result, errEnds
	}
	select {
	case result = <-done:
		return result, nil
	case <-ctx.Done():
		return result, errEnds
	case <-m.ending.ended:
		return result, errEnds
	}
}

// mayCommand returns why a peer may not give commands, nil if it may.
func (m *Master) mayCommand(p control.Peer) error {
	account := m.cfg.WorkerAccount()
	switch {
	case p.UID == 0:
	case p.UID != os.Getuid():
		return fmt.Errorf("The control socket takes commands from root and from uid %d, not from uid %d", os.Getuid(), p.UID)
	case os.Getuid() != account.UID && p.UID == account.UID:
		return errors.New("The control socket takes no commands from the user of the workers")
	}
	roots := []int{os.Getpid()}
	if m.upgrader.predecessor != nil {
		roots = append(roots, m.upgrader.predecessor.pid)
	}
	if below, known := m.sys.descends(p.Pid, roots...); known && below {
		return errors.New("The control socket takes no commands from the server's own processes: they run the app's code")
	}
	return nil
}
