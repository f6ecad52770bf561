package settings

import (
	"fmt"
	"net"
	"strings"
)

// A foreignOption is an option of another server. What has an exact equivalent
// is taken for that; the others are answered with what to do instead.
type foreignOption struct {
	of      string // whose it is
	takes   bool   // a value follows
	setting string // whose option it means
	value   string // of that setting, where the option takes none; "-": None
	special func(p *argParser, value string) error
	answer  string // what to do instead; "": it is taken
}

// foreignOptions are those of uvicorn, Hypercorn, Granian and uWSGI by their names,
// without those that Indrik has too. One that abbreviates an option here means that.
var foreignOptions = map[string]foreignOption{
	"--host": {of: "uvicorn", takes: true, special: (*argParser).setHost},
	"--port": {of: "uvicorn", takes: true, special: (*argParser).setPort},
	"--uds":  {of: "uvicorn", takes: true, special: bindTo("unix:")},
	"--fd":   {of: "uvicorn", takes: true, special: bindTo("fd://")},

	"--factory":     {of: "uvicorn", special: (*argParser).setFactory},
	"--app-dir":     {of: "uvicorn", takes: true, setting: "pythonpath"},
	"--working-dir": {of: "granian", takes: true, setting: "chdir"},

	"--lifespan":          {of: "uvicorn", takes: true, setting: "asgi_lifespan"},
	"--loop":              {of: "uvicorn", takes: true, setting: "asgi_loop"},
	"--interface":         {of: "uvicorn", takes: true, special: (*argParser).setInterface},
	"--reset-contextvars": {of: "uvicorn"}, // each request has a context of its own

	"--proxy-headers":    {of: "uvicorn"}, // as by default
	"--no-proxy-headers": {of: "uvicorn", setting: "forwarded_allow_ips", value: ""},
	"--date-header":      {of: "uvicorn"},
	"--no-server-header": {of: "uvicorn", setting: "server_header", value: "off"},

	"--access-log":       {of: "uvicorn", setting: "accesslog", value: "-"},
	"--no-access-log":    {of: "uvicorn", setting: "accesslog", value: "None"},
	"--no-use-colors":    {of: "uvicorn"},
	"--process-name":     {of: "granian", takes: true, setting: "proc_name"},
	"--pid-file":         {of: "granian", takes: true, setting: "pidfile"},
	"--blocking-threads": {of: "granian", takes: true, setting: "threads"},

	"--reload-include":            {of: "uvicorn", takes: true, setting: "reload_extra_files"},
	"--limit-max-requests":        {of: "uvicorn", takes: true, setting: "max_requests"},
	"--limit-max-requests-jitter": {of: "uvicorn", takes: true, setting: "max_requests_jitter"},
	"--timeout-keep-alive":        {of: "uvicorn", takes: true, setting: "keepalive"},
	"--timeout-graceful-shutdown": {of: "uvicorn", takes: true, setting: "graceful_timeout"},
	"--workers-kill-timeout":      {of: "granian", takes: true, setting: "graceful_timeout"},
	"--ws-max-size":               {of: "uvicorn", takes: true, setting: "websocket_max_message_size"},
	"--ws-ping-interval":          {of: "uvicorn", takes: true, special: wholeSeconds("websocket_ping_interval")},
	"--ws-ping-timeout":           {of: "uvicorn", takes: true, special: wholeSeconds("websocket_ping_timeout")},
	"--ws-per-message-deflate":    {of: "uvicorn", takes: true, special: (*argParser).setCompression},

	"--ssl-keyfile":     {of: "uvicorn", takes: true, setting: "keyfile"},
	"--ssl-certfile":    {of: "uvicorn", takes: true, setting: "certfile"},
	"--ssl-certificate": {of: "granian", takes: true, setting: "certfile"},
	"--ssl-ca-certs":    {of: "uvicorn", takes: true, setting: "ca_certs"},
	"--ssl-cert-reqs":   {of: "uvicorn", takes: true, setting: "cert_reqs"},
	"--ssl-ciphers":     {of: "uvicorn", takes: true, setting: "ciphers"},

	"--reload-dir":                    {of: "uvicorn", takes: true, answer: "leave it out: with --reload all that was imported is watched, wherever it is; other files: --reload-extra-file"},
	"--reload-paths":                  {of: "granian", takes: true, answer: "leave it out: with --reload all that was imported is watched, wherever it is; other files: --reload-extra-file"},
	"--reload-exclude":                {of: "uvicorn", takes: true, answer: "leave it out: what was not imported is not watched"},
	"--reload-delay":                  {of: "uvicorn", takes: true, answer: "leave it out: a change is noticed at once"},
	"--http":                          {of: "uvicorn", takes: true, answer: "leave it out: HTTP is not parsed in Python. HTTP/2: --http-protocols h1,h2; an address: --bind"},
	"--ws":                            {of: "uvicorn", answer: "leave it out: WebSockets need no library"},
	"--ws-max-queue":                  {of: "uvicorn", takes: true, answer: "leave it out: a client waits while the app does not read"},
	"--h11-max-incomplete-event-size": {of: "uvicorn", takes: true, answer: "see --limit-request-line, --limit-request-field_size and --limit-request-fields"},
	"--http1-buffer-size":             {of: "granian", takes: true, answer: "see --limit-request-line, --limit-request-field_size and --limit-request-fields"},
	"--limit-concurrency":             {of: "uvicorn", takes: true, answer: "--worker-connections is how many requests a worker runs at once, --queue-limit how many may wait"},
	"--backpressure":                  {of: "granian", takes: true, answer: "--worker-connections is how many requests a worker runs at once, --queue-limit how many may wait"},
	"--timeout-worker-healthcheck":    {of: "uvicorn", takes: true, answer: "--timeout is how long a request may run, or an event loop be blocked"},
	"--env-file":                      {of: "uvicorn", takes: true, answer: "--env NAME=VALUE for each variable, or let the service manager read the file"},
	"--env-files":                     {of: "granian", takes: true, answer: "--env NAME=VALUE for each variable, or let the service manager read the file"},
	"--use-colors":                    {of: "uvicorn", answer: "leave it out: the log has no colors"},
	"--no-date-header":                {of: "uvicorn", answer: "leave it out: the field Date is always sent"},
	"--header":                        {of: "uvicorn", takes: true, answer: "fields of responses are the app's, or the proxy's in front, to set; see also --server-header"},
	"--ssl-keyfile-password":          {of: "uvicorn", takes: true, answer: "the key must not be encrypted: openssl pkey -in OLD -out NEW"},
	"--keyfile-password":              {of: "hypercorn", takes: true, answer: "the key must not be encrypted: openssl pkey -in OLD -out NEW"},
	"--verify-mode":                   {of: "hypercorn", takes: true, answer: "--cert-reqs is 0, 1 or 2 (CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED)"},
	"--insecure-bind":                 {of: "hypercorn", takes: true, answer: "all addresses speak TLS or none: let a second server, or the proxy in front, redirect"},
	"--quic-bind":                     {of: "hypercorn", takes: true, answer: "there is no HTTP/3"},
	"--debug":                         {of: "hypercorn", answer: "--log-level debug"},
	"--read-timeout":                  {of: "hypercorn", takes: true, answer: "see --header-timeout, --body-timeout and --body-min-rate"},
	"--server-name":                   {of: "hypercorn", takes: true, answer: "which hosts are served is the app's, or the proxy's in front, to decide"},
	"--wsgi-max-body-size":            {of: "hypercorn", takes: true, answer: "--limit-request-body is the largest body, in bytes"},
	"--runtime-threads":               {of: "granian", takes: true, answer: "leave it out: the front uses half of the processors, or GOMAXPROCS of them"},
	"--runtime-mode":                  {of: "granian", takes: true, answer: "leave it out: the front uses half of the processors, or GOMAXPROCS of them"},
	"--respawn-failed-workers":        {of: "granian", answer: "leave it out: they always are"},
	"--workers-lifetime":              {of: "granian", takes: true, answer: "--max-requests replaces workers after so many requests"},
	"--workers-max-rss":               {of: "granian", takes: true, answer: "--max-requests replaces workers after so many requests"},
	"--url-path-prefix":               {of: "granian", takes: true, answer: "--root-path for ASGI; for WSGI SCRIPT_NAME in the environment, or a header of a trusted proxy"},
	"--static-path-mount":             {of: "granian", takes: true, answer: "files are for the app (WhiteNoise, StaticFiles) or the proxy in front to serve"},
	"--metrics":                       {of: "granian", answer: "--statsd-host sends metrics"},
	"--access-log-fmt":                {of: "granian", takes: true, answer: "--access-logformat has Gunicorn's atoms, such as %(h)s"},

	"--http-socket": {of: "uwsgi", takes: true, setting: "bind"},
	"--processes":   {of: "uwsgi", takes: true, setting: "workers"},
	"--socket":      {of: "uwsgi", takes: true, answer: "--bind, and proxy_pass in the place of uwsgi_pass in nginx: the uwsgi protocol is not spoken"},
	"--module":      {of: "uwsgi", takes: true, answer: "name the app without an option: module:variable"},
	"--wsgi-file":   {of: "uwsgi", takes: true, answer: "name the app without an option, by its module: package.module:variable"},
	"--callable":    {of: "uwsgi", takes: true, answer: "name it behind the module: module:variable"},
	"--master":      {of: "uwsgi", answer: "leave it out: there is always one"},
	"--harakiri":    {of: "uwsgi", takes: true, answer: "--timeout is how long a request may run"},
	"--virtualenv":  {of: "uwsgi", takes: true, answer: "INDRIK_PYTHON=DIR/bin/python in the environment, or activate it"},
	"--ini":         {of: "uwsgi", takes: true, answer: "settings are in indrik.conf.py, gunicorn.conf.py or pyproject.toml"},
}

