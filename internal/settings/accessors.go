// Code generated from the table of settings by go generate ./internal/settings; DO NOT EDIT.

package settings

// Config returns the setting config.
//
// The config file.
func (c *Config) Config() string { return value[string](c, "config") }

// WSGIApp returns the setting wsgi_app.
//
// The app to run when the command line names none: module.path:variable or
// module.path:factory(arguments).
func (c *Config) WSGIApp() string { return value[string](c, "wsgi_app") }

// Bind returns the setting bind.
//
// The address to listen on.
func (c *Config) Bind() []string { return value[[]string](c, "bind") }

// Backlog returns the setting backlog.
//
// How many connections may wait to be accepted.
func (c *Config) Backlog() int { return value[int](c, "backlog") }

// Workers returns the setting workers.
//
// The number of worker processes; auto is as many as suit the machine: by the CPU quota, the
// affinity and the memory limit of the server.
func (c *Config) Workers() int { return value[int](c, "workers") }

// ScaleDownDelay returns the setting scale_down_delay.
//
// For how many seconds fewer workers must have been enough before some leave, where workers
// is a range; with 0..MAX also for how long there must have been no request before the last
// one leaves.
func (c *Config) ScaleDownDelay() float64 { return value[float64](c, "scale_down_delay") }

// WorkerClass returns the setting worker_class.
//
// The kind of worker: sync, gthread, gevent, asgi or tornado; workers.md says which one is
// for which app.
func (c *Config) WorkerClass() string { return value[string](c, "worker_class") }

// Threads returns the setting threads.
//
// The number of requests that one worker runs at the same time, each in a thread.
func (c *Config) Threads() int { return value[int](c, "threads") }

// WorkerConnections returns the setting worker_connections.
//
// How many requests one worker of kind gevent, asgi or tornado may run at the same time; 0
// means no limit.
func (c *Config) WorkerConnections() int { return value[int](c, "worker_connections") }

// MaxRequests returns the setting max_requests.
//
// Replace a worker after this many requests; 0 means never.
func (c *Config) MaxRequests() int { return value[int](c, "max_requests") }

// MaxRequestsJitter returns the setting max_requests_jitter.
//
// Add a random number up to this one to max_requests, another one for each worker, so that
// they are not all replaced at once.
func (c *Config) MaxRequestsJitter() int { return value[int](c, "max_requests_jitter") }

// Timeout returns the setting timeout.
//
// End a worker whose request has run for more than this many seconds; 0 means never.
func (c *Config) Timeout() int { return value[int](c, "timeout") }

// GracefulTimeout returns the setting graceful_timeout.
//
// How many seconds the requests in flight have to finish when their worker is told to end.
func (c *Config) GracefulTimeout() int { return value[int](c, "graceful_timeout") }

// DrainDelay returns the setting drain_delay.
//
// How many seconds the server goes on accepting connections after TERM, while each answer
// says Connection: close, before it drains.
func (c *Config) DrainDelay() int { return value[int](c, "drain_delay") }

// Keepalive returns the setting keepalive.
//
// How many seconds an idle connection is kept for the next request; 0 closes it after each
// response.
func (c *Config) Keepalive() int { return value[int](c, "keepalive") }

// Speed returns the setting speed.
//
// Whether workers use the compiled code of the package indrik-speed: auto where it is
// installed, off never; with on a worker does not start without it.
func (c *Config) Speed() string { return value[string](c, "speed") }

// ASGILoop returns the setting asgi_loop.
//
// The event loop of ASGI workers: asyncio, uvloop, or auto, which is uvloop where it is
// installed.
func (c *Config) ASGILoop() string { return value[string](c, "asgi_loop") }

// ASGILifespan returns the setting asgi_lifespan.
//
// Whether an ASGI app is told of the start and the end of its worker: on, off, or auto,
// where an app that does not know that protocol is served all the same.
func (c *Config) ASGILifespan() string { return value[string](c, "asgi_lifespan") }

// ASGIDisconnectGracePeriod returns the setting asgi_disconnect_grace_period.
//
// How many seconds after its client has gone the task of an ASGI request is cancelled; 0
// cancels it at once, None never: then the task finishes what it has begun.
func (c *Config) ASGIDisconnectGracePeriod() int {
	return value[int](c, "asgi_disconnect_grace_period")
}

// ASGISendAfterDisconnect returns the setting asgi_send_after_disconnect.
//
// What send() does in an ASGI app when the client of a request has gone: ignore it, as
// spec_version 2.3 of the scope says and uvicorn does, or raise an OSError, as the
// specification wants it from 2.4 on, which is the spec_version then.
func (c *Config) ASGISendAfterDisconnect() string {
	return value[string](c, "asgi_send_after_disconnect")
}

