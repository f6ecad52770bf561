package front

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"indrik/internal/accesslog"
	"indrik/internal/dispatch"
	"indrik/internal/gateway"
	"indrik/internal/http1"
	"indrik/internal/proxyproto"
	"indrik/internal/quarantine"
	"indrik/internal/redact"
	"indrik/internal/tlsconf"
	"indrik/internal/wire"
)

// A config is what the front needs of the settings of one generation, ready for use. It
// does not change, except for the kind in dispatch and the keys in tls, which have locks of
// their own. A field that carries a setting has the setting's name: the fields of
// FrontConfig are as the setting is written, those with a small letter as they are used.
type config struct {
	*wire.FrontConfig
	dispatch          dispatch.Settings
	http              http1.Config
	http2             http1.Config // for heads that HTTP/2 has bounded already, and whose host is in :authority
	accessLogFormat   *accesslog.Format
	logRedact         *redact.Rules // nil: the logs have everything
	maxHead           int           // bytes
	limitConnections  int
	forwardedAllowIPs networks // of the peers that may say who their clients are
	proxyProtocol     proxyproto.Mode
	proxyAllowIPs     networks                    // of the peers that may send a PROXY header
	tls               *tlsconf.Server             // nil: plain text
	protocols         map[string]gateway.Protocol // of addresses where another one than HTTP is spoken
	uwsgiAllowIPs     networks                    // of the web servers that may use them

	// 0: no limit, except for keepalive.
	keepalive                                    time.Duration
	handshakeTimeout, headerTimeout, bodyTimeout time.Duration
	writeTimeout, http2IdleTimeout               time.Duration
	webSocketPingInterval, webSocketPingTimeout  time.Duration
	accessLogTimeout                             time.Duration

	forwarderHeaders    [][]byte // names a trusted peer may give, in the environ's spelling
	anyForwarderHeader  bool     // forwarder_headers has *
	secureSchemeHeaders []schemeField

	serverHeader   string // the field Server, empty: the default
	noServerHeader bool   // there is none

	requestIDHeader []byte // nil: requests have no ids

	healthPath []byte // where the server answers questions about its health; empty: nowhere

	asgiExtensions extensionSets // of HTTP requests, as ASGI has them
	quarantine     quarantine.Settings
}

type schemeField struct{ name, value []byte }

// newConfig makes a config. A malformed value, which the master should have refused, is
// left out, and the error says so.
func newConfig(w *wire.FrontConfig) (*config, error) {
	c := &config{
		FrontConfig: w,
		http: http1.Config{
			LimitRequestLine:                w.LimitRequestLine,
			LimitRequestFields:              w.LimitRequestFields,
			LimitRequestFieldSize:           w.LimitRequestFieldSize,
			LimitRequestHead:                w.LimitRequestHead,
			PermitObsoleteFolding:           w.PermitObsoleteFolding,
			StripHeaderSpaces:               w.StripHeaderSpaces,
			PermitUnconventionalHTTPMethod:  w.PermitUnconventionalHTTPMethod,
			PermitUnconventionalHTTPVersion: w.PermitUnconventionalHTTPVersion,
			CasefoldHTTPMethod:              w.CasefoldHTTPMethod,
			PermitMissingHost:               w.PermitMissingHost,
			PermitNonASCIITarget:            w.PermitNonASCIITarget,
		},
		dispatch: dispatch.Settings{
			QueueLimit:           w.QueueLimit,
			QueueTimeout:         seconds(w.QueueTimeout),
			Timeout:              seconds(w.Timeout),
			SlowRequestLog:       time.Duration(w.SlowRequestLog * float64(time.Second)),
			GracefulTimeout:      seconds(w.GracefulTimeout),
			WorkerConnections:    w.WorkerConnections,
			Reload:               w.Reload,
			NoWorkers:            w.NoWorkers,
			ReportLoad:           w.ReportLoad,
			WorkerAffinity:       w.WorkerAffinity,
			AffinityKey:          w.AffinityKey,
			WebSocketDrainMax:    seconds(w.WebSocketDrainMax),
			WebSocketDrainWindow: seconds(w.WebSocketDrainWindow),
		},
		forwardedAllowIPs:     parseNetworks(w.ForwardedAllowIPs),
		proxyAllowIPs:         parseNetworks(w.ProxyAllowIPs),
		uwsgiAllowIPs:         parseNetworks(w.UWSGIAllowIPs),
		keepalive:             seconds(w.Keepalive),
		handshakeTimeout:      seconds(w.HandshakeTimeout),
		headerTimeout:         seconds(w.HeaderTimeout),
		bodyTimeout:           seconds(w.BodyTimeout),
		writeTimeout:          seconds(w.WriteTimeout),
		http2IdleTimeout:      seconds(w.HTTP2IdleTimeout),
		webSocketPingInterval: seconds(w.WebSocketPingInterval),
		webSocketPingTimeout:  seconds(w.WebSocketPingTimeout),
		accessLogTimeout:      seconds(w.AccessLogTimeout),
		serverHeader:          w.ServerHeader,
		healthPath:            []byte(w.HealthPath),
		noServerHeader:        strings.EqualFold(w.ServerHeader, "off"),
	}
	c.dispatch.SetKind(w.Kind)
	if w.RequestIDHeader != "" {
		c.requestIDHeader = []byte(w.RequestIDHeader)
	}
	c.limitConnections = c.connLimit()
	c.asgiExtensions = newExtensionSets(w.ASGIExtensions)
	c.quarantine = quarantineSettings(w)
	c.maxHead = c.http.MaxHead()
	c.http2 = c.http
	c.http2.LimitRequestHead = 0
	c.http2.PermitMissingHost = true // RFC 9113 section 8.3.1 does not ask for :authority
	for _, name := range w.ForwarderHeaders {
		if name == "*" {
			c.anyForwarderHeader = true
		}
		c.forwarderHeaders = append(c.forwarderHeaders, []byte(strings.ToUpper(name)))
	}
	c.protocols = map[string]gateway.Protocol{}
	for bind, name := range w.Protocols {
		if p, known := gateway.ParseProtocol(name); known {
			c.protocols[bind] = p
		}
	}
	for name, value := range w.SecureSchemeHeaders {
		c.secureSchemeHeaders = append(c.secureSchemeHeaders, schemeField{[]byte(name), []byte(value)})
	}
	var errs []error
	var err error
	if w.TLS != nil {
		c.tls = tlsconf.NewServer(w.TLS, tlsconf.Protocols(w))
	}
	if w.LogFormat == "json" || w.LogFormat == "ecs" {
		c.accessLogFormat = accesslog.JSON(w.LogFormat == "ecs")
	} else if c.accessLogFormat, err = accesslog.Compile(w.AccessLogFormat); err != nil {
		errs = append(errs, fmt.Errorf("access_log_format: %w", err))
	}
	if c.logRedact, err = redact.Parse(w.LogRedact); err != nil {
		errs = append(errs, fmt.Errorf("log_redact: %w", err))
		c.logRedact, _ = redact.Parse([]string{"query:*", "header:*", "cookie:*"})
	}
	if c.proxyProtocol, err = proxyproto.ParseMode(w.ProxyProtocol); err != nil {
		errs = append(errs, fmt.Errorf("proxy_protocol: %w", err))
	}
	return c, errors.Join(errs...)
}

