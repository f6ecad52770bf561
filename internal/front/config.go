package front

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"indrik/internal/accesslog"
	"indrik/internal/http1"
	"indrik/internal/wire"
)

// A config is what the front needs of the settings of one generation, ready
// for use. It does not change.
type config struct {
	*wire.FrontConfig
	http      http1.Config
	format    *accesslog.Format
	keepalive time.Duration
	timeout   time.Duration
	maxHead   int // bytes
	trustAll  bool
	trusted   []netip.Prefix
	forwarder [][]byte // names a trusted peer may give, in the environ's spelling
	anyName   bool     // forwarder_headers has *
	schemes   []schemeField
}

type schemeField struct{ name, value []byte }

// newConfig makes a config. With a format of the access log that is malformed it
// returns one without, and the error.
func newConfig(w *wire.FrontConfig) (*config, error) {
	c := &config{
		FrontConfig: w,
		http: http1.Config{
			LimitRequestLine:      w.LimitRequestLine,
			LimitRequestFields:    w.LimitRequestFields,
			LimitRequestFieldSize: w.LimitRequestFieldSize,
			PermitObsFold:         w.PermitObsFold,
			StripHeaderSpaces:     w.StripHeaderSpaces,
			PermitMethod:          w.PermitMethod,
			PermitVersion:         w.PermitVersion,
			CasefoldMethod:        w.CasefoldMethod,
		},
		keepalive: time.Duration(w.Keepalive) * time.Second,
		timeout:   time.Duration(w.Timeout) * time.Second,
	}
	line, fields, size := w.LimitRequestLine, w.LimitRequestFields, w.LimitRequestFieldSize
	if line == 0 {
		line = 1 << 20
	}
	c.maxHead = line + fields*(size+2) + 8
	for _, part := range strings.Split(w.ForwardedAllowIPs, ",") {
		part = strings.TrimSpace(part)
		switch {
		case part == "":
		case part == "*":
			c.trustAll = true
		default:
			if p, err := netip.ParsePrefix(part); err == nil {
				c.trusted = append(c.trusted, p)
			} else if a, err := netip.ParseAddr(part); err == nil {
				c.trusted = append(c.trusted, netip.PrefixFrom(a, a.BitLen()))
			}
		}
	}
	for _, name := range w.ForwarderHeaders {
		if name == "*" {
			c.anyName = true
		}
		c.forwarder = append(c.forwarder, []byte(strings.ToUpper(name)))
	}
	for name, value := range w.SecureSchemeHeaders {
		c.schemes = append(c.schemes, schemeField{[]byte(name), []byte(value)})
	}
	var err error
	if c.format, err = accesslog.Compile(w.AccessLogFormat); err != nil {
		return c, fmt.Errorf("access_log_format: %w", err)
	}
	return c, nil
}

// trusts tells whether a peer may say who its client is. Those on a unix
// socket may: who can reach it is decided by its mode.
func (c *config) trusts(addr netip.Addr) bool {
	if c.trustAll || !addr.IsValid() {
		return true
	}
	addr = addr.Unmap()
	return slices.ContainsFunc(c.trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// mayForward tells whether a trusted peer may give the field name, which has an
// underscore in it.
func (c *config) mayForward(name []byte) bool {
	return c.anyName || slices.ContainsFunc(c.forwarder, func(f []byte) bool { return bytes.EqualFold(f, name) })
}
