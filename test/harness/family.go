//go:build linux

package harness

import (
	"fmt"
	"strings"
	"syscall"
)

// Tree lists the processes of the server.
func (s *Server) Tree() []Proc {
	root := 0
	select {
	case <-s.Done:
	default:
		root = s.Cmd.Process.Pid
	}
	return processesUnder(s.Dir, root)
}

// Role lists the processes with a role: master, front, spawner or worker.
func (s *Server) Role(role string) []Proc {
	prefix := ProgramName() + ": " + role + " ["
	var found []Proc
	for _, p := range s.Tree() {
		if strings.HasPrefix(p.Title, prefix) && p.State != 'Z' {
			found = append(found, p)
		}
	}
	return found
}

// Workers waits until a master has exactly n workers, each of which has logged
// that it boots, and returns their pids.
func (s *Server) Workers(n int) []int {
	s.T.Helper()
	var pids []int
	Eventually(s.T, fmt.Sprintf("there are %d workers", n), func() bool {
		pids = pids[:0]
		for _, p := range s.Role("worker") {
			pids = append(pids, p.PID)
		}
		return len(pids) == n
	})
	return pids
}

// Replaced waits until none of the old workers is left and there are n others.
func (s *Server) Replaced(old []int, n int) []int {
	s.T.Helper()
	for _, pid := range old {
		WaitGone(s.T, pid)
	}
	return s.Workers(n)
}

// Reload sends HUP to a master with n workers and waits until n others have
// taken their place.
func (s *Server) Reload(n int) {
	s.T.Helper()
	old := s.Workers(n)
	s.Signal(syscall.SIGHUP)
	s.Replaced(old, n)
}

// ProcLines has a line for each process.
func ProcLines(procs []Proc) string {
	var b strings.Builder
	for _, p := range procs {
		fmt.Fprintln(&b, p)
	}
	return b.String()
}
