package main

import (
	"bufio"
	"bytes"
	"debug/buildinfo"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// machine is where and when the figures were made.
type machine struct {
	Date       time.Time `json:"date"`
	Processor  string    `json:"processor"`
	Processors int       `json:"processors"`
	Memory     string    `json:"memory"`
	Kernel     string    `json:"kernel"`
	System     string    `json:"system"`
	Go         string    `json:"go"`
	// Revision of the source that Indrik was built from, if it is known.
	Revision string `json:"indrik_revision,omitempty"`
}

func processors() int { return runtime.NumCPU() }

func describeMachine(indrik string) machine {
	m := machine{
		Date: time.Now().UTC().Truncate(time.Second), Processors: processors(), Go: runtime.Version(),
		Processor: field("/proc/cpuinfo", "model name", ":"),
		Memory:    field("/proc/meminfo", "MemTotal", ":"),
		System:    strings.Trim(field("/etc/os-release", "PRETTY_NAME", "="), `"`),
		Kernel:    "unknown",
	}
	if text, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = string(bytes.TrimSpace(text))
	}
	if info, err := buildinfo.ReadFile(indrik); err == nil {
		m.Go = info.GoVersion
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				m.Revision = s.Value[:min(12, len(s.Value))]
			case s.Key == "vcs.modified" && s.Value == "true":
				m.Revision += " with changes"
			}
		}
	}
	return m
}

// field is the value of the first line of a file that has this name before the
// separator.
func field(path, name, separator string) string {
	f, err := os.Open(path)
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, found := strings.Cut(lines.Text(), separator)
		if found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func (m *machine) String() string {
	return fmt.Sprintf("%d × %s, %s of memory; %s, Linux %s", m.Processors, m.Processor, m.Memory, m.System, m.Kernel)
}
