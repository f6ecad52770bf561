// Package syslog sends log lines to a syslog server in the form of Gunicorn, which is
// that of Python's SysLogHandler:
//
//	<155>gunicorn.app.error: [3971] Handling signal: hup
//
// and a NUL byte at the end, which is what separates the lines on a stream. A line
// that cannot be sent is lost; nothing waits for the server.
//
// Try it with go test ./internal/syslog.
package syslog

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"indrik/internal/datagram"
	"indrik/internal/pathwalk"
)

// The severities, RFC 5424 section 6.2.1.
const (
	Critical = 2
	Error    = 3
	Warning  = 4
	Info     = 6
	Debug    = 7
)

// facilities has the numbers of RFC 5424 and <syslog.h>; security is Python's name
// for auth.
var facilities = map[string]int{
	"kern": 0, "user": 1, "mail": 2, "daemon": 3, "auth": 4, "security": 4, "syslog": 5, "lpr": 6, "news": 7, "uucp": 8,
	"cron": 9, "authpriv": 10, "ftp": 11, "local0": 16, "local1": 17, "local2": 18, "local3": 19, "local4": 20,
	"local5": 21, "local6": 22, "local7": 23,
}

// A Writer sends lines. It may be used by any number of goroutines; a nil one sends
// nothing.
type Writer struct {
	facility int
	prefix   string
	datagram *datagram.Sender
}

// New returns a writer to the server at addr, a value of the setting syslog_addr. Lines
// begin with gunicorn, the prefix and the name of the log. failed is told when lines
// begin to be lost.
func New(addr, facility, prefix string, failed func(error)) *Writer {
	return &Writer{facilities[facility], prefix, datagram.New(func() (net.Conn, error) { return dial(addr) }, failed)}
}

// Send sends a line of a log, error or access, that the process pid has written.
func (w *Writer) Send(severity int, log string, pid int, text string) {
	if w == nil {
		return
	}
	w.datagram.Send(fmt.Appendf(nil, "<%d>gunicorn.%s.%s: [%d] %s\x00", w.facility<<3|severity, w.prefix, log, pid, text))
}

// Close sends what waits and ends w.
func (w *Writer) Close() {
	if w != nil {
		w.datagram.Close()
	}
}

const dialTimeout = time.Second

func dial(addr string) (net.Conn, error) {
	scheme, rest, _ := strings.Cut(addr, "://")
	switch scheme {
	case "udp", "tcp":
		return net.DialTimeout(scheme, hostPort(rest), dialTimeout)
	case "unix":
		path, kind, _ := strings.Cut(rest, "#")
		networks := []string{"unixgram", "unix"}
		switch kind {
		case "dgram":
			networks = networks[:1]
		case "stream":
			networks = networks[1:]
		}
		var conn net.Conn
		err := pathwalk.Connect(path, func(path string) (err error) {
			for _, network := range networks {
				if conn, err = net.DialTimeout(network, path, dialTimeout); err == nil {
					return nil
				}
			}
			return err
		})
		return conn, err
	}
	return nil, errors.New("invalid syslog address")
}

// hostPort completes an address by what it does not say.
func hostPort(s string) string {
	const port = 514
	switch {
	case strings.HasPrefix(s, "["):
		if strings.HasSuffix(s, "]") {
			s += ":" + strconv.Itoa(port)
		}
	case !strings.Contains(s, ":"):
		s += ":" + strconv.Itoa(port)
	}
	if strings.HasPrefix(s, ":") {
		s = "localhost" + s
	}
	return s
}
