package master

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"indrik/internal/gateway"
	"indrik/internal/listen"
	"indrik/internal/settings"
	"indrik/internal/wire"
)

const (
	bindTries = 5
	bindPause = time.Second
)

// owner returns the user and the group that log files and unix sockets are given to; −1:
// they are left as they are.
func owner(cfg *settings.Config) (uid, gid int) {
	if os.Geteuid() != 0 {
		return -1, -1
	}
	return cfg.User(), cfg.Group()
}

// bind makes the listeners of c. Sockets that are open already are kept, and so are those
// that the master before this one or the service manager has handed over. It goes on with
// next, unless c is given up meanwhile. After an error, which is in the log, nothing has
// changed.
func (c *candidate) bind(next func(error)) {
	m := c.m
	var addrs []listen.Address
	protocols := make(map[listen.Address]gateway.Protocol)
	for _, bind := range c.cfg.Bind() {
		protocol, given, address := gateway.SplitAddress(bind)
		a, _ := listen.Parse(address) // it was checked with the settings
		addrs = append(addrs, a)
		if given {
			protocols[a] = protocol
		}
	}
	if m.front.hasSystemd() {
		// The service manager decides where to listen; only further
		// descriptors (fd://) can be added.
		addrs = slices.DeleteFunc(addrs, func(a listen.Address) bool { return a.Network != "fd" })
		for _, l := range m.front.listeners {
			addrs = append(addrs, l.Address)
		}
	}
	if len(addrs) > wire.MaxDescriptors { // the front gets all of them in one message
		err := fmt.Errorf("%d addresses to listen on, there can be %d", len(addrs), wire.MaxDescriptors)
		m.log.Errorf("%s", err)
		next(err)
		return
	}
	c.bindNext(binding{addrs: addrs, kept: m.front.listeners, tries: bindTries}, func(set []*listen.Listener, err error) {
		if err != nil {
			next(err)
			return
		}
		c.listeners = set
		c.setProtocols(addrs, protocols)
		c.bindAdmin(next)
	})
}

// setProtocols notes which protocol is spoken where c, whose listeners are open, listens.
// protocols are those that addresses were given.
func (c *candidate) setProtocols(addrs []listen.Address, protocols map[listen.Address]gateway.Protocol) {
	usual, _ := gateway.ParseProtocol(c.cfg.Protocol())
	c.gen.protocols = map[string]string{}
	for i, l := range c.listeners {
		p, given := protocols[addrs[i]]
		if !given {
			p = usual
		}
		if p != gateway.HTTP {
			c.gen.protocols[l.Bind] = p.String()
		}
	}
}

// A binding is the opening of some addresses.
type binding struct {
	addrs  []listen.Address
	kept   []*listen.Listener // that are open, and are kept if an address is theirs
	set    []*listen.Listener // of the addresses, as far as it has come
	opened []*listen.Listener // of these, those that were not open
	tries  int
}

// bindNext opens the next address of b and those after it. It goes on with next, unless c is
// given up meanwhile.
func (c *candidate) bindNext(b binding, next func([]*listen.Listener, error)) {
	m, cfg := c.m, c.cfg
	for len(b.set) < len(b.addrs) {
		a := b.addrs[len(b.set)]
		if i := slices.IndexFunc(b.kept, func(l *listen.Listener) bool { return l.Same(a) }); i >= 0 {
			l := b.kept[i]
			if err := l.Listen(cfg.Backlog()); err != nil {
				m.log.Debugf("backlog of %s: %s", l.Bind, err)
			}
			b.set = append(b.set, l)
			continue
		}
		uid, gid := owner(cfg)
		l, err := m.sys.listen(a, listen.Options{
			Backlog: cfg.Backlog(), Umask: cfg.Umask(), UID: uid, GID: gid,
		})
		if err == nil {
			m.front.number(l)
			b.set, b.opened = append(b.set, l), append(b.opened, l)
			continue
		}
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			m.log.Errorf("Connection in use: %s", a.Python())
		case errors.Is(err, syscall.EADDRNOTAVAIL):
			m.log.Errorf("Invalid address: %s", a.Python())
		}
		m.log.Errorf("connection to %s failed: %s", a.Python(), listen.PythonError(err))
		if b.tries--; b.tries > 0 && !listen.Hopeless(err) {
			m.log.Debugf("Retrying in 1 second.")
			m.after(bindPause, func() {
				if c.over {
					closeListeners(b.opened)
					return
				}
				c.bindNext(b, next)
			})
			return
		}
		m.log.Errorf("Can't connect to %s", a.Python())
		if advice := listen.Advice(a, err); advice != "" {
			m.log.Errorf("%s", advice)
		}
		closeListeners(b.opened)
		next(nil, err)
		return
	}
	next(b.set, nil)
}

// closeListeners closes the listeners that were opened for c, which is given up.
func (c *candidate) closeListeners() {
	closeListeners(slices.DeleteFunc(c.listeners, func(l *listen.Listener) bool { return slices.Contains(c.m.front.listeners, l) }))
	c.listeners = nil
	c.closeAdmin()
}

// takeListeners replaces the listeners by those of c.
func (m *Master) takeListeners(c *candidate) {
	for _, l := range m.front.listeners {
		if !slices.Contains(c.listeners, l) {
			if !m.upgrader.shared() {
				l.Unlink()
			}
			l.Close()
		}
	}
	m.front.listeners, c.listeners = c.listeners, nil
	m.front.sendListeners()
}

func closeListeners(ls []*listen.Listener) {
	for _, l := range ls {
		l.Unlink()
		l.Close()
	}
}
