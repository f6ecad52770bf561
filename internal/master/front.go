package master

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"indrik/internal/oslayer"
	"indrik/internal/settings"
	"indrik/internal/wire"
)

// Environment variables between masters; those for a front are in package wire.
const (
	envPid     = "INDRIK_PID"        // upgrade: the master before this one
	envFD      = "INDRIK_FD"         // upgrade: its listening sockets
	envOrigin  = "INDRIK_ORIGIN"     // upgrade: where each of these is from, see origin
	envLink    = "INDRIK_LINK"       // upgrade: the message socket between the masters
	envUpgrade = "INDRIK_UPGRADE"    // upgrade: the version of what the two masters and fronts say to each other
	envPeer    = "INDRIK_PEER"       // upgrade: the one between the fronts
	envTickets = "INDRIK_TICKETS"    // upgrade: the session ticket keys, a memory file
	envDaemon  = "INDRIK_DAEMONIZED" // daemon: the pipe that lets the command return
)

// A front is the process that holds the client connections.
type front struct {
	m       *Master
	proc    process
	conn    controlConn
	born    time.Time
	ready   bool
	drained func() // once nothing is left to do
	probe   *probe
	stalled time.Duration // how long requests have waited without any that was finished
	calls   map[int]func(wire.FromFront)
	last    int // the number of the last call
}

// startFront starts a front, and tells it all that this master has.
func (m *Master) startFront() error {
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
	dump, err := m.sys.growing("indrik-stacks")
	if err != nil {
		conn.Close()
		return err
	}
	env := append(m.childEnv(), wire.EnvRole+"="+wire.RoleFront, fmt.Sprintf("%s=%d", wire.EnvFront, m.fronts%128))
	proc, err := m.sys.start(oslayer.Command{
		// The file this master runs, also when another has taken its place
		// on disk: both must speak the same protocol.
		Path:       oslayer.Executable(),
		Args:       []string{title("front", m.procName())},
		Env:        env,
		Files:      append(m.stdio(), theirs, dump),
		Credential: credential(m.cfg),
		Setpgid:    true,
	})
	if err != nil {
		conn.Close()
		dump.Close()
		return fmt.Errorf("cannot start the front: %w", err)
	}
	m.fronts++
	m.reloader.look = 0 // of the one before
	f := &front{m: m, proc: proc, conn: conn, born: m.now(), calls: map[int]func(wire.FromFront){}}
	m.front = f
	f.probe = &probe{
		m: m, role: "Front", proc: proc, dump: dump,
		over: func() bool { return m.front != f },
		ask: func(done func()) {
			f.ask(wire.ToFront{Type: wire.TypePing}, func(answer wire.FromFront) {
				f.stalled = time.Duration(answer.Stalled * float64(time.Second))
				done()
			})
		},
	}
	f.probe.watch()
	hear(m, conn, func(msg wire.FromFront) { m.fromFront(f, msg) }, nil)
	f.sendLogs()
	f.sendListeners()
	f.sendPeer()
	return nil
}

// credential is who the front runs as; nil: as the master.
func credential(cfg *settings.Config) *syscall.Credential {
	a := cfg.FrontAccount()
	if os.Geteuid() != 0 || a.UID == os.Geteuid() && a.GID == os.Getegid() {
		return nil
	}
	cred := &syscall.Credential{Uid: uint32(a.UID), Gid: uint32(a.GID)}
	if cfg.Initgroups() {
		cred.Groups = oslayer.Groups(a.Name, a.GID)
	}
	return cred
}

// call sends a message that is answered; done gets nil once the front has carried it out,
// or why it could not. It is not called if the front ends first: the next one is
// told everything anew.
func (f *front) call(msg wire.ToFront, done func(*failure), files ...*os.File) {
	f.ask(msg, func(answer wire.FromFront) {
		if answer.Type == wire.TypeOK {
			done(nil)
			return
		}
		done(lacks("Error: the front cannot take it: "+answer.Error, answer.Errno))
	}, files...)
}