// ASGIExtensions returns the setting asgi_extensions.
//
// Extensions of ASGI that are offered to the app: pathsend, zerocopysend, early_hint,
// trailers, or all of them.
func (c *Config) ASGIExtensions() []string { return value[[]string](c, "asgi_extensions") }

// WorkerAffinity returns the setting worker_affinity.
//
// What stays with a worker of kind asgi, gevent or tornado while that worker lives (sticky
// sessions), for apps that keep sessions in memory: the requests of a connection, those with
// the same cookie, which the server sets, or those from the same address.
func (c *Config) WorkerAffinity() string { return value[string](c, "worker_affinity") }

// HTTPParser returns the setting http_parser.
//
// The parser of HTTP requests: auto, fast or python.
func (c *Config) HTTPParser() string { return value[string](c, "http_parser") }

// WebSocketMaxMessageSize returns the setting websocket_max_message_size.
//
// The largest WebSocket message that a client may send, in bytes, after decompression; 0
// means no limit.
func (c *Config) WebSocketMaxMessageSize() int { return value[int](c, "websocket_max_message_size") }

// WebSocketPingInterval returns the setting websocket_ping_interval.
//
// After how many seconds a WebSocket client is sent a ping, again and again; 0 means never.
func (c *Config) WebSocketPingInterval() int { return value[int](c, "websocket_ping_interval") }

// WebSocketPingTimeout returns the setting websocket_ping_timeout.
//
// How long a WebSocket client may be silent after a ping before its connection is closed,
// with code 1011; 0 means no limit.
func (c *Config) WebSocketPingTimeout() int { return value[int](c, "websocket_ping_timeout") }

// WebSocketCompression returns the setting websocket_compression.
//
// Whether WebSocket messages are compressed (permessage-deflate) for clients that offer it.
func (c *Config) WebSocketCompression() bool { return value[bool](c, "websocket_compression") }

// WebSocketDrainMax returns the setting websocket_drain_max.
//
// For how many seconds WebSocket connections may stay with a worker that is being replaced,
// for example by a reload.
func (c *Config) WebSocketDrainMax() int { return value[int](c, "websocket_drain_max") }

// WebSocketDrainWindow returns the setting websocket_drain_window.
//
// Over how many seconds the WebSocket connections of a worker are closed when it is replaced
// or the server ends, so that their clients do not all come back at once.
func (c *Config) WebSocketDrainWindow() int { return value[int](c, "websocket_drain_window") }

// QueueLimit returns the setting queue_limit.
//
// How many requests may wait for a worker; 0 means no limit.
func (c *Config) QueueLimit() int { return value[int](c, "queue_limit") }

// QueueTimeout returns the setting queue_timeout.
//
// How long a request may wait for a worker; 0 means no limit.
func (c *Config) QueueTimeout() int { return value[int](c, "queue_timeout") }

// MaxWorkerMemory returns the setting max_worker_memory.
//
// Replace a worker that takes as much memory, in bytes (512M, 2G) or as a share of the limit
// of the control group or else of the machine's memory (25%); 0 means never.
func (c *Config) MaxWorkerMemory() string { return value[string](c, "max_worker_memory") }

// MaxWorkerMemoryHard returns the setting max_worker_memory_hard.
//
// Kill a worker that takes as much memory, at once; 0 means never.
func (c *Config) MaxWorkerMemoryHard() string { return value[string](c, "max_worker_memory_hard") }

// WorkerMemoryMeasure returns the setting worker_memory_measure.
//
// What the memory of a worker is: rss is all that is resident, pss counts what the worker
// shares with other processes in part, as with preload_app.
func (c *Config) WorkerMemoryMeasure() string { return value[string](c, "worker_memory_measure") }

// MaxWorkerAge returns the setting max_worker_age.
//
// Replace a worker this many seconds after it became ready; 0 means never.
func (c *Config) MaxWorkerAge() int { return value[int](c, "max_worker_age") }

// MaxWorkerAgeJitter returns the setting max_worker_age_jitter.
//
// Add a random number of seconds up to this one to max_worker_age, another one for each
// worker, so that they do not all become old at once.
func (c *Config) MaxWorkerAgeJitter() int { return value[int](c, "max_worker_age_jitter") }

// MaxMemoryUse returns the setting max_memory_use.
//
// Replace the worker that takes most memory when this percentage of the control group's
// limit, or else of the machine's memory, is in use; 0 means never.
func (c *Config) MaxMemoryUse() int { return value[int](c, "max_memory_use") }

