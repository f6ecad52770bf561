package errlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"indrik/internal/pathwalk"
)

// An UnwritableError says that a log file cannot be opened for writing.
type UnwritableError struct {
	Path string
	Err  error
}

func (e *UnwritableError) Error() string {
	return fmt.Sprintf("'%s' isn't writable [%s]", e.Path, pythonText(e.Path, e.Err))
}

// Unwrap returns what the system said.
func (e *UnwritableError) Unwrap() error { return e.Err }

// pythonText writes err as Python does for a file.
func pythonText(path string, err error) string {
	var link *pathwalk.LinkError
	var errno syscall.Errno
	if errors.As(err, &link) || !errors.As(err, &errno) {
		return err.Error()
	}
	text := errno.Error()
	return fmt.Sprintf("[Errno %d] %c%s: '%s'", int(errno), text[0]-'a'+'A', text[1:], path)
}

// OpenFile opens a log file for appending, and makes it if there is none. One that it has
// made it gives to the user uid and the group gid, where these are not −1; that this
// is not allowed is no error. "-" is the standard error output, as a descriptor
// of its own. The error is an [*UnwritableError].
//
// The master opens the access log with it too. In directories that others may write to
// it opens no more than they could, see package pathwalk.
func OpenFile(path string, uid, gid int) (*os.File, error) {
	if path == "-" {
		return Duplicate(os.Stderr)
	}
	f, created, err := pathwalk.Append(path)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, &UnwritableError{path, err}
	}
	if created && (uid != -1 || gid != -1) {
		_ = f.Chown(uid, gid)
	}
	return f, nil
}

// Duplicate returns a descriptor of its own for f, close-on-exec. Go lets a write
// to a closed pipe end the process if the descriptor is 1 or 2 (os/signal,
// SIGPIPE); a server must outlive the reader of its log.
func Duplicate(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, &UnwritableError{f.Name(), err}
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}
