package settings

var securitySettings = []Setting{
	{
		Name: "limit_request_line", Section: sectionSecurity,
		Flags: []string{"--limit-request-line"}, Metavar: "INT", Kind: KindInt, Default: 4094,
		Doc: "The longest request line, in bytes. More than 8190 means 8190, 0 means no limit.",
	},
	{
		Name: "limit_request_fields", Section: sectionSecurity,
		Flags: []string{"--limit-request-fields"}, Metavar: "INT", Kind: KindInt, Default: 100,
		Doc: "How many header fields a request may have. The most that can be set is 32768, which is also what 0 means.",
	},
	{
		Name: "limit_request_field_size", Section: sectionSecurity,
		Flags: []string{"--limit-request-field_size"}, Metavar: "INT", Kind: KindInt, Default: 8190,
		Doc: "The longest header field of a request, in bytes. 0 means 8190.",
	},
	{
		Name: "limit_request_head", Section: sectionSecurity, Added: true,
		Flags: []string{"--limit-request-head"}, Metavar: "BYTES", Kind: KindInt, Default: 32 << 10,
		Doc: "The largest head of a request, all of its lines together; 0 means no limit except those of its parts. The client of a larger one gets a 431. " +
			"Unless it is set, it is larger where `limit_request_line` and `limit_request_field_size` allow more. For HTTP/2 see `http2_max_header_list_size`.",
	},
	{
		Name: "limit_request_body", Section: sectionSecurity, Added: true,
		Flags: []string{"--limit-request-body"}, Metavar: "BYTES", Kind: KindInt, Default: 1 << 30,
		Doc: "The largest request body; 0 means no limit. The client of a larger one gets a 413.",
	},
	{
		Name: "limit_connections", Section: sectionSecurity, Added: true,
		Flags: []string{"--limit-connections"}, Metavar: "INT", Kind: KindInt, Default: 0,
		Doc: "How many client connections may be open at a time; 0 means as many as the limit of file descriptors has room for. " +
			"At the limit the connection that has been idle longest is closed for a new one; when none is idle, new ones wait in the backlog.",
	},
	{
		Name: "limit_memory", Section: sectionSecurity, Added: true,
		Flags: []string{"--limit-memory"}, Metavar: "BYTES", Kind: KindInt, Default: 0,
		Doc: "How much memory the front may hold for all clients together: heads, bodies, responses that they do not take, WebSocket messages; " +
			"0 means a quarter of what the control group or the machine has, at least 64 MiB. " +
			"Beyond it the connections that hold most are closed, and the log names the clients. The memory limit of the Go runtime follows it unless `GOMEMLIMIT` is in the environment.",
	},
	{
		Name: "limit_client_memory", Section: sectionSecurity, Added: true,
		Flags: []string{"--limit-client-memory"}, Metavar: "BYTES", Kind: KindInt, Default: 0,
		Doc: "How much of `limit_memory` one client address may hold; 0 means half of it. It does not apply to peers of unix sockets and those in `forwarded_allow_ips`, which may be proxies.",
	},
	{
		Name: "limit_client_connections", Section: sectionSecurity, Added: true,
		Flags: []string{"--limit-client-connections"}, Metavar: "INT", Kind: KindInt, Default: 0,
		Doc: "How many connections one client address may have; 0 means half of what `limit_connections` allows. One more gets a 503, or is closed. " +
			"The same peers are excepted as for `limit_client_memory`.",
	},
	{
		Name: "limit_client_streams", Section: sectionSecurity, Added: true,
		Flags: []string{"--limit-client-streams"}, Metavar: "INT", Kind: KindInt, Default: 1000,
		Doc: "How many streams of HTTP/2 one client address may have open on all its connections; 0 means no limit. One more gets a 503. " +
			"The same peers are excepted as for `limit_client_memory`.",
	},
	{
		Name: "handshake_timeout", Section: sectionSecurity, Added: true,
		Flags: []string{"--handshake-timeout"}, Metavar: "SECONDS", Kind: KindInt, Default: 10,
		Doc: "How long a client may take for the TLS handshake, and for its PROXY header; 0 means no limit.",
	},
	{
		Name: "header_timeout", Section: sectionSecurity, Added: true,
		Flags: []string{"--header-timeout"}, Metavar: "SECONDS", Kind: KindInt, Default: 60,
		Doc: "How long a client may take for the head of a request, from its first byte to its last; 0 means no limit. " +
			"A new connection may be silent for as long before the first byte.",
	},
	{
		Name: "body_timeout", Section: sectionSecurity, Added: true,
		Flags: []string{"--body-timeout"}, Metavar: "SECONDS", Kind: KindInt, Default: 0,
		Doc: "How long a client may take for the body of a request; 0 means no limit.",
	},
	{
		Name: "body_min_rate", Section: sectionSecurity, Added: true,
		Flags: []string{"--body-min-rate"}, Metavar: "BYTES", Kind: KindInt, Default: 240,
		Doc: "How many bytes of a request body must come in a second, on average over 20 seconds; 0 means no limit.",
	},
	{
		Name: "write_timeout", Section: sectionSecurity, Added: true,
		Flags: []string{"--write-timeout"}, Metavar: "SECONDS", Kind: KindInt, Default: 60,
		Doc: "How long a client may take nothing of a response that waits for it; 0 means no limit.",
	},
}

var debugSettings = []Setting{
	{
		Name: "reload", Section: sectionDebug,
		Flags: []string{"--reload"}, Kind: KindBool, Default: false,
		Doc:  "Reload when the code of the app or the config file changes. It is meant for development.",
		Note: "The old workers serve until the new code is ready, requests that come meanwhile wait for it, and `preload_app` is reloaded too. See reload.md.",
	},
	{
		Name: "reload_engine", Section: sectionDebug,
		Flags: []string{"--reload-engine"}, Metavar: "STRING", Kind: KindChoice, Default: "auto",
		Choices: []string{"auto", "poll", "inotify"}, BadChoice: "Invalid reload_engine: %r",
		Doc:  "How `reload` finds changes: `inotify` is told of them by the kernel, `poll` looks at the files every second, `auto` takes inotify where it exists.",
		Note: "With either of them the files are checked before each request. Nothing needs to be installed.",
	},
	{
		Name: "reload_extra_files", Section: sectionDebug,
		Flags: []string{"--reload-extra-file"}, Metavar: "FILES", Kind: KindFiles, Default: []string(nil),
		Doc:  "Other files whose change means a reload: a path or a pattern such as `templates/*.html`. May be given several times.",
		Note: "`**` stands for any number of directories, and a directory for all files below it.",
	},
	{
		Name: "spew", Section: sectionDebug,
		Flags: []string{"--spew"}, Kind: KindBool, Default: false,
		Doc: "Print every line of Python that is executed. It is very slow.",
	},
	{
		Name: "check_config", Section: sectionDebug,
		Flags: []string{"--check-config"}, Kind: KindBool, Default: false,
		Doc: "Check the configuration, load the app and exit.",
	},
	{
		Name: "print_config", Section: sectionDebug,
		Flags: []string{"--print-config"}, Kind: KindBool, Default: false,
		Doc: "Print the value of every setting, load the app and exit.",
	},
}