// MaxMemoryPressure returns the setting max_memory_pressure.
//
// Replace the worker that takes most memory when processes have waited for memory for this
// percentage of the last ten seconds (Linux, PSI: some avg10 of the control group, or else
// of the machine); 0 means never.
func (c *Config) MaxMemoryPressure() int { return value[int](c, "max_memory_pressure") }

// RecycleBudget returns the setting recycle_budget.
//
// How many workers may be on their way out at a time, for whatever reason, max_requests
// included: a number, or a share of the workers (25%, at least one).
func (c *Config) RecycleBudget() string { return value[string](c, "recycle_budget") }

// Canary returns the setting canary.
//
// Try new workers on a share of the requests after HUP, or of the connections after USR2,
// before they take over, such as 5% for 60s.
func (c *Config) Canary() string { return value[string](c, "canary") }

// Quarantine returns the setting quarantine.
//
// Answer with 503, for a while, what workers die of again and again: request is the requests
// of one client to one path, client all of a client, path all to a path.
func (c *Config) Quarantine() []string { return value[[]string](c, "quarantine") }

// QuarantineDeaths returns the setting quarantine_deaths.
//
// After how many deaths of workers, within quarantine_window, a quarantine begins.
func (c *Config) QuarantineDeaths() int { return value[int](c, "quarantine_deaths") }

// QuarantineWindow returns the setting quarantine_window.
//
// For how many seconds a death of a worker counts against what it ran.
func (c *Config) QuarantineWindow() int { return value[int](c, "quarantine_window") }

// QuarantineTime returns the setting quarantine_time.
//
// How many seconds a quarantine lasts.
func (c *Config) QuarantineTime() int { return value[int](c, "quarantine_time") }

// ReforkAfter returns the setting refork_after.
//
// Make a template of the first worker that has served so many requests, and have it fork all
// others anew, so that they share its memory; and again after ten times as many.
func (c *Config) ReforkAfter() int { return value[int](c, "refork_after") }

// Warmup returns the setting warmup.
//
// Paths, or URLs for the host and the scheme that the app is to see, that each new worker
// asks its own app for before it is ready.
func (c *Config) Warmup() []string { return value[[]string](c, "warmup") }

// WarmupTimeout returns the setting warmup_timeout.
//
// How many seconds the requests of warmup may take together, in each worker.
func (c *Config) WarmupTimeout() int { return value[int](c, "warmup_timeout") }

// SelfcareDryRun returns the setting selfcare_dry_run.
//
// Policies that only say what they would do: recycle, scale, canary, quarantine, refork, or
// all of them.
func (c *Config) SelfcareDryRun() []string { return value[[]string](c, "selfcare_dry_run") }

// LimitRequestLine returns the setting limit_request_line.
//
// The longest request line, in bytes.
func (c *Config) LimitRequestLine() int { return value[int](c, "limit_request_line") }

// LimitRequestFields returns the setting limit_request_fields.
//
// How many header fields a request may have.
func (c *Config) LimitRequestFields() int { return value[int](c, "limit_request_fields") }

// LimitRequestFieldSize returns the setting limit_request_field_size.
//
// The longest header field of a request, in bytes.
func (c *Config) LimitRequestFieldSize() int { return value[int](c, "limit_request_field_size") }

// LimitRequestHead returns the setting limit_request_head.
//
// The largest head of a request, all of its lines together; 0 means no limit except those of
// its parts.
func (c *Config) LimitRequestHead() int { return value[int](c, "limit_request_head") }

// LimitRequestBody returns the setting limit_request_body.
//
// The largest request body; 0 means no limit.
func (c *Config) LimitRequestBody() int { return value[int](c, "limit_request_body") }

// LimitConnections returns the setting limit_connections.
//
// How many client connections may be open at a time; 0 means as many as the limit of file
// descriptors has room for.
func (c *Config) LimitConnections() int { return value[int](c, "limit_connections") }

// LimitMemory returns the setting limit_memory.
//
// How much memory the front may hold for all clients together: heads, bodies, responses that
// they do not take, WebSocket messages; 0 means a quarter of what the control group or the
// machine has, at least 64 MiB.
func (c *Config) LimitMemory() int { return value[int](c, "limit_memory") }

// LimitClientMemory returns the setting limit_client_memory.
//
// How much of limit_memory one client address may hold; 0 means half of it.
func (c *Config) LimitClientMemory() int { return value[int](c, "limit_client_memory") }

// LimitClientConnections returns the setting limit_client_connections.
//
// How many connections one client address may have; 0 means half of what limit_connections
// allows.
func (c *Config) LimitClientConnections() int { return value[int](c, "limit_client_connections") }

