package settings

import (
	"strings"

	"indrik/internal/tlsconf"
	"indrik/internal/wire"
)

// The greatest limits that can be set, which are Gunicorn's.
const (
	maxRequestLine   = 8190
	maxRequestFields = 32768
	maxFieldSize     = 8190 // for 0 only
)

const (
	// unboundedLine is the request line of no limit, as package http1 has it.
	unboundedLine = 1 << 20
	// otherFields is what a head has room for besides the longest line and the longest
	// field that are allowed.
	otherFields = 8 << 10
)

// Front is what the front needs to know.
func (c *Config) Front() *wire.FrontConfig {
	f := &wire.FrontConfig{
		Timeout:          c.Timeout(),
		SlowRequestLog:   c.SlowRequestLog(),
		GracefulTimeout:  c.GracefulTimeout(),
		Keepalive:        c.Keepalive(),
		AccessLogFormat:  c.frontLogFormat(),
		LogFormat:        c.LogFormat(),
		LogRedact:        c.LogRedact(),
		NoWorkers:        c.Workers() == 0,
		ReportLoad:       c.scale != nil,
		AccessLogTimeout: c.AccessLogTimeout(),
		TmpUploadDir:     c.TmpUploadDir(),

		LimitConnections:       c.LimitConnections(),
		LimitRequestBody:       int64(c.LimitRequestBody()),
		LimitMemory:            int64(c.LimitMemory()),
		LimitClientMemory:      int64(c.LimitClientMemory()),
		LimitClientConnections: c.LimitClientConnections(),
		LimitClientStreams:     c.LimitClientStreams(),
		QueueLimit:             c.QueueLimit(),
		QueueTimeout:           c.QueueTimeout(),
		HandshakeTimeout:       c.HandshakeTimeout(),
		HeaderTimeout:          c.HeaderTimeout(),
		BodyTimeout:            c.BodyTimeout(),
		BodyMinRate:            c.BodyMinRate(),
		WriteTimeout:           c.WriteTimeout(),

		LimitRequestLine:                min(c.LimitRequestLine(), maxRequestLine),
		LimitRequestFields:              min(c.LimitRequestFields(), maxRequestFields),
		LimitRequestFieldSize:           c.LimitRequestFieldSize(),
		PermitObsoleteFolding:           c.PermitObsoleteFolding(),
		StripHeaderSpaces:               c.StripHeaderSpaces(),
		PermitUnconventionalHTTPMethod:  c.PermitUnconventionalHTTPMethod(),
		PermitUnconventionalHTTPVersion: c.PermitUnconventionalHTTPVersion(),
		CasefoldHTTPMethod:              c.CasefoldHTTPMethod(),
		PermitMissingHost:               c.PermitMissingHost(),
		PermitNonASCIITarget:            c.PermitNonASCIITarget(),

		HeaderMap:           c.HeaderMap(),
		ForwarderHeaders:    c.ForwarderHeaders(),
		ForwardedAllowIPs:   strings.Join(c.ForwardedAllowIPs(), ","),
		ForwardedFor:        c.ForwardedFor(),
		ServerHeader:        c.ServerHeader(),
		HealthPath:          c.HealthPath(),
		RequestIDHeader:     c.RequestIDHeader(),
		ServerTiming:        c.ServerTiming(),
		SecureSchemeHeaders: c.SecureSchemeHeaders(),
		ScriptName:          c.scriptName,
		Sendfile:            c.Sendfile(),
		Reload:              c.Reload(),

		Kind:                    c.FrontKind(),
		WorkerConnections:       c.WorkerConnections(),
		RootPath:                rootPath(c.RootPath()),
		ASGISendAfterDisconnect: c.ASGISendAfterDisconnect(),
		ASGIExtensions:          c.ASGIExtensions(),
		WorkerAffinity:          c.WorkerAffinity(),

		Quarantine:       c.Quarantine(),
		QuarantineDeaths: c.QuarantineDeaths(),
		QuarantineWindow: c.QuarantineWindow(),
		QuarantineTime:   c.QuarantineTime(),
		SelfcareDryRun:   c.SelfcareDryRun(),

		WebSocketMaxMessageSize: c.WebSocketMaxMessageSize(),
		WebSocketPingInterval:   c.WebSocketPingInterval(),
		WebSocketPingTimeout:    c.WebSocketPingTimeout(),
		WebSocketCompression:    c.WebSocketCompression(),
		WebSocketDrainMax:       c.WebSocketDrainMax(),
		WebSocketDrainWindow:    c.WebSocketDrainWindow(),

		ProxyProtocol: c.ProxyProtocol(),
		ProxyAllowIPs: strings.Join(c.ProxyAllowIPs(), ","),
		UWSGIAllowIPs: strings.Join(c.UWSGIAllowIPs(), ","),

		TLS:                       c.frontTLS(),
		HTTP1:                     c.speaks("h1"),
		HTTP2:                     c.speaks("h2"),
		HTTP2Cleartext:            c.speaks("h2") && c.HTTP2Cleartext() == prior,
		HTTP2MaxConcurrentStreams: c.HTTP2MaxConcurrentStreams(),
		HTTP2InitialWindowSize:    c.HTTP2InitialWindowSize(),
		HTTP2MaxFrameSize:         c.HTTP2MaxFrameSize(),
		HTTP2MaxHeaderListSize:    c.HTTP2MaxHeaderListSize(),
		HTTP2IdleTimeout:          c.HTTP2IdleTimeout(),

		Pools:      c.frontPools(),
		StashLimit: int64(c.StashLimit()),
	}
	f.LimitRequestHead = c.requestHead(f)
	if c.Kind() == WorkerTornado {
		f.RootPath = "" // its handlers are for the target as it comes
	}
	if f.LimitRequestFields == 0 {
		f.LimitRequestFields = maxRequestFields
	}
	if f.LimitRequestFieldSize == 0 {
		f.LimitRequestFieldSize = maxFieldSize
	}
	// Gunicorn reads SCRIPT_NAME after raw_env went to the environment.
	for _, pair := range c.RawEnv() {
		if v, ok := strings.CutPrefix(pair, "SCRIPT_NAME="); ok {
			f.ScriptName = v
		}
	}
	return f
}

// requestHead is the size of the largest head. By default it leaves room for what the
// limits of its parts allow one line and one field to have.
func (c *Config) requestHead(f *wire.FrontConfig) int {
	n := c.LimitRequestHead()
	if c.IsSet("limit_request_head") {
		return n
	}
	line := f.LimitRequestLine
	if line == 0 {
		line = unboundedLine
	}
	return max(n, line+f.LimitRequestFieldSize+otherFields)
}

// rootPath is the setting as paths begin with it: with a slash before it, and none
// behind.
func rootPath(s string) string {
	if s = strings.Trim(s, "/"); s == "" {
		return ""
	}
	return "/" + s
}

// frontTLS is nil without TLS. What the names stand for was checked with the
// values, so that there are no errors left.
func (c *Config) frontTLS() *wire.TLS {
	if !c.TLS() {
		return nil
	}
	t := &wire.TLS{CertReqs: c.CertReqs()}
	t.MinVersion, _ = tlsconf.MinVersion(c.TLSMinVersion())
	if spec := c.Ciphers(); spec != "" {
		t.Ciphers, _, _ = tlsconf.Ciphers(spec)
	}
	return t
}
