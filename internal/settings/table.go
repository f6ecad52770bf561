package settings

import "slices"

// The sections, in the order of the documentation.
const (
	sectionFile     = "Config File"
	sectionSocket   = "Server Socket"
	sectionWorkers  = "Worker Processes"
	sectionSecurity = "Security"
	sectionDebug    = "Debugging"
	sectionServer   = "Server Mechanics"
	sectionLogging  = "Logging"
	sectionNaming   = "Process Naming"
	sectionTLS      = "SSL"
	sectionHTTP2    = "HTTP/2"
	sectionHooks    = "Server Hooks"
)

const defaultAccessLogFormat = `%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"`

// Table holds every setting. Its order is that of --help, and the order in
// which the values of a layer are checked.
var Table = slices.Concat(general, tlsSettings, http2Settings, hooks)

var general = []Setting{
	{
		Name: "config", Section: sectionFile,
		Flags: []string{"-c", "--config"}, Metavar: "CONFIG", Kind: KindString,
		DefaultText: "./indrik.conf.py or ./gunicorn.conf.py",
		Doc:         "The config file. `PATH` or `file:PATH` is a file of Python, `python:MODULE` a module to import.",
		Note:        "`indrik.conf.py` goes before `gunicorn.conf.py`. A name in the file that is no setting gives a warning.",
	},
	{
		Name: "wsgi_app", Section: sectionFile, Kind: KindString,
		Doc: "The app to run when the command line names none: `module.path:variable` or `module.path:factory(arguments)`.",
	},
	{
		Name: "bind", Section: sectionSocket,
		Flags: []string{"-b", "--bind"}, Metavar: "ADDRESS", Env: []string{"PORT"}, Kind: KindStrings,
		Default: []string{"127.0.0.1:8000"},
		Doc: "The address to listen on. May be given several times. The forms are `HOST`, `HOST:PORT`, `[IPV6]:PORT`, " +
			"`unix:PATH` and `fd://N`. With `PORT` in the environment the default is `0.0.0.0:$PORT`.",
	},
	{
		Name: "backlog", Section: sectionSocket,
		Flags: []string{"--backlog"}, Metavar: "INT", Kind: KindInt, Default: 2048,
		Doc: "How many connections may wait to be accepted.",
	},
	{
		Name: "workers", Section: sectionWorkers,
		Flags: []string{"-w", "--workers"}, Metavar: "INT", Env: []string{"WEB_CONCURRENCY"}, Kind: KindInt, Default: 1,
		Doc:  "The number of worker processes.",
		Note: "A `WEB_CONCURRENCY` that is no number gives an error that names it.",
	},
	{
		Name: "worker_class", Section: sectionWorkers,
		Flags: []string{"-k", "--worker-class"}, Metavar: "STRING", Kind: KindClass, Default: "sync",
		Doc:  "The kind of worker: `sync` or `gthread`. `sync` with more than one thread is `gthread`.",
		Note: "Kinds are built in; classes of your own are not loaded.",
	},
	{
		Name: "threads", Section: sectionWorkers,
		Flags: []string{"--threads"}, Metavar: "INT", Kind: KindInt, Default: 1,
		Doc: "The number of requests that one worker runs at the same time, each in a thread.",
	},
	{
		Name: "max_requests", Section: sectionWorkers,
		Flags: []string{"--max-requests"}, Metavar: "INT", Kind: KindInt, Default: 0,
		Doc:  "Replace a worker after this many requests; 0 means never.",
		Note: "The successor is ready before the worker leaves, and no connection is closed.",
	},
	{
		Name: "max_requests_jitter", Section: sectionWorkers,
		Flags: []string{"--max-requests-jitter"}, Metavar: "INT", Kind: KindInt, Default: 0,
		Doc: "Add a random number up to this one to `max_requests`, for each worker anew, so that they are not all replaced at once.",
	},
	{
		Name: "timeout", Section: sectionWorkers,
		Flags: []string{"-t", "--timeout"}, Metavar: "INT", Kind: KindInt, Default: 30,
		Doc:  "End a worker whose request has run for more than this many seconds; 0 means never.",
		Note: "It bounds every request, in threads too. The client gets a 504, and the log names the request and shows where every thread is.",
	},
	{
		Name: "graceful_timeout", Section: sectionWorkers,
		Flags: []string{"--graceful-timeout"}, Metavar: "INT", Kind: KindInt, Default: 30,
		Doc: "How many seconds the requests in flight have to finish when their worker is told to end.",
	},
	{
		Name: "keepalive", Section: sectionWorkers,
		Flags: []string{"--keep-alive"}, Metavar: "INT", Kind: KindInt, Default: 75,
		Doc:  "How many seconds an idle connection is kept for the next request; 0 closes it after each response.",
		Note: "The default is 75, Gunicorn's is 2: here an idle client holds no worker. It works with every kind of worker, `sync` too.",
	},
	{
		Name: "queue_limit", Section: sectionWorkers, Added: true,
		Flags: []string{"--queue-limit"}, Metavar: "INT", Kind: KindInt, Default: 2048,
		Doc: "How many requests may wait for a worker; 0 means no limit. The client of one more gets a 503 with Retry-After at once.",
	},
	{
		Name: "queue_timeout", Section: sectionWorkers, Added: true,
		Flags: []string{"--queue-timeout"}, Metavar: "SECONDS", Kind: KindInt, Default: 30,
		Doc: "How long a request may wait for a worker; 0 means no limit. Then its client gets a 503 with Retry-After.",
	},
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
	{
		Name: "preload_app", Section: sectionServer,
		Flags: []string{"--preload"}, Kind: KindBool, Default: false,
		Doc: "Load the app once, before the workers are forked. HUP then keeps the loaded app; USR2 loads the new one.",
	},
	{
		Name: "sendfile", Section: sectionServer,
		Flags: []string{"--no-sendfile"}, Env: []string{"SENDFILE"}, Kind: KindBool, Off: true, DefaultText: "on",
		Doc:  "Do not use sendfile(2) for files that the app returns. `SENDFILE` in the environment, if there, turns it on by `y`, `1`, `yes`, `true` and off by anything else.",
		Note: "`sendfile = True` turns it on; in Gunicorn any value turns it off.",
	},
	{
		Name: "chdir", Section: sectionServer,
		Flags: []string{"--chdir"}, Metavar: "DIR", Kind: KindDirectory, DefaultText: "the current directory",
		Doc: "Change to this directory before the app is loaded.",
	},
	{
		Name: "daemon", Section: sectionServer,
		Flags: []string{"-D", "--daemon"}, Kind: KindBool, Default: false,
		Doc: "Run in the background.",
	},
	{
		Name: "raw_env", Section: sectionServer,
		Flags: []string{"-e", "--env"}, Metavar: "ENV", Kind: KindStrings, Default: []string(nil),
		Doc: "Set a variable in the environment of the app: `KEY=VALUE`. May be given several times.",
	},
	{
		Name: "pidfile", Section: sectionServer,
		Flags: []string{"-p", "--pid"}, Metavar: "FILE", Kind: KindString,
		Doc: "Write the process id of the master to this file.",
	},
	{
		Name: "user", Section: sectionServer,
		Flags: []string{"-u", "--user"}, Metavar: "USER", Kind: KindUser, DefaultText: "the user that started it",
		Doc:  "Run the workers, and all that talks to clients, as this user.",
		Note: "The front runs as this user too; the master keeps its own.",
	},
	{
		Name: "group", Section: sectionServer,
		Flags: []string{"-g", "--group"}, Metavar: "GROUP", Kind: KindGroup, DefaultText: "the group that started it",
		Doc: "Run the workers, and all that talks to clients, as this group.",
	},
	{
		Name: "umask", Section: sectionServer,
		Flags: []string{"-m", "--umask"}, Metavar: "INT", Kind: KindMode, Default: 0,
		Doc: "The file mode mask of unix sockets: `007` keeps others out.",
	},
	{
		Name: "initgroups", Section: sectionServer,
		Flags: []string{"--initgroups"}, Kind: KindBool, Default: false,
		Doc: "Give the workers all the groups that `user` is a member of.",
	},
	{
		Name: "tmp_upload_dir", Section: sectionServer, Metavar: "DIR", Kind: KindString, DefaultText: "$TMPDIR or /tmp",
		Doc:  "Where request bodies go that are too large for memory. The files have no name and are gone when the request is.",
		Note: "Gunicorn has the setting but makes no use of it.",
	},
	{
		Name: "secure_scheme_headers", Section: sectionServer, Kind: KindMap,
		Default: map[string]string{
			"X-FORWARDED-PROTOCOL": "ssl",
			"X-FORWARDED-PROTO":    "https",
			"X-FORWARDED-SSL":      "on",
		},
		Doc: "Header fields, upper case, and the value by which a trusted proxy says that the client used HTTPS.",
	},
	{
		Name: "forwarded_allow_ips", Section: sectionServer,
		Flags: []string{"--forwarded-allow-ips"}, Metavar: "STRING", Env: []string{"FORWARDED_ALLOW_IPS"}, Kind: KindNetworks,
		Default: []string{"127.0.0.1", "::1"},
		Doc:     "The proxies whose `secure_scheme_headers` and `forwarder_headers` are trusted. `*` trusts everybody.",
	},
	{
		Name: "pythonpath", Section: sectionServer,
		Flags: []string{"--pythonpath"}, Metavar: "STRING", Kind: KindString,
		Doc: "Directories, separated by commas, to put in front of Python's module path.",
	},
	{
		Name: "proxy_protocol", Section: sectionServer,
		Flags: []string{"--proxy-protocol"}, Metavar: "MODE", Bare: "auto", Kind: KindProxyProtocol, Default: "off",
		Doc: "Expect a PROXY protocol header at the start of each connection, and take the address of the client from it. " +
			"The versions are `v1`, which is text, and `v2`, which is binary; `auto` takes both.",
	},
	{
		Name: "proxy_allow_ips", Section: sectionServer,
		Flags: []string{"--proxy-allow-from"}, Metavar: "STRING", Kind: KindNetworks, Default: []string{"127.0.0.1", "::1"},
		Doc: "The proxies that may send PROXY protocol headers. `*` means everybody.",
	},
	{
		Name: "permit_obsolete_folding", Section: sectionServer,
		Flags: []string{"--permit-obsolete-folding"}, Kind: KindBool, Default: false,
		Doc: "Accept header fields folded over several lines.",
	},
	{
		Name: "strip_header_spaces", Section: sectionServer,
		Flags: []string{"--strip-header-spaces"}, Kind: KindBool, Default: false,
		Doc: "Accept spaces between the name of a header field and its colon.",
	},
	{
		Name: "permit_unconventional_http_method", Section: sectionServer,
		Flags: []string{"--permit-unconventional-http-method"}, Kind: KindBool, Default: false,
		Doc: "Accept methods that are lower case, contain `#`, or are shorter than 3 or longer than 20 characters.",
	},
	{
		Name: "permit_unconventional_http_version", Section: sectionServer,
		Flags: []string{"--permit-unconventional-http-version"}, Kind: KindBool, Default: false,
		Doc: "Accept HTTP versions other than 1.0 and 1.1.",
	},
	{
		Name: "casefold_http_method", Section: sectionServer,
		Flags: []string{"--casefold-http-method"}, Kind: KindBool, Default: false,
		Doc: "Change the method of a request to upper case.",
	},
	{
		Name: "forwarder_headers", Section: sectionServer,
		Flags: []string{"--forwarder-headers"}, Metavar: "STRING", Kind: KindCommaList,
		Default: []string{"SCRIPT_NAME", "PATH_INFO"},
		Doc:     "Header fields with an underscore, upper case, that a trusted proxy may use. `*` means all.",
	},
	{
		Name: "header_map", Section: sectionServer,
		Flags: []string{"--header-map"}, Metavar: "STRING", Kind: KindHeaderMap, Default: "drop",
		Doc: "What to do with other header fields that have an underscore in their name: `drop` them, `refuse` the request, or pass them on, which is `dangerous`.",
	},
	{
		Name: "accesslog", Section: sectionLogging,
		Flags: []string{"--access-logfile"}, Metavar: "FILE", Kind: KindString,
		Doc: "The access log; `-` is standard output. None by default.",
	},
	{
		Name: "access_log_format", Section: sectionLogging,
		Flags: []string{"--access-logformat"}, Metavar: "STRING", Kind: KindString, Default: defaultAccessLogFormat,
		Doc: "The format of the lines of the access log.",
	},
	{
		Name: "errorlog", Section: sectionLogging,
		Flags: []string{"--error-logfile", "--log-file"}, Metavar: "FILE", Kind: KindString, Default: "-",
		Doc: "The error log; `-` is standard error.",
	},
	{
		Name: "loglevel", Section: sectionLogging,
		Flags: []string{"--log-level"}, Metavar: "LEVEL", Kind: KindString, Default: "info",
		Doc:  "The least level to log: `debug`, `info`, `warning`, `error` or `critical`.",
		Note: "Another word means `info`, as in Gunicorn, but gives a warning.",
	},
	{
		Name: "proc_name", Section: sectionNaming,
		Flags: []string{"-n", "--name"}, Metavar: "STRING", Kind: KindString, DefaultText: "that of `default_proc_name`",
		Doc: "The name that `ps` shows in brackets.",
	},
	{
		Name: "default_proc_name", Section: sectionNaming, Kind: KindString, DefaultText: "the app",
		Doc: "The same, of lower rank than `proc_name`.",
	},
}

