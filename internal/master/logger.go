package master

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"indrik/internal/outlets"
	"indrik/internal/wire"
)

// A logger is the process through which log lines go where Python code decides
// what becomes of them: the spawner forks it from its own state, in which logging is
// configured. It ends when nobody holds its socket any more.
type logger struct {
	proc  process
	level string
	file  *os.File    // our end of its socket; the front has a copy
	conn  controlConn // by which it is asked whether it lives, and its end shows
	probe *probe
	alive func() // called with its next answer
	gone  bool
}

// startLogger has the logger of a generation forked.
func (m *Master) startLogger(g *generation, done func(*failure)) {
	ours, theirs, err := m.sys.pair()
	if err != nil {
		done(lack("the logger cannot be reached", err))
		return
	}
	conn, end, err := m.controlPair()
	if err != nil {
		closeFiles([]*os.File{ours, theirs})
		done(lack("the logger cannot be reached", err))
		return
	}
	dump, err := m.sys.growing("indrik-stacks")
	if err != nil {
		conn.Close()
		closeFiles([]*os.File{ours, theirs, end})
		done(lack("the logger cannot be reached", err))
		return
	}
	files := []*os.File{theirs, end, dump}
	m.call(g.sp, wire.ToSpawner{Type: wire.TypeLogger, Generation: g.number}, files, func(r wire.FromSpawner) {
		closeFiles([]*os.File{theirs, end})
		if r.Type == wire.TypeFailed {
			conn.Close()
			closeFiles([]*os.File{ours, dump})
			done(failed(r))
			return
		}
		rl := &logger{proc: m.child(g.sp, r.Pid), level: outlets.LevelName(r.Level), file: ours, conn: conn}
		rl.probe = &probe{
			m: m, role: "Logger", proc: rl.proc, dump: dump,
			over: func() bool { return rl.gone || m.loggerEnds },
			ask: func(done func()) {
				rl.alive = done
				conn.Send(wire.ToLogger{Type: wire.TypePing})
			},
		}
		rl.probe.replace = func(text string) {
			rl.proc.Signal(syscall.SIGKILL)
			if m.logger != rl {
				rl.close()
				return
			}
			m.setLogger(nil) // first: what it is sent now nobody reads
			rl.probe.tell(text)
			rl.probe.tellReplaced()
			m.after(m.loggerPause.died(m.now()), func() { m.replaceLogger(g) })
		}
		rl.probe.watch()
		g.logger = rl
		m.loggers[r.Pid] = true
		hear(m, conn, func(wire.FromLogger) {
			if rl.alive != nil {
				rl.alive()
			}
		}, func() { m.loggerGone(g, rl) })
		done(nil)
	})
}

// controlPair makes a channel, of which the master keeps one end.
func (m *Master) controlPair() (controlConn, *os.File, error) {
	ours, theirs, err := m.sys.pair()
	if err != nil {
		return nil, nil, err
	}
	conn, err := m.sys.connect(ours)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return conn, theirs, nil
}

// setLogger has the lines of all processes go through r from now on, nil: into the
// files.
func (m *Master) setLogger(r *logger) {
	before := m.logger
	if r == before {
		return
	}
	m.logger = r
	var end *os.File
	var err error
	if r != nil {
		end, err = m.sys.duplicate(r.file)
	}
	if err == nil {
		_, err = m.outlets.SetRelay(end)
	}
	if err != nil {
		m.log.Errorf("The logger cannot be reached: %s", err)
	}
	m.setLogLevel(m.cfg)
	m.front.sendLogs()
	before.close()
}

// close lets go of r, which ends when the front has done so too, and has written what it
// was sent by then. One that hangs is ended.
func (r *logger) close() {
	if r == nil || r.gone {
		return
	}
	r.gone = true
	m := r.probe.m
	r.probe.stop()
	r.file.Close()
	r.conn.Close()
	m.leftLoggers[r] = m.now()
	m.after(spawnerGrace, func() { m.killLogger(r) })
}

// killLogger ends a logger that was let go, if it is still there.
func (m *Master) killLogger(r *logger) {
	if _, ok := m.leftLoggers[r]; ok {
		delete(m.leftLoggers, r)
		r.proc.Signal(syscall.SIGKILL)
		r.proc.Release()
	}
}

// loggerGone is called when the process of r has ended.
func (m *Master) loggerGone(g *generation, r *logger) {
	if r.gone {
		return // it was told to
	}
	r.gone = true
	r.probe.stop()
	r.proc.Release()
	r.file.Close()
	if m.logger != r {
		return
	}
	m.setLogger(nil)
	if m.state == quitting {
		m.finish()
		return
	}
	m.log.Errorf("The logger (pid:%d) has ended: until there is another one, lines go to errorlog and accesslog", r.proc.Pid())
	m.after(m.loggerPause.died(m.now()), func() { m.replaceLogger(g) })
}

// replaceLogger starts another logger for g, if that still serves.
func (m *Master) replaceLogger(g *generation) {
	if m.gen != g || g.sp.dead || m.logger != nil || m.state == quitting {
		return
	}
	m.startLogger(g, func(f *failure) {
		switch {
		case f != nil:
			m.log.Errorf("The logger cannot be started: %s", f.Error())
		case m.gen == g && m.logger == nil && m.state != quitting:
			m.setLogger(g.logger)
		default:
			g.logger.close()
		}
	})
}

// renewLogger starts a logger in the place of the one of g, if there is one, since a hook
// has changed what becomes of log lines.
func (m *Master) renewLogger(g *generation, next func()) {
	before := g.logger
	m.startLogger(g, func(f *failure) {
		switch built := m.candidateGeneration() == g; {
		case f != nil:
			m.log.Errorf("The logger cannot be started: %s", f.Error())
		case m.state == quitting || m.gen != g && !built:
			g.logger.close()
		case built && m.gen != nil:
			before.close() // the new one is taken when g is
		default:
			m.setLogger(g.logger)
		}
		next()
	})
}

// endLogger has the logger write what it has and end, and tells whether that is to be
// waited for. What was said last must not be lost.
func (m *Master) endLogger() bool {
	if m.logger == nil {
		return false
	}
	if m.loggerEnds {
		return true
	}
	m.loggerEnds = true
	end, err := m.sys.duplicate(m.logger.file)
	sent, _ := m.outlets.SetRelay(nil)
	if err != nil || sent == nil {
		return false
	}
	go func() {
		<-sent.Done()
		unix.Shutdown(int(end.Fd()), syscall.SHUT_WR)
		end.Close()
	}()
	m.after(quitGrace, func() {
		if m.logger != nil {
			m.logger.proc.Signal(syscall.SIGKILL) // it hangs
		}
		m.logger = nil
		m.finish()
	})
	return true
}

// reopen has it open its files again.
func (r *logger) reopen() {
	if r != nil && r.proc != nil {
		r.proc.Signal(syscall.SIGUSR1)
	}
}