// LimitClientStreams returns the setting limit_client_streams.
//
// How many streams of HTTP/2 one client address may have open on all its connections; 0
// means no limit.
func (c *Config) LimitClientStreams() int { return value[int](c, "limit_client_streams") }

// HandshakeTimeout returns the setting handshake_timeout.
//
// How long a client may take for the TLS handshake, and for its PROXY header; 0 means no
// limit.
func (c *Config) HandshakeTimeout() int { return value[int](c, "handshake_timeout") }

// HeaderTimeout returns the setting header_timeout.
//
// How long a client may take for the head of a request, from its first byte to its last; 0
// means no limit.
func (c *Config) HeaderTimeout() int { return value[int](c, "header_timeout") }

// BodyTimeout returns the setting body_timeout.
//
// How long a client may take for the body of a request; 0 means no limit.
func (c *Config) BodyTimeout() int { return value[int](c, "body_timeout") }

// BodyMinRate returns the setting body_min_rate.
//
// How many bytes of a request body must come in a second, on average over 20 seconds; 0
// means no limit.
func (c *Config) BodyMinRate() int { return value[int](c, "body_min_rate") }

// WriteTimeout returns the setting write_timeout.
//
// How long a client may take nothing of a response that waits for it; 0 means no limit.
func (c *Config) WriteTimeout() int { return value[int](c, "write_timeout") }

// Reload returns the setting reload.
//
// Reload when the code of the app or the config file changes.
func (c *Config) Reload() bool { return value[bool](c, "reload") }

// ReloadEngine returns the setting reload_engine.
//
// How reload finds changes: inotify is told of them by the kernel, poll looks at the files
// every second, auto takes inotify where it exists.
func (c *Config) ReloadEngine() string { return value[string](c, "reload_engine") }

// ReloadExtraFiles returns the setting reload_extra_files.
//
// Other files whose change means a reload: a path or a pattern such as templates/*.html.
func (c *Config) ReloadExtraFiles() []string { return value[[]string](c, "reload_extra_files") }

// Spew returns the setting spew.
//
// Print every line of Python that is executed.
func (c *Config) Spew() bool { return value[bool](c, "spew") }

// CheckConfig returns the setting check_config.
//
// Check the configuration, load the app and exit.
func (c *Config) CheckConfig() bool { return value[bool](c, "check_config") }

// PrintConfig returns the setting print_config.
//
// Print the value of every setting, load the app and exit.
func (c *Config) PrintConfig() bool { return value[bool](c, "print_config") }

// PreloadApp returns the setting preload_app.
//
// Load the app once, before the workers are forked.
func (c *Config) PreloadApp() bool { return value[bool](c, "preload_app") }

// ReusePort returns the setting reuse_port.
//
// Let the kernel spread connections over several sockets on the same port (SO_REUSEPORT).
func (c *Config) ReusePort() bool { return value[bool](c, "reuse_port") }

// Chdir returns the setting chdir.
//
// Change to this directory before the app is loaded.
func (c *Config) Chdir() string { return value[string](c, "chdir") }

// Daemon returns the setting daemon.
//
// Run in the background.
func (c *Config) Daemon() bool { return value[bool](c, "daemon") }

// RawEnv returns the setting raw_env.
//
// Set a variable in the environment of the app: KEY=VALUE.
func (c *Config) RawEnv() []string { return value[[]string](c, "raw_env") }

// Pidfile returns the setting pidfile.
//
// Write the process id of the master to this file.
func (c *Config) Pidfile() string { return value[string](c, "pidfile") }

// WorkerTmpDir returns the setting worker_tmp_dir.
//
// Where workers put the files of their heartbeat.
func (c *Config) WorkerTmpDir() string { return value[string](c, "worker_tmp_dir") }

// User returns the setting user.
//
// Run the workers as this user.
func (c *Config) User() int { return value[identity](c, "user").id }

// Group returns the setting group.
//
// Run the workers as this group.
func (c *Config) Group() int { return value[identity](c, "group").id }

// FrontUser returns the setting front_user.
//
// Run the front, which talks to clients, as this user.
func (c *Config) FrontUser() int { return value[identity](c, "front_user").id }

// FrontGroup returns the setting front_group.
//
// Run the front as this group.
func (c *Config) FrontGroup() int { return value[identity](c, "front_group").id }

// Umask returns the setting umask.
//
// The file mode mask of unix sockets: 007 keeps others out.
func (c *Config) Umask() int { return value[int](c, "umask") }

