package master

import (
	"cmp"
	"os"
	"syscall"
	"time"

	"indrik/internal/exitcode"
	"indrik/internal/oslayer"
	"indrik/internal/version"
	"indrik/internal/wire"
	"indrik/python"
)

// spawners are the Python processes of all generations.
type spawners struct {
	base
	opts *Options

	byPid      map[int]*spawner
	lastGen    int               // the number of the generation that was made last
	rebuild    backoff           // of generations made because their spawner died
	attributes map[string]string // of `server`, set by hooks, when a spawner was asked last
}

// A spawner is the Python process that evaluates the config file, runs the
// hooks of the master's side, and forks workers.
type spawner struct {
	proc    process
	conn    controlConn
	calls   map[int]func(wire.FromSpawner)
	last    int // the number of the last call
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
	ofPools bool // it forks workers of pools alone
}

// start starts a spawner, which act gets the messages of. The spawner knows nothing yet:
// see candidate.
func (s *spawners) start(act func(*spawner, wire.FromSpawner), probed func(*spawner, *os.File) *probe) (*spawner, error) {
	ours, theirs, err := s.sys.pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	if err := s.sys.nameSenders(ours); err != nil {
		ours.Close()
		return nil, err
	}
	// All that can fail comes before the process, so that none is left behind.
	conn, err := s.sys.connect(ours)
	if err != nil {
		return nil, err
	}
	bundle, err := s.sys.constant("indrik-python", python.Bundle())
	if err != nil {
		conn.Close()
		return nil, err
	}
	defer bundle.Close()
	dump, err := s.sys.growing("indrik-stacks")
	if err != nil {
		conn.Close()
		return nil, err
	}
	proc, err := s.sys.start(oslayer.Command{
		Path:    s.opts.Python,
		Args:    append([]string{s.opts.Python, "-c", python.Bootstrap}, s.opts.Argv...),
		Env:     append(s.sys.childEnv(), "SERVER_SOFTWARE=indrik/"+version.Version),
		Files:   append(s.sys.stdio(), theirs, bundle, dump),
		Setpgid: true,
	})
	if err != nil {
		conn.Close()
		dump.Close()
		return nil, lack("cannot start Python", err)
	}
	sp := &spawner{proc: proc, conn: conn, calls: map[int]func(wire.FromSpawner){}}
	s.byPid[proc.Pid()] = sp
	sp.probe = probed(sp, dump)
	sp.probe.watch()
	// What it forks, or a hook starts, may still have its end of the socket.
	conn.OnlyFrom(proc.Pid())
	receive(s, conn, func(msg wire.FromSpawner) { act(sp, msg) }, func() {
		if sp.silent != nil {
			sp.silent()
		}
	})
	return sp, nil
}

// ping asks sp whether it lives; done is called with its answer.
func (s *spawners) ping(sp *spawner, done func()) {
	sp.pings++
	s.call(sp, wire.ToSpawner{Type: wire.TypePing}, nil, func(wire.FromSpawner) {
		sp.pings--
		done()
	})
}

// call sends a message that is answered; done gets the answer, also if the
// spawner dies first.
func (s *spawners) call(sp *spawner, msg wire.ToSpawner, files []*os.File, done func(wire.FromSpawner)) {
	if sp.dead {
		done(wire.FromSpawner{Type: wire.TypeFailed, Stage: "spawner", Error: "the spawner died"})
		return
	}
	sp.last++
	msg.Call = sp.last
	if msg.Type != wire.TypePing && sp.isIdle() {
		sp.busy = s.now()
	}
	sp.calls[msg.Call] = done
	if err := s.sendTo(sp.conn, msg, files...); err != nil {
		delete(sp.calls, msg.Call)
		done(wire.FromSpawner{Type: wire.TypeFailed, Stage: "send", Error: err.Error(), Errno: errnoOf(err)})
	}
}

// answered gives the answer to a call to whoever made it.
func (sp *spawner) answered(msg wire.FromSpawner) {
	if done := sp.calls[msg.Call]; done != nil {
		delete(sp.calls, msg.Call)
		done(msg)
	}
}

// beginHook notes that sp runs a hook that nobody waits for.
func (s *spawners) beginHook(sp *spawner) {
	if sp.isIdle() {
		sp.busy = s.now()
	}
	sp.hooks++
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

// exitCode returns the exit code of a server that ends because sp has died.
func (sp *spawner) exitCode() int { return cmp.Or(sp.code, exitcode.WorkerBoot) }

// drop releases a spawner that has ended, and returns the calls that it did not answer.
func (s *spawners) drop(sp *spawner, status syscall.WaitStatus) map[int]func(wire.FromSpawner) {
	delete(s.byPid, sp.proc.Pid())
	sp.probe.stop()
	sp.proc.Release()
	sp.dead = true
	if sp.heard && status.Exited() {
		sp.code = status.ExitStatus()
	}
	calls := sp.calls
	sp.calls = map[int]func(wire.FromSpawner){}
	return calls
}

// setTitle tells sp its title.
func (sp *spawner) setTitle(title string) {
	if !sp.dead {
		sp.conn.Send(wire.ToSpawner{Type: wire.TypeTitle, Title: title})
	}
}

// reopenLogs tells the spawners to open their log files again.
func (s *spawners) reopenLogs() {
	for _, sp := range s.byPid {
		if !sp.leaving {
			sp.conn.Send(wire.ToSpawner{Type: wire.TypeReopen})
		}
	}
}

// release tells the spawner of g that it needs the channels of g no more.
func (sp *spawner) release(g *generation) {
	if !sp.dead {
		sp.conn.Send(wire.ToSpawner{Type: wire.TypeRelease, Generation: g.number})
	}
}

// dismiss ends a spawner that no generation needs any more.
func (sp *spawner) dismiss() {
	if sp.dead || sp.leaving {
		return
	}
	sp.leaving = true
	sp.conn.Send(wire.ToSpawner{Type: wire.TypeExit})
}

// dismissIdle ends sp unless hooks have left something running in it: a thread that
// when_ready started is to outlive a reload. It then calls lingers.
func (s *spawners) dismissIdle(sp *spawner, lingers func()) {
	sp.leaving = true
	s.killLater(sp)
	s.call(sp, wire.ToSpawner{Type: wire.TypeExit, Linger: true}, nil, func(r wire.FromSpawner) {
		if r.Lingers {
			sp.leaving, sp.lingers = false, true
			lingers()
		}
	})
}

// spawnerGrace is how long a spawner that nothing refers to any more has to end.
const spawnerGrace = 10 * time.Second

// killLater ends a spawner that was told to end, in case it does not: a config file or
// a hook may hang.
func (s *spawners) killLater(sp *spawner) {
	s.after(spawnerGrace, func() {
		if sp.leaving && !sp.lingers {
			sp.proc.Signal(syscall.SIGKILL)
		}
	})
}
