package front

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"indrik/internal/oslayer"
	"indrik/internal/wire"
)

// obey carries out the master's messages until this process is to end: when the master
// says so, or when the master is gone and all requests are done.
func (s *server) obey(conn *wire.Conn) {
	for {
		var m wire.ToFront
		files, err := conn.Recv(&m)
		if errors.Is(err, wire.ErrTruncated) {
			s.answer(m, err)
			continue
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				s.log.Errorf("control socket: %s", err)
			}
			break
		}
		if m.Type == wire.TypeQuit {
			return
		}
		s.carryOut(m, files)
	}
	s.queue.Unwatched()
	s.admin.server.Leave()
	// The master is gone. Nobody will replace workers or stop this process, so it only
	// finishes the requests in flight.
	select {
	case <-s.empty: // of a drain before
	default:
	}
	s.drain(false, true, wire.AcceptStop)
	grace := time.Duration(s.config().GracefulTimeout) * time.Second
	select {
	case <-s.empty:
	case <-time.After(grace):
	}
}

// carryOut carries out a message, and answers it if the master waits for that.
func (s *server) carryOut(m wire.ToFront, files []*os.File) {
	if m.Type == wire.TypeCondense { // it may take a while
		go func() { s.answer(m, s.appMetrics.condense(m, files)) }()
		return
	}
	s.answer(m, s.do(m, files))
}

// answer answers a message if the master waits for that; otherwise it logs the error.
func (s *server) answer(m wire.ToFront, err error) {
	switch {
	case m.Call == 0 && err != nil:
		s.log.Errorf("%s", err)
	case m.Call == 0:
	case err != nil:
		var errno syscall.Errno
		errors.As(err, &errno)
		text := err.Error()
		if limit := oslayer.Limit(err); limit != "" { // this process's
			text += " (the limit is " + limit + ")"
		}
		s.sendMaster(wire.FromFront{Type: wire.TypeFailed, Call: m.Call, Error: text, Errno: int(errno)})
	default:
		answer := wire.FromFront{Type: wire.TypeOK, Call: m.Call}
		switch m.Type {
		case wire.TypePing:
			answer.Stalled = s.queue.Stalled(time.Now()).Seconds()
		case wire.TypeStatus:
			answer.Status = encodeStatus(s.status())
		case wire.TypeTrace:
			answer.Status = encodeStatus(s.trace(m.Age, m.Trace))
		case wire.TypeTried:
			answer.Trial = mustEncode(s.queue.TrialReport(time.Now()))
		}
		s.sendMaster(answer)
	}
}

// incomplete closes files, and returns the error of a message that came without the
// descriptors that it needs.
func incomplete(m wire.ToFront, files []*os.File) error {
	wire.CloseAll(files)
	return fmt.Errorf("control message %q came with %d descriptors", m.Type, len(files))
}

