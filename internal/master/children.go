package master

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

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
	envAdmin   = "INDRIK_ADMIN"      // upgrade: the socket of the admin address
	envTarget  = "INDRIK_TARGET"     // upgrade: how many workers there are
	envTrial   = "INDRIK_TRIAL"      // upgrade: the successor accepts nothing until it is told to
	envDaemon  = "INDRIK_DAEMONIZED" // daemon: the pipe that lets the command return
)

// withStdio, in envDaemon, says that the daemon keeps its standard output and error
// (enable_stdio_inheritance). A daemon has to know before it knows its settings.
const withStdio = ",stdio"

// daemonized reports whether this process is the daemon that another one has started.
func (s *system) daemonized() bool { return s.getenv(envDaemon) != "" }

// keepsStdio reports whether this process is a daemon that keeps its standard output and
// error.
func (s *system) keepsStdio() bool { return strings.HasSuffix(s.getenv(envDaemon), withStdio) }

// childEnv is the environment of the processes that run the app.
func (s *system) childEnv() []string {
	return slices.DeleteFunc(s.environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		switch name {
		case envPid, envFD, envOrigin, envLink, envUpgrade, envPeer, envTickets, envAdmin, envTarget, envTrial, envDaemon, wire.EnvRole, wire.EnvFront,
			"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "SERVER_SOFTWARE":
			return true
		}
		return false
	})
}

// stdio is what children get as standard input, output and error.
func (s *system) stdio() []*os.File {
	if s.keepsStdio() {
		return []*os.File{devNull(), os.Stdout, inheritable(os.Stderr)}
	}
	if s.daemonized() {
		return []*os.File{devNull(), devNull(), devNull()}
	}
	return []*os.File{devNull(), os.Stdout, os.Stderr}
}

// inheritable is f, or /dev/null in the place of a terminal: that is left behind.
func inheritable(f *os.File) *os.File {
	if st, err := f.Stat(); err != nil || st.Mode()&os.ModeCharDevice != 0 {
		return devNull()
	}
	return f
}

// fdList reads a list of descriptors with commas between them.
func fdList(s string) ([]int, error) {
	if s == "" {
		return nil, nil
	}
	var fds []int
	for part := range strings.SplitSeq(s, ",") {
		fd, err := strconv.Atoi(part)
		if err != nil || fd < 3 {
			return nil, fmt.Errorf("%q is not a list of descriptors", s)
		}
		fds = append(fds, fd)
	}
	return fds, nil
}
