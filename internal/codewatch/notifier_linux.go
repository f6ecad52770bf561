package codewatch

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// What the kernel is to tell of a directory: what changes its files. A file that
// is only appended to, such as a log, is told of when it is closed.
const inotifyMask = unix.IN_CLOSE_WRITE | unix.IN_ATTRIB | unix.IN_CREATE | unix.IN_DELETE |
	unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_ONLYDIR

// A notifier hears from the kernel about directories: inotify(7). What has
// happened does not matter, only that something has.
type notifier struct {
	file *os.File
	fd   int
}

// newNotifier calls notice whenever something happens in a directory.
func newNotifier(notice func()) (*notifier, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	n := &notifier{os.NewFile(uintptr(fd), "inotify"), fd}
	go func() {
		events := make([]byte, 16<<10)
		for {
			if _, err := n.file.Read(events); err != nil {
				return // closed
			}
			notice()
		}
	}()
	return n, nil
}

// watch adds directories. One that is watched already stays so; one that is gone,
// or came again, is another one for the kernel.
func (n *notifier) watch(dirs map[string]bool) error {
	for dir := range dirs {
		_, err := unix.InotifyAddWatch(n.fd, dir, inotifyMask)
		switch err {
		case nil, unix.ENOENT, unix.ENOTDIR, unix.EACCES:
		default:
			return fmt.Errorf("watch %s: %w", dir, os.NewSyscallError("inotify_add_watch", err))
		}
	}
	return nil
}

func (n *notifier) close() {
	if n != nil {
		n.file.Close()
	}
}
