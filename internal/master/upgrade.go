package master

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"indrik/internal/listen"
	"indrik/internal/oslayer"
	"indrik/internal/pidfile"
	"indrik/internal/version"
	"indrik/internal/wire"
)

// A link joins two masters during an upgrade. Its end tells each that the
// other is gone, without a poll.
type link struct {
	pid     int
	conn    controlConn
	peer    *os.File // joins their fronts
	isReady bool     // the successor's workers are ready
}

// upgradeProtocol is the version of what passes between the masters and the fronts of an
// upgrade: the environment of a successor, linkMessage and wire.Handover. It changes when
// one that has this version could not do its part any more; additions that it may ignore
// need no other.
const upgradeProtocol = 1

type linkMessage struct {
	Type  string `json:"type"` // ready, failed or leaving
	Error string `json:"error,omitempty"`
}

// failed tells the predecessor, whose log is open, why this master cannot start.
func (l *link) failed(text string) {
	l.conn.Send(linkMessage{Type: wire.TypeFailed, Error: text})
	l.conn.Flush()
}

// origin says where a listener is from, for the master that takes it over.
func origin(l *listen.Listener) string {
	switch {
	case l.Systemd:
		return "systemd"
	case l.Asked.Network == listen.FD:
		return strconv.Itoa(l.Asked.FD)
	case l.Owned:
		return "file"
	}
	return ""
}

// setOrigin is the reverse.
func setOrigin(l *listen.Listener, origin string) {
	switch origin {
	case "systemd":
		l.Systemd = true
	case "file":
		l.Owned = true
	case "":
	default:
		if fd, err := strconv.Atoi(origin); err == nil {
			l.Asked = listen.Address{Network: listen.FD, FD: fd}
		}
	}
}

// typeLeaving is the type of the message by which a master says that it serves no more.
const typeLeaving = "leaving"

// leaving tells the predecessor that this master serves no more.
func (l *link) leaving() { l.conn.Send(linkMessage{Type: typeLeaving}) }

func (l *link) ready() { l.conn.Send(linkMessage{Type: wire.TypeReady}) }

// upgrade starts the binary that is now on disk as a second master on the
// same sockets (USR2).
func (m *Master) upgrade() {
	m.reap() // the signal may be here before the news that a successor has ended
	switch {
	case m.successor != nil:
		m.log.Warnf("USR2 signal ignored. Child exists.")
		return
	case m.predecessor != nil:
		m.log.Warnf("USR2 signal ignored. Parent exists.")
		return
	}
	m.hook(m.gen, "pre_exec", func(f *failure) {
		if f != nil {
			m.logHook("pre_exec")(f)
			return
		}
		if m.successor != nil || m.state == departing || m.state == draining || m.state == quitting {
			return
		}
		if err := m.startSuccessor(); err != nil {
			m.upgradeFailure = lack("", err).line()
			m.log.Errorf("Upgrade failed, nothing was changed: %s", m.upgradeFailure)
		}
	})
}

func (m *Master) startSuccessor() error {
	path, err := m.executable()
	if err != nil {
		return err
	}
	ours, theirs, err := m.sys.pair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	// All that can fail comes before the process, so that none is left behind.
	conn, err := m.sys.connect(ours)
	if err != nil {
		return err
	}
	peer, otherPeer, err := m.sys.pair()
	if err != nil {
		conn.Close()
		return err
	}
	defer otherPeer.Close()

	files := []*os.File{os.Stdin, os.Stdout, os.Stderr}
	var fds, origins []string
	for _, l := range m.listeners {
		fds = append(fds, strconv.Itoa(len(files)))
		origins = append(origins, origin(l))
		files = append(files, l.File)
	}
	env := slices.DeleteFunc(m.childEnv(), func(kv string) bool {
		return strings.HasPrefix(kv, "WATCHDOG_PID=") // names this process
	})
	env = append(env,
		fmt.Sprintf("%s=%d", envPid, os.Getpid()),
		envFD+"="+strings.Join(fds, ","),
		envOrigin+"="+strings.Join(origins, ","),
		fmt.Sprintf("%s=%d", envUpgrade, upgradeProtocol),
		fmt.Sprintf("%s=%d", envLink, len(files)),
		fmt.Sprintf("%s=%d", envPeer, len(files)+1))
	files = append(files, theirs, otherPeer)
	if len(m.tickets.keys) > 0 {
		keys, err := m.tickets.file(m.sys.constant)
		if err != nil {
			conn.Close()
			peer.Close()
			return fmt.Errorf("hand over the session ticket keys: %w", err)
		}
		defer keys.Close()
		env = append(env, fmt.Sprintf("%s=%d", envTickets, len(files)))
		files = append(files, keys)
	}
	proc, err := m.sys.start(oslayer.Command{
		Path: path, Args: m.opts.Argv, Env: env, Dir: m.opts.Dir, Files: files,
	})
	if err != nil {
		conn.Close()
		peer.Close()
		return fmt.Errorf("cannot start %s: %w", path, err)
	}
	proc.Release() // it is never signalled: its pid alone matters
	l := &link{pid: proc.Pid(), conn: conn, peer: peer}
	m.successor = l
	m.front.sendPeer()
	hear(m, conn, func(msg linkMessage) {
		switch msg.Type {
		case wire.TypeReady:
			m.successorReady(l)
		case typeLeaving:
			m.successorLeaves(l)
		case wire.TypeFailed:
			m.upgradeFailure = strings.TrimSpace(msg.Error)
			m.log.Errorf("Upgrade failed, nothing was changed: %s", m.upgradeFailure)
		default:
			m.log.Debugf("The successor (pid:%d) says %q, which this version does not know", l.pid, msg.Type)
		}
	}, nil) // its exit says the rest
	return nil
}

