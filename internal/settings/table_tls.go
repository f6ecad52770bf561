package settings

var tlsSettings = []Setting{
	{
		Name: "keyfile", Section: sectionTLS,
		Flags: []string{"--keyfile"}, Metavar: "FILE", Kind: KindString,
		Doc:  "The private key of `certfile`, in PEM format. Not needed if `certfile` holds the key too.",
		Note: "Without `certfile` it is an error.",
	},
	{
		Name: "certfile", Section: sectionTLS,
		Flags: []string{"--certfile"}, Metavar: "FILE", Kind: KindString,
		Doc:  "The certificate of the server and those that lead to its CA, in PEM format. With it every address of `bind` serves TLS.",
		Note: "It and the other files are read by the master, with its rights, at the start, on HUP and when they change; the workers need not be able to read them.",
	},
	{
		Name: "ssl_version", Section: sectionTLS,
		Flags: []string{"--ssl-version"}, Metavar: "SSL_VERSION", Kind: KindAny, Default: 2,
		Effect: Missing, Why: "it is deprecated and ignored, as in Gunicorn; `tls_min_version` is for that",
		Doc: "The version of TLS, as a constant of Python's ssl module.",
	},
	{
		Name: "cert_reqs", Section: sectionTLS,
		Flags: []string{"--cert-reqs"}, Metavar: "CERT_REQS", Kind: KindCertReqs, Default: 0, Max: 2,
		Doc: "Whether clients need a certificate: 0 none is asked for, 1 one is checked if the client has it, 2 each client needs one. " +
			"In a config file they may be written as `ssl.CERT_NONE`, `ssl.CERT_OPTIONAL` and `ssl.CERT_REQUIRED`.",
		Note: "1 and 2 without `ca_certs` are an error.",
	},
	{
		Name: "ca_certs", Section: sectionTLS,
		Flags: []string{"--ca-certs"}, Metavar: "FILE", Kind: KindString,
		Doc: "The certificates, in PEM format, of the CAs that the certificates of clients may come from.",
	},
	{
		Name: "suppress_ragged_eofs", Section: sectionTLS,
		Flags: []string{"--suppress-ragged-eofs"}, Kind: KindBool, Default: true,
		Effect: Needless, Why: "there is nothing to choose: a request that the client cuts short is never given to the app as if it were whole",
		Doc: "Whether a TLS connection that ends without a closing message counts as closed in an orderly way.",
	},
	{
		Name: "do_handshake_on_connect", Section: sectionTLS,
		Flags: []string{"--do-handshake-on-connect"}, Kind: KindBool, Default: false,
		Effect: Needless, Why: "there is nothing to choose: no handshake holds up other connections or a worker, see `handshake_timeout`",
		Doc: "Whether the TLS handshake is made when a connection is accepted.",
	},
	{
		Name: "ciphers", Section: sectionTLS,
		Flags: []string{"--ciphers"}, Metavar: "CIPHERS", Kind: KindCiphers, DefaultText: "those of Go's crypto/tls",
		Doc:  "The cipher suites of TLS 1.2, as an OpenSSL cipher list. Those of TLS 1.3 cannot be chosen.",
		Note: "Suites that only OpenSSL has are left out with a warning; the order of the list makes no difference.",
	},
	{
		Name: "tls_min_version", Section: sectionTLS, Added: true,
		Flags: []string{"--tls-min-version"}, Metavar: "VERSION", Kind: KindTLSVersion, Default: "1.2",
		Doc: "The oldest version of TLS that clients may use.",
	},
}

var http2Settings = []Setting{
	{
		Name: "http_protocols", Section: sectionHTTP2,
		Flags: []string{"--http-protocols"}, Metavar: "STRING", Kind: KindProtocols, Default: []string{"h1"},
		Doc: "The versions of HTTP that TLS connections may use: `h1` is HTTP/1.1, `h2` HTTP/2. In a config file it may be a list.",
		Note: "HTTP/2 works with every kind of worker and needs no package; clients that offer both get it whatever the order. " +
			"`h3` is an error, since HTTP/3 is not available. `h2` alone together with `http2_cleartext` makes ports without TLS that speak nothing else.",
	},
	{
		Name: "http2_cleartext", Section: sectionHTTP2,
		Flags: []string{"--http2-cleartext"}, Metavar: "STRING", Kind: KindCleartext, Default: "off",
		Doc:  "Whether connections without TLS may use HTTP/2: with `prior-knowledge` those that begin as HTTP/2 does. `http_protocols` must have `h2` too.",
		Note: "`upgrade` and `both` are errors: RFC 9113 has removed the upgrade from HTTP/1.1.",
	},
	{
		Name: "http2_max_concurrent_streams", Section: sectionHTTP2,
		Flags: []string{"--http2-max-concurrent-streams"}, Metavar: "INT", Kind: KindInt, Default: 100, Min: 1, Max: 1<<31 - 1,
		Doc:  "How many requests one HTTP/2 connection may have at the same time.",
		Note: "0, which would allow none, is an error.",
	},
	{
		Name: "http2_initial_window_size", Section: sectionHTTP2,
		Flags: []string{"--http2-initial-window-size"}, Metavar: "INT", Kind: KindInt, Default: 65535, Min: 1, Max: 1<<31 - 1,
		Doc:  "How many bytes of a request body a client may send before the server asks for more.",
		Note: "0, which would let no body in, is an error.",
	},
	{
		Name: "http2_max_frame_size", Section: sectionHTTP2,
		Flags: []string{"--http2-max-frame-size"}, Metavar: "INT", Kind: KindInt, Default: 16384, Min: 16384, Max: 1<<24 - 1,
		Doc: "The largest HTTP/2 frame that a client may send, in bytes.",
	},
	{
		Name: "http2_max_header_list_size", Section: sectionHTTP2,
		Flags: []string{"--http2-max-header-list-size"}, Metavar: "INT", Kind: KindInt, Default: 65536, Max: 1<<31 - 1,
		Doc: "The largest head of an HTTP/2 request, in bytes and before compression; 0 leaves it to `limit_request_line`, `limit_request_fields` and `limit_request_field_size`.",
	},
	{
		Name: "http2_idle_timeout", Section: sectionHTTP2, Added: true,
		Flags: []string{"--http2-idle-timeout"}, Metavar: "SECONDS", Kind: KindInt, Default: 75,
		Doc: "How long an HTTP/2 connection without requests is kept; 0 means no limit.",
	},
}
