package settings

import (
	"strings"

	"indrik/internal/wire"
)

// SyslogSink says where log lines go besides their files, nil if nowhere.
func (c *Config) SyslogSink() *wire.Syslog {
	if !c.Syslog() {
		return nil
	}
	prefix := c.SyslogPrefix()
	if prefix == "" {
		prefix = strings.ReplaceAll(c.ProcName(), ":", ".")
	}
	return &wire.Syslog{
		Addr: c.SyslogAddr(), Facility: c.SyslogFacility(), Prefix: prefix,
		Access: !c.DisableRedirectAccessToSyslog(),
	}
}

// StatsdSink says where metrics go, nil if nowhere.
func (c *Config) StatsdSink() *wire.Statsd {
	if c.StatsdHost() == "" {
		return nil
	}
	return &wire.Statsd{Addr: c.StatsdHost(), Prefix: c.StatsdPrefix(), Tags: c.DogstatsdTags()}
}
