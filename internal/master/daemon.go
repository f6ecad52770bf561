package master

import (
	"fmt"
	"os"
	"strconv"
	"syscall"

	"indrik/internal/exitcode"
	"indrik/internal/oslayer"
)

// daemonized tells whether this process is the daemon itself.
func daemonized() bool { return os.Getenv(envDaemon) != "" }

// daemonize starts the daemon, a process like this one in a session of its
// own, and ends this one when the daemon serves, or with its exit code if it
// does not come to that.
func (m *Master) daemonize() {
	m.build.discard()
	r, w, err := os.Pipe()
	if err != nil {
		m.fail(&failure{text: "Error: " + err.Error(), code: exitcode.Config})
		return
	}
	proc, err := oslayer.Start(oslayer.Command{
		Path: oslayer.Executable(), Args: m.opts.Argv, Dir: m.opts.Dir,
		Files: []*os.File{devNull(), devNull(), os.Stderr, w},
		Env:   append(m.childEnv(), envDaemon+"=3"), Setsid: true,
	})
	w.Close()
	if err != nil {
		m.fail(&failure{text: "Error: cannot start the daemon: " + err.Error(), code: exitcode.Config})
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
	fd, err := strconv.Atoi(os.Getenv(envDaemon))
	if err != nil || fd < 3 {
		return // an upgraded daemon: nobody waits for it
	}
	syscall.CloseOnExec(fd)
	pipe := os.NewFile(uintptr(fd), "daemon")
	m.release = func(code int) {
		m.release = nil
		if code == exitcode.OK {
			// From here on the terminal belongs to others.
			if null := devNull(); null != nil {
				oslayer.Redirect(null, 2)
			}
			if err := m.openLogs(m.cfg); err != nil {
				m.log.Errorf("%s", err)
			}
			pipe.Write([]byte{1})
		}
		pipe.Close()
	}
}
