package master

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"indrik/internal/errlog"
)

func closeFiles(files []*os.File) {
	for _, f := range files {
		if f != nil {
			f.Close()
		}
	}
}

// dupAll duplicates files for a message, which takes its descriptors over.
func dupAll(files []*os.File) ([]*os.File, error) {
	dups := make([]*os.File, 0, len(files))
	for _, f := range files {
		dup, err := errlog.Duplicate(f)
		if err != nil {
			closeFiles(dups)
			return nil, err
		}
		dups = append(dups, dup)
	}
	return dups, nil
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

func splitComma(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

func signalName(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return name
	}
	return fmt.Sprintf("signal %d", sig)
}

// byAge lists the workers, the oldest first.
func (m *Master) byAge() []*worker {
	ws := make([]*worker, 0, len(m.workers))
	for _, w := range m.workers {
		ws = append(ws, w)
	}
	slices.SortFunc(ws, func(a, b *worker) int { return a.age - b.age })
	return ws
}
