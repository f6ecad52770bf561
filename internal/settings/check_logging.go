package settings

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"indrik/internal/accesslog"
)

// checkDict takes any dictionary. One that holds what JSON has no form for,
// such as a class or a stream, comes as its repr; the Python processes have
// the dictionary itself.
func checkDict(v any) (any, error) {
	switch v := v.(type) {
	case map[string]any:
		return v, nil
	case map[string]string:
		m := make(map[string]any, len(v))
		for key, item := range v {
			m[key] = item
		}
		return m, nil
	case pyObject:
		if strings.HasPrefix(string(v), "{") {
			return v, nil
		}
	}
	return nil, fmt.Errorf("Value is not a dictionary: %s ", pyStr(v))
}

// checkLogFormat reads access_log_format, unless a class of one's own does: it may
// know atoms, and put values into them, that only Python can format.
func (c *Config) checkLogFormat() (errs []error) {
	if _, err := accesslog.Compile(c.AccessLogFormat()); err != nil && !c.ownLogger() {
		errs = append(errs, c.wrong("access_log_format", err))
	}
	return errs
}

// frontLogFormat is access_log_format for the lines that the front writes without
// Python, if need be: what only Python understands is no use to it.
func (c *Config) frontLogFormat() string {
	format := c.AccessLogFormat()
	if _, err := accesslog.Compile(format); err != nil {
		return defaultAccessLogFormat
	}
	return format
}

// ownLogger reports whether logger_class is a class of one's own.
func (c *Config) ownLogger() bool {
	switch c.get("logger_class") {
	case "", "indrik.glogging.Logger", "gunicorn.glogging.Logger", "indrik.statsd.Statsd", "gunicorn.instrument.statsd.Statsd":
		return false
	}
	return true
}

var errSyslogAddr = errors.New("invalid syslog address")

func checkSyslogAddr(v any) (any, error) {
	text, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("Not a string: %s", pyStr(v))
	}
	text = strings.TrimSpace(text)
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return nil, errSyslogAddr
	}
	switch scheme {
	case "unix":
		if path, kind, ok := strings.Cut(rest, "#"); path == "" || ok && kind != "dgram" && kind != "stream" {
			return nil, errSyslogAddr
		}
	case "udp", "tcp":
		if err := checkHostPort(rest); err != nil {
			return nil, fmt.Errorf("%w: %w", errSyslogAddr, err)
		}
	default:
		return nil, errSyslogAddr
	}
	return text, nil
}

// facilities are the names of <syslog.h>, and security, an old name of auth.
var facilities = strings.Fields(`auth authpriv cron daemon ftp kern lpr mail news security syslog user uucp
	local0 local1 local2 local3 local4 local5 local6 local7`)

func checkFacility(v any) (any, error) {
	if text, ok := v.(string); ok {
		if name := strings.TrimSpace(strings.ToLower(text)); slices.Contains(facilities, name) {
			return name, nil
		}
	}
	return nil, errors.New("unknown facility name")
}

func checkStatsdAddr(v any) (any, error) {
	s, err := checkString(v)
	if err != nil || s == nil {
		return s, err
	}
	text := s.(string)
	wrong := errors.New("Value must be one of ('host:port', 'unix://PATH')")
	// Gunicorn takes unix:PATH too, and unix:8125 for a host of that name.
	if path, ok := strings.CutPrefix(text, "unix:"); ok && strings.Trim(path, "0123456789") != "" {
		if path == "//" {
			return nil, wrong
		}
		return text, nil
	}
	if checkHostPort(text) != nil {
		return nil, wrong
	}
	return text, nil
}

// checkHostPort takes HOST, HOST:PORT, [IPV6] and [IPV6]:PORT.
func checkHostPort(s string) error {
	port, ok := "", false
	if s = strings.ToLower(s); strings.HasPrefix(s, "[") {
		var rest string
		if _, rest, ok = strings.Cut(s, "]"); !ok {
			return fmt.Errorf("%s has no closing bracket", pyRepr(s))
		}
		port, ok = strings.CutPrefix(rest, ":")
		if !ok && rest != "" {
			return fmt.Errorf("%s has text after the bracket", pyRepr(s))
		}
	} else {
		_, port, ok = strings.Cut(s, ":")
	}
	if !ok {
		return nil
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%s is not a valid port number.", pyRepr(port))
	}
	return nil
}
