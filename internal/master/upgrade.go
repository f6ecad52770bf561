package master

import (
	"encoding/json"
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

	"indrik/internal/canary"
	"indrik/internal/listen"
	"indrik/internal/oslayer"
	"indrik/internal/pidfile"
	"indrik/internal/version"
	"indrik/internal/wire"
)

// An upgrader is what one master of an upgrade knows of the other.
type upgrader struct {
	base
	upgraded    bool   // another master started this one
	predecessor *link  // that one, until promotion
	successor   *link  // the master that this one started
	pausing     bool   // WINCH came, and the front still has requests
	pauseLater  bool   // WINCH came before the successor was ready
	failure     string // of the last upgrade
	target      int    // how many workers the predecessor had, 0: it has not said

	trial  *trial // of the successor; nil: it is not tried
	held   bool   // this is a successor that is tried: it accepts nothing yet
	ready  bool   // and its workers are ready
	deaths int    // of workers meanwhile, that the predecessor was not told of
}

// shared reports whether another master serves the same sockets.
func (u *upgrader) shared() bool { return u.predecessor != nil || u.successor != nil }

// suffix is what the names and files of this master have at their end as long as there is
// a predecessor.
func (u *upgrader) suffix() string {
	if u.predecessor != nil {
		return ".2"
	}
	return ""
}

// isSuccessor reports whether the successor is the process pid.
func (u *upgrader) isSuccessor(pid int) bool { return u.successor != nil && u.successor.pid == pid }

// fail notes why an upgrade has failed.
func (u *upgrader) fail(why string) {
	u.failure = why
	u.log.Errorf("Upgrade failed, nothing was changed: %s", why)
}

// tellFailure tells the predecessor, whose log is open, why this master cannot start.
func (u *upgrader) tellFailure(text string) {
	if u.predecessor != nil {
		u.predecessor.conn.Send(linkMessage{Type: wire.TypeFailed, Error: text})
		u.predecessor.conn.Flush()
	}
}

// tellReady tells the predecessor that the workers of this master are ready.
func (u *upgrader) tellReady() {
	if u.predecessor != nil {
		u.predecessor.conn.Send(linkMessage{Type: wire.TypeReady, Held: u.held})
	}
}

// tellLeaving tells the predecessor that this master serves no more.
func (u *upgrader) tellLeaving() {
	if u.predecessor != nil {
		u.predecessor.conn.Send(linkMessage{Type: typeLeaving})
	}
}

// A link joins two masters during an upgrade. Its end tells each that the
// other is gone, without a poll.
type link struct {
	pid     int
	conn    controlConn
	peer    *os.File     // joins their fronts
	isReady bool         // the successor's workers are ready
	plan    *canary.Plan // how the successor is to be tried; nil: it is not

	sharesAdmin  bool // the successor has the admin address of this one
	yieldedAdmin bool // and it is the successor that answers there
}

// upgradeProtocol is the version of what passes between the masters and the fronts of an
// upgrade: the environment of a successor, linkMessage and wire.Handover. It changes when
// one that has this version could not do its part any more; additions that it may ignore
// need no other.
const upgradeProtocol = 1

type linkMessage struct {
	Type  string `json:"type"` // ready, failed, leaving, admin, command, figures or serve
	Error string `json:"error,omitempty"`
	Admin bool   `json:"admin,omitempty"` // of a successor: it has the admin address, too; of the other one: that answers there now

	Words []string `json:"words,omitempty"` // of a command

	Held    bool            `json:"held,omitempty"`    // of a successor that is ready: it accepts nothing until it is told to
	Figures json.RawMessage `json:"figures,omitempty"` // of its requests; package canary has their form
}

// typeLeaving is the type of the message by which a master says that it serves no more.
const typeLeaving = "leaving"

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

// setOrigin notes what origin said of a listener in the master before this one.
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

// sendPeer gives the front its socket to the front of the other master.
func (m *Master) sendPeer() {
	for _, l := range []*link{m.upgrader.predecessor, m.upgrader.successor} {
		if l != nil {
			m.front.send(wire.ToFront{Type: wire.TypePeer}, l.peer)
		}
	}
}

// upgrade starts the binary that is now on disk as a second master on the
// same sockets (USR2).
func (m *Master) upgrade() {
	m.reap() // the signal may be here before the news that a successor has ended
	switch {
	case m.upgrader.successor != nil:
		m.log.Warnf("USR2 signal ignored. Child exists.")
		return
	case m.upgrader.predecessor != nil:
		m.log.Warnf("USR2 signal ignored. Parent exists.")
		return
	}
	m.hook(m.gen, "pre_exec", func(f *failure) {
		if f != nil {
			m.logHook("pre_exec")(f)
			return
		}
		if m.upgrader.successor != nil || m.state == departing || m.state == draining || m.state == quitting {
			return
		}
		if err := m.startSuccessor(); err != nil {
			m.upgrader.fail(lack("", err).line())
		}
	})
}