// do does what a message says.
func (s *server) do(m wire.ToFront, files []*os.File) error {
	switch m.Type {
	case wire.TypeListen:
		s.listen(m.Listeners, files)
	case wire.TypeGeneration:
		if m.Config == nil || len(files) != 2 && (m.Config.TLS == nil || len(files) != 3) {
			return incomplete(m, files)
		}
		cfg, err := newConfig(m.Config)
		if err != nil {
			s.log.Errorf("%s", err)
		}
		if len(files) == 3 {
			if err := cfg.setSecrets(files[2]); err != nil {
				wire.CloseAll(files[:2])
				return err
			}
		}
		if err := s.queue.AddGeneration(m.Generation, cfg, files[0], files[1]); err != nil {
			return err
		}
		s.pools.AddGeneration(m.Generation, m.Config.Pools, m.Config.StashLimit)
		if s.current.Load() == nil {
			s.setConfig(cfg)
		}
		s.checkTmpDir(cfg.TmpUploadDir)
	case wire.TypeSecrets:
		if len(files) != 1 {
			return incomplete(m, files)
		}
		cfg, ok := s.queue.Config(m.Generation).(*config)
		if !ok {
			wire.CloseAll(files) // the generation is gone already
		} else if err := cfg.setSecrets(files[0]); err != nil {
			return err
		}
	case wire.TypeWorker:
		return s.addWorker(m, files)
	case wire.TypeActivate:
		if cfg, ok := s.queue.Activate(m.Age, m.Pid, m.Kind).(*config); ok {
			s.setConfig(cfg)
		}
		s.pools.Serves(s.queue.Served())
	case wire.TypeRetire:
		s.queue.Retire(m.Age)
	case wire.TypeGone:
		s.queue.Gone(m.Age)
		s.pools.CallerGone(m.Age, false)
	case wire.TypePoolWorker:
		return s.pools.AddWorker(m, files)
	case wire.TypePoolActivate:
		s.pools.Activate(m.Age, m.Pid)
	case wire.TypePoolRetire:
		s.pools.Retire(m.Age)
	case wire.TypePoolGone:
		s.pools.WorkerGone(m.Age, m.Report)
	case wire.TypeDepart:
		s.depart()
	case wire.TypeDrain:
		s.drain(m.Handover, m.Final, m.Accept)
	case wire.TypeResume:
		s.resume()
	case wire.TypeExpire:
		s.queue.Expire(m.Age)
	case wire.TypePeer:
		if len(files) == 1 {
			s.setPeerFront(files[0])
		}
	case wire.TypeLogs:
		s.setLogs(m, files)
	case wire.TypeChecked:
		s.queue.Checked(m.Check)
	case wire.TypeAppMetrics:
		if len(files) != len(m.Names) {
			return incomplete(m, files)
		}
		s.appMetrics.take(m, files)
	case wire.TypePing:
		s.mu.Lock() // if this is never unlocked, nothing works, and there must be no answer
		defer s.mu.Unlock()
	case wire.TypeBlame:
		s.blame(m.Age)
	case wire.TypeLeast:
		s.readiness.least.Store(int32(min(max(0, m.Least), 1<<20)))
		s.readiness.asleep.Store(m.Asleep)
	case wire.TypeAnswer:
		return s.questions.answered(m, files)
	case wire.TypeAdmin:
		return s.setAdmin(m, files)
	case wire.TypeTrial:
		return s.tryGeneration(m)
	case wire.TypeStatus, wire.TypeTrace, wire.TypeTried: // see answer
	case wire.TypeTitle:
		oslayer.SetTitle(m.Title)
	default:
		wire.CloseAll(files)
		return fmt.Errorf("control message %q is unknown", m.Type)
	}
	return nil
}

// addWorker makes a worker known to the queue, and to the pools that it may call.
func (s *server) addWorker(m wire.ToFront, files []*os.File) error {
	if !m.Calls {
		return s.queue.AddWorker(m, files)
	}
	if len(files) < 2 {
		return incomplete(m, files)
	}
	if err := s.pools.AddCaller(m.Age, m.Generation, files[1]); err != nil {
		wire.CloseAll(append(files[:1:1], files[2:]...))
		return err
	}
	err := s.queue.AddWorker(m, append(files[:1:1], files[2:]...))
	if err != nil {
		s.pools.CallerGone(m.Age, false)
	}
	return err
}

// setLogs changes the destinations of the logs.
func (s *server) setLogs(m wire.ToFront, files []*os.File) {
	next := func(wanted bool) *os.File {
		if !wanted || len(files) == 0 {
			return nil
		}
		f := files[0]
		files = files[1:]
		return f
	}
	access, errors, logger := next(m.Access), next(m.Error), next(m.Logger)
	wire.CloseAll(files)
	if errors != nil {
		s.log.SetFile(errors)
	}
	s.log.SetLevel(m.Level)
	s.log.SetFormat(m.Format, "front")
	s.sinks.Set(m.Syslog, m.Statsd)
	if _, err := s.sinks.SetLogger(logger); err != nil {
		s.log.Errorf("%s", err)
	}
	s.accessLog.setFile(access)
}
