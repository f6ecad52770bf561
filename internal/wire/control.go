package wire

import "encoding/json"

// The types of the control messages; docs/protocol.md says what each one means.
const (
	// master → front
	TypeListen     = "listen"
	TypeGeneration = "generation"
	TypeWorker     = "worker"
	TypeActivate   = "activate"
	TypeRetire     = "retire"
	TypeGone       = "gone"
	TypeDepart     = "depart"
	TypeDrain      = "drain"
	TypeResume     = "resume"
	TypeExpire     = "expire"
	TypeQuit       = "quit"
	TypePing       = "ping" // also master → spawner, master → logger
	TypePeer       = "peer"
	TypeLogs       = "logs"
	TypeTitle      = "title" // also master → spawner
	TypeSecrets    = "secrets"
	TypeChecked    = "checked"
	TypeStatus     = "status" // also front → master
	TypeAdmin      = "admin"  // also between the masters of an upgrade
	TypeAnswer     = "answer"
	TypeLeast      = "least"
	TypeBlame      = "blame"
	TypeTrace      = "trace"
	TypeAppMetrics = "app_metrics" // also front → master
	TypeCondense   = "condense"
	TypeCommand    = "command" // front → master, and between the masters of an upgrade
	TypeTrial      = "trial"
	TypeTried      = "tried"

	TypePoolWorker   = "pool_worker"
	TypePoolActivate = "pool_activate"
	TypePoolRetire   = "pool_retire"
	TypePoolGone     = "pool_gone"

	// front → master
	TypeReady   = "ready" // also worker → master
	TypeTimeout = "timeout"
	TypeSlow    = "slow"
	TypeSettled = "settled"
	TypeBroken  = "broken"
	TypeLost    = "lost"
	TypeClosed  = "closed"
	TypeDrained = "drained"
	TypeCheck   = "check"
	TypeLoad    = "load"

	TypePoolTimeout = "pool_timeout"
	TypePoolBroken  = "pool_broken"

	// master → spawner
	TypeConfigure  = "configure"
	TypePrepare    = "prepare"
	TypeSpawn      = "spawn"
	TypeSlots      = "slots"
	TypeHook       = "hook"
	TypeRelease    = "release"
	TypeReopen     = "reopen"
	TypeLogger     = "logger"
	TypeTLSHook    = "ssl_context"
	TypeClass      = "worker_class"
	TypeWorkers    = "workers"
	TypeAttributes = "attributes"
	TypeAdopt      = "adopt"
	TypeExit       = "exit"

	TypePoolPrepare = "pool_prepare"
	TypePoolSpawn   = "pool_spawn"

	// spawner → master
	TypeOK        = "ok"
	TypeFailed    = "failed"
	TypeExited    = "exited"
	TypeBusy      = "busy"
	TypeSignalled = "signalled"
	TypeIdle      = "idle"
	TypeFiles     = "files" // also worker → master
	TypeUnfit     = "unfit"

	// worker → master
	TypeRecycle = "recycle"
	TypeWarm    = "warm"
	TypeBorn    = "born"

	// master → worker, which becomes a template
	TypePromote = "promote"
	TypeFork    = "fork" // master → template

	// template → master
	TypePromoted = "promoted"
	TypeRefused  = "refused"
	TypeForked   = "forked"
)

// The environment of a front: what makes the program one, and its number, from 0
// and modulo 128.
const (
	EnvRole   = "INDRIK_ROLE"
	RoleFront = "front"
	EnvFront  = "INDRIK_FRONT"
)

// What a front that drains does with connections that the kernel has
// accepted for it.
const (
	AcceptEmpty = "empty" // serve them, then close the listener
	AcceptStop  = "stop"  // leave them to whoever else accepts on the socket
)

// A Kind is a kind of worker, by the requests that it gets.
type Kind string

const (
	KindSync   Kind = ""       // reads the queue of its generation: WSGI
	KindASGI   Kind = "asgi"   // multiplexed: gets events with a scope
	KindGevent Kind = "gevent" // multiplexed: gets events with an environ
)

// IsMultiplexed reports whether workers of the kind run many requests at once, which they
// get by their first slot.
func (k Kind) IsMultiplexed() bool { return k != KindSync }

