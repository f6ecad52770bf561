package settings

var loggingSettings = []Setting{
	{
		Name: "accesslog", Section: sectionLogging,
		Flags: []string{"--access-logfile"}, Metavar: "FILE", Kind: KindString,
		Doc: "The access log; `-` is standard output. None by default.",
	},
	{
		Name: "disable_redirect_access_to_syslog", Section: sectionLogging,
		Flags: []string{"--disable-redirect-access-to-syslog"}, Kind: KindBool, Default: false,
		Doc: "Do not send the access log to syslog.",
	},
	{
		Name: "access_log_format", Section: sectionLogging,
		Flags: []string{"--access-logformat"}, Metavar: "STRING", Kind: KindLogFormat, Default: defaultAccessLogFormat,
		Doc: "The format of the lines of the access log.",
	},
	{
		Name: "access_log_timeout", Section: sectionLogging, Added: true,
		Flags: []string{"--access-log-timeout"}, Metavar: "SECONDS", Kind: KindInt, Default: 1,
		Doc: "How long requests wait for a reader of the access log that has stopped, for example of a pipe; then lines are dropped, and counted in the error log. " +
			"0 means no limit: no line is dropped, and requests wait for as long as it takes.",
	},
	{
		Name: "log_format", Section: sectionLogging, Added: true,
		Flags: []string{"--log-format"}, Metavar: "STRING", Kind: KindChoice, Default: "text",
		Choices: []string{"text", "json", "ecs"}, BadChoice: "log_format must be one of: text, json, ecs",
		Doc: "The form of the lines of both logs: `text`, which is Gunicorn's; `json`, an object in each line; or `ecs`, the same with the names of the Elastic Common Schema. " +
			"[logging.md](logging.md#json) has the fields. With the latter two `access_log_format` has no effect.",
	},
	{
		Name: "log_redact", Section: sectionLogging, Added: true,
		Flags: []string{"--log-redact"}, Metavar: "RULE", Kind: KindStrings, Default: []string(nil),
		Doc: "What the logs have `REDACTED` in place of: the value of a parameter of the query (`query:NAME`), of a header field (`header:NAME`) or of a cookie (`cookie:NAME`); `*` as the name means all. " +
			"May be given several times, or as a list separated by commas. See [logging.md](logging.md#what-is-not-logged).",
	},
	{
		Name: "slow_request_log", Section: sectionLogging, Added: true,
		Flags: []string{"--slow-request-log"}, Metavar: "SECONDS", Kind: KindSeconds, Default: 0.0,
		Doc: "Log each request that a worker has run for so many seconds, with the place in the code where it is then; 0 logs none. " +
			"See [observe.md](observe.md#slow-requests).",
	},
	{
		Name: "errorlog", Section: sectionLogging,
		Flags: []string{"--error-logfile", "--log-file"}, Metavar: "FILE", Kind: KindString, Default: "-",
		Doc: "The error log; `-` is standard error.",
	},
	{
		Name: "loglevel", Section: sectionLogging,
		Flags: []string{"--log-level"}, Metavar: "LEVEL", Kind: KindString, Default: "info",
		Choices: levels,
		Doc:     "The least level to log: `debug`, `info`, `warning`, `error` or `critical`.",
		Note:    "Another word means `info`, as in Gunicorn, but gives a warning.",
	},
	{
		Name: "capture_output", Section: sectionLogging,
		Flags: []string{"--capture-output"}, Kind: KindBool, Default: false,
		Doc: "Put what the app prints into the error log.",
	},
	{
		Name: "logger_class", Section: sectionLogging,
		Flags: []string{"--logger-class"}, Metavar: "STRING", Kind: KindObject, Default: "gunicorn.glogging.Logger",
		Doc:  "The class that logs: `module.Class`, or in a config file the class itself. Derive it from `indrik.glogging.Logger`.",
		Note: "The default means that class. Lines of the master and the front go through a class of your own, too; see logging.md.",
	},
	{
		Name: "logconfig", Section: sectionLogging,
		Flags: []string{"--log-config"}, Metavar: "FILE", Kind: KindString,
		Doc: "Configure Python's logging from this file, in the format of `logging.config.fileConfig`.",
	},
	{
		Name: "logconfig_dict", Section: sectionLogging, Kind: KindDict, Default: map[string]any{},
		Doc: "Configure Python's logging by this dictionary, as `logging.config.dictConfig` does. It takes precedence over `logconfig_json` and `logconfig`.",
	},
	{
		Name: "logconfig_json", Section: sectionLogging,
		Flags: []string{"--log-config-json"}, Metavar: "FILE", Kind: KindString,
		Doc:  "Configure Python's logging by the dictionary in this JSON file. It takes precedence over `logconfig`.",
		Note: "A missing file is an error.",
	},
	{
		Name: "syslog_addr", Section: sectionLogging,
		Flags: []string{"--log-syslog-to"}, Metavar: "SYSLOG_ADDR", Kind: KindSyslogAddr, Default: "udp://localhost:514",
		Doc: "Where syslog listens: `udp://HOST:PORT`, `tcp://HOST:PORT`, `unix://PATH#dgram` or `unix://PATH#stream`.",
	},
	{
		Name: "syslog", Section: sectionLogging,
		Flags: []string{"--log-syslog"}, Kind: KindBool, Default: false,
		Doc: "Send the logs to syslog too.",
	},
	{
		Name: "syslog_prefix", Section: sectionLogging,
		Flags: []string{"--log-syslog-prefix"}, Metavar: "SYSLOG_PREFIX", Kind: KindString,
		Doc: "The beginning of syslog messages. By default it is the name of the process.",
	},
	{
		Name: "syslog_facility", Section: sectionLogging,
		Flags: []string{"--log-syslog-facility"}, Metavar: "SYSLOG_FACILITY", Kind: KindFacility, Default: "user",
		Doc: "The facility of syslog messages, such as `daemon` or `local0`.",
	},
	{
		Name: "enable_stdio_inheritance", Section: sectionLogging,
		Flags: []string{"-R", "--enable-stdio-inheritance"}, Kind: KindBool, Default: false,
		Doc: "Keep standard output and standard error in the background, see `daemon`.",
	},
	{
		Name: "statsd_host", Section: sectionLogging,
		Flags: []string{"--statsd-host"}, Metavar: "STATSD_ADDR", Kind: KindStatsdAddr,
		Doc: "Send metrics to the StatsD server at `HOST`, `HOST:PORT` or `unix://PATH`. The port is 8125 unless it is given.",
	},
	{
		Name: "dogstatsd_tags", Section: sectionLogging,
		Flags: []string{"--dogstatsd-tags"}, Metavar: "DOGSTATSD_TAGS", Kind: KindString, Default: "",
		Doc: "Tags for each metric, as Datadog's StatsD knows them: `tag:value`, separated by commas.",
	},
	{
		Name: "statsd_prefix", Section: sectionLogging,
		Flags: []string{"--statsd-prefix"}, Metavar: "STATSD_PREFIX", Kind: KindString, Default: "",
		Doc: "The beginning of the names of metrics; a dot is put after it.",
	},
	{
		Name: "enable_backlog_metric", Section: sectionLogging,
		Flags: []string{"--enable-backlog-metric"}, Kind: KindBool, Default: false,
		Doc: "Send a metric of how many connections wait to be accepted.",
	},
}

var namingSettings = []Setting{
	{
		Name: "proc_name", Section: sectionNaming,
		Flags: []string{"-n", "--name"}, Metavar: "STRING", Kind: KindString, DefaultText: "that of `default_proc_name`",
		Doc: "The name that `ps` shows in brackets.",
	},
	{
		Name: "default_proc_name", Section: sectionNaming, Kind: KindString, DefaultText: "the app",
		Doc: "The same, for when `proc_name` is not set.",
	},
}
