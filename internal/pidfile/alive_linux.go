package pidfile

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
)

// alive reports whether a process runs under pid. kill(2) alone also finds zombies,
// which a container without an init collects, and threads by their own number.
func alive(pid int) bool {
	if !signalled(syscall.Kill(pid, 0)) {
		return false
	}
	dir := "/proc/" + strconv.Itoa(pid)
	b, err := os.ReadFile(dir + "/status")
	if err != nil {
		return true // no /proc, or one that hides the processes of others
	}
	for line := range bytes.Lines(b) {
		name, value, _ := bytes.Cut(bytes.TrimSpace(line), []byte(":"))
		value = bytes.TrimSpace(value)
		switch string(name) {
		case "State":
			if len(value) > 0 && (value[0] == 'Z' || value[0] == 'X') {
				return false
			}
		case "Tgid":
			return string(value) == strconv.Itoa(pid)
		}
	}
	return true
}