// executable is the binary that the command line of this master names now.
func (m *Master) executable() (string, error) {
	name := m.opts.Argv[0]
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(m.opts.Dir, name)
		}
		return name, nil
	}
	return exec.LookPath(name)
}

func (m *Master) successorReady(l *link) {
	if m.successor != l {
		return
	}
	l.isReady = true
	m.log.Debugf("The successor (pid:%d) is ready", l.pid)
	if m.pauseLater {
		m.pauseLater = false
		if m.state == running || m.state == reloading {
			m.pause()
		}
	}
}

// successorExited is called when the successor was reaped. If the workers had
// left in its favour they come back: somebody must serve.
func (m *Master) successorExited(status syscall.WaitStatus) {
	l := m.successor
	l.peer.Close() // the link is read to its end: what it said last may still be in it
	m.successor = nil
	if status.Signaled() || status.ExitStatus() != 0 || !l.isReady {
		m.log.Errorf("The successor (pid:%d) %s", l.pid, describe(status))
	} else {
		m.log.Debugf("The successor (pid:%d) %s", l.pid, describe(status))
	}
	if path := m.pidPath(m.cfg); path != "" {
		pidfile.Of(path+".2", l.pid).Remove()
	}
	m.serveAlone()
}

// successorLeaves is called when the successor begins to end. It gives its idle
// connections to this server, which must not wait for its exit to serve them.
func (m *Master) successorLeaves(l *link) {
	if m.successor == l && m.state != draining && m.state != quitting {
		m.serveAlone()
	}
}

// serveAlone brings back workers that have left in favour of a successor which serves
// no more, or keeps those that were about to leave.
func (m *Master) serveAlone() {
	if m.pauseLater {
		m.pauseLater = false
		m.log.Warnf("The workers stay: there is no successor to take over")
	}
	if m.state == paused && !m.gen.isLost() {
		m.log.Warnf("No successor serves any more: the workers come back")
		m.setTarget(m.cfg.Workers())
		m.unpause()
		m.balance()
	} else if m.state == paused && m.candidate == nil {
		m.renew()
	}
}

// inherit takes over what a master before this one, or the service manager,
// left in the environment.
func (m *Master) inherit() error {
	defer func() {
		for _, name := range []string{envPid, envFD, envOrigin, envLink, envUpgrade, envPeer, envTickets} {
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
	syscall.CloseOnExec(ends[0])
	syscall.CloseOnExec(ends[1])
	conn, err := m.sys.connect(os.NewFile(uintptr(ends[0]), "link"))
	if err != nil {
		return err
	}
	l := &link{pid: pid, conn: conn, peer: os.NewFile(uintptr(ends[1]), "peer")}
	m.predecessor, m.upgraded = l, true
	if v := m.sys.getenv(envUpgrade); v != "" && v != strconv.Itoa(upgradeProtocol) {
		return fmt.Errorf("\nError: the server that runs speaks version %s of the protocol of upgrades, and this program, indrik %s, version %d: "+
			"restart the server instead", v, version.Version, upgradeProtocol)
	}
	hear[linkMessage](m, conn, nil, m.promote)
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
		if err := m.tickets.load(f); err != nil {
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
	if m.pid == nil || m.state == quitting {
		return
	}
	err := m.pid.Rename(m.pidPath(m.cfg))
	var running *pidfile.RunningError
	switch {
	case err == nil:
	case errors.As(err, &running) && m.now().Before(until):
		m.after(20*time.Millisecond, func() { m.takePidFile(until) })
	default:
		m.log.Errorf("%s", err)
	}
}

func (m *Master) adopt(f *os.File, origin string) error {
	syscall.CloseOnExec(int(f.Fd()))
	l, err := listen.Adopt(f)
	if err != nil {
		return fmt.Errorf("\nError: %w", err)
	}
	m.lastID++
	l.ID = m.lastID
	setOrigin(l, origin)
	m.listeners = append(m.listeners, l)
	return nil
}

// promote makes a successor the only master, once the one before it is gone.
func (m *Master) promote() {
	if m.predecessor == nil {
		return
	}
	m.predecessor.peer.Close()
	m.predecessor = nil
	if m.state == draining || m.state == quitting {
		return
	}
	m.log.Infof("Master has been promoted.")
	if m.cfg == nil {
		return // it starts as the only one
	}
	m.takePidFile(m.now().Add(pidFileGrace))
	m.control.open(m.cfg)
	m.tell(m.notify.MainPID(os.Getpid()))
	m.sys.setTitle(title("master", m.procName()))
	m.front.sendTitle()
	for _, sp := range m.spawners {
		m.nameSpawner(sp)
	}
	for _, w := range m.workers {
		w.boardMem.Promote()
		if w.proc != nil {
			w.proc.Signal(syscall.SIGWINCH)
		}
	}
}