// Initgroups returns the setting initgroups.
//
// Give the workers all the groups that user is a member of.
func (c *Config) Initgroups() bool { return value[bool](c, "initgroups") }

// WorkerNoNewPrivs returns the setting worker_no_new_privs.
//
// Nothing that a worker starts gets more rights than the worker has: programs such as sudo,
// which are set-user-ID, set-group-ID or have capabilities, run without these (Linux,
// PR_SET_NO_NEW_PRIVS).
func (c *Config) WorkerNoNewPrivs() bool { return value[bool](c, "worker_no_new_privs") }

// TmpUploadDir returns the setting tmp_upload_dir.
//
// The directory for request bodies that are too large for memory.
func (c *Config) TmpUploadDir() string { return value[string](c, "tmp_upload_dir") }

// SecureSchemeHeaders returns the setting secure_scheme_headers.
//
// Header fields, upper case, and the value by which a trusted proxy says that the client
// used HTTPS.
func (c *Config) SecureSchemeHeaders() map[string]string {
	return value[map[string]string](c, "secure_scheme_headers")
}

// ForwardedAllowIPs returns the setting forwarded_allow_ips.
//
// The proxies whose secure_scheme_headers, forwarder_headers and X-Forwarded-For are
// trusted.
func (c *Config) ForwardedAllowIPs() []string { return value[[]string](c, "forwarded_allow_ips") }

// ForwardedFor returns the setting forwarded_for.
//
// What gets the address of the client from the field X-Forwarded-For of a trusted proxy,
// which is the rightmost address there that is not trusted itself: asgi: client in the scope
// of ASGI; all: REMOTE_ADDR and %(h)s of the access log too; none: nobody.
func (c *Config) ForwardedFor() string { return value[string](c, "forwarded_for") }

// Pythonpath returns the setting pythonpath.
//
// Directories, separated by commas, to put in front of Python's module path.
func (c *Config) Pythonpath() string { return value[string](c, "pythonpath") }

// Paste returns the setting paste.
//
// Load the app from a PasteDeploy file: FILE or FILE#SECTION.
func (c *Config) Paste() string { return value[string](c, "paste") }

// RawPasteGlobalConf returns the setting raw_paste_global_conf.
//
// Set a global variable of the PasteDeploy file: KEY=VALUE.
func (c *Config) RawPasteGlobalConf() []string { return value[[]string](c, "raw_paste_global_conf") }

// ProxyProtocol returns the setting proxy_protocol.
//
// Expect a PROXY protocol header at the start of each connection, and take the address of
// the client from it.
func (c *Config) ProxyProtocol() string { return value[string](c, "proxy_protocol") }

// ProxyAllowIPs returns the setting proxy_allow_ips.
//
// The proxies that may send PROXY protocol headers.
func (c *Config) ProxyAllowIPs() []string { return value[[]string](c, "proxy_allow_ips") }

// Protocol returns the setting protocol.
//
// The protocol that web servers use to pass requests on: http, uwsgi, fastcgi or scgi.
func (c *Config) Protocol() string { return value[string](c, "protocol") }

// UWSGIAllowIPs returns the setting uwsgi_allow_ips.
//
// The web servers that may use uwsgi, fastcgi and scgi: they say who the client is.
func (c *Config) UWSGIAllowIPs() []string { return value[[]string](c, "uwsgi_allow_ips") }

// PermitObsoleteFolding returns the setting permit_obsolete_folding.
//
// Accept header fields folded over several lines.
func (c *Config) PermitObsoleteFolding() bool { return value[bool](c, "permit_obsolete_folding") }

// StripHeaderSpaces returns the setting strip_header_spaces.
//
// Accept spaces between the name of a header field and its colon.
func (c *Config) StripHeaderSpaces() bool { return value[bool](c, "strip_header_spaces") }

// PermitUnconventionalHTTPMethod returns the setting permit_unconventional_http_method.
//
// Accept methods that are lower case, contain #, or are shorter than 3 or longer than 20
// characters.
func (c *Config) PermitUnconventionalHTTPMethod() bool {
	return value[bool](c, "permit_unconventional_http_method")
}

// PermitUnconventionalHTTPVersion returns the setting permit_unconventional_http_version.
//
// Accept HTTP versions other than 1.0 and 1.1.
func (c *Config) PermitUnconventionalHTTPVersion() bool {
	return value[bool](c, "permit_unconventional_http_version")
}

// CasefoldHTTPMethod returns the setting casefold_http_method.
//
// Change the method of a request to upper case.
func (c *Config) CasefoldHTTPMethod() bool { return value[bool](c, "casefold_http_method") }

