package settings

var serverSettings = []Setting{
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
		Name: "reuse_port", Section: sectionServer,
		Flags: []string{"--reuse-port"}, Kind: KindBool, Default: false,
		Effect: Missing, Why: "connections are accepted in one place, so there is nothing to spread over workers; " +
			"a second server on the same port is refused",
		Doc: "Let the kernel spread connections over several sockets on the same port (SO_REUSEPORT).",
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
		Flags: []string{"-e", "--env"}, Metavar: "ENV", Kind: KindPairs, Default: []string(nil),
		Doc: "Set a variable in the environment of the app: `KEY=VALUE`. May be given several times.",
	},
	{
		Name: "pidfile", Section: sectionServer,
		Flags: []string{"-p", "--pid"}, Metavar: "FILE", Kind: KindString,
		Doc: "Write the process id of the master to this file.",
	},
	{
		Name: "worker_tmp_dir", Section: sectionServer,
		Flags: []string{"--worker-tmp-dir"}, Metavar: "DIR", Kind: KindString,
		Effect: Needless, Why: "the heartbeat of a worker is in shared memory and needs no file",
		Doc: "Where workers put the files of their heartbeat.",
	},
	{
		Name: "user", Section: sectionServer,
		Flags: []string{"-u", "--user"}, Metavar: "USER", Kind: KindUser, DefaultText: "the user that started it",
		Doc:  "Run the workers as this user.",
		Note: "The master keeps its own user; the front has `front_user`.",
	},
	{
		Name: "group", Section: sectionServer,
		Flags: []string{"-g", "--group"}, Metavar: "GROUP", Kind: KindGroup, DefaultText: "the group that started it",
		Doc: "Run the workers as this group.",
	},
	{
		Name: "front_user", Section: sectionServer, Added: true,
		Flags: []string{"--front-user"}, Metavar: "USER", Kind: KindUser, DefaultText: "`indrik` if there is such a user, else `user`",
		Doc: "Run the front, which talks to clients, as this user. Only a server that is started as root can. " +
			"With another user than that of the workers nothing that runs in a worker can stop it, trace it, or read the TLS keys in its memory: see security.md.",
	},
	{
		Name: "front_group", Section: sectionServer, Added: true,
		Flags: []string{"--front-group"}, Metavar: "GROUP", Kind: KindGroup, DefaultText: "the group of `front_user`",
		Doc: "Run the front as this group.",
	},
	{
		Name: "umask", Section: sectionServer,
		Flags: []string{"-m", "--umask"}, Metavar: "INT", Kind: KindMode, Default: 0,
		Doc: "The file mode mask of unix sockets: `007` keeps others out.",
	},
	{
		Name: "initgroups", Section: sectionServer,
		Flags: []string{"--initgroups"}, Kind: KindBool, Default: false,
		Doc:  "Give the workers all the groups that `user` is a member of.",
		Note: "Without it, workers that get another user have the one group; Gunicorn's keep those of root.",
	},
	{
		Name: "worker_no_new_privs", Section: sectionServer, Added: true,
		Flags: []string{"--worker-no-new-privs"}, Kind: KindBool, DefaultText: "on if the workers get another user than the one that started the server",
		Doc: "Nothing that a worker starts gets more rights than the worker has: programs such as `sudo`, which are set-user-ID, set-group-ID or have capabilities, run without these (Linux, PR_SET_NO_NEW_PRIVS). " +
			"In a config file `False` turns it off.",
	},
	{
		Name: "tmp_upload_dir", Section: sectionServer, Metavar: "DIR", Kind: KindString, DefaultText: "$TMPDIR or /tmp",
		Doc:  "The directory for request bodies that are too large for memory. The files have no name and are gone when the request is.",
		Note: "Gunicorn has the setting but does not use it.",
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
		Doc: "The proxies whose `secure_scheme_headers`, `forwarder_headers` and `X-Forwarded-For` are trusted. `*` trusts everybody. " +
			"A client that connects by a unix socket is always trusted.",
	},
	{
		Name: "forwarded_for", Section: sectionServer, Added: true,
		Flags: []string{"--forwarded-for"}, Metavar: "STRING", Kind: KindChoice, Default: "asgi",
		Choices: []string{"asgi", "all", "none"}, BadChoice: "forwarded_for must be one of: asgi, all, none",
		Doc: "What gets the address of the client from the field `X-Forwarded-For` of a trusted proxy, which is the rightmost address there that is not trusted itself: " +
			"`asgi`: `client` in the scope of ASGI; `all`: `REMOTE_ADDR` and `%(h)s` of the access log too; `none`: nobody.",
	},
	{
		Name: "pythonpath", Section: sectionServer,
		Flags: []string{"--pythonpath"}, Metavar: "STRING", Kind: KindString,
		Doc: "Directories, separated by commas, to put in front of Python's module path.",
	},
	{
		Name: "paste", Section: sectionServer,
		Flags: []string{"--paste", "--paster"}, Metavar: "STRING", Kind: KindString,
		Doc:  "Load the app from a PasteDeploy file: `FILE` or `FILE#SECTION`. The environment of the app needs the package PasteDeploy.",
		Note: "A `[loggers]` section of the file is its `logconfig`, unless another one is set. Server sections are not read, as with `gunicorn --paste`.",
	},
	{
		Name: "raw_paste_global_conf", Section: sectionServer,
		Flags: []string{"--paste-global"}, Metavar: "CONF", Kind: KindStrings, Default: []string(nil),
		Doc: "Set a global variable of the PasteDeploy file: `KEY=VALUE`. May be given several times.",
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
		Name: "protocol", Section: sectionServer,
		Flags: []string{"--protocol"}, Metavar: "STRING", Kind: KindChoice, Default: "http",
		Choices: []string{"http", "uwsgi", "fastcgi", "scgi"}, BadChoice: "protocol must be one of: http, uwsgi, fastcgi, scgi",
		Doc: "The protocol that web servers use to pass requests on: `http`, `uwsgi`, `fastcgi` or `scgi`. " +
			"It is that of every address of `bind` that does not name one itself, as `uwsgi://127.0.0.1:3031` or " +
			"`fastcgi://unix:/run/app.sock` do.",
		Note: "`fastcgi`, `scgi`, and an address with a protocol of its own are Indrik's. Another word is an error; " +
			"Gunicorn takes it for `http`.",
	},
	{
		Name: "uwsgi_allow_ips", Section: sectionServer,
		Flags: []string{"--uwsgi-allow-from"}, Metavar: "STRING", Kind: KindNetworks, Default: []string{"127.0.0.1", "::1"},
		Doc: "The web servers that may use `uwsgi`, `fastcgi` and `scgi`: they say who the client is. `*` means " +
			"everybody. Unix sockets are open to those who may connect to them.",
		Note: "Networks such as `10.0.0.0/8` count; Gunicorn compares the text.",
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
		Name: "permit_missing_host", Section: sectionServer, Added: true,
		Flags: []string{"--permit-missing-host"}, Kind: KindBool, Default: false,
		Doc: "Accept requests of HTTP/1.1 without a Host field. Those of HTTP/1.0, and of HTTP/2 without `:authority`, may lack it anyway.",
	},
	{
		Name: "permit_non_ascii_target", Section: sectionServer, Added: true,
		Flags: []string{"--permit-non-ascii-target"}, Kind: KindBool, Default: false,
		Doc: "Accept bytes from 0x80 on in the path and the query of a request, which are to be percent-encoded. The app gets them unchanged.",
	},
	{
		Name: "forwarder_headers", Section: sectionServer,
		Flags: []string{"--forwarder-headers"}, Metavar: "STRING", Kind: KindCommaList,
		Default: []string{"SCRIPT_NAME", "PATH_INFO"},
		Doc:     "Header fields with an underscore, upper case, that a trusted proxy may use. `*` means all.",
	},
	{
		Name: "header_map", Section: sectionServer,
		Flags: []string{"--header-map"}, Metavar: "STRING", Kind: KindChoice, Default: "drop",
		Choices: []string{"drop", "refuse", "dangerous"}, BadChoice: "Invalid header map behaviour: %s",
		Doc: "What to do with other header fields that have an underscore in their name: `drop` them, `refuse` the request, or pass them on, which is `dangerous`.",
	},
	{
		Name: "server_header", Section: sectionServer, Added: true,
		Flags: []string{"--server-header"}, Metavar: "TEXT", Kind: KindString, Default: "indrik",
		Doc: "The field `Server` of responses; `off` leaves it out, and lets one that the app sets through.",
	},
	{
		Name: "health_path", Section: sectionServer, Added: true,
		Flags: []string{"--health-path"}, Metavar: "PATH", Kind: KindString, Default: "",
		Doc: "A path such as `/-/health`, below which the server itself answers `/livez`, `/readyz` and `/startupz`, on every address: " +
			"200 or 503, with the reason as JSON. The app does not see these requests. Empty: there is none.",
	},
	{
		Name: "request_id_header", Section: sectionServer, Added: true,
		Flags: []string{"--request-id-header"}, Metavar: "NAME", Kind: KindString, Default: "",
		Doc: "Give each request an id, and name the field of its head that has it, such as `X-Request-Id`: one that a peer in `forwarded_allow_ips` sends, otherwise a new one. " +
			"The app finds it in the request, the client in the response; both logs have it. See [observe.md](observe.md#request-ids). Empty: requests have no ids.",
	},
	{
		Name: "server_timing", Section: sectionServer, Added: true,
		Flags: []string{"--server-timing"}, Kind: KindBool, Default: false,
		Doc: "Tell clients, in a field `Server-Timing` of each response, how long the request has waited and run; browsers show it. Every client can read it. " +
			"See [observe.md](observe.md#timing).",
	},
	{
		Name: "root_path", Section: sectionServer,
		Flags: []string{"--root-path"}, Metavar: "STRING", Kind: KindString, Default: "",
		Doc:  "The `root_path` of ASGI apps: where the app is mounted, such as `/api`. It is prepended to a `path` that does not begin with it.",
		Note: "In Gunicorn it changes only `root_path`.",
	},
}
