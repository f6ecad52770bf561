package front

import (
	"errors"
	"io"
	"os"
	"time"

	"indrik/internal/oslayer"
	"indrik/internal/wire"
)

// obey carries out the master's messages. It returns when this process is to
// end: when the master says so, or when the master is gone and all requests
// are done.
func (s *server) obey(conn *wire.Conn) {
	for {
		var m wire.ToFront
		files, err := conn.Recv(&m)
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
	s.queue.unwatched()
	// The master is gone. Nobody will replace workers or stop this process, so
	// that finishing what is in flight is all there is to do.
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

func (s *server) carryOut(m wire.ToFront, files []*os.File) {
	switch m.Type {
	case wire.TypeListen:
		s.listen(m.Listeners, files)
	case wire.TypeGeneration:
		if m.Config == nil || len(files) != 2 && (m.Config.TLS == nil || len(files) != 3) {
			s.log.Errorf("control message %q is incomplete", m.Type)
			closeAll(files)
			return
		}
		cfg, err := newConfig(m.Config)
		if err != nil {
			s.log.Errorf("%s", err)
		}
		if len(files) == 3 {
			if err := cfg.setSecrets(files[2]); err != nil {
				s.log.Errorf("%s", err)
			}
		}
		if err := s.queue.addGeneration(m.Generation, cfg, files[0], files[1]); err != nil {
			s.log.Errorf("%s", err)
		}
		if s.current.Load() == nil {
			s.setConfig(cfg)
		}
	case wire.TypeSecrets:
		if len(files) != 1 {
			s.log.Errorf("control message %q is incomplete", m.Type)
			closeAll(files)
			return
		}
		cfg := s.queue.configOf(m.Generation)
		if cfg == nil {
			closeAll(files) // the generation is gone already
		} else if err := cfg.setSecrets(files[0]); err != nil {
			s.log.Errorf("%s", err)
		}
	case wire.TypeWorker:
		if err := s.queue.addWorker(m, files); err != nil {
			s.log.Errorf("%s", err)
		}
	case wire.TypeActivate:
		if cfg := s.queue.activate(m.Worker, m.Pid, m.Kind); cfg != nil {
			s.setConfig(cfg)
		}
	case wire.TypeRetire:
		s.queue.retire(m.Worker)
	case wire.TypeGone:
		s.queue.gone(m.Worker)
	case wire.TypeDrain:
		s.drain(m.Handover, m.Final, m.Accept)
	case wire.TypeResume:
		s.resume()
	case wire.TypeExpire:
		s.expire(m.Worker)
	case wire.TypePeer:
		if len(files) == 1 {
			s.setPeer(files[0])
		}
	case wire.TypeLogs:
		s.setLogs(m, files)
	case wire.TypeLooked:
		s.queue.looked(m.Look)
	case wire.TypeTitle:
		oslayer.SetTitle(m.Title)
	default:
		s.log.Errorf("control message %q is unknown", m.Type)
		closeAll(files)
	}
}

// setLogs changes where the logs go.
func (s *server) setLogs(m wire.ToFront, files []*os.File) {
	next := func(wanted bool) *os.File {
		if !wanted || len(files) == 0 {
			return nil
		}
		f := files[0]
		files = files[1:]
		return f
	}
	access, errors, relay := next(m.Access), next(m.Error), next(m.Relay)
	closeAll(files)
	if errors != nil {
		s.log.SetFile(errors)
	}
	s.log.SetLevel(m.Level)
	s.outlets.Set(m.Syslog, m.Statsd)
	if _, err := s.outlets.SetRelay(relay); err != nil {
		s.log.Errorf("%s", err)
	}
	s.accessLog.setFile(access)
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}
