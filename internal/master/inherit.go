package master

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"indrik/internal/listen"
	"indrik/internal/pidfile"
	"indrik/internal/version"
	"indrik/internal/wire"
)

// This file is the successor's half of an upgrade; upgrade.go is that of the master which starts it.

// inherit takes over what a master before this one, or the service manager,
// left in the environment.
func (m *Master) inherit() error {
	defer func() {
		for _, name := range []string{envPid, envFD, envOrigin, envLink, envUpgrade, envPeer, envTickets, envAdmin, envTarget, envTrial} {
			m.sys.unsetenv(name)
		}
	}()
	if m.sys.getenv(envPid) == "" {
		files, err := listen.SystemdFDs(m.sys.getenv, m.sys.unsetenv, os.Getpid())
		if err != nil {
			return fmt.Errorf("\nError: %w", err)
		}
		for _, f := range files {
			if err := m.adopt(f, "systemd"); err != nil {
				return err
			}
		}
		return nil
	}
	pid, err := strconv.Atoi(m.sys.getenv(envPid))
	if err != nil {
		return fmt.Errorf("\nError: %s: %q is not a pid", envPid, m.sys.getenv(envPid))
	}
	fds, err := fdList(m.sys.getenv(envFD))
	if err != nil {
		return fmt.Errorf("\nError: %s: %w", envFD, err)
	}
	ends, err := fdList(m.sys.getenv(envLink) + "," + m.sys.getenv(envPeer))
	if err != nil || len(ends) != 2 {
		return fmt.Errorf("\nError: %s, %s: not two descriptors", envLink, envPeer)
	}
	origins := strings.Split(m.sys.getenv(envOrigin), ",")
	for i, fd := range fds {
		if err := m.adopt(os.NewFile(uintptr(fd), "listener"), origins[min(i, len(origins)-1)]); err != nil {
			return err
		}
	}
	if err := m.inheritTickets(); err != nil {
		return err
	}
	if err := m.inheritAdmin(); err != nil {
		return err
	}
	syscall.CloseOnExec(ends[0])
	syscall.CloseOnExec(ends[1])
	conn, err := m.sys.connect(os.NewFile(uintptr(ends[0]), "link"))
	if err != nil {
		return err
	}
	l := &link{pid: pid, conn: conn, peer: os.NewFile(uintptr(ends[1]), "peer")}
	m.upgrader.predecessor, m.upgrader.upgraded = l, true
	m.upgrader.target, _ = strconv.Atoi(m.sys.getenv(envTarget)) // one that does not know ranges says nothing
	m.upgrader.held = m.sys.getenv(envTrial) != ""
	if v := m.sys.getenv(envUpgrade); v != "" && v != strconv.Itoa(upgradeProtocol) {
		return fmt.Errorf("\nError: the server that runs speaks version %s of the protocol of upgrades, and this program, indrik %s, version %d: "+
			"restart the server instead", v, version.Version, upgradeProtocol)
	}
	receive(m, conn, func(msg linkMessage) {
		switch msg.Type {
		case wire.TypeAdmin:
			l.yieldedAdmin = msg.Admin
		case typeServe:
			m.serveHeld()
		default: // what a later version says
		}
	}, m.losePredecessor)
	return nil
}

// inheritTickets takes over the session ticket keys. A predecessor without TLS has
// none; those of one that keeps them otherwise are lost, and with them nothing but
// the time that a whole handshake takes.
func (m *Master) inheritTickets() error {
	fds, err := fdList(m.sys.getenv(envTickets))
	if err != nil {
		return fmt.Errorf("\nError: %s: %w", envTickets, err)
	}
	for _, fd := range fds {
		f := os.NewFile(uintptr(fd), "tickets")
		if err := m.tls.tickets.load(f); err != nil {
			m.log.Warnf("TLS sessions of the server before this one are not resumed: %s", err)
		}
		f.Close()
	}
	return nil
}

// pidFileGrace is how long a predecessor may still count as running after its end
// of the link has closed: a process that is killed closes its files first.
const pidFileGrace = 2 * time.Second

// takePidFile renames the pid file to what it is called without a predecessor.
func (m *Master) takePidFile(until time.Time) {
	if m.ending.pid == nil || m.state == quitting {
		return
	}
	err := m.ending.pid.Rename(m.pidPath(m.cfg))
	var running *pidfile.RunningError
	switch {
	case err == nil:
	case errors.As(err, &running) && m.now().Before(until):
		m.after(20*time.Millisecond, func() { m.takePidFile(until) })
	default:
		m.log.Errorf("%s", err)
	}
}

// adopt takes over a listener that somebody else has opened.
func (m *Master) adopt(f *os.File, origin string) error {
	syscall.CloseOnExec(int(f.Fd()))
	l, err := listen.Adopt(f)
	if err != nil {
		return fmt.Errorf("\nError: %w", err)
	}
	m.front.number(l)
	setOrigin(l, origin)
	m.front.listeners = append(m.front.listeners, l)
	return nil
}

// losePredecessor is called when the master before this one is gone.
func (m *Master) losePredecessor() {
	if m.upgrader.predecessor == nil {
		return
	}
	m.upgrader.predecessor.peer.Close()
	m.upgrader.predecessor = nil
	m.serveHeld()
	m.on(promoted, occurrence{})
}

// becomeOnly makes a successor the only master.
func (m *Master) becomeOnly(occurrence) {
	m.log.Infof("Master has been promoted.")
	if m.cfg == nil {
		return // it starts as the only one
	}
	m.takePidFile(m.now().Add(pidFileGrace))
	m.openControl()
	m.service.mainPID(os.Getpid())
	m.sys.setTitle(m.title("master"))
	m.front.sendTitle(m.title("front"))
	for _, sp := range m.spawners.byPid {
		sp.setTitle(m.title("spawner"))
	}
	m.pool.tellPromoted()
}
