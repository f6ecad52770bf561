package settings

var fileSettings = []Setting{
	{
		Name: "config", Section: sectionFile,
		Flags: []string{"-c", "--config"}, Metavar: "CONFIG", Kind: KindString,
		DefaultText: "./indrik.conf.py, ./gunicorn.conf.py or ./pyproject.toml",
		Doc:         "The config file. `PATH` or `file:PATH` is a file of Python, or a pyproject.toml; `python:MODULE` is a module to import.",
		Note:        "`indrik.conf.py` takes precedence over `gunicorn.conf.py`, and that over `[tool.indrik]` in pyproject.toml. A name in the file that is not a setting gives a warning.",
	},
	{
		Name: "wsgi_app", Section: sectionFile, Kind: KindString,
		Doc: "The app to run when the command line names none: `module.path:variable` or `module.path:factory(arguments)`.",
	},
}

var socketSettings = []Setting{
	{
		Name: "bind", Section: sectionSocket,
		Flags: []string{"-b", "--bind"}, Metavar: "ADDRESS", Env: []string{"PORT"}, Kind: KindAddresses,
		Default: []string{"127.0.0.1:8000"},
		Doc: "The address to listen on. May be given several times. The forms are `HOST`, `HOST:PORT`, `[IPV6]:PORT`, " +
			"`unix:PATH` and `fd://N`. With `PORT` in the environment the default is `0.0.0.0:$PORT`.",
	},
	{
		Name: "backlog", Section: sectionSocket,
		Flags: []string{"--backlog"}, Metavar: "INT", Kind: KindInt, Default: 2048,
		Doc: "How many connections may wait to be accepted.",
	},
}