// ToFront is a message from the master to its front. Only the fields that
// docs/protocol.md lists for its type are set.
type ToFront struct {
	Type       string       `json:"type"`
	Call       int          `json:"call,omitempty"`
	Listeners  []Listener   `json:"listeners,omitempty"`
	Generation int          `json:"generation,omitempty"`
	Config     *FrontConfig `json:"config,omitempty"`
	Age        int          `json:"age,omitempty"`
	Pid        int          `json:"pid,omitempty"`
	Kind       Kind         `json:"kind,omitempty"`
	First      int          `json:"first,omitempty"`
	Handover   bool         `json:"handover,omitempty"`
	Accept     string       `json:"accept,omitempty"`
	Final      bool         `json:"final,omitempty"`
	Access     bool         `json:"access,omitempty"`
	Error      bool         `json:"error,omitempty"`
	Logger     bool         `json:"logger,omitempty"`
	Level      string       `json:"level,omitempty"`
	Format     string       `json:"format,omitempty"` // of the lines of the error log: json or ecs, else text
	Syslog     *Syslog      `json:"syslog,omitempty"`
	Statsd     *Statsd      `json:"statsd,omitempty"`
	Title      string       `json:"title,omitempty"`
	Check      int          `json:"check,omitempty"`
	Trace      int          `json:"trace,omitempty"` // the number of the trace
	Names      []string     `json:"names,omitempty"` // of files that come along
	More       bool         `json:"more,omitempty"`  // another message goes on with these
	Admin      *Admin       `json:"admin,omitempty"` // nil: nothing is answered at an admin address
	Ask        int          `json:"ask,omitempty"`
	Least      int          `json:"least,omitempty"`
	Asleep     bool         `json:"asleep,omitempty"` // with least: there need be none
	Answer     *Answer      `json:"answer,omitempty"`
	Share      [2]int       `json:"share,omitzero"` // of the requests: the first of the second
	Passed     bool         `json:"passed,omitempty"`
	Calls      bool         `json:"calls,omitempty"` // the channel for the calls of a worker comes along
	Pool       string       `json:"pool,omitempty"`
	Apps       []string     `json:"apps,omitempty"`   // that a worker of a pool hosts
	Report     string       `json:"report,omitempty"` // what a worker has written that could not boot
}

// Answer is what the master says to a question of its front.
type Answer struct {
	Document json.RawMessage `json:"document,omitempty"` // JSON; if it is large, a memory file holds it instead
	Error    string          `json:"error,omitempty"`    // why there is no document
	Code     int             `json:"code,omitempty"`     // of an error, as HTTP has it
}

// Admin says how the admin address is answered.
type Admin struct {
	Listener
	Allow []string `json:"allow"` // the setting admin_allow
	Hosts []string `json:"hosts"` // admin_hosts

	Commands bool `json:"commands,omitempty"` // there is a token, and who has it may give commands
}

// A Listener names a listening socket that goes with a message.
type Listener struct {
	ID      int    `json:"id"`
	Bind    string `json:"bind"`    // as the log prints it: 127.0.0.1:8000, [::]:8000, unix:/run/x.sock
	Network string `json:"network"` // tcp or unix
}

