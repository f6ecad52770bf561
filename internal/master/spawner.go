package master

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"indrik/internal/exitcode"
	"indrik/internal/oslayer"
	"indrik/internal/version"
	"indrik/internal/wire"
	"indrik/python"
)

// A spawner is the Python process that evaluates the config file, runs the
// hooks of the master's side, and forks workers.
type spawner struct {
	proc    process
	conn    controlConn
	calls   map[int]func(wire.FromSpawner)
	last    int
	probe   *probe
	pings   int       // calls that are questions of the probe
	hooks   int       // of the app's that run without a call
	busy    time.Time // since when it has calls or hooks to run
	heard   bool      // it has said something, so that it is Python
	unfit   string    // why it cannot run the server, "" if it did not say
	silent  func()    // to be called once its socket has ended, nil: nobody waits for that
	dead    bool
	code    int  // what it exited with, if it was Python
	leaving bool // it was told to end
	lingers bool // it serves no generation, but hooks left something running in it
}

// startSpawner starts a spawner. It knows nothing yet: see candidate.
func (m *Master) startSpawner() (*spawner, error) {
	ours, theirs, err := m.sys.pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	if err := m.sys.nameSenders(ours); err != nil {
		ours.Close()
		return nil, err
	}
	// All that can fail comes before the process, so that none is left behind.
	conn, err := m.sys.connect(ours)
	if err != nil {
		return nil, err
	}
	bundle, err := m.sys.constant("indrik-python", python.Bundle())
	if err != nil {
		conn.Close()
		return nil, err
	}
	defer bundle.Close()
	dump, err := m.sys.growing("indrik-stacks")
	if err != nil {
		conn.Close()
		return nil, err
	}
	proc, err := m.sys.start(oslayer.Command{
		Path:    m.opts.Python,
		Args:    append([]string{m.opts.Python, "-c", python.Bootstrap}, m.opts.Argv...),
		Env:     append(m.childEnv(), "SERVER_SOFTWARE=indrik/"+version.Version),
		Files:   append(m.stdio(), theirs, bundle, dump),
		Setpgid: true,
	})
	if err != nil {
		conn.Close()
		dump.Close()
		return nil, lack("cannot start Python", err)
	}
	sp := &spawner{proc: proc, conn: conn, calls: map[int]func(wire.FromSpawner){}}
	m.spawners[proc.Pid()] = sp
	sp.probe = &probe{
		m: m, role: "Spawner", proc: proc, dump: dump,
		over: func() bool { return sp.dead || sp.leaving || sp.lingers },
		busy: func() time.Duration { return sp.busyFor(m.now()) },
		ask: func(done func()) {
			sp.pings++
			m.call(sp, wire.ToSpawner{Type: wire.TypePing}, nil, func(wire.FromSpawner) {
				sp.pings--
				done()
			})
		},
	}
	sp.probe.watch()
	// What it forks, or a hook starts, may still have its end of the socket.
	conn.OnlyFrom(proc.Pid())
	hear(m, conn, func(msg wire.FromSpawner) { m.fromSpawner(sp, msg) }, func() {
		if sp.silent != nil {
			sp.silent()
		}
	})
	return sp, nil
}

// childEnv is the environment of the processes that run the app.
func (m *Master) childEnv() []string {
	return slices.DeleteFunc(m.sys.environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		switch name {
		case envPid, envFD, envOrigin, envLink, envUpgrade, envPeer, envTickets, envDaemon, wire.EnvRole, wire.EnvFront,
			"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "SERVER_SOFTWARE":
			return true
		}
		return false
	})
}

// stdio is what children get as standard input, output and error.
func (m *Master) stdio() []*os.File {
	if m.sys.keepsStdio() {
		return []*os.File{devNull(), os.Stdout, inheritable(os.Stderr)}
	}
	if m.sys.daemonized() {
		return []*os.File{devNull(), devNull(), devNull()}
	}
	return []*os.File{devNull(), os.Stdout, os.Stderr}
}