// PermitMissingHost returns the setting permit_missing_host.
//
// Accept requests of HTTP/1.1 without a Host field.
func (c *Config) PermitMissingHost() bool { return value[bool](c, "permit_missing_host") }

// PermitNonASCIITarget returns the setting permit_non_ascii_target.
//
// Accept bytes from 0x80 on in the path and the query of a request, which are to be
// percent-encoded.
func (c *Config) PermitNonASCIITarget() bool { return value[bool](c, "permit_non_ascii_target") }

// ForwarderHeaders returns the setting forwarder_headers.
//
// Header fields with an underscore, upper case, that a trusted proxy may use.
func (c *Config) ForwarderHeaders() []string { return value[[]string](c, "forwarder_headers") }

// HeaderMap returns the setting header_map.
//
// What to do with other header fields that have an underscore in their name: drop them,
// refuse the request, or pass them on, which is dangerous.
func (c *Config) HeaderMap() string { return value[string](c, "header_map") }

// ServerHeader returns the setting server_header.
//
// The field Server of responses; off leaves it out, and lets one that the app sets through.
func (c *Config) ServerHeader() string { return value[string](c, "server_header") }

// HealthPath returns the setting health_path.
//
// A path such as /-/health, below which the server itself answers /livez, /readyz and
// /startupz, on every address: 200 or 503, with the reason as JSON.
func (c *Config) HealthPath() string { return value[string](c, "health_path") }

// RequestIDHeader returns the setting request_id_header.
//
// Give each request an id, and name the field of its head that has it, such as X-Request-Id:
// one that a peer in forwarded_allow_ips sends, otherwise a new one.
func (c *Config) RequestIDHeader() string { return value[string](c, "request_id_header") }

// ServerTiming returns the setting server_timing.
//
// Tell clients, in a field Server-Timing of each response, how long the request has waited
// and run; browsers show it.
func (c *Config) ServerTiming() bool { return value[bool](c, "server_timing") }

// RootPath returns the setting root_path.
//
// The root_path of ASGI apps: where the app is mounted, such as /api.
func (c *Config) RootPath() string { return value[string](c, "root_path") }

// Accesslog returns the setting accesslog.
//
// The access log; - is standard output.
func (c *Config) Accesslog() string { return value[string](c, "accesslog") }

// DisableRedirectAccessToSyslog returns the setting disable_redirect_access_to_syslog.
//
// Do not send the access log to syslog.
func (c *Config) DisableRedirectAccessToSyslog() bool {
	return value[bool](c, "disable_redirect_access_to_syslog")
}

// AccessLogFormat returns the setting access_log_format.
//
// The format of the lines of the access log.
func (c *Config) AccessLogFormat() string { return value[string](c, "access_log_format") }

// AccessLogTimeout returns the setting access_log_timeout.
//
// How long requests wait for a reader of the access log that has stopped, for example of a
// pipe; then lines are dropped, and counted in the error log.
func (c *Config) AccessLogTimeout() int { return value[int](c, "access_log_timeout") }

// LogFormat returns the setting log_format.
//
// The form of the lines of both logs: text, which is Gunicorn's; json, an object in each
// line; or ecs, the same with the names of the Elastic Common Schema.
func (c *Config) LogFormat() string { return value[string](c, "log_format") }

// LogRedact returns the setting log_redact.
//
// What the logs have REDACTED in place of: the value of a parameter of the query
// (query:NAME), of a header field (header:NAME) or of a cookie (cookie:NAME); * as the name
// means all.
func (c *Config) LogRedact() []string { return value[[]string](c, "log_redact") }

// SlowRequestLog returns the setting slow_request_log.
//
// Log each request that a worker has run for so many seconds, with the place in the code
// where it is then; 0 logs none.
func (c *Config) SlowRequestLog() float64 { return value[float64](c, "slow_request_log") }

// Errorlog returns the setting errorlog.
//
// The error log; - is standard error.
func (c *Config) Errorlog() string { return value[string](c, "errorlog") }

// CaptureOutput returns the setting capture_output.
//
// Put what the app prints into the error log.
func (c *Config) CaptureOutput() bool { return value[bool](c, "capture_output") }

// Logconfig returns the setting logconfig.
//
// Configure Python's logging from this file, in the format of logging.config.fileConfig.
func (c *Config) Logconfig() string { return value[string](c, "logconfig") }

// LogconfigJSON returns the setting logconfig_json.
//
// Configure Python's logging by the dictionary in this JSON file.
func (c *Config) LogconfigJSON() string { return value[string](c, "logconfig_json") }

