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
		Timeout:          c.Int("timeout"),
		GracefulTimeout:  c.Int("graceful_timeout"),
		Keepalive:        c.Int("keepalive"),
		AccessLogFormat:  c.frontLogFormat(),
		LogFormat:        c.String("log_format"),
		NoWorkers:        c.Int("workers") == 0,
		AccessLogTimeout: c.Int("access_log_timeout"),
		TmpDir:           c.String("tmp_upload_dir"),

		LimitConnections:       c.Int("limit_connections"),
		LimitRequestBody:       int64(c.Int("limit_request_body")),
		LimitMemory:            int64(c.Int("limit_memory")),
		LimitClientMemory:      int64(c.Int("limit_client_memory")),
		LimitClientConnections: c.Int("limit_client_connections"),
		LimitClientStreams:     c.Int("limit_client_streams"),
		QueueLimit:             c.Int("queue_limit"),
		QueueTimeout:           c.Int("queue_timeout"),
		HandshakeTimeout:       c.Int("handshake_timeout"),
		HeaderTimeout:          c.Int("header_timeout"),
		BodyTimeout:            c.Int("body_timeout"),
		BodyMinRate:            c.Int("body_min_rate"),
		WriteTimeout:           c.Int("write_timeout"),

		LimitRequestLine:      min(c.Int("limit_request_line"), maxRequestLine),
		LimitRequestFields:    min(c.Int("limit_request_fields"), maxRequestFields),
		LimitRequestFieldSize: c.Int("limit_request_field_size"),
		PermitObsFold:         c.Bool("permit_obsolete_folding"),
		StripHeaderSpaces:     c.Bool("strip_header_spaces"),
		PermitMethod:          c.Bool("permit_unconventional_http_method"),
		PermitVersion:         c.Bool("permit_unconventional_http_version"),
		CasefoldMethod:        c.Bool("casefold_http_method"),
		PermitMissingHost:     c.Bool("permit_missing_host"),
		PermitNonASCIITarget:  c.Bool("permit_non_ascii_target"),

		HeaderMap:           c.String("header_map"),
		ForwarderHeaders:    c.Strings("forwarder_headers"),
		ForwardedAllowIPs:   strings.Join(c.Strings("forwarded_allow_ips"), ","),
		ForwardedFor:        c.String("forwarded_for"),
		ServerHeader:        c.String("server_header"),
		HealthPath:          c.String("health_path"),
		SecureSchemeHeaders: c.Map("secure_scheme_headers"),
		ScriptName:          c.scriptName,
		Sendfile:            c.Sendfile(),
		Reload:              c.Bool("reload"),

		Kind:              c.FrontKind(),
		WorkerConnections: c.Int("worker_connections"),
		RootPath:          rootPath(c.String("root_path")),
		ASGIRaises:        c.String("asgi_send_after_disconnect") == "raise",
		ASGIExtensions:    c.Strings("asgi_extensions"),
		Affinity:          c.String("worker_affinity"),

		WebSocketMaxMessage:  c.Int("websocket_max_message_size"),
		WebSocketPing:        c.Int("websocket_ping_interval"),
		WebSocketPingTimeout: c.Int("websocket_ping_timeout"),
		WebSocketCompression: c.Bool("websocket_compression"),
		WebSocketStay:        c.Int("websocket_drain_max"),
		WebSocketSpread:      c.Int("websocket_drain_window"),

		ProxyProtocol: c.String("proxy_protocol"),
		ProxyAllowIPs: strings.Join(c.Strings("proxy_allow_ips"), ","),

		TLS:              c.frontTLS(),
		HTTP1:            c.speaks("h1"),
		HTTP2:            c.speaks("h2"),
		HTTP2Cleartext:   c.speaks("h2") && c.String("http2_cleartext") == prior,
		HTTP2Streams:     c.Int("http2_max_concurrent_streams"),
		HTTP2Window:      c.Int("http2_initial_window_size"),
		HTTP2Frame:       c.Int("http2_max_frame_size"),
		HTTP2HeaderList:  c.Int("http2_max_header_list_size"),
		HTTP2IdleTimeout: c.Int("http2_idle_timeout"),
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
	for _, pair := range c.Strings("raw_env") {
		if v, ok := strings.CutPrefix(pair, "SCRIPT_NAME="); ok {
			f.ScriptName = v
		}
	}
	return f
}

// requestHead is the size of the largest head. By default it leaves room for what the
// limits of its parts allow one line and one field to have.
func (c *Config) requestHead(f *wire.FrontConfig) int {
	n := c.Int("limit_request_head")
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
	t := &wire.TLS{CertReqs: c.Int("cert_reqs")}
	t.MinVersion, _ = tlsconf.MinVersion(c.String("tls_min_version"))
	if spec := c.String("ciphers"); spec != "" {
		t.Ciphers, _, _ = tlsconf.Ciphers(spec)
	}
	return t
}