// startSuccessor starts the second master.
func (m *Master) startSuccessor() error {
	path, err := m.executable()
	if err != nil {
		return err
	}
	conn, theirs, err := m.controlPair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	// All that can fail comes before the process, so that none is left behind.
	peer, otherPeer, err := m.sys.pair()
	if err != nil {
		conn.Close()
		return err
	}
	defer otherPeer.Close()

	files := []*os.File{os.Stdin, os.Stdout, os.Stderr}
	var fds, origins []string
	for _, l := range m.front.listeners {
		fds = append(fds, strconv.Itoa(len(files)))
		origins = append(origins, origin(l))
		files = append(files, l.File)
	}
	env := slices.DeleteFunc(m.sys.childEnv(), func(kv string) bool {
		return strings.HasPrefix(kv, "WATCHDOG_PID=") // names this process
	})
	env = append(env,
		fmt.Sprintf("%s=%d", envPid, os.Getpid()),
		envFD+"="+strings.Join(fds, ","),
		envOrigin+"="+strings.Join(origins, ","),
		fmt.Sprintf("%s=%d", envUpgrade, upgradeProtocol),
		fmt.Sprintf("%s=%d", envTarget, m.pool.target),
		fmt.Sprintf("%s=%d", envLink, len(files)),
		fmt.Sprintf("%s=%d", envPeer, len(files)+1))
	files = append(files, theirs, otherPeer)
	if len(m.tls.tickets.keys) > 0 {
		keys, err := m.tls.tickets.file(m.sys.constant)
		if err != nil {
			conn.Close()
			peer.Close()
			return fmt.Errorf("hand over the session ticket keys: %w", err)
		}
		defer keys.Close()
		env = append(env, fmt.Sprintf("%s=%d", envTickets, len(files)))
		files = append(files, keys)
	}
	plan, tries := m.cfg.CanaryPlan()
	if tries {
		env = append(env, envTrial+"=1")
	}
	if l := m.admin.listener; l != nil {
		env = append(env, fmt.Sprintf("%s=%d", envAdmin, len(files)))
		files = append(files, l.File)
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
	if tries {
		l.plan = &plan
	}
	m.upgrader.successor = l
	m.sendPeer()
	receive(m, conn, func(msg linkMessage) {
		switch msg.Type {
		case wire.TypeReady:
			m.noteSuccessorReady(l, msg.Held)
		case typeFigures:
			m.figuresFromSuccessor(l, msg.Figures)
		case typeLeaving:
			// It gives its idle connections to this server, which must not wait for
			// its exit to serve them.
			if m.upgrader.successor == l {
				m.dropUpgradeTrial()
				m.on(successorLeaves, occurrence{})
			}
		case wire.TypeFailed:
			m.upgrader.fail(strings.TrimSpace(msg.Error))
		case wire.TypeAdmin:
			l.sharesAdmin = msg.Admin
		case wire.TypeCommand:
			if len(msg.Words) > 0 && l.sharesAdmin {
				m.commandFromSuccessor(l, msg.Words)
			}
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

// noteSuccessorReady notes that the workers of the successor l are ready.
func (m *Master) noteSuccessorReady(l *link, held bool) {
	if m.upgrader.successor != l {
		return
	}
	l.isReady = true
	m.log.Debugf("The successor (pid:%d) is ready", l.pid)
	switch serves := m.isServing() && !m.upgrader.pauseLater && l.plan != nil; {
	case held && serves:
		m.beginUpgradeTrial(l)
		return
	case held:
		l.conn.Send(linkMessage{Type: typeServe})
	case serves:
		m.log.Warnf("The successor (pid:%d) is of a version that cannot be tried: it serves at once", l.pid)
	}
	m.on(successorReady, occurrence{})
}

// successorDied is called when the successor was reaped. If the workers had
// left in its favour they come back: somebody must serve.
func (m *Master) successorDied(status syscall.WaitStatus) {
	l := m.upgrader.successor
	l.peer.Close() // the link is read to its end: what it said last may still be in it
	m.dropUpgradeTrial()
	m.upgrader.successor = nil
	if status.Signaled() || status.ExitStatus() != 0 || !l.isReady {
		m.log.Errorf("The successor (pid:%d) %s", l.pid, describe(status))
	} else {
		m.log.Debugf("The successor (pid:%d) %s", l.pid, describe(status))
	}
	if path := m.pidPath(m.cfg); path != "" {
		pidfile.Of(path+".2", l.pid).Remove()
	}
	m.on(successorExited, occurrence{})
}

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