// SyslogAddr returns the setting syslog_addr.
//
// Where syslog listens: udp://HOST:PORT, tcp://HOST:PORT, unix://PATH#dgram or
// unix://PATH#stream.
func (c *Config) SyslogAddr() string { return value[string](c, "syslog_addr") }

// Syslog returns the setting syslog.
//
// Send the logs to syslog too.
func (c *Config) Syslog() bool { return value[bool](c, "syslog") }

// SyslogPrefix returns the setting syslog_prefix.
//
// The beginning of syslog messages.
func (c *Config) SyslogPrefix() string { return value[string](c, "syslog_prefix") }

// SyslogFacility returns the setting syslog_facility.
//
// The facility of syslog messages, such as daemon or local0.
func (c *Config) SyslogFacility() string { return value[string](c, "syslog_facility") }

// EnableStdioInheritance returns the setting enable_stdio_inheritance.
//
// Keep standard output and standard error in the background, see daemon.
func (c *Config) EnableStdioInheritance() bool { return value[bool](c, "enable_stdio_inheritance") }

// StatsdHost returns the setting statsd_host.
//
// Send metrics to the StatsD server at HOST, HOST:PORT or unix://PATH.
func (c *Config) StatsdHost() string { return value[string](c, "statsd_host") }

// DogstatsdTags returns the setting dogstatsd_tags.
//
// Tags for each metric, as Datadog's StatsD knows them: tag:value, separated by commas.
func (c *Config) DogstatsdTags() string { return value[string](c, "dogstatsd_tags") }

// StatsdPrefix returns the setting statsd_prefix.
//
// The beginning of the names of metrics; a dot is put after it.
func (c *Config) StatsdPrefix() string { return value[string](c, "statsd_prefix") }

// EnableBacklogMetric returns the setting enable_backlog_metric.
//
// Send a metric of how many connections wait to be accepted.
func (c *Config) EnableBacklogMetric() bool { return value[bool](c, "enable_backlog_metric") }

// DefaultProcName returns the setting default_proc_name.
//
// The same, for when proc_name is not set.
func (c *Config) DefaultProcName() string { return value[string](c, "default_proc_name") }

// Keyfile returns the setting keyfile.
//
// The private key of certfile, in PEM format.
func (c *Config) Keyfile() string { return value[string](c, "keyfile") }

// Certfile returns the setting certfile.
//
// The certificate of the server and those that lead to its CA, in PEM format.
func (c *Config) Certfile() string { return value[string](c, "certfile") }

// CertReqs returns the setting cert_reqs.
//
// Whether clients need a certificate: 0 none is asked for, 1 one is checked if the client
// has it, 2 each client needs one.
func (c *Config) CertReqs() int { return value[int](c, "cert_reqs") }

// CACerts returns the setting ca_certs.
//
// The certificates, in PEM format, of the CAs that the certificates of clients may come
// from.
func (c *Config) CACerts() string { return value[string](c, "ca_certs") }

// SuppressRaggedEofs returns the setting suppress_ragged_eofs.
//
// Whether a TLS connection that ends without a closing message counts as closed in an
// orderly way.
func (c *Config) SuppressRaggedEofs() bool { return value[bool](c, "suppress_ragged_eofs") }

// DoHandshakeOnConnect returns the setting do_handshake_on_connect.
//
// Whether the TLS handshake is made when a connection is accepted.
func (c *Config) DoHandshakeOnConnect() bool { return value[bool](c, "do_handshake_on_connect") }

// Ciphers returns the setting ciphers.
//
// The cipher suites of TLS 1.2, as an OpenSSL cipher list.
func (c *Config) Ciphers() string { return value[string](c, "ciphers") }

// TLSMinVersion returns the setting tls_min_version.
//
// The oldest version of TLS that clients may use.
func (c *Config) TLSMinVersion() string { return value[string](c, "tls_min_version") }

// HTTPProtocols returns the setting http_protocols.
//
// The versions of HTTP that TLS connections may use: h1 is HTTP/1.1, h2 HTTP/2.
func (c *Config) HTTPProtocols() []string { return value[[]string](c, "http_protocols") }

// HTTP2Cleartext returns the setting http2_cleartext.
//
// Whether connections without TLS may use HTTP/2: with prior-knowledge those that begin as
// HTTP/2 does.
func (c *Config) HTTP2Cleartext() string { return value[string](c, "http2_cleartext") }

// HTTP2MaxConcurrentStreams returns the setting http2_max_concurrent_streams.
//
// How many requests one HTTP/2 connection may have at the same time.
func (c *Config) HTTP2MaxConcurrentStreams() int {
	return value[int](c, "http2_max_concurrent_streams")
}

