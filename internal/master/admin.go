package master

import (
	"fmt"
	"os"
	"syscall"

	"indrik/internal/listen"
	"indrik/internal/wire"
)

// An adminSocket is the listening socket at admin_bind, which the front answers. One server
// at a time does: during an upgrade it is the older one until it pauses or ends, then the
// successor, and the older one again if the successor ends first. Both hold the socket, so
// that no connection is refused in between.
type adminSocket struct {
	listener  *listen.Listener // nil: there is none
	inherited *listen.Listener // from the master before this one
	told      toldAdmin
	token     *token // of the serving generation; nil: no commands are taken
	wrong     wrongTokens
}

// A toldAdmin is what a front was told last.
type toldAdmin struct {
	front    *frontProcess
	listener *listen.Listener
	gen      *generation // whose settings they were
}

// bindAdmin opens the admin address of c, unless it is open. It goes on as bind does.
func (c *candidate) bindAdmin(next func(error)) {
	b := binding{tries: bindTries}
	if bind := c.cfg.AdminBind(); bind != "" {
		a, _ := listen.Parse(bind) // it was checked with the settings
		b.addrs = append(b.addrs, a)
	}
	if l := c.m.admin.listener; l != nil {
		b.kept = append(b.kept, l)
	}
	c.bindNext(b, func(set []*listen.Listener, err error) {
		if len(set) > 0 {
			c.admin = set[0]
		}
		next(err)
	})
}

// closeAdmin closes the admin address that was opened for c, which is given up.
func (c *candidate) closeAdmin() {
	if c.admin != nil && c.admin != c.m.admin.listener {
		closeListeners([]*listen.Listener{c.admin})
	}
	c.admin = nil
}

// takeAdmin replaces the admin address by that of c.
func (m *Master) takeAdmin(c *candidate) {
	before := m.admin.listener
	m.admin.listener, c.admin = c.admin, nil
	m.admin.token = c.token
	if before != m.admin.listener {
		m.closeAdmin(before)
		if l := m.admin.listener; l != nil {
			m.log.Infof("Admin address: %s", l.URL())
		}
	}
	if p := m.upgrader.predecessor; p != nil && m.admin.inherited != nil {
		p.conn.Send(linkMessage{Type: wire.TypeAdmin, Admin: m.admin.listener == m.admin.inherited})
	}
}

// closeAdmin closes a listener that was the admin address.
func (m *Master) closeAdmin(l *listen.Listener) {
	if l == nil {
		return
	}
	if !m.upgrader.shared() {
		l.Unlink()
	}
	l.Close()
}

// yieldsAdmin reports whether it is the successor that is to answer at the admin address. Once
// it does, it goes on until the workers have come back.
func (m *Master) yieldsAdmin() bool {
	l := m.upgrader.successor
	if l == nil || !l.isReady || !l.sharesAdmin {
		return false
	}
	switch m.state {
	case paused, departing, draining, quitting:
		return true
	default:
		return l.yieldedAdmin && m.pool.countServing() < m.pool.target
	}
}

// awaitsAdmin reports whether the master before this one answers at the admin address.
func (m *Master) awaitsAdmin() bool {
	l := m.upgrader.predecessor
	return l != nil && !l.yieldedAdmin && m.admin.listener == m.admin.inherited
}

// tellAdmin tells the front and the successor who answers at the admin address, if that is
// not what they know. The loop calls it after each event.
func (m *Master) tellAdmin() {
	yields := m.yieldsAdmin()
	if l := m.upgrader.successor; l != nil && l.yieldedAdmin != yields {
		l.yieldedAdmin = yields
		l.conn.Send(linkMessage{Type: wire.TypeAdmin, Admin: yields})
	}
	before, now := m.admin.told, toldAdmin{front: m.front.current, gen: m.gen}
	if !yields && !m.awaitsAdmin() {
		now.listener = m.admin.listener
	}
	if now.front == nil || now == before {
		return
	}
	m.admin.told = now
	switch l := now.listener; {
	case l != nil:
		m.front.send(wire.ToFront{Type: wire.TypeAdmin, Admin: &wire.Admin{
			Listener: wire.Listener{ID: l.ID, Bind: l.Bind, Network: l.Network},
			Allow:    m.cfg.AdminAllow(), Hosts: m.cfg.AdminHosts(), Commands: m.admin.token != nil,
		}}, l.File)
	case before.listener != nil && before.front == now.front:
		m.front.send(wire.ToFront{Type: wire.TypeAdmin})
	}
}

// inheritAdmin takes over the admin address of the master before this one, if that has one.
func (m *Master) inheritAdmin() error {
	fds, err := fdList(m.sys.getenv(envAdmin))
	if err != nil {
		return fmt.Errorf("\nError: %s: %w", envAdmin, err)
	}
	for _, fd := range fds {
		syscall.CloseOnExec(fd)
		l, err := listen.Adopt(os.NewFile(uintptr(fd), "admin address"))
		if err != nil {
			return fmt.Errorf("\nError: %w", err)
		}
		m.front.number(l)
		l.Owned = l.Network == listen.Unix
		m.admin.listener, m.admin.inherited = l, l
	}
	return nil
}