// FrontConfig is what a front needs of the settings of one generation.
// Times are in seconds, sizes in bytes; zero means no limit.
type FrontConfig struct {
	Timeout          int      `json:"timeout"`
	SlowRequestLog   float64  `json:"slow_request_log"`
	GracefulTimeout  int      `json:"graceful_timeout"`
	Keepalive        int      `json:"keepalive"` // 0: close after each response
	AccessLogFormat  string   `json:"access_log_format"`
	LogRedact        []string `json:"log_redact"`
	LogFormat        string   `json:"log_format"`  // text, json or ecs
	NoWorkers        bool     `json:"no_workers"`  // workers is 0: requests are refused while there are none
	ReportLoad       bool     `json:"report_load"` // workers is a range: the master is told of the load
	AccessLogTimeout int      `json:"access_log_timeout"`
	TmpUploadDir     string   `json:"tmp_upload_dir"` // for bodies too large for memory; empty: $TMPDIR or /tmp

	LimitConnections       int   `json:"limit_connections"` // 0: as many as there are descriptors for
	LimitRequestBody       int64 `json:"limit_request_body"`
	LimitMemory            int64 `json:"limit_memory"`             // 0: a share of what there is
	LimitClientMemory      int64 `json:"limit_client_memory"`      // likewise, of limit_memory
	LimitClientConnections int   `json:"limit_client_connections"` // likewise, of limit_connections
	LimitClientStreams     int   `json:"limit_client_streams"`
	QueueLimit             int   `json:"queue_limit"`
	QueueTimeout           int   `json:"queue_timeout"`
	HandshakeTimeout       int   `json:"handshake_timeout"`
	HeaderTimeout          int   `json:"header_timeout"`
	BodyTimeout            int   `json:"body_timeout"`
	BodyMinRate            int   `json:"body_min_rate"` // bytes per second
	WriteTimeout           int   `json:"write_timeout"`

	LimitRequestLine                int  `json:"limit_request_line"`
	LimitRequestFields              int  `json:"limit_request_fields"`
	LimitRequestFieldSize           int  `json:"limit_request_field_size"`
	LimitRequestHead                int  `json:"limit_request_head"`
	PermitObsoleteFolding           bool `json:"permit_obsolete_folding"`
	StripHeaderSpaces               bool `json:"strip_header_spaces"`
	PermitUnconventionalHTTPMethod  bool `json:"permit_unconventional_http_method"`
	PermitUnconventionalHTTPVersion bool `json:"permit_unconventional_http_version"`
	CasefoldHTTPMethod              bool `json:"casefold_http_method"`
	PermitMissingHost               bool `json:"permit_missing_host"`
	PermitNonASCIITarget            bool `json:"permit_non_ascii_target"`

	HeaderMap           string            `json:"header_map"` // drop, refuse or dangerous
	ForwarderHeaders    []string          `json:"forwarder_headers"`
	ForwardedAllowIPs   string            `json:"forwarded_allow_ips"`
	ForwardedFor        string            `json:"forwarded_for"` // asgi, all or none
	SecureSchemeHeaders map[string]string `json:"secure_scheme_headers"`
	ServerHeader        string            `json:"server_header"`     // empty: the default; off: none
	HealthPath          string            `json:"health_path"`       // empty: none
	RequestIDHeader     string            `json:"request_id_header"` // empty: requests have no ids
	ServerTiming        bool              `json:"server_timing"`
	ScriptName          string            `json:"script_name"` // $SCRIPT_NAME of the server
	Sendfile            bool              `json:"sendfile"`
	Reload              bool              `json:"reload"` // each request asks first whether code has changed

	Kind              Kind   `json:"kind"` // by worker_class, if that is certain; otherwise the workers tell
	WorkerConnections int    `json:"worker_connections"`
	RootPath          string `json:"root_path"` // begins with a slash, or is empty

	ASGISendAfterDisconnect string   `json:"asgi_send_after_disconnect"` // what send() does when the client has gone: ignore or raise
	ASGIExtensions          []string `json:"asgi_extensions"`
	WorkerAffinity          string   `json:"worker_affinity"` // none, connection, cookie or address

	Quarantine       []string `json:"quarantine"` // request, client, path
	QuarantineDeaths int      `json:"quarantine_deaths"`
	QuarantineWindow int      `json:"quarantine_window"` // seconds
	QuarantineTime   int      `json:"quarantine_time"`   // seconds
	SelfcareDryRun   []string `json:"selfcare_dry_run"`  // policies, or all
	AffinityKey      []byte   `json:"affinity_key"`      // of the cookies

	WebSocketMaxMessageSize int  `json:"websocket_max_message_size"`
	WebSocketPingInterval   int  `json:"websocket_ping_interval"`
	WebSocketPingTimeout    int  `json:"websocket_ping_timeout"`
	WebSocketCompression    bool `json:"websocket_compression"`
	WebSocketDrainMax       int  `json:"websocket_drain_max"`
	WebSocketDrainWindow    int  `json:"websocket_drain_window"`

	ProxyProtocol string `json:"proxy_protocol"`  // off, v1, v2 or auto
	ProxyAllowIPs string `json:"proxy_allow_ips"` // as ForwardedAllowIPs

	// Protocols has the addresses of listeners, as Listener.Bind has them, where another
	// protocol than HTTP is spoken, and its name as the setting protocol has it.
	Protocols     map[string]string `json:"protocols"`
	UWSGIAllowIPs string            `json:"uwsgi_allow_ips"` // as ForwardedAllowIPs

	TLS                       *TLS `json:"tls,omitempty"`   // nil: plain text
	HTTP1                     bool `json:"http1"`           // by ALPN; without TLS always, but on a port for HTTP/2 with prior knowledge
	HTTP2                     bool `json:"http2"`           // by ALPN
	HTTP2Cleartext            bool `json:"http2_cleartext"` // with prior knowledge
	HTTP2MaxConcurrentStreams int  `json:"http2_max_concurrent_streams"`
	HTTP2InitialWindowSize    int  `json:"http2_initial_window_size"`
	HTTP2MaxFrameSize         int  `json:"http2_max_frame_size"`
	HTTP2MaxHeaderListSize    int  `json:"http2_max_header_list_size"`
	HTTP2IdleTimeout          int  `json:"http2_idle_timeout"`

	Pools      []PoolConfig `json:"pools"`
	StashLimit int64        `json:"stash_limit"`
}