var hooks = []Setting{
	hook("on_starting", "server", "Called in the beginning, before the sockets are opened."),
	hook("on_reload", "server", "Called on HUP, before the new workers are forked."),
	hook("when_ready", "server", "Called when the sockets listen, before the first worker is forked."),
	hook("pre_fork", "server, worker", "Called before a worker is forked."),
	hook("post_fork", "server, worker", "Called in a worker that has just been forked, with the rights of the master."),
	hook("post_worker_init", "worker", "Called in a worker that has loaded the app."),
	hook("worker_int", "worker", "Called in a worker that got INT or QUIT."),
	hook("worker_abort", "worker", "Called in a worker that got ABRT, which is how a timeout ends it."),
	hook("pre_exec", "server", "Called before the master of an upgrade is started."),
	hook("pre_request", "worker, req", "Called before a request is given to the app."),
	hook("post_request", "worker, req, environ, resp", "Called after a request. It may take 2, 3 or 4 parameters."),
	hook("child_exit", "server, worker", "Called after a worker has ended, in its parent."),
	hook("worker_exit", "server, worker", "Called in a worker that is about to end."),
	hook("nworkers_changed", "server, new_value, old_value", "Called when the number of workers that should run changes. The first time `old_value` is None."),
	hook("on_exit", "server", "Called last, before the master ends."),
}

func hook(name, args, doc string) Setting {
	return Setting{Name: name, Section: sectionHooks, Kind: KindHook, Args: args, Doc: doc}
}
