package settings

import (
	"strings"

	"indrik/internal/wire"
)

// Syslog says where log lines go besides their files, nil if nowhere.
func (c *Config) Syslog() *wire.Syslog {
	if !c.Bool("syslog") {
		return nil
	}
	prefix := c.String("syslog_prefix")
	if prefix == "" {
		prefix = strings.ReplaceAll(c.ProcName(), ":", ".")
	}
	return &wire.Syslog{
		Addr: c.String("syslog_addr"), Facility: c.String("syslog_facility"), Prefix: prefix,
		Access: !c.Bool("disable_redirect_access_to_syslog"),
	}
}

// Statsd says where metrics go, nil if nowhere.
func (c *Config) Statsd() *wire.Statsd {
	if c.String("statsd_host") == "" {
		return nil
	}
	return &wire.Statsd{Addr: c.String("statsd_host"), Prefix: c.String("statsd_prefix"), Tags: c.String("dogstatsd_tags")}
}
