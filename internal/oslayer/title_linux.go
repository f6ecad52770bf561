package oslayer

import (
	"bytes"
	"os"
	"strconv"
	"sync"
	"unicode/utf8"
	"unsafe"
)

// The kernel shows at most a page of a title that is longer than the arguments were
// (get_mm_proctitle in fs/proc/base.c).
const maxTitle = 4095

var title struct {
	sync.Mutex
	// +checklocks:Mutex
	area []byte // the arguments and, behind them, the environment
	// +checklocks:Mutex
	args int // the size of the arguments alone
	// +checklocks:Mutex
	written int // how much of area is no longer what it was
	// +checklocks:Mutex
	known bool
}

// SetTitle makes s the title of this process: what ps shows as its command, and, cut
// to 15 bytes, as its name. A title for which there is no room is cut. It can be
// called any number of times, by any goroutine.
//
// The title is written over the arguments and then over the environment as exec(2)
// laid them out, the only memory that /proc/PID/cmdline shows. os.Args and os.Getenv
// do not notice; /proc/PID/environ loses what was overwritten.
func SetTitle(s string) {
	title.Lock()
	defer title.Unlock()
	if !title.known {
		title.known = true
		title.area, title.args = titleArea()
	}
	// By the thread: the file of the process is root's once that is concealed.
	_ = os.WriteFile("/proc/self/task/"+strconv.Itoa(os.Getpid())+"/comm", []byte(s), 0)
	area, args := title.area, title.args
	if args < 2 {
		return
	}
	// One byte stays for the NUL that ends the title.
	if room := min(len(area)-1, maxTitle); len(s) > room {
		for room > 0 && !utf8.RuneStart(s[room]) {
			room--
		}
		s = s[:room]
	}
	n := copy(area, s)
	clear(area[n:max(n+1, args, title.written)])
	title.written = n + 1
	// If the last byte of the arguments is not NUL, the kernel takes what starts
	// there for a title and shows it to the first NUL, wherever that is. Otherwise
	// it shows all of the arguments, NULs included.
	if n < args-1 {
		area[args-1] = '.'
	}
}

// titleArea returns the memory that the kernel shows as command line, the environment
// behind it if they are adjacent, and the size of the first part.
func titleArea() (area []byte, args int) {
	b, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return nil, 0
	}
	// The second field, the name, may have blanks and parentheses in it; the
	// third one follows. Fields 48 to 51 are arg_start to env_end (proc(5)).
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 49 {
		return nil, 0
	}
	var at [4]uint64
	for i := range at {
		if at[i], err = strconv.ParseUint(string(fields[45+i]), 10, 64); err != nil {
			return nil, 0
		}
	}
	argStart, argEnd, envStart, envEnd := at[0], at[1], at[2], at[3]
	base := unsafe.StringData(argv0)
	if base == nil || uint64(uintptr(unsafe.Pointer(base))) != argStart || argEnd <= argStart {
		return nil, 0
	}
	end := argEnd
	if envStart == argEnd && envEnd > envStart {
		end = envEnd
	}
	return unsafe.Slice(base, end-argStart), int(argEnd - argStart)
}
