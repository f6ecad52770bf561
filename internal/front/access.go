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
	"indrik/internal/metrics"
	"indrik/internal/redact"
	"indrik/internal/sinks"
	"indrik/internal/syslog"
	"indrik/internal/wire"
)

// An accessLog records each response: as a line in a file, in syslog or in Python's
// logging, and in metrics.
type accessLog struct {
	sinks *sinks.Sinks
	lines atomic.Bool // there is a file
	file  accessFile
}

// needsFields reports whether the fields of a response are needed once it was sent.
func (a *accessLog) needsFields() bool {
	v := a.sinks.View()
	return a.lines.Load() || v.Access || v.Logger != nil
}

// setFile changes the file, nil for none.
func (a *accessLog) setFile(f *os.File) {
	a.file.set(f)
	a.lines.Store(f != nil)
}

// record records a response that was sent.
func (a *accessLog) record(ex *exchange) {
	ex.s.countAnswered(ex)
	if m := ex.s.metrics.Load(); m != nil {
		ex.observe(m)
	}
	if ex.span != nil {
		ex.endSpan()
	}
	v := a.sinks.View()
	if v.Statsd != nil {
		v.Statsd.Request(ex.status, time.Since(ex.Start))
	}
	if v.Logger != nil {
		a.sinks.Record(v.Logger, ex.logRecord(), ex.cfg.loggerPatience())
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
		RequestID:  ex.requestID,
		TraceID:    ex.traceID(),
		Waited:     ex.Waited(),
		Ran:        ex.Ran(),
		Balancer:   ex.balancerTime,
		Request:    func(name string) []byte { return lastField(ex.appFields(), name) },
		Response:   func(name string) []byte { return lastField(ex.responseFields, name) },
		Environ:    ex.variable,
	}
	if rules := ex.cfg.logRedact; rules != nil {
		redactRecord(&r, rules)
	}
	f := &a.file
	f.mu.Lock()
	defer f.mu.Unlock()
	fits := f.awaitSpaceLocked(ex.cfg.accessLogTimeout)
	start := len(f.buf)
	f.buf = ex.cfg.accessLogFormat.Append(f.buf, &r)
	if v.Access {
		v.Syslog.Send(syslog.Info, "access", ex.PID, string(f.buf[start:]))
	}
	if !fits {
		f.buf = f.buf[:start]
		return
	}
	f.buf = append(f.buf, '\n')
	f.addedLocked()
}

// redactRecord replaces what the log is not to have.
func redactRecord(r *accesslog.Record, rules *redact.Rules) {
	r.RawURI, r.Query = rules.Target(r.RawURI), rules.Query(r.Query)
	request, response, environ := r.Request, r.Response, r.Environ
	r.Request = func(name string) []byte { return rules.Field(name, request(name)) }
	r.Response = func(name string) []byte { return rules.Field(name, response(name)) }
	r.Environ = func(name string) []byte { return rules.Variable(name, environ(name)) }
}

// logRefusal adds the line for a request that is refused although its head was read, with
// a page of so many bytes.
func (ex *exchange) logRefusal(status, page int) {
	ex.status, ex.sent, ex.responseFields = status, int64(page), ex.responseFields[:0]
	ex.s.accessLog.record(ex)
}

// logCut logs a request that is cut off because its client was too slow.
func (ex *exchange) logCut(e statusError) {
	if e.cut != "" {
		ex.s.metrics.Load().TimeOut(metrics.Body)
		ex.s.log.Infof("%s %s of ip=%s is cut off: %s%s", ex.req.Method, ex.reported(), ex.remote(), e.cut, ex.idForLog())
	}
}

// logRecord returns the record for Python's logging.
func (ex *exchange) logRecord() *wire.LogRecord {
	environ := map[string]string{}
	for name, value := range ex.variables {
		environ[name] = latin1(ex.cfg.logRedact.Variable(name, value))
	}
	return &wire.LogRecord{
		Pid:      ex.PID,
		Environ:  environ,
		Request:  pairs(ex.appFields(), ex.cfg.logRedact),
		Response: pairs(ex.responseFields, ex.cfg.logRedact),
		Status:   strings.TrimSpace(strconv.Itoa(ex.status) + " " + http.StatusText(ex.status)),
		Sent:     ex.sent,
		Micros:   time.Since(ex.Start).Microseconds(),
		Atoms:    ex.ownAtoms(),
	}
}

// ownAtoms returns the atoms of the access log that only this process knows.
func (ex *exchange) ownAtoms() map[string]string {
	r := accesslog.Record{RequestID: ex.requestID, TraceID: ex.traceID(), Waited: ex.Waited(), Ran: ex.Ran(), Balancer: ex.balancerTime}
	return r.OwnAtoms()
}

func pairs(fields []http1.Field, rules *redact.Rules) [][2]string {
	list := make([][2]string, len(fields))
	for i, f := range fields {
		name := latin1(f.Name)
		list[i] = [2]string{name, latin1(rules.Field(name, f.Value))}
	}
	return list
}

// latin1 decodes bytes as WSGI does: each is the character with that number.
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
