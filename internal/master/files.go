package master

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// errnoOf is the number of the error of the system that err wraps, 0 if there is none.
func errnoOf(err error) int {
	var errno syscall.Errno
	errors.As(err, &errno)
	return int(errno)
}

var null *os.File

// devNull is /dev/null, open once.
func devNull() *os.File {
	if null == nil {
		null, _ = os.OpenFile(os.DevNull, os.O_RDWR, 0)
	}
	return null
}

func fileSize(f *os.File) int64 {
	st, err := f.Stat()
	if err != nil {
		return 0
	}
	return st.Size()
}

func signalName(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return name
	}
	return fmt.Sprintf("signal %d", sig)
}