var workerSettings = []Setting{
	{
		Name: "workers", Section: sectionWorkers,
		Flags: []string{"-w", "--workers"}, Metavar: "INT", Env: []string{"WEB_CONCURRENCY"}, Kind: KindCount, Default: 1,
		Doc: "The number of worker processes; `auto` is as many as suit the machine: by the CPU quota, the affinity and the memory limit of the server. The log of the start says how the number was found. " +
			"A range such as `2..16` leaves the number to the load, within its ends and what the processors and the memory are good for; with `0..8` an idle server has no workers until a request comes. [selfcare.md](selfcare.md#as-many-as-needed) says how.",
		Note: "`auto`, and ranges. A `WEB_CONCURRENCY` that is not a number gives an error that names it.",
	},
	{
		Name: "scale_down_delay", Section: sectionWorkers, Added: true,
		Flags: []string{"--scale-down-delay"}, Metavar: "SECONDS", Kind: KindSeconds, Default: 60.0,
		Doc: "For how many seconds fewer workers must have been enough before some leave, where `workers` is a range; with `0..MAX` also for how long there must have been no request before the last one leaves. At least 1.",
	},
	{
		Name: "worker_class", Section: sectionWorkers,
		Flags: []string{"-k", "--worker-class"}, Metavar: "STRING", Kind: KindClass, Default: "sync",
		Doc: "The kind of worker: `sync`, `gthread`, `gevent`, `asgi` or `tornado`; [workers.md](workers.md) says which one is for which app. `sync` with more than one thread is `gthread`. " +
			"Without this setting an ASGI app is recognized, and served by `asgi`.",
		Note: "Kinds are built in. Gunicorn's own classes, and their names, mean the built-in kinds; those of Uvicorn's workers mean `asgi`. A class that derives from one of these means its kind, see worker-classes.md.",
	},
	{
		Name: "threads", Section: sectionWorkers,
		Flags: []string{"--threads"}, Metavar: "INT", Kind: KindInt, Default: 1,
		Doc: "The number of requests that one worker runs at the same time, each in a thread.",
	},
	{
		Name: "worker_connections", Section: sectionWorkers,
		Flags: []string{"--worker-connections"}, Metavar: "INT", Kind: KindInt, Default: 1000,
		Doc: "How many requests one worker of kind `gevent`, `asgi` or `tornado` may run at the same time; 0 means no limit. Others wait, see `queue_limit`. " +
			"A request that waits for its client, to send more of its body or to take more of its response, does not count, and neither does an open WebSocket connection.",
		Note: "It is a limit, Gunicorn's ASGI worker has none. `limit_connections` limits the clients of the whole server.",
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
		Doc: "Add a random number up to this one to `max_requests`, another one for each worker, so that they are not all replaced at once.",
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
		Name: "drain_delay", Section: sectionWorkers, Added: true,
		Flags: []string{"--drain-delay"}, Metavar: "INT", Kind: KindInt, Default: 0, DefaultText: "0; 5 in a pod of Kubernetes",
		Doc: "How many seconds the server goes on accepting connections after TERM, while each answer says `Connection: close`, before it drains. " +
			"That is for load balancers and proxies that learn of the end later than the server itself; a second TERM ends the delay. " +
			"It does not apply if another master serves the same sockets.",
	},
	{
		Name: "keepalive", Section: sectionWorkers,
		Flags: []string{"--keep-alive"}, Metavar: "INT", Kind: KindInt, Default: 75,
		Doc:  "How many seconds an idle connection is kept for the next request; 0 closes it after each response.",
		Note: "The default is 75, Gunicorn's is 2: here an idle client holds no worker. It works with every kind of worker, `sync` too.",
	},
	{
		Name: "speed", Section: sectionWorkers, Added: true,
		Flags: []string{"--speed"}, Metavar: "STRING", Kind: KindChoice, Default: "auto",
		Choices: []string{"auto", "on", "off"}, BadChoice: "speed must be one of: auto, on, off",
		Doc: "Whether workers use the compiled code of the package [indrik-speed](performance.md#indrik-speed): `auto` where it is installed, `off` never; " +
			"with `on` a worker does not start without it.",
		Note: "Workers of the kind `gevent`, and those with the hooks `pre_request` or `post_request`, do not use it.",
	},
	{
		Name: "asgi_loop", Section: sectionWorkers,
		Flags: []string{"--asgi-loop"}, Metavar: "STRING", Kind: KindChoice, Default: "auto",
		Choices: []string{"auto", "asyncio", "uvloop"}, BadChoice: "Invalid ASGI loop: %s",
		Doc: "The event loop of ASGI workers: `asyncio`, `uvloop`, or `auto`, which is uvloop where it is installed.",
	},
	{
		Name: "asgi_lifespan", Section: sectionWorkers,
		Flags: []string{"--asgi-lifespan"}, Metavar: "STRING", Kind: KindChoice, Default: "auto",
		Choices: []string{"auto", "on", "off"}, BadChoice: "Invalid ASGI lifespan: %s",
		Doc:  "Whether an ASGI app is told of the start and the end of its worker: `on`, `off`, or `auto`, where an app that does not know that protocol is served all the same.",
		Note: "An app that reports that it cannot start does not start, with `auto` too.",
	},
	{
		Name: "asgi_disconnect_grace_period", Section: sectionWorkers,
		Flags: []string{"--asgi-disconnect-grace-period"}, Metavar: "INT", Kind: KindInt, DefaultText: "`None`",
		Doc:  "How many seconds after its client has gone the task of an ASGI request is cancelled; 0 cancels it at once, `None` never: then the task finishes what it has begun. The log says which tasks are cancelled, at level info.",
		Note: "The default is `None`, Gunicorn's is 3: a client that leaves must not undo what the app is doing for it. uvicorn and Hypercorn do not cancel either.",
	},
	{
		Name: "asgi_send_after_disconnect", Section: sectionWorkers, Added: true,
		Flags: []string{"--asgi-send-after-disconnect"}, Metavar: "STRING", Kind: KindChoice, Default: "ignore",
		Choices: []string{"ignore", "raise"}, BadChoice: "asgi_send_after_disconnect must be one of: ignore, raise",
		Doc: "What `send()` does in an ASGI app when the client of a request has gone: `ignore` it, as spec_version 2.3 of the scope says and uvicorn does, " +
			"or `raise` an OSError, as the specification wants it from 2.4 on, which is the spec_version then.",
	},
	{
		Name: "asgi_extensions", Section: sectionWorkers, Added: true,
		Flags: []string{"--asgi-extensions"}, Metavar: "STRING", Kind: KindCommaList, Default: []string(nil),
		Choices: extensionNames,
		Doc: "Extensions of ASGI that are offered to the app: `pathsend`, `zerocopysend`, `early_hint`, `trailers`, or `all` of them. " +
			"Each is another kind of message, which all middleware around the app has to know. Over HTTP/2 `early_hint` and `trailers` are always offered, as uvicorn does.",
	},
	{
		Name: "worker_affinity", Section: sectionWorkers, Added: true,
		Flags: []string{"--worker-affinity"}, Metavar: "STRING", Kind: KindChoice, Default: "none",
		Choices: []string{"none", "connection", "cookie", "address"}, BadChoice: "worker_affinity must be one of: none, connection, cookie, address",
		Doc: "What stays with a worker of kind `asgi`, `gevent` or `tornado` while that worker lives (sticky sessions), for apps that keep sessions in memory: " +
			"the requests of a `connection`, those with the same `cookie`, which the server sets, or those from the same `address`. " +
			"[workers.md](workers.md#staying-with-a-worker) says which app needs it.",
	},
	{
		Name: "http_parser", Section: sectionWorkers,
		Flags: []string{"--http-parser"}, Metavar: "STRING", Kind: KindChoice, Default: "auto",
		Choices: []string{"auto", "fast", "python"}, BadChoice: "http_parser must be one of: auto, fast, python",
		Effect: Needless, Why: "there is one parser, which is built in",
		Doc: "The parser of HTTP requests: `auto`, `fast` or `python`.",
	},
	{
		Name: "websocket_max_message_size", Section: sectionWorkers,
		Flags: []string{"--websocket-max-message-size"}, Metavar: "INT", Kind: KindInt, Default: 16 << 20,
		Doc: "The largest WebSocket message that a client may send, in bytes, after decompression; 0 means no limit. A larger one closes the connection with code 1009.",
	},
	{
		Name: "websocket_ping_interval", Section: sectionWorkers, Added: true,
		Flags: []string{"--websocket-ping-interval"}, Metavar: "SECONDS", Kind: KindInt, Default: 20,
		Doc: "After how many seconds a WebSocket client is sent a ping, again and again; 0 means never.",
	},
	{
		Name: "websocket_ping_timeout", Section: sectionWorkers, Added: true,
		Flags: []string{"--websocket-ping-timeout"}, Metavar: "SECONDS", Kind: KindInt, Default: 20,
		Doc: "How long a WebSocket client may be silent after a ping before its connection is closed, with code 1011; 0 means no limit.",
	},
	{
		Name: "websocket_compression", Section: sectionWorkers, Added: true,
		Flags: []string{"--no-websocket-compression"}, Kind: KindBool, Default: true, Off: true,
		Doc: "Whether WebSocket messages are compressed (permessage-deflate) for clients that offer it.",
	},
	{
		Name: "websocket_drain_max", Section: sectionWorkers, Added: true,
		Flags: []string{"--websocket-drain-max"}, Metavar: "SECONDS", Kind: KindInt, Default: 10,
		Doc: "For how many seconds WebSocket connections may stay with a worker that is being replaced, for example by a reload. " +
			"They are closed with code 1012, service restart, in the last `websocket_drain_window` seconds of that.",
	},
	{
		Name: "websocket_drain_window", Section: sectionWorkers, Added: true,
		Flags: []string{"--websocket-drain-window"}, Metavar: "SECONDS", Kind: KindInt, Default: 10,
		Doc: "Over how many seconds the WebSocket connections of a worker are closed when it is replaced or the server ends, " +
			"so that their clients do not all come back at once. At the end of the server it is at most half of `graceful_timeout`, " +
			"and where no other master follows on the same sockets 2 ms for each connection, at most 3 s.",
	},
	{
		Name: "queue_limit", Section: sectionWorkers, Added: true,
		Flags: []string{"--queue-limit"}, Metavar: "INT", Kind: KindInt, Default: 2048,
		Doc: "How many requests may wait for a worker; 0 means no limit. The client of a further request gets a 503 with Retry-After at once.",
	},
	{
		Name: "queue_timeout", Section: sectionWorkers, Added: true,
		Flags: []string{"--queue-timeout"}, Metavar: "SECONDS", Kind: KindInt, Default: 30,
		Doc: "How long a request may wait for a worker; 0 means no limit. Then its client gets a 503 with Retry-After.",
	},
}
