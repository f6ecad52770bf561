package errlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// The forms of lines besides text, which is Gunicorn's.
const (
	FormatJSON = "json" // an object in each line
	FormatECS  = "ecs"  // the same with the names of the Elastic Common Schema
)

// timeFormat is RFC 3339, with microseconds.
const timeFormat = "2006-01-02T15:04:05.000000Z07:00"

// A jsonLine has the fields of a line in JSON. docs/logging.md names them; Python's lines
// have the same.
type jsonLine struct {
	Time    string `json:"time"`
	Level   string `json:"level"`
	Logger  string `json:"logger"`
	Pid     int    `json:"pid"`
	Process string `json:"process,omitempty"` // master or front
	Message string `json:"message"`
}

type ecsLine struct {
	Time    string `json:"@timestamp"`
	Level   string `json:"log.level"`
	Logger  string `json:"log.logger"`
	Pid     int    `json:"process.pid"`
	Process string `json:"process.name,omitempty"`
	Message string `json:"message"`
	Version string `json:"ecs.version"`
}

// SetFormat changes the form of lines: FormatJSON, FormatECS, or any other word for
// text. process is what this process is called in them.
func (l *Log) SetFormat(format, process string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.format, l.process = format, process
}

// appendJSONLocked adds a line to b.
// +checklocks:l.mu
func (l *Log) appendJSONLocked(b []byte, now time.Time, v Level, d detail, format string, args ...any) []byte {
	line := jsonLine{
		Time: now.Format(timeFormat), Level: strings.ToLower(v.String()), Logger: "gunicorn.error", Pid: os.Getpid(),
		Process: l.process, Message: fmt.Sprintf(format, args...),
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out) // writes a newline behind it
	e.SetEscapeHTML(false)
	var err error
	if l.format == FormatECS {
		err = e.Encode(ecsLine{line.Time, line.Level, line.Logger, line.Pid, line.Process, line.Message, "8.11.0"})
	} else {
		err = e.Encode(line)
	}
	if err != nil { // of such fields there is none
		return b
	}
	if d.name == "" {
		return append(b, out.Bytes()...)
	}
	name := d.name
	if l.format == FormatECS {
		name = "indrik." + name
	}
	end := bytes.LastIndexByte(out.Bytes(), '}')
	b = append(b, out.Bytes()[:end]...)
	out.Reset()
	if e.Encode(d.value) != nil {
		out.WriteString("null\n")
	}
	b = append(append(append(b, `,"`...), name...), `":`...)
	b = append(b, bytes.TrimSpace(out.Bytes())...)
	return append(b, "}\n"...)
}