// ask is like call, but done gets the whole answer.
func (f *front) ask(msg wire.ToFront, done func(wire.FromFront), files ...*os.File) {
	f.last++
	msg.Call = f.last
	f.calls[msg.Call] = done
	if err := f.m.sendTo(f.conn, msg, files...); err != nil {
		answer := wire.FromFront{Type: wire.TypeFailed, Call: msg.Call, Error: err.Error(), Errno: errnoOf(err)}
		f.m.after(0, func() { f.m.fromFront(f, answer) })
	}
}

// answered is called when the front has answered a call.
func (f *front) answered(msg wire.FromFront) {
	done := f.calls[msg.Call]
	if done == nil {
		return
	}
	delete(f.calls, msg.Call)
	done(msg)
}

// send sends a message with files, which stay the caller's; a front that is not there
// needs none, since the next one is told everything.
func (f *front) send(msg wire.ToFront, files ...*os.File) {
	if f != nil {
		f.m.sendTo(f.conn, msg, files...)
	}
}

func (f *front) sendListeners() {
	if f == nil || !f.m.serving {
		return
	}
	msg := wire.ToFront{Type: wire.TypeListen, Listeners: []wire.Listener{}}
	var files []*os.File
	for _, l := range f.m.listeners {
		msg.Listeners = append(msg.Listeners, wire.Listener{ID: l.ID, Bind: l.Bind, Network: l.Network})
		files = append(files, l.File)
	}
	f.send(msg, files...)
}

func (f *front) sendPeer() {
	if f == nil {
		return
	}
	for _, l := range []*link{f.m.predecessor, f.m.successor} {
		if l != nil {
			f.send(wire.ToFront{Type: wire.TypePeer}, l.peer)
		}
	}
}

// sendGeneration tells the front of g, unless it has been told already; generationTaken
// goes on when it has answered.
func (f *front) sendGeneration(g *generation) {
	g.announced = true
	if f == nil || g.toldTo == f {
		return
	}
	g.toldTo, g.taken = f, false
	done := func(fail *failure) { f.m.generationTaken(g, fail) }
	files := []*os.File{g.queueFront, g.queueWorker}
	if g.certs != nil {
		secrets, err := f.m.secretsFile(g)
		if err != nil {
			f.m.after(0, func() { done(lack("the front cannot serve TLS", err)) })
			return
		}
		defer secrets.Close()
		files = append(files, secrets)
	}
	f.call(wire.ToFront{Type: wire.TypeGeneration, Generation: g.number, Config: g.frontConfig()}, done, files...)
}

// generationTaken is called when the front has answered what it was told of g: nothing
// of g may be forked before it knows g.
func (m *Master) generationTaken(g *generation, fail *failure) {
	b := m.candidate
	inBuild := b != nil && b.gen == g
	switch {
	case g.toldTo != m.front:
		// It has ended since, and another one is told.
	case fail == nil:
		g.taken = true
		if inBuild {
			b.fork()
		}
		m.balance()
	case inBuild:
		b.fail(fail)
	case m.state == booting:
		m.cannotBoot(fail)
	case g == m.gen:
		// What serves cannot be served by this one.
		m.log.Errorf("The front (pid:%d) is replaced: %s", m.front.proc.Pid(), fail.Error())
		m.front.ready = false
		m.front.proc.Signal(syscall.SIGKILL)
	default:
		m.log.Errorf("Workers that are leaving cannot answer any more: %s", fail.Error())
	}
}

// announce tells the front of a worker; workerTaken goes on when it has answered each
// message about it.
func (m *Master) announce(w *worker) {
	f := m.front
	if f == nil {
		return
	}
	w.toldTo, w.untaken = f, 0
	done := func(fail *failure) { m.workerTaken(w, f, fail) }
	slots, first := w.slotFiles, 0
	files := []*os.File{w.board}
	for {
		n := min(len(slots), wire.MaxDescriptors-len(files))
		w.untaken++
		f.call(wire.ToFront{
			Type: wire.TypeWorker, Generation: w.gen.number, Age: w.age, First: first, Kind: w.kind,
		}, done, append(files, slots[:n]...)...)
		slots, first, files = slots[n:], first+n, nil
		if len(slots) == 0 {
			return
		}
	}
}