// HTTP2InitialWindowSize returns the setting http2_initial_window_size.
//
// How many bytes of a request body a client may send before the server asks for more.
func (c *Config) HTTP2InitialWindowSize() int { return value[int](c, "http2_initial_window_size") }

// HTTP2MaxFrameSize returns the setting http2_max_frame_size.
//
// The largest HTTP/2 frame that a client may send, in bytes.
func (c *Config) HTTP2MaxFrameSize() int { return value[int](c, "http2_max_frame_size") }

// HTTP2MaxHeaderListSize returns the setting http2_max_header_list_size.
//
// The largest head of an HTTP/2 request, in bytes and before compression; 0 leaves it to
// limit_request_line, limit_request_fields and limit_request_field_size.
func (c *Config) HTTP2MaxHeaderListSize() int { return value[int](c, "http2_max_header_list_size") }

// HTTP2IdleTimeout returns the setting http2_idle_timeout.
//
// How long an HTTP/2 connection without requests is kept; 0 means no limit.
func (c *Config) HTTP2IdleTimeout() int { return value[int](c, "http2_idle_timeout") }

// ControlSocket returns the setting control_socket.
//
// The unix socket on which the server takes commands: those of indrik status, indrik reload
// and the others, and those of Gunicorn's gunicornc.
func (c *Config) ControlSocket() string { return value[string](c, "control_socket") }

// ControlSocketMode returns the setting control_socket_mode.
//
// The file mode of the control socket.
func (c *Config) ControlSocketMode() int { return value[int](c, "control_socket_mode") }

// ControlSocketDisable returns the setting control_socket_disable.
//
// Make no control socket.
func (c *Config) ControlSocketDisable() bool { return value[bool](c, "control_socket_disable") }

// AdminBind returns the setting admin_bind.
//
// The address at which the server itself answers for people and tools that watch it, besides
// those of bind: HOST:PORT or unix:PATH.
func (c *Config) AdminBind() string { return value[string](c, "admin_bind") }

// AdminAllow returns the setting admin_allow.
//
// Who may connect to admin_bind: IP addresses and networks, separated by commas, and unix
// for those who may open its unix socket.
func (c *Config) AdminAllow() []string { return value[[]string](c, "admin_allow") }

// AdminHosts returns the setting admin_hosts.
//
// The names, separated by commas, by which admin_bind may be addressed by browsers; IP
// addresses always may.
func (c *Config) AdminHosts() []string { return value[[]string](c, "admin_hosts") }

// AdminTokenFile returns the setting admin_token_file.
//
// A file with the secret that whoever sends a command to admin_bind has to know, at least 16
// characters.
func (c *Config) AdminTokenFile() string { return value[string](c, "admin_token_file") }

// AppMetrics returns the setting app_metrics.
//
// Whether /metrics of admin_bind also has the metrics that the app keeps with the Python
// library prometheus_client, of all workers together.
func (c *Config) AppMetrics() bool { return value[bool](c, "app_metrics") }

// DirtyApps returns the setting dirty_apps.
//
// An app of the pool dirty: module:Class, which all of its workers host, or module:Class:N,
// which N of them host.
func (c *Config) DirtyApps() []string { return value[[]string](c, "dirty_apps") }

// DirtyWorkers returns the setting dirty_workers.
//
// The number of workers of the pool dirty; 0 means that there is no such pool.
func (c *Config) DirtyWorkers() int { return value[int](c, "dirty_workers") }

// DirtyTimeout returns the setting dirty_timeout.
//
// How many seconds a call may take, or the next part of one that yields parts, or wait for a
// worker; 0 means no limit.
func (c *Config) DirtyTimeout() int { return value[int](c, "dirty_timeout") }

// DirtyThreads returns the setting dirty_threads.
//
// The number of calls that one worker of the pool runs at the same time, each in a thread.
func (c *Config) DirtyThreads() int { return value[int](c, "dirty_threads") }

// DirtyGracefulTimeout returns the setting dirty_graceful_timeout.
//
// How many seconds the calls of a worker of the pool have to finish when it is told to end.
func (c *Config) DirtyGracefulTimeout() int { return value[int](c, "dirty_graceful_timeout") }

// DirtyQueueLimit returns the setting dirty_queue_limit.
//
// How many calls may wait for a worker of the pool.
func (c *Config) DirtyQueueLimit() int { return value[int](c, "dirty_queue_limit") }

// StashLimit returns the setting stash_limit.
//
// How many bytes the stash may have, the tables that workers share.
func (c *Config) StashLimit() int { return value[int](c, "stash_limit") }
