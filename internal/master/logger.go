package master

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"indrik/internal/sinks"
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

// route sends the log lines of this process through r from now on, nil: into the files.
// It returns the logger before.
func (l *logging) route(r *logger) (before *logger) {
	before, l.logger = l.logger, r
	var end *os.File
	var err error
	if r != nil {
		end, err = l.sys.duplicate(r.file)
	}
	if err == nil {
		_, err = l.sinks.SetLogger(end)
	}
	if err != nil {
		l.log.Errorf("The logger cannot be reached: %s", err)
	}
	return before
}

// letGo lets go of r, which ends when the front has done so too, and has written what it
// was sent by then. One that hangs is ended.
func (l *logging) letGo(r *logger) {
	if r == nil || r.gone {
		return
	}
	r.gone = true
	r.probe.stop()
	r.file.Close()
	r.conn.Close()
	l.left[r] = l.now()
	l.after(spawnerGrace, func() { l.kill(r) })
}

// kill ends a logger that was let go, if it is still there.
func (l *logging) kill(r *logger) {
	if _, ok := l.left[r]; ok {
		delete(l.left, r)
		r.proc.Signal(syscall.SIGKILL)
		r.proc.Release()
	}
}

// killHanging ends the loggers that were let go quitGrace ago.
func (l *logging) killHanging() {
	for r, since := range l.left {
		if l.now().Sub(since) > quitGrace {
			l.kill(r)
		}
	}
}

// reopenLogger tells the logger to open its files again.
func (l *logging) reopenLogger() {
	if l.logger != nil && l.logger.proc != nil {
		l.logger.proc.Signal(syscall.SIGUSR1)
	}
}

// end makes the logger write what it has, and end, and reports whether that is to be
// waited for: what was said last must not be lost. If the logger does not end by itself
// it is killed, and ended is called.
func (l *logging) end(ended func()) bool {
	if l.logger == nil {
		return false
	}
	if l.ends {
		return true
	}
	l.ends = true
	end, err := l.sys.duplicate(l.logger.file)
	sent, _ := l.sinks.SetLogger(nil)
	if err != nil || sent == nil {
		return false
	}
	go func() {
		<-sent.Done()
		unix.Shutdown(int(end.Fd()), syscall.SHUT_WR)
		end.Close()
	}()
	l.after(quitGrace, func() {
		if l.logger != nil {
			l.logger.proc.Signal(syscall.SIGKILL) // it hangs
		}
		l.logger = nil
		ended()
	})
	return true
}

// startLogger forks the logger of a generation, from its spawner.
func (m *Master) startLogger(g *generation, done func(*failure)) {
	cannot := func(err error, files ...*os.File) {
		wire.CloseAll(files)
		done(lack("the logger cannot be reached", err))
	}
	ours, theirs, err := m.sys.pair()
	if err != nil {
		cannot(err)
		return
	}
	conn, end, err := m.controlPair()
	if err != nil {
		cannot(err, ours, theirs)
		return
	}
	dump, err := m.sys.growing("indrik-stacks")
	if err != nil {
		conn.Close()
		cannot(err, ours, theirs, end)
		return
	}
	files := []*os.File{theirs, end, dump}
	m.spawners.call(g.sp, wire.ToSpawner{Type: wire.TypeLogger, Generation: g.number}, files, func(r wire.FromSpawner) {
		wire.CloseAll([]*os.File{theirs, end})
		if r.Type == wire.TypeFailed {
			conn.Close()
			wire.CloseAll([]*os.File{ours, dump})
			done(failed(r))
			return
		}
		l := &logger{proc: m.child(r.Pid, g.sp.proc.Pid(), os.Getpid()), level: sinks.LevelName(r.Level), file: ours, conn: conn}
		m.watchLogger(g, l, dump)
		g.logger = l
		m.logging.loggers[r.Pid] = true
		done(nil)
	})
}

// watchLogger asks the logger l of g from now on whether it lives, and replaces it when it
// does not.
func (m *Master) watchLogger(g *generation, l *logger, dump *os.File) {
	l.probe = m.newProbe("Logger", l.proc, dump)
	l.probe.over = func() bool { return l.gone || m.logging.ends }
	l.probe.ask = func(done func()) {
		l.alive = done
		l.conn.Send(wire.ToLogger{Type: wire.TypePing})
	}
	l.probe.replace = func(text string) {
		l.proc.Signal(syscall.SIGKILL)
		if m.logging.logger != l {
			m.logging.letGo(l)
			return
		}
		m.setLogger(nil) // first: what it is sent now nobody reads
		l.probe.tell(text)
		l.probe.tellReplaced()
		m.replaceLoggerLater(g)
	}
	l.probe.watch()
	receive(m, l.conn, func(wire.FromLogger) {
		if l.alive != nil {
			l.alive()
		}
	}, func() { m.loggerDied(g, l) })
}

// setLogger sends the lines of all processes through r from now on, nil: into the files.
func (m *Master) setLogger(r *logger) {
	if r == m.logging.logger {
		return
	}
	before := m.logging.route(r)
	m.logging.setLevel(m.cfg)
	m.sendLogs()
	m.logging.letGo(before)
}

// loggerDied is called when the process of l has ended.
func (m *Master) loggerDied(g *generation, l *logger) {
	if l.gone {
		return // it was told to
	}
	l.gone = true
	l.probe.stop()
	l.proc.Release()
	l.file.Close()
	if m.logging.logger == l {
		m.setLogger(nil)
		m.on(loggerExited, occurrence{gen: g, pid: l.proc.Pid()})
	}
}

// replaceDeadLogger starts another logger after a pause.
func (m *Master) replaceDeadLogger(o occurrence) {
	m.log.Errorf("The logger (pid:%d) has ended: until there is another one, lines go to errorlog and accesslog", o.pid)
	m.replaceLoggerLater(o.gen)
}

func (m *Master) replaceLoggerLater(g *generation) {
	m.after(m.logging.backoff.died(m.now()), func() { m.replaceLogger(g) })
}

// replaceLogger starts another logger for g, if that still serves.
func (m *Master) replaceLogger(g *generation) {
	if m.gen != g || g.sp.dead || m.logging.logger != nil || m.state == quitting {
		return
	}
	m.startLogger(g, func(f *failure) {
		switch {
		case f != nil:
			m.log.Errorf("The logger cannot be started: %s", f.Error())
		case m.gen == g && m.logging.logger == nil && m.state != quitting:
			m.setLogger(g.logger)
		default:
			m.logging.letGo(g.logger)
		}
	})
}

// renewLogger starts a logger in the place of the one of g, if there is one, since a hook
// has changed what becomes of log lines.
func (m *Master) renewLogger(g *generation, next func()) {
	before := g.logger
	m.startLogger(g, func(f *failure) {
		switch isCandidate := m.candidateGeneration() == g; {
		case f != nil:
			m.log.Errorf("The logger cannot be started: %s", f.Error())
		case m.state == quitting || m.gen != g && !isCandidate:
			m.logging.letGo(g.logger)
		case isCandidate && m.gen != nil:
			m.logging.letGo(before) // the new one is taken when g is
		default:
			m.setLogger(g.logger)
		}
		next()
	})
}
