//go:build linux

package harness

import (
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// finish ends what is left of the server, and fails the test if anything is
// left behind after that.
func (s *Server) finish() {
	t := s.T
	if len(s.Tree()) > 0 {
		// A master that is just starting shows its title, and so can be told
		// from the others, only after a while.
		told := map[int]bool{}
		ended := Within(Patience, func() bool {
			left := s.Tree()
			for _, p := range left {
				if !told[p.PID] && (strings.Contains(p.Title, ": master [") || p.PID == s.Cmd.Process.Pid) {
					told[p.PID] = true
					syscall.Kill(p.PID, syscall.SIGTERM)
				}
			}
			return len(left) == 0
		})
		if !ended {
			t.Errorf("still running after SIGTERM:\n%s", ProcLines(s.Tree()))
		}
		// What does not end now, is in a loop of restarts.
		for range 100 {
			left := s.Tree()
			if len(left) == 0 {
				break
			}
			for _, p := range left {
				syscall.Kill(p.PID, syscall.SIGKILL)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	<-s.Done
	close(s.stop)
	s.checkLog()
	if !s.Options.MayLeave {
		s.checkFiles()
	}
	if t.Failed() {
		t.Logf("command: %q\nlog:\n%s", s.Args, s.Log)
	}
}

// checkLog looks for what must never be in a log: a crash of the Go side.
func (s *Server) checkLog() {
	for _, line := range s.Log.All(`WARNING: DATA RACE|^panic: |^fatal error: |^goroutine \d+ \[`) {
		s.T.Errorf("in the log: %s", line[0])
	}
}

// checkFiles looks for sockets that listen and for files that stayed.
func (s *Server) checkFiles() {
	if s.Port != 0 && Listening(s.Port) {
		s.T.Errorf("port %d is still open", s.Port)
	}
	filepath.WalkDir(s.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // it went away meanwhile
		}
		rel, _ := filepath.Rel(s.Dir, path)
		switch {
		case d.Type()&fs.ModeSocket != 0:
			s.T.Errorf("socket %s was left behind", rel)
		case strings.Contains(d.Name(), ".pid"):
			s.T.Errorf("pid file %s was left behind", rel)
		case strings.HasPrefix(rel, "tmp/"):
			s.T.Errorf("temporary file %s was left behind", rel)
		}
		return nil
	})
}