// bindTo returns what adds an address with such a beginning.
func bindTo(scheme string) func(*argParser, string) error {
	return func(p *argParser, value string) error { return p.set(byName["bind"], scheme+value) }
}

// setHost and setPort keep what makes one address at the end, see address.
func (p *argParser) setHost(value string) error {
	p.host = value
	return nil
}

func (p *argParser) setPort(value string) error {
	p.port = value
	return nil
}

// setAddress adds the address that --host and --port are.
func (p *argParser) setAddress() error {
	if p.host == "" && p.port == "" {
		return nil
	}
	host, port := p.host, p.port
	if host == "" {
		host = "127.0.0.1"
	}
	if port == "" {
		port = "8000"
	}
	return p.set(byName["bind"], net.JoinHostPort(strings.Trim(host, "[]"), port))
}

func (p *argParser) setFactory(string) error {
	p.factory = true
	return nil
}

// setInterface takes uvicorn's and Granian's names of what an app speaks. Without it an
// app of ASGI is recognized.
func (p *argParser) setInterface(value string) error {
	switch value {
	case "auto", "wsgi":
		return nil
	case "asgi", "asgi2", "asgi3":
		return p.set(byName["worker_class"], WorkerASGI)
	case "asginl":
		if err := p.set(byName["asgi_lifespan"], "off"); err != nil {
			return err
		}
		return p.set(byName["worker_class"], WorkerASGI)
	}
	return p.fail("argument --interface: invalid choice: " + pyRepr(value) + " (choose from 'auto', 'asgi', 'asgi2', 'asgi3', 'asginl', 'wsgi')")
}