// sendTo sends a message with files, which stay the caller's. Where that is not possible,
// for want of descriptors say, the log says so.
func (m *Master) sendTo(conn controlConn, msg any, files ...*os.File) error {
	err := conn.SendKeeping(msg, files...)
	if err != nil {
		m.log.Errorf("A message to another process was not sent: %s", err)
	}
	return err
}

// call sends a message that is answered; done gets the answer, also if the
// spawner dies first.
func (m *Master) call(sp *spawner, msg wire.ToSpawner, files []*os.File, done func(wire.FromSpawner)) {
	if sp.dead {
		done(wire.FromSpawner{Type: wire.TypeFailed, Stage: "spawner", Error: "the spawner died"})
		return
	}
	sp.last++
	msg.Call = sp.last
	if msg.Type != wire.TypePing && sp.isIdle() {
		sp.busy = m.now()
	}
	sp.calls[msg.Call] = done
	if err := m.sendTo(sp.conn, msg, files...); err != nil {
		delete(sp.calls, msg.Call)
		done(wire.FromSpawner{Type: wire.TypeFailed, Stage: "send", Error: err.Error(), Errno: errnoOf(err)})
	}
}

func (m *Master) fromSpawner(sp *spawner, msg wire.FromSpawner) {
	if msg.Type == wire.TypeUnfit {
		sp.unfit = msg.Error
		return
	}
	sp.heard = true
	switch msg.Type {
	case wire.TypeOK, wire.TypeFailed:
		if done := sp.calls[msg.Call]; done != nil {
			delete(sp.calls, msg.Call)
			done(msg)
		}
	case wire.TypeBusy:
		if sp.isIdle() {
			sp.busy = m.now()
		}
		sp.hooks++
	case wire.TypeSignalled:
		m.spawnerSignalled(sp, syscall.Signal(msg.Signal))
	case wire.TypeIdle:
		sp.hooks--
	case wire.TypeFiles:
		m.imported(nil, msg.Files, msg.Since)
	case wire.TypeExited:
		if w := m.workers[msg.Age]; w != nil {
			m.workerExited(w, msg.Code, syscall.Signal(msg.Signal), msg.Peak)
		}
	}
}

// isIdle reports whether sp runs no code of the app's or the config file's.
func (sp *spawner) isIdle() bool { return len(sp.calls) == sp.pings && sp.hooks == 0 }

// busyFor is for how long sp has done what may take any time, 0 if it does not.
func (sp *spawner) busyFor(now time.Time) time.Duration {
	if sp.isIdle() {
		return 0
	}
	return max(now.Sub(sp.busy), 1)
}

// hook runs a hook of the master's side, then goes on with next; failed is
// whether it raised.
func (m *Master) hook(g *generation, name string, next func(err *failure), args ...any) {
	if g == nil || !g.hooks[name] || g.sp.dead {
		next(nil)
		return
	}
	m.call(g.sp, wire.ToSpawner{
		Type: wire.TypeHook, Generation: g.number, Hook: name, Args: args, Server: m.server(g.cfg),
	}, nil, func(r wire.FromSpawner) {
		switch {
		case r.Type == wire.TypeFailed && r.Stage != "spawner":
			next(failed(r))
		case r.Logger:
			m.renewLogger(g, func() { next(nil) })
		default:
			next(nil)
		}
	})
}

// unfitGrace is how long the last message of a Python that cannot run the server may
// be on its way after the process has ended.
const unfitGrace = 500 * time.Millisecond

// spawnerExited is called when a spawner was reaped.
func (m *Master) spawnerExited(sp *spawner, status syscall.WaitStatus) {
	if sp.heard {
		m.spawnerEnded(sp, status)
		return
	}
	// It may have said why it cannot run the server.
	var once sync.Once
	sp.silent = func() { once.Do(func() { m.spawnerEnded(sp, status) }) }
	m.after(unfitGrace, sp.silent)
}