// Syslog says where log lines go besides their files: the settings of these names.
type Syslog struct {
	Addr     string `json:"addr"`
	Facility string `json:"facility"`
	Prefix   string `json:"prefix"`
	Access   bool   `json:"access,omitempty"` // lines of the access log too
}

// Statsd says where metrics go: the settings of these names.
type Statsd struct {
	Addr   string `json:"addr"`
	Prefix string `json:"prefix"`
	Tags   string `json:"tags"`
}

// TLS is what a front needs to know about TLS besides the secrets, which go in
// a memory file: see package tlsconf.
type TLS struct {
	MinVersion uint16   `json:"min_version"` // as crypto/tls numbers them
	Ciphers    []uint16 `json:"ciphers"`     // likewise, up to TLS 1.2; empty: the defaults of crypto/tls
	CertReqs   int      `json:"cert_reqs"`   // 0 no client certificate, 1 if there is one, 2 required
}

// FromFront is a message from a front to its master.
type FromFront struct {
	Type    string  `json:"type"`
	Call    int     `json:"call,omitempty"`
	Error   string  `json:"error,omitempty"`
	Errno   int     `json:"errno,omitempty"`   // of an error of the system
	Stalled float64 `json:"stalled,omitempty"` // the answer to ping: seconds
	Age     int     `json:"age,omitempty"`

	Generation int    `json:"generation,omitempty"`
	Reason     string `json:"reason,omitempty"`

	Method    string  `json:"method,omitempty"`
	Path      string  `json:"path,omitempty"`
	RequestID string  `json:"request_id,omitempty"`
	Seconds   float64 `json:"seconds,omitempty"`
	Others    int     `json:"others,omitempty"`
	Blocked   int     `json:"blocked,omitempty"`
	Check     int     `json:"check,omitempty"`

	Load    *Load     `json:"load,omitempty"`
	Served  int       `json:"served,omitempty"`
	Running []Running `json:"running,omitempty"`
	Slow    []Slow    `json:"slow,omitempty"`

	Status json.RawMessage `json:"status,omitempty"` // what the front knows: package status has its form
	Trial  json.RawMessage `json:"trial,omitempty"`  // the answer to tried: package canary has its form
	Ask    int             `json:"ask,omitempty"`    // the number of a question to the master
	Words  []string        `json:"words,omitempty"`  // of a command, as the control socket takes it
	Token  string          `json:"token,omitempty"`  // that its client has given
	Client string          `json:"client,omitempty"` // who that is
}

// Load is what a front has counted of requests in a span of time. Slots are those of workers
// that read queues; times are in seconds.
type Load struct {
	Seconds  float64    `json:"seconds"`         // the length of the span
	Busy     float64    `json:"busy"`            // for which slots had a request, of all of them together
	Capacity float64    `json:"capacity"`        // for which there were slots, and multiplexed workers
	Served   float64    `json:"served"`          // for which the requests had run that ended
	Waited   float64    `json:"waited"`          // for which requests were not with a slot, together
	Arrived  int        `json:"arrived"`         // requests that came, also those that were refused
	Ended    int        `json:"ended"`           // requests that workers have answered
	Waiting  int        `json:"waiting"`         // at the end of the span
	InFlight int        `json:"in_flight"`       // likewise: with workers, or waiting
	Loops    []LoopLoad `json:"loops,omitempty"` // of the multiplexed workers
}

// LoopLoad is the load of a multiplexed worker.
type LoopLoad struct {
	Age      int     `json:"age"`
	InFlight int     `json:"in_flight"`
	Lag      float64 `json:"lag"`     // how late its loop was lately, in seconds
	Engaged  float64 `json:"engaged"` // for which it could begin no request: its loop did not turn, or it had worker_connections
}

