package master

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"indrik/internal/exitcode"
	"indrik/internal/oslayer"
)

// daemonize starts the daemon, a process like this one in a session of its
// own, and ends this one when the daemon serves, or with its exit code if it
// does not come to that. keep: it keeps standard output and error.
func (m *Master) daemonize(keep bool) {
	m.candidate.discard()
	r, w, err := m.sys.pipe()
	if err != nil {
		m.failStart(lack("", err))
		return
	}
	stdout, value := devNull(), "3"
	if keep {
		stdout, value = inheritable(os.Stdout), value+withStdio
	}
	proc, err := m.sys.start(oslayer.Command{
		Path: oslayer.Executable(), Args: m.opts.Argv, Dir: m.opts.Dir,
		Files: []*os.File{devNull(), stdout, os.Stderr, w},
		Env:   append(m.sys.childEnv(), envDaemon+"="+value), Setsid: true,
	})
	w.Close()
	if err != nil {
		r.Close()
		m.failStart(lack("cannot start the daemon", err))
		return
	}
	m.ending.daemon = proc
	go func() {
		n, _ := r.Read(make([]byte, 1))
		if n == 1 {
			m.post(func() { m.ending.over, m.ending.code = true, exitcode.OK })
		} // else its exit decides
	}()
}

// daemonDied is called when the daemon ended before it served. It has said why.
func (m *Master) daemonDied(status syscall.WaitStatus) {
	m.ending.over, m.ending.code = true, status.ExitStatus()
	if status.Signaled() {
		fmt.Fprintf(m.opts.Stderr, "Error: the daemon %s\n", describe(status))
		m.ending.code = exitcode.Config
	}
}

// becomeDaemon takes up the pipe to the command that started this daemon.
func (m *Master) becomeDaemon() {
	fd, err := strconv.Atoi(strings.TrimSuffix(m.sys.getenv(envDaemon), withStdio))
	if err != nil || fd < 3 {
		return // an upgraded daemon: nobody waits for it
	}
	syscall.CloseOnExec(fd)
	pipe := os.NewFile(uintptr(fd), "daemon")
	m.ending.release = func(code int) {
		m.ending.release = nil
		if code == exitcode.OK {
			// From here on the terminal belongs to others.
			null := devNull()
			if m.sys.keepsStdio() {
				null = inheritable(os.Stderr)
			}
			if null != nil && null != os.Stderr {
				m.sys.redirect(null, 2)
			}
			if err := m.openLogs(m.cfg); err != nil {
				m.log.Errorf("%s", err)
			}
			pipe.Write([]byte{1})
		}
		pipe.Close()
	}
}
