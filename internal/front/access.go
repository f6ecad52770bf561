package front

import (
	"bytes"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"indrik/internal/accesslog"
	"indrik/internal/http1"
)

const (
	// accessBuffer and accessDelay bound how long lines wait so that many can
	// be written at a time.
	accessBuffer = 32 << 10
	accessDelay  = 100 * time.Millisecond
)

// An accessLog writes a line for each response.
type accessLog struct {
	enabled atomic.Bool
	mu      sync.Mutex
	file    *os.File
	buf     []byte
	waiting bool
}

func (a *accessLog) on() bool { return a.enabled.Load() }

// setFile changes the file, nil for none.
func (a *accessLog) setFile(f *os.File) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flushLocked()
	if a.file != nil {
		a.file.Close()
	}
	a.file = f
	a.enabled.Store(f != nil)
}

// write adds the line for a response that was sent.
func (a *accessLog) write(ex *exchange) {
	if !a.on() || ex.cfg.format == nil {
		return
	}
	r := accesslog.Record{
		RemoteAddr: ex.from.remote,
		Method:     ex.req.Method,
		RawURI:     ex.req.Target,
		Path:       ex.path,
		Query:      ex.req.Query,
		Proto:      "HTTP/1.1",
		Status:     ex.status,
		BodyBytes:  ex.sent,
		Start:      ex.start,
		Duration:   time.Since(ex.start),
		Pid:        ex.pid,
		Request:    func(name string) []byte { return lastField(ex.req.Fields, name) },
		Response:   func(name string) []byte { return lastField(ex.fields, name) },
		Environ:    ex.variable,
	}
	switch {
	case ex.req.Major == 2:
		r.Proto = "HTTP/2.0"
	case ex.req.Minor == 0:
		r.Proto = "HTTP/1.0"
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.buf = append(ex.cfg.format.Append(a.buf, &r), '\n')
	if len(a.buf) >= accessBuffer {
		a.flushLocked()
	} else if !a.waiting {
		a.waiting = true
		time.AfterFunc(accessDelay, a.flush)
	}
}

func (a *accessLog) flush() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting = false
	a.flushLocked()
}

func (a *accessLog) flushLocked() {
	if a.file != nil && len(a.buf) > 0 {
		a.file.Write(a.buf) // there is no better place to complain than this log
	}
	a.buf = a.buf[:0]
}

func lastField(fields []http1.Field, name string) []byte {
	for i := len(fields) - 1; i >= 0; i-- {
		if len(fields[i].Name) == len(name) && bytes.EqualFold(fields[i].Name, []byte(name)) {
			if fields[i].Value == nil {
				return []byte{}
			}
			return fields[i].Value
		}
	}
	return nil
}

// variable is a variable of the environ that the front knows.
func (ex *exchange) variable(name string) []byte {
	switch name {
	case "REMOTE_ADDR":
		return []byte(ex.from.remote)
	case "REQUEST_METHOD":
		return ex.req.Method
	case "PATH_INFO":
		return ex.path
	case "QUERY_STRING":
		return ex.req.Query
	case "RAW_URI":
		return ex.req.Target
	}
	if field, ok := bytes.CutPrefix([]byte(name), []byte("HTTP_")); ok {
		return lastField(ex.req.Fields, string(bytes.ReplaceAll(field, []byte("_"), []byte("-"))))
	}
	return nil
}