// spawnerEnded acts on the end of a spawner, which has been heard out.
func (m *Master) spawnerEnded(sp *spawner, status syscall.WaitStatus) {
	delete(m.spawners, sp.proc.Pid())
	sp.probe.stop()
	sp.proc.Release()
	sp.dead = true
	if sp.heard && status.Exited() {
		sp.code = status.ExitStatus()
	}
	calls := sp.calls
	sp.calls = map[int]func(wire.FromSpawner){}
	for _, done := range calls {
		text := "the spawner " + describe(status)
		if !sp.heard {
			text = fmt.Sprintf("\nError: '%s' (%s) is not a Python that can run the app: it %s", m.opts.Python, m.opts.PythonWhy, describe(status))
			if sp.unfit != "" {
				text += "\n  " + sp.unfit
			}
		}
		done(wire.FromSpawner{Type: wire.TypeFailed, Stage: "spawner", Error: text, Code: sp.code})
	}
	if !sp.leaving && m.state != quitting {
		m.log.Errorf("Spawner (pid:%d) %s", sp.proc.Pid(), describe(status))
		if m.candidate != nil && m.candidate.sp == sp {
			m.candidate.fail(&failure{text: "the spawner " + describe(status), code: cmp.Or(sp.code, exitcode.WorkerBoot)})
		}
		if m.gen != nil && m.gen.sp == sp {
			m.missOrphans(sp)
			m.generationLost("The spawner died.")
		}
	}
	m.finish()
}

// missOrphans finds the workers whose end a spawner collected but did not live
// to tell. The others are children of this process from now on.
func (m *Master) missOrphans(sp *spawner) {
	for _, w := range m.byAge() {
		if w.gen.sp == sp && w.proc != nil && errors.Is(w.proc.Signal(0), os.ErrProcessDone) {
			m.workerExited(w, 0, 0, 0)
		}
	}
}

// dismiss ends a spawner that no generation needs any more.
func (m *Master) dismiss(sp *spawner) {
	if sp.dead || sp.leaving {
		return
	}
	sp.leaving = true
	sp.conn.Send(wire.ToSpawner{Type: wire.TypeExit})
}

// dismissUnused ends the spawners that nothing refers to, unless hooks have left
// something running in them: a thread that when_ready started is to outlive a reload.
func (m *Master) dismissUnused() {
	used := map[*spawner]bool{}
	if m.gen != nil {
		used[m.gen.sp] = true
	}
	if m.candidate != nil {
		used[m.candidate.sp] = true
	}
	for _, w := range m.workers {
		used[w.gen.sp] = true
	}
	for _, sp := range m.spawners {
		if used[sp] || sp.lingers || sp.dead || sp.leaving {
			continue
		}
		sp.leaving = true
		m.killLater(sp)
		m.call(sp, wire.ToSpawner{Type: wire.TypeExit, Linger: true}, nil, func(r wire.FromSpawner) {
			if !r.Lingers {
				return
			}
			sp.leaving, sp.lingers = false, true
			m.tellWorkers(sp)
			m.finish()
		})
	}
}

// spawnerGrace is how long a spawner that nothing refers to any more has to end.
const spawnerGrace = 10 * time.Second

// killLater ends a spawner that was told to end, in case it does not: a config file or
// a hook may hang.
func (m *Master) killLater(sp *spawner) {
	m.after(spawnerGrace, func() {
		if sp.leaving && !sp.lingers {
			sp.proc.Signal(syscall.SIGKILL)
		}
	})
}

// tellWorkers tells a spawner that lingers of the workers of the others, for the
// hooks' server.WORKERS.
func (m *Master) tellWorkers(sp *spawner) {
	msg := wire.ToSpawner{Type: wire.TypeWorkers, Workers: [][2]int{}, Server: m.server(m.cfg)}
	for _, w := range m.byAge() {
		if w.pid != 0 && w.gen.sp != sp {
			msg.Workers = append(msg.Workers, [2]int{w.pid, w.age})
		}
	}
	sp.conn.Send(msg)
}

// describe says how a process ended.
func describe(status syscall.WaitStatus) string {
	if status.Signaled() {
		return fmt.Sprintf("was sent %s", signalName(status.Signal()))
	}
	return fmt.Sprintf("exited with code %d", status.ExitStatus())
}

// reopenIn has a spawner open its log files again.
func (m *Master) reopenIn(sp *spawner) { sp.conn.Send(wire.ToSpawner{Type: wire.TypeReopen}) }
