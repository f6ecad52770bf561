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

// withStdio, in envDaemon, says that the daemon keeps its standard output and error
// (enable_stdio_inheritance). A daemon has to know before it knows its settings.
const withStdio = ",stdio"

// inheritable is f, or /dev/null in the place of a terminal: that is left behind.
func inheritable(f *os.File) *os.File {
	if st, err := f.Stat(); err != nil || st.Mode()&os.ModeCharDevice != 0 {
		return devNull()
	}
	return f
}

// daemonize starts the daemon, a process like this one in a session of its
// own, and ends this one when the daemon serves, or with its exit code if it
// does not come to that. keep: it keeps standard output and error.
func (m *Master) daemonize(keep bool) {
	m.candidate.discard()
	r, w, err := m.sys.pipe()
	if err != nil {
		m.fail(lack("", err))
		return
	}
	stdout, value := devNull(), "3"
	if keep {
		stdout, value = inheritable(os.Stdout), value+withStdio
	}
	proc, err := m.sys.start(oslayer.Command{
		Path: oslayer.Executable(), Args: m.opts.Argv, Dir: m.opts.Dir,
		Files: []*os.File{devNull(), stdout, os.Stderr, w},
		Env:   append(m.childEnv(), envDaemon+"="+value), Setsid: true,
	})
	w.Close()
	if err != nil {
		r.Close()
		m.fail(lack("cannot start the daemon", err))
		return
	}
	m.daemon = proc
	go func() {
		n, _ := r.Read(make([]byte, 1))
		if n == 1 {
			m.post(func() { m.over, m.code = true, exitcode.OK })
		} // else its exit decides
	}()
}

// daemonExited is called when the daemon ended before it served. It has said why.
func (m *Master) daemonExited(status syscall.WaitStatus) {
	m.over, m.code = true, status.ExitStatus()
	if status.Signaled() {
		fmt.Fprintf(m.opts.Stderr, "Error: the daemon %s\n", describe(status))
		m.code = exitcode.Config
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
	m.release = func(code int) {
		m.release = nil
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
