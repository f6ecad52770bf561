package master

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"indrik/internal/canary"
	"indrik/internal/listen"
	"indrik/internal/oslayer"
	"indrik/internal/pidfile"
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
	isOver  bool         // all that the successor has said was read
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
	}, func() { l.isOver = true }) // its exit says the rest
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