func (m *Master) fromFront(f *front, msg wire.FromFront) {
	if m.front != f {
		return
	}
	switch msg.Type {
	case wire.TypeOK, wire.TypeFailed:
		f.answered(msg)
	case wire.TypeReady:
		f.ready = true
	case wire.TypeTimeout:
		m.timedOut(msg)
	case wire.TypeSettled:
		if w := m.workers[msg.Age]; w != nil {
			m.settled(w)
		}
	case wire.TypeBroken:
		if msg.Generation != 0 {
			m.queueBroken(msg.Generation, msg.Reason)
		} else if w := m.workers[msg.Age]; w != nil && !w.broke {
			m.breach(w, msg.Reason)
			m.kill(w)
		}
	case wire.TypeClosed:
		if w := m.workers[msg.Age]; w != nil {
			m.slotClosed(w)
		}
	case wire.TypeLost:
		m.tellDeath(msg)
	case wire.TypeCheck:
		m.lookAtCode(msg.Check)
	case wire.TypeDrained:
		if f.drained != nil {
			f.drained()
		}
	}
}

// frontExited is called when the front was reaped.
func (m *Master) frontExited(status syscall.WaitStatus) {
	f := m.front
	f.conn.Close()
	f.probe.stop()
	f.proc.Release()
	m.front = nil
	if m.gen != nil {
		m.gen.taken = false
	}
	if m.state == quitting {
		m.finish()
		return
	}
	m.log.Errorf("Front (pid:%d) %s", f.proc.Pid(), describe(status))
	if f.drained != nil {
		// Its connections are gone, so there is nothing left to wait for.
		f.drained()
	}
	if m.state == draining || m.state == paused && m.successor != nil {
		return
	}
	pause := time.Duration(0)
	if !f.ready || m.now().Sub(f.born) < young && !status.Signaled() {
		pause = m.frontPause.died(m.now())
	} else {
		m.frontPause.lived()
	}
	m.after(pause, m.replaceFront)
}

// replaceFront starts a front in the place of one that died.
func (m *Master) replaceFront() {
	if m.front != nil || m.state == draining || m.state == quitting {
		return
	}
	if err := m.startFront(); err != nil {
		m.log.Errorf("%s", lack("", err).line())
		m.after(max(firstPause, m.frontPause.died(m.now())), m.replaceFront)
		return
	}
	told := map[*generation]bool{}
	for _, w := range m.byAge() {
		if !told[w.gen] {
			told[w.gen] = true
			m.front.sendGeneration(w.gen)
		}
		m.announce(w)
		if w.active && !w.leaving {
			m.front.send(wire.ToFront{Type: wire.TypeActivate, Age: w.age, Pid: w.pid, Kind: w.kind})
		}
	}
	for _, g := range []*generation{m.gen, m.candidateGeneration()} {
		if g != nil && !told[g] && g.announced {
			m.front.sendGeneration(g)
		}
	}
	if m.state == departing {
		m.front.send(wire.ToFront{Type: wire.TypeDepart})
	}
}

// sendTitle gives a child its title, say after promotion.
func (f *front) sendTitle() {
	if f == nil {
		return
	}
	f.send(wire.ToFront{Type: wire.TypeTitle, Title: title("front", f.m.procName())})
}

func (m *Master) nameSpawner(sp *spawner) {
	if !sp.dead {
		sp.conn.Send(wire.ToSpawner{Type: wire.TypeTitle, Title: title("spawner", m.procName())})
	}
}

func fdList(s string) ([]int, error) {
	var fds []int
	for _, part := range splitComma(s) {
		fd, err := strconv.Atoi(part)
		if err != nil || fd < 3 {
			return nil, fmt.Errorf("%q is not a list of descriptors", s)
		}
		fds = append(fds, fd)
	}
	return fds, nil
}
