package master

import ()

// reap collects the children that ended: those it started, workers whose
// spawner died, and, as process 1, whatever was orphaned in the container.
func (m *Master) reap() {
	for _, exit := range m.sys.reap() {
		pid, status := exit.Pid, exit.Status
		switch {
		case m.front != nil && m.front.proc.Pid() == pid:
			m.frontExited(status)
		case m.spawners[pid] != nil:
			m.spawnerExited(m.spawners[pid], status)
		case m.loggers[pid]:
			delete(m.loggers, pid) // its spawner has ended before it
		case m.daemon != nil && m.daemon.Pid() == pid:
			m.daemonExited(status)
		case m.successor != nil && m.successor.pid == pid:
			m.successorExited(status)
		case m.workerOf(pid) != nil:
			w := m.workerOf(pid)
			if status.Signaled() {
				m.workerExited(w, 0, status.Signal(), 0)
			} else {
				m.workerExited(w, status.ExitStatus(), 0, 0)
			}
		default:
			m.log.Debugf("Reaped unknown child process (pid:%d, status:%d)", pid, status)
		}
	}
}

func (m *Master) workerOf(pid int) *worker {
	for _, w := range m.workers {
		if w.pid == pid {
			return w
		}
	}
	return nil
}