// ToSpawner is a message from the master to a spawner.
type ToSpawner struct {
	Type       string         `json:"type"`
	Call       int            `json:"call,omitempty"`
	Generation int            `json:"generation,omitempty"`
	ConfigFile string         `json:"config_file,omitempty"`
	Chdir      string         `json:"chdir,omitempty"`
	Program    []string       `json:"program,omitempty"` // a program that starts the server, and its arguments
	Settings   map[string]any `json:"settings,omitempty"`
	App        string         `json:"app,omitempty"`
	Kind       string         `json:"kind,omitempty"`
	Load       bool           `json:"load,omitempty"`
	StandIn    bool           `json:"stand_in,omitempty"`
	Terminal   int            `json:"terminal,omitempty"`
	Age        int            `json:"age,omitempty"`
	Hook       string         `json:"hook,omitempty"`
	Args       []any          `json:"args,omitempty"`
	Server     *Server        `json:"server,omitempty"`
	Linger     bool           `json:"linger,omitempty"`
	Workers    [][2]int       `json:"workers,omitempty"` // pid and number of each
	Title      string         `json:"title,omitempty"`
	AppMetrics string         `json:"app_metrics,omitempty"` // the directory for the app's metrics
	Calls      bool           `json:"calls,omitempty"`       // the channel for the calls of a worker comes along
	Pool       string         `json:"pool,omitempty"`
	Apps       []string       `json:"apps,omitempty"` // of a pool

	Environment map[string]string `json:"environment,omitempty"` // of a worker of a pool, besides that of all
	Pid         int               `json:"pid,omitempty"`         // of the worker that a hook is about, which another process has forked
	WarmAfter   int               `json:"warm_after,omitempty"`  // so many requests make a worker warm; 0: nobody asks

	Attributes map[string]string `json:"attributes,omitempty"` // of `server`, as a spawner gave them
}

// Server is what hooks see of the master as attributes of `server`.
type Server struct {
	Pid        int      `json:"pid"`
	ProcName   string   `json:"proc_name"`
	Address    []string `json:"address"`
	NumWorkers int      `json:"num_workers"`
	MasterName string   `json:"master_name"` // Master, or Master.2
}

// FromSpawner is a message from a spawner.
type FromSpawner struct {
	Type string `json:"type"`
	Call int    `json:"call,omitempty"`

	// The answer to configure.
	Settings map[string]any `json:"settings,omitempty"` // by name; values that JSON has no form for come as {"python": repr}
	Hooks    []string       `json:"hooks,omitempty"`    // names of the hooks that the file defines
	Lines    map[string]int `json:"lines,omitempty"`    // the line of the file where each name was set last, where it can be told
	Modules  []string       `json:"modules,omitempty"`  // those of Gunicorn's for which the file was given ours

	Python *Python `json:"python,omitempty"`

	// The answer to worker_class, with options of uvicorn's as Settings.
	Kind    string   `json:"kind,omitempty"`    // which kind of worker the class means
	Class   string   `json:"class,omitempty"`   // its full name
	Remarks []string `json:"remarks,omitempty"` // what of it has no effect

	Stage     string `json:"stage,omitempty"`
	Error     string `json:"error,omitempty"`
	Traceback string `json:"traceback,omitempty"`
	Code      int    `json:"code,omitempty"`
	Errno     int    `json:"errno,omitempty"` // of an error of the system

	Age    int `json:"age,omitempty"`
	Pid    int `json:"pid,omitempty"`
	Signal int `json:"signal,omitempty"`
	Peak   int `json:"peak,omitempty"` // the most memory that it had, in KiB

	// The answers to attributes and adopt: what hooks have put on `server`, in a form that
	// is the spawners' business, and why others could not be carried.
	Attributes map[string]string `json:"attributes,omitempty"`
	Lost       map[string]string `json:"lost,omitempty"`

	AppWorkers map[string]int `json:"app_workers,omitempty"` // the answer to pool_prepare: by app, how many workers its class asks for

	Lingers bool `json:"lingers,omitempty"` // the answer to exit: something of the hooks still runs

	Logger bool `json:"logger,omitempty"` // the answer to prepare, or to a hook that changed that: log lines must go through Python
	Level  int  `json:"level,omitempty"`  // the answer to logger: the least level that is logged, as Python numbers it

	Files []string `json:"files,omitempty"` // of modules that were imported
	Since float64  `json:"since,omitempty"` // when that was, at the earliest: seconds since 1970
}

// Python is what an interpreter says of itself.
type Python struct {
	Version    string `json:"version"`    // such as 3.13.1, or 3.10.14 (PyPy)
	Executable string `json:"executable"` // sys.executable
}

// ToLogger is a message from the master to a logger, and FromLogger its answer.
type (
	ToLogger struct {
		Type string `json:"type"`
	}
	FromLogger struct {
		Type string `json:"type"`
	}
)

// Handover describes a client connection that one front gives to another.
type Handover struct {
	Bind    string `json:"bind"`
	Network string `json:"network"`
	Fresh   bool   `json:"fresh,omitempty"` // it was just accepted, and nothing was read from it

	// What a PROXY header said, as host:port; empty if there was none.
	Client string `json:"client,omitempty"`
	Server string `json:"server,omitempty"`
}
