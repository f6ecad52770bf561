package front

import (
	"bytes"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"indrik/internal/accesslog"
	"indrik/internal/http1"
	"indrik/internal/outlets"
	"indrik/internal/syslog"
	"indrik/internal/wire"
)

// An accessLog tells of each response: by a line in a file, to syslog or to Python's
// logging, and by metrics.
type accessLog struct {
	outlets *outlets.Outlets
	lines   atomic.Bool // there is a file
	file    accessFile
}

// on tells whether the header of a response is needed once it was sent.
func (a *accessLog) on() bool {
	v := a.outlets.View()
	return a.lines.Load() || v.Access || v.Relay != nil
}

// setFile changes the file, nil for none.
func (a *accessLog) setFile(f *os.File) {
	a.file.set(f)
	a.lines.Store(f != nil)
}

// write tells of a response that was sent.
func (a *accessLog) write(ex *exchange) {
	v := a.outlets.View()
	if v.Statsd != nil {
		v.Statsd.Request(ex.status, time.Since(ex.Start))
	}
	if v.Relay != nil {
		a.outlets.Record(v.Relay, ex.record(), ex.cfg.relayPatience())
		return
	}
	if ex.cfg.accessLogFormat == nil || !v.Access && !a.lines.Load() {
		return
	}
	r := accesslog.Record{
		RemoteAddr: ex.remote(),
		Method:     ex.req.Method,
		RawURI:     ex.req.Target,
		Path:       ex.pathInfo(),
		Query:      ex.req.Query,
		Proto:      ex.proto(),
		Status:     ex.status,
		BodyBytes:  ex.sent,
		Start:      ex.Start,
		Duration:   time.Since(ex.Start),
		Pid:        ex.PID,
		Request:    func(name string) []byte { return lastField(ex.appFields(), name) },
		Response:   func(name string) []byte { return lastField(ex.responseFields, name) },
		Environ:    ex.variable,
	}
	f := &a.file
	room := f.room(ex.cfg.accessLogTimeout)
	defer f.mu.Unlock()
	start := len(f.buf)
	f.buf = ex.cfg.accessLogFormat.Append(f.buf, &r)
	if v.Access {
		v.Syslog.Send(syslog.Info, "access", ex.PID, string(f.buf[start:]))
	}
	if !room {
		f.buf = f.buf[:start]
		return
	}
	f.buf = append(f.buf, '\n')
	f.addedLocked()
}

// logRefusal adds the line for a request that is refused by a page of so many
// bytes although its head was read.
func (ex *exchange) logRefusal(status, page int) {
	ex.status, ex.sent, ex.responseFields = status, int64(page), ex.responseFields[:0]
	ex.s.accessLog.write(ex)
}

// logCut tells of a request that is cut off because its client was too slow.
func (ex *exchange) logCut(e statusError) {
	if e.cut != "" {
		ex.s.log.Infof("%s %s of ip=%s is cut off: %s", ex.req.Method, ex.reported(), ex.remote(), e.cut)
	}
}

// record is what Python's logging gets of a request.
func (ex *exchange) record() *wire.LogRecord {
	environ := map[string]string{}
	for name, value := range ex.variables {
		environ[name] = latin1(value)
	}
	return &wire.LogRecord{
		Pid:      ex.PID,
		Environ:  environ,
		Request:  pairs(ex.appFields()),
		Response: pairs(ex.responseFields),
		Status:   strings.TrimSpace(strconv.Itoa(ex.status) + " " + http.StatusText(ex.status)),
		Sent:     ex.sent,
		Micros:   time.Since(ex.Start).Microseconds(),
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

func lastField(fields []http1.Field, name string) []byte {
	for i := len(fields) - 1; i >= 0; i-- {
		if len(fields[i].Name) == len(name) && bytes.EqualFold(fields[i].Name, []byte(name)) {
			return present(fields[i].Value)
		}
	}
	return nil
}
