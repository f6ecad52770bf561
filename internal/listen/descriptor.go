package listen

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// unpolled returns a file for a duplicate of fd that the runtime does not poll.
// os.NewFile puts every non-blocking descriptor into the poller, and then each
// connection wakes this process, though it is another one that accepts it. Making the
// socket blocking for the moment is no way out: the mode is common to all processes,
// and one of them could block in accept. So the file is made for a placeholder first.
func unpolled(fd int, name string) (*os.File, error) {
	place, err := socket(unix.AF_UNIX)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(place), name)
	if err := replace(fd, place); err != nil {
		f.Close()
		return nil, os.NewSyscallError("dup3", err)
	}
	return f, nil
}

// firstFD is the number of the first descriptor that a service manager passes
// (sd_listen_fds(3)).
const firstFD = 3

// maxSystemdFDs is more than any unit has; it keeps a wrong number from being believed.
const maxSystemdFDs = 1024

// SystemdFDs returns the sockets that the service manager opened for the process pid,
// none if there are none. It removes the variables that say so, so that children do not
// take them for theirs; the descriptors are made close-on-exec.
func SystemdFDs(getenv func(string) string, unsetenv func(string) error, pid int) ([]*os.File, error) {
	owner := getenv("LISTEN_PID")
	if owner == "" || getenv("LISTEN_FDS") == "" {
		return nil, nil
	}
	n, err := strconv.Atoi(owner)
	if err != nil {
		return nil, fmt.Errorf("LISTEN_PID=%s is not a number", owner)
	}
	if n != pid {
		return nil, nil // they are meant for another process
	}
	count, err := strconv.Atoi(getenv("LISTEN_FDS"))
	if err != nil || count < 0 || count > maxSystemdFDs {
		return nil, fmt.Errorf("LISTEN_FDS=%s is not a number of descriptors", getenv("LISTEN_FDS"))
	}
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"} {
		if err := unsetenv(name); err != nil {
			return nil, fmt.Errorf("remove %s from the environment: %w", name, err)
		}
	}
	files := make([]*os.File, 0, count)
	for fd := firstFD; fd < firstFD+count; fd++ {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			return nil, fmt.Errorf("descriptor %d of LISTEN_FDS=%d: %w", fd, count, err)
		}
	}
	for fd := firstFD; fd < firstFD+count; fd++ {
		unix.CloseOnExec(fd)
		files = append(files, os.NewFile(uintptr(fd), "LISTEN_FD_"+strconv.Itoa(fd)))
	}
	return files, nil
}
