package appmetrics

import (
	"slices"
	"strconv"
	"strings"
)

// A Type is a type of metric that has files; the library keeps no others (Info, Enum).
type Type string

// The types, as they begin the names of files.
const (
	Counter   Type = "counter"
	Gauge     Type = "gauge"
	Histogram Type = "histogram"
	Summary   Type = "summary"
)

var types = []Type{Counter, Gauge, Histogram, Summary}

// gaugeModes says how the values of several processes become one (multiprocess_mode). Those
// that begin with live count only as long as their process lives.
var gaugeModes = []string{
	"all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum", "mostrecent", "livemostrecent",
}

// A Name is what the name of a file says: counter_631.db, gauge_livesum_631.db.
type Name struct {
	Type    Type
	Mode    string // of gauges: see gaugeModes
	Process string // the pid, or what the app has chosen instead
}

// maxProcess is the length of the longest Process.
const maxProcess = 40

// ended is the Process of the files that a [Condenser] makes.
const ended = "ended"

// ParseName returns what the name of a file says; ok is false if it is none of the library's.
func ParseName(file string) (n Name, ok bool) {
	base, found := strings.CutSuffix(file, ".db")
	if !found {
		return n, false
	}
	parts := strings.Split(base, "_")
	n.Type, n.Process = Type(parts[0]), parts[len(parts)-1]
	switch {
	case !slices.Contains(types, n.Type):
		return n, false
	case n.Type == Gauge && len(parts) == 3 && slices.Contains(gaugeModes, parts[1]):
		n.Mode = parts[1]
	case n.Type == Gauge || len(parts) != 2:
		return n, false
	}
	return n, isProcess(n.Process)
}

func isProcess(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '.' {
			return false
		}
	}
	return s != "" && len(s) <= maxProcess
}

// String returns the name of the file.
func (n Name) String() string { return n.kind() + "_" + n.Process + ".db" }

// kind is what all files of the same type and mode have in common.
func (n Name) kind() string {
	if n.Mode != "" {
		return string(n.Type) + "_" + n.Mode
	}
	return string(n.Type)
}

// isLive reports whether the values count only as long as their process lives.
func (n Name) isLive() bool { return strings.HasPrefix(n.Mode, "live") }

// keepsProcess reports whether each process has a value of its own, with its pid as a label.
func (n Name) keepsProcess() bool { return n.Mode == "all" || n.Mode == "liveall" }

// namesOf returns the names of all files that the process pid may have.
func namesOf(pid int) []Name {
	process := strconv.Itoa(pid)
	names := make([]Name, 0, len(types)-1+len(gaugeModes))
	for _, t := range types {
		if t != Gauge {
			names = append(names, Name{Type: t, Process: process})
		}
	}
	for _, mode := range gaugeModes {
		names = append(names, Name{Gauge, mode, process})
	}
	return names
}

// isMostRecent reports whether the value that was set last counts.
func (n Name) isMostRecent() bool { return strings.HasSuffix(n.Mode, "mostrecent") }