func (p *argParser) setCompression(value string) error {
	switch strings.ToLower(value) {
	case "true", "1", "yes", "on":
		p.layer.set("websocket_compression", true)
	case "false", "0", "no", "off":
		p.layer.set("websocket_compression", false)
	default:
		return p.fail("argument --ws-per-message-deflate: invalid bool value: " + pyRepr(value))
	}
	return nil
}

// wholeSeconds returns what takes a time that uvicorn allows fractions for.
func wholeSeconds(setting string) func(*argParser, string) error {
	return func(p *argParser, value string) error {
		whole, fraction, _ := strings.Cut(value, ".")
		if strings.Trim(fraction, "0") == "" {
			value = whole
		}
		return p.set(byName[setting], value)
	}
}

// takeForeign carries out an option of another server.
func (p *argParser) takeForeign(flag, value string) error {
	o := foreignOptions[flag]
	switch {
	case o.answer != "":
		p.answers = append(p.answers, fmt.Sprintf("%s is an option of %s: %s", flag, o.of, o.answer))
	case o.special != nil:
		return o.special(p, value)
	case o.setting != "" && o.value == "None":
		p.layer.set(o.setting, nil)
	case o.setting != "":
		if !o.takes {
			value = o.value
		}
		return p.set(byName[o.setting], value)
	}
	return nil
}

// answer is what to say of an option that nobody has: the one that is most like it.
func answer(arg string) string {
	flag, _, _ := strings.Cut(arg, "=")
	if len(flag) < 4 || !strings.HasPrefix(flag, "--") {
		return ""
	}
	// A setting of that name, written with underscores or without its option's dash.
	if s := Lookup(strings.ReplaceAll(flag[2:], "-", "_")); s != nil {
		if s.HasFlag() {
			return fmt.Sprintf("%s: did you mean %s?", flag, s.Flags[len(s.Flags)-1])
		}
		return fmt.Sprintf("%s: %s can be set in a config file, or by %s", flag, s.Name, s.Variable())
	}
	best, distance := "", max(1, len(flag)/4)+1
	for _, known := range options {
		if !strings.HasPrefix(known, "--") {
			continue
		}
		if d := editDistance(flag, known); d < distance {
			best, distance = known, d
		}
	}
	for known := range foreignOptions {
		if d := editDistance(flag, known); d < distance || d == distance && known < best {
			best, distance = known, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("%s: did you mean %s?", flag, best)
}