// Dispatch implements [dispatch.Config].
func (c *config) Dispatch() *dispatch.Settings { return &c.dispatch }

// loggerPatience returns how long a request waits for a logger that does not take its
// line.
func (c *config) loggerPatience() time.Duration {
	if c.accessLogTimeout == 0 {
		return wire.Forever
	}
	return c.accessLogTimeout
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// trusts reports whether a peer may say who its client is.
func (c *config) trusts(addr netip.Addr) bool { return c.forwardedAllowIPs.contain(addr) }

// mayProxy reports whether a peer may send a PROXY header.
func (c *config) mayProxy(addr netip.Addr) bool { return c.proxyAllowIPs.contain(addr) }

// networks are the networks and addresses that a setting lists.
type networks struct {
	all      bool
	prefixes []netip.Prefix
}

func parseNetworks(list string) networks {
	var n networks
	for part := range strings.SplitSeq(list, ",") {
		part = strings.TrimSpace(part)
		if part == "*" {
			n.all = true
		} else if p, err := netip.ParsePrefix(part); err == nil {
			// The peers' addresses are unmapped too: RFC 4291 section 2.5.5.2.
			if p.Addr().Is4In6() && p.Bits() >= 96 {
				p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
			}
			n.prefixes = append(n.prefixes, p)
		} else if a, err := netip.ParseAddr(part); err == nil {
			a = a.Unmap()
			n.prefixes = append(n.prefixes, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	return n
}

// contain reports whether addr is in one of the networks. The peers on a unix socket, which
// have no address, always are: the mode of the socket decides which processes reach it.
func (n *networks) contain(addr netip.Addr) bool {
	if n.all || !addr.IsValid() {
		return true
	}
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(n.prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// mayProxyFor reports whether a peer may be a proxy that says by a PROXY header for whom.
func (c *config) mayProxyFor(addr netip.Addr) bool {
	return c.proxyProtocol != proxyproto.Off && c.mayProxy(addr)
}

// refuses reports whether a request is refused because of the name of a field.
func (c *config) refuses(name []byte) bool {
	return c.HeaderMap == "refuse" && bytes.IndexByte(name, '_') >= 0 && !c.mayForward(name)
}

// mayForward reports whether a trusted peer may send the field with that name, which has an
// underscore in it.
func (c *config) mayForward(name []byte) bool {
	return c.anyForwarderHeader || slices.ContainsFunc(c.forwarderHeaders, func(f []byte) bool { return bytes.EqualFold(f, name) })
}
