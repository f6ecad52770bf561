package front

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"indrik/internal/accesslog"
	"indrik/internal/http1"
	"indrik/internal/outlets"
	"indrik/internal/syslog"
	"indrik/internal/wire"
)

const (
	// accessBuffer and accessDelay bound how long lines wait so that many can
	// be written at a time.
	accessBuffer = 32 << 10
	accessDelay  = 100 * time.Millisecond
)

// An accessLog tells of each response: by a line in a file, to syslog or to Python's
// logging, and by metrics.
type accessLog struct {
	outlets *outlets.Outlets
	lines   atomic.Bool // there is a file

	mu      sync.Mutex
	file    *os.File
	buf     []byte
	waiting bool
}

// on tells whether the header of a response is needed once it was sent.
func (a *accessLog) on() bool {
	v := a.outlets.View()
	return a.lines.Load() || v.Access || v.Relay != nil
}

// setFile changes the file, nil for none.
func (a *accessLog) setFile(f *os.File) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.flushLocked()
	if a.file != nil {
		a.file.Close()
	}
	a.file = f
	a.lines.Store(f != nil)
}

// write tells of a response that was sent.
func (a *accessLog) write(ex *exchange) {
	v := a.outlets.View()
	if v.Statsd != nil {
		v.Statsd.Request(ex.status, time.Since(ex.start))
	}
	if v.Relay != nil {
		a.outlets.Record(v.Relay, ex.record(), true)
		return
	}
	if ex.cfg.format == nil || !v.Access && !a.lines.Load() {
		return
	}
	r := accesslog.Record{
		RemoteAddr: ex.from.remote,
		Method:     ex.req.Method,
		RawURI:     ex.req.Target,
		Path:       ex.pathInfo(),
		Query:      ex.req.Query,
		Proto:      ex.proto(),
		Status:     ex.status,
		BodyBytes:  ex.sent,
		Start:      ex.start,
		Duration:   time.Since(ex.start),
		Pid:        ex.pid,
		Request:    func(name string) []byte { return lastField(ex.req.Fields, name) },
		Response:   func(name string) []byte { return lastField(ex.fields, name) },
		Environ:    ex.variable,
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	start := len(a.buf)
	a.buf = ex.cfg.format.Append(a.buf, &r)
	if v.Access {
		v.Syslog.Send(syslog.Info, "access", ex.pid, string(a.buf[start:]))
	}
	if a.file == nil {
		a.buf = a.buf[:start]
		return
	}
	a.buf = append(a.buf, '\n')
	if len(a.buf) >= accessBuffer {
		a.flushLocked()
	} else if !a.waiting {
		a.waiting = true
		time.AfterFunc(accessDelay, a.flush)
	}
}

// pathInfo is the path as the app gets it, or would get it if the request had not
// been refused before that was known.
func (ex *exchange) pathInfo() []byte {
	if ex.path == nil {
		return decodePath(ex.req.Path)
	}
	return ex.path
}

// logRefusal adds the line for a request that is refused by a page of so many
// bytes although its head was read.
func (ex *exchange) logRefusal(status, page int) {
	ex.status, ex.sent, ex.fields = status, int64(page), ex.fields[:0]
	ex.s.accessLog.write(ex)
}

func (ex *exchange) proto() string {
	switch {
	case ex.req.Major == 2:
		return "HTTP/2.0"
	case ex.req.Minor == 0:
		return "HTTP/1.0"
	}
	return "HTTP/1.1"
}

// record is what Python's logging gets of a request.
func (ex *exchange) record() *wire.LogRecord {
	scheme := string(schemeHTTP)
	if ex.from.secure {
		scheme = string(schemeHTTPS)
	}
	environ := map[string]string{
		"REMOTE_ADDR":     ex.from.remote,
		"REQUEST_METHOD":  latin1(ex.req.Method),
		"RAW_URI":         latin1(ex.req.Target),
		"PATH_INFO":       latin1(ex.pathInfo()),
		"QUERY_STRING":    latin1(ex.req.Query),
		"SERVER_PROTOCOL": ex.proto(),
		"wsgi.url_scheme": scheme,
	}
	if ex.from.client.IsValid() {
		environ["REMOTE_PORT"] = strconv.Itoa(ex.from.port)
	}
	if host, port, err := net.SplitHostPort(ex.from.bind); err == nil && ex.from.network == "tcp" {
		environ["SERVER_NAME"], environ["SERVER_PORT"] = host, port
	}
	return &wire.LogRecord{
		Pid:      ex.pid,
		Environ:  environ,
		Request:  pairs(ex.req.Fields),
		Response: pairs(ex.fields),
		Status:   strings.TrimSpace(strconv.Itoa(ex.status) + " " + http.StatusText(ex.status)),
		Sent:     ex.sent,
		Micros:   time.Since(ex.start).Microseconds(),
	}
}

func pairs(fields []http1.Field) [][2]string {
	list := make([][2]string, len(fields))
	for i, f := range fields {
		list[i] = [2]string{latin1(f.Name), latin1(f.Value)}
	}
	return list
}

// latin1 reads bytes as WSGI does: each is the character of that number.
func latin1(b []byte) string {
	for _, c := range b {
		if c >= 0x80 {
			runes := make([]rune, len(b))
			for i, c := range b {
				runes[i] = rune(c)
			}
			return string(runes)
		}
	}
	return string(b)
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
		return ex.pathInfo()
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
