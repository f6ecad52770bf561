package settings

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// fromJSON is a value as the control message brings it.
func fromJSON(items ...any) []any { return items }

func TestCheckGood(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "app"), 0o755); err != nil {
		t.Fatal(err)
	}
	own := identity{id: os.Geteuid()}
	for _, c := range []struct {
		name string
		in   any
		want any
	}{
		{"pidfile", " a b ", "a b"},
		{"pidfile", nil, nil},
		{"pidfile", "", ""},
		{"workers", 3.0, 3},
		{"workers", int64(3), 3},
		{"workers", "10", 10},
		{"workers", " 0x1f ", 31},
		{"workers", "1_000", 1000},
		{"workers", true, 1},
		{"workers", false, 0},
		{"umask", 18.0, 18},
		{"umask", "022", 0o22},
		{"umask", "0o22", 0o22},
		{"umask", "0x12", 0x12},
		{"umask", "00", 0},
		{"daemon", "True", true},
		{"daemon", " false ", false},
		{"daemon", nil, nil},
		{"bind", "a:1", []string{"a:1"}},
		{"bind", fromJSON("a:1 ", "b"), []string{"a:1", "b"}},
		{"bind", fromJSON(), []string{}},
		{"bind", "", []string(nil)},
		{"bind", nil, []string(nil)},
		{"bind", false, []string(nil)},
		{"bind", 0.0, []string(nil)},
		{"raw_env", fromJSON("A=1", "B="), []string{"A=1", "B="}},
		{"forwarder_headers", "A, B,,C", []string{"A", "B", "C"}},
		{"forwarder_headers", nil, []string(nil)},
		{"forwarded_allow_ips", "*", []string{"*"}},
		{"forwarded_allow_ips", "10.0.0.0/8, ::1,fd00::/8,127.0.0.1", []string{"10.0.0.0/8", "::1", "fd00::/8", "127.0.0.1"}},
		{"forwarded_allow_ips", "10.0.0.0/255.0.0.0,10.1.0.0/0.0.255.255,0.0.0.0/0.0.0.0", []string{"10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0"}},
		{"forwarded_allow_ips", "::ffff:10.0.0.1,::ffff:10.0.0.0/104", []string{"::ffff:10.0.0.1", "::ffff:10.0.0.0/104"}},
		{"forwarded_allow_ips", "", []string(nil)},
		{"secure_scheme_headers", map[string]any{"X": "on"}, map[string]string{"X": "on"}},
		{"secure_scheme_headers", map[string]any{}, map[string]string{}},
		{"chdir", "app", filepath.Join(dir, "app")},
		{"chdir", "app/..", dir},
		{"chdir", "/", "/"},
		{"chdir", "", dir},
		{"user", nil, own},
		{"user", "root", identity{0, "root"}},
		{"user", "1234", identity{1234, "1234"}},
		{"user", 1234.0, identity{1234, "1234"}},
		{"group", nil, identity{id: os.Getegid()}},
		{"group", 7.0, identity{7, "7"}},
		{"worker_class", "gthread", "gthread"},
		{"worker_class", "gunicorn.workers.sync.SyncWorker", "gunicorn.workers.sync.SyncWorker"},
		{"worker_class", "gevent_wsgi", "gevent_wsgi"},
		{"worker_class", "gunicorn.workers.gtornado.TornadoWorker", "gunicorn.workers.gtornado.TornadoWorker"},
		{"worker_class", " egg:gunicorn#gthread", "egg:gunicorn#gthread"},
		{"worker_class", map[string]any{"python": "<class 'gunicorn.workers.gthread.ThreadWorker'>"}, "gunicorn.workers.gthread.ThreadWorker"},
		{"header_map", " Refuse ", "refuse"},
		{"proxy_protocol", nil, "off"},
		{"proxy_protocol", true, "auto"},
		{"proxy_protocol", false, "off"},
		{"proxy_protocol", " V1 ", "v1"},
		{"proxy_protocol", "v2", "v2"},
		{"proxy_protocol", "True", "auto"},
		{"proxy_protocol", "1", "auto"},
		{"proxy_protocol", "None", "off"},
		{"proxy_protocol", "0", "off"},
		{"proxy_allow_ips", "10.0.0.0/8,*", []string{"10.0.0.0/8", "*"}},
		{"certfile", " a.pem ", "a.pem"},
		{"cert_reqs", 2.0, 2},
		{"cert_reqs", "0x1", 1},
		{"ssl_version", 2.0, 2},
		{"ssl_version", "TLSv1_2", "TLSv1_2"},
		{"ssl_version", nil, nil},
		{"ssl_version", map[string]any{"python": "<_SSLMethod.PROTOCOL_TLS: 2>"}, "<_SSLMethod.PROTOCOL_TLS: 2>"},
		{"suppress_ragged_eofs", false, false},
		{"do_handshake_on_connect", "true", true},
		{"ciphers", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"},
		{"ciphers", "", ""},
		{"ciphers", nil, nil},
		{"tls_min_version", "1.2", "1.2"},
		{"tls_min_version", " 1.3 ", "1.3"},
		{"tls_min_version", 1.3, "1.3"},
		{"http_protocols", "h2,h1", []string{"h2", "h1"}},
		{"http_protocols", " H2 ,, h1 ", []string{"h2", "h1"}},
		{"http_protocols", fromJSON("h1", "h2"), []string{"h1", "h2"}},
		{"http_protocols", "", []string{"h1"}},
		{"http_protocols", ",", []string{"h1"}},
		{"http_protocols", fromJSON(), []string{"h1"}},
		{"http_protocols", nil, []string{"h1"}},
		{"http2_cleartext", "Prior-Knowledge", "prior-knowledge"},
		{"http2_cleartext", " off ", "off"},
		{"http2_cleartext", "", "off"},
		{"http2_cleartext", nil, "off"},
		{"http2_cleartext", true, "prior-knowledge"},
		{"http2_cleartext", false, "off"},
		{"header_map", nil, "drop"},
		{"asgi_loop", " UVLoop ", "uvloop"},
		{"asgi_lifespan", nil, "auto"},
		{"http_parser", "fast", "fast"},
		{"reload_engine", "poll", "poll"},
		{"reload_extra_files", fromJSON(".", "no-*.html", "/tmp"), []string{".", "no-*.html", "/tmp"}},
		{"protocol", "HTTP", "http"},
		{"protocol", "uwsgi", "uwsgi"},
		{"bind", fromJSON("uwsgi://127.0.0.1:3031", "fastcgi://unix:/run/a"), []string{"uwsgi://127.0.0.1:3031", "fastcgi://unix:/run/a"}},
		{"logconfig_dict", map[string]any{"version": 1.0, "loggers": map[string]any{}}, map[string]any{"version": 1.0, "loggers": map[string]any{}}},
		{"logconfig_dict", map[string]any{"a": "b"}, map[string]any{"a": "b"}},
		{"logconfig_dict", map[string]any{"python": "{'()': <class 'X'>}"}, pyObject("{'()': <class 'X'>}")},
		{"logger_class", " a.B ", "a.B"},
		{"logger_class", map[string]any{"python": "<class 'B'>"}, pyObject("<class 'B'>")},
		{"syslog_addr", "udp://localhost", "udp://localhost"},
		{"syslog_addr", "tcp://[::1]:514", "tcp://[::1]:514"},
		{"syslog_addr", "unix:///dev/log#stream", "unix:///dev/log#stream"},
		{"syslog_facility", "LOCAL3", "local3"},
		{"statsd_host", "host", "host"},
		{"statsd_host", "[::1]:1", "[::1]:1"},
		{"statsd_host", "unix:///s", "unix:///s"},
		{"statsd_host", "unix:/s", "unix:/s"},
		{"statsd_host", "unix:8125", "unix:8125"},
		{"statsd_host", "", ""},
		{"statsd_host", nil, nil},
		{"http2_max_concurrent_streams", 1.0, 1},
		{"http2_initial_window_size", "0x7fffffff", 1<<31 - 1},
		{"http2_max_frame_size", 16384.0, 16384},
		{"http2_max_frame_size", 16777215.0, 16777215},
		{"http2_max_header_list_size", 0.0, 0},
		{"http2_idle_timeout", 0.0, 0},
		{"limit_connections", 0.0, 0},
		{"limit_request_body", "0x100000000", 1 << 32},
		{"queue_limit", 0.0, 0},
		{"queue_timeout", 0.0, 0},
		{"handshake_timeout", 1.0, 1},
		{"header_timeout", 1.0, 1},
		{"body_timeout", 1.0, 1},
		{"body_min_rate", 0.0, 0},
		{"write_timeout", 1.0, 1},
	} {
		got, err := check(Lookup(c.name), plain(c.in), dir)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s = %#v becomes %#v, %v; want %#v", c.name, c.in, got, err, c.want)
		}
	}
}

func TestCheckBad(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	object := map[string]any{"python": "<object object at 0x7f>"}
	for _, c := range []struct {
		name string
		in   any
		want string
	}{
		{"pidfile", 1.0, "Not a string: 1"},
		{"pidfile", true, "Not a string: True"},
		{"pidfile", fromJSON("a", 1.0, nil), "Not a string: ['a', 1, None]"},
		{"pidfile", object, "Not a string: <object object at 0x7f>"},
		{"workers", -1.0, "Value must be positive: -1"},
		{"workers", "-1", "Value must be positive: -1"},
		{"workers", "x", "invalid literal for int() with base 0: 'x'"},
		{"workers", "010", "invalid literal for int() with base 0: '010'"},
		{"workers", "", "invalid literal for int() with base 0: ''"},
		{"workers", "1__0", "invalid literal for int() with base 0: '1__0'"},
		{"workers", 2.5, "Not a whole number: 2.5"},
		{"workers", nil, "Not a whole number: None"},
		{"umask", "09", "invalid literal for int() with base 0: '09'"},
		{"daemon", "yes", "Invalid boolean: yes"},
		{"daemon", 1.0, "Invalid type for casting: 1"},
		{"bind", 8000.0, "Not a string: 8000"},
		{"bind", fromJSON("a", 8000.0), "Not a string: 8000"},
		{"bind", map[string]any{"a": "b"}, "Not a string: {'a': 'b'}"},
		{"raw_env", fromJSON("A=1", "it's"), `environment setting "it's" invalid`},
		{"raw_env", "A", "environment setting 'A' invalid"},
		{"forwarder_headers", fromJSON("A"), "Not a string: ['A']"},
		{"forwarded_allow_ips", "foo", "'foo' does not appear to be an IPv4 or IPv6 network"},
		{"forwarded_allow_ips", "127.0.0.1, ,::1", "'' does not appear to be an IPv4 or IPv6 network"},
		{"forwarded_allow_ips", "10.0.0.0/33", "'10.0.0.0/33' does not appear to be an IPv4 or IPv6 network"},
		{"forwarded_allow_ips", "10.0.0.0/255.0.255.0", "'10.0.0.0/255.0.255.0' does not appear to be an IPv4 or IPv6 network"},
		{"forwarded_allow_ips", "10.0.0.0/", "'10.0.0.0/' does not appear to be an IPv4 or IPv6 network"},
		{"forwarded_allow_ips", "192.168.1.1/24", "192.168.1.1/24 has host bits set"},
		{"secure_scheme_headers", "X", "Value is not a dictionary: X "},
		{"secure_scheme_headers", nil, "Value is not a dictionary: None "},
		{"secure_scheme_headers", map[string]any{"X": 1.0}, "Not a string: 1, the value of 'X'"},
		{"chdir", "nope", "can't chdir to 'nope'"},
		{"chdir", "file", "can't chdir to 'file'"},
		{"chdir", nil, "Not a string: None"},
		{"user", "no-such-user", "No such user: 'no-such-user'"},
		{"user", "", "No such user: ''"},
		{"user", -1.0, "No such user: '-1'"},
		{"user", "99999999999", "No such user: '99999999999'"},
		{"group", "no-such-group", "No such group: 'no-such-group'"},
		{"group", fromJSON(), "No such group: '[]'"},
		{"worker_class", "nope", "class uri 'nope' invalid or not found: the kinds of worker are sync, gthread, gevent, asgi and tornado; a class of your own has the name of its module: myapp.workers.MyWorker"},
		{"worker_class", object, "class uri <object object at 0x7f> invalid or not found: the kinds of worker are sync, gthread, gevent, asgi and tornado; a class of your own has the name of its module: myapp.workers.MyWorker"},
		{"header_map", "keep", "Invalid header map behaviour: keep"},
		{"header_map", true, "Invalid type for casting: True"},
		{"proxy_protocol", "v3", "proxy_protocol must be: off, v1, v2, or auto"},
		{"proxy_protocol", "", "proxy_protocol must be: off, v1, v2, or auto"},
		{"proxy_protocol", 1.0, "proxy_protocol must be string or bool"},
		{"proxy_allow_ips", "10.0.0.1/8", "10.0.0.1/8 has host bits set"},
		{"certfile", 1.0, "Not a string: 1"},
		{"keyfile", "key.pem", "keyfile is set but certfile is not: without a certificate there is no TLS"},
		{"ca_certs", true, "Not a string: True"},
		{"cert_reqs", 3.0, "cert_reqs must be between 0 and 2, got 3"},
		{"cert_reqs", -1.0, "Value must be positive: -1"},
		{"cert_reqs", "CERT_REQUIRED", "invalid literal for int() with base 0: 'CERT_REQUIRED'"},
		{"cert_reqs", 1.0, "cert_reqs is 1 but ca_certs is not set: it has to name the CAs that the certificates of clients may come from"},
		{"cert_reqs", 2.0, "cert_reqs is 2 but ca_certs is not set: it has to name the CAs that the certificates of clients may come from"},
		{"suppress_ragged_eofs", "maybe", "Invalid boolean: maybe"},
		{"do_handshake_on_connect", 1.0, "Invalid type for casting: 1"},
		{"ciphers", 1.0, "Not a string: 1"},
		{"tls_min_version", nil, "Not a string: None"},
		{"http_protocols", "h1,h4", "Invalid protocol 'h4'. Valid protocols: h1, h2"},
		{"http_protocols", fromJSON("h2", "spdy"), "Invalid protocol 'spdy'. Valid protocols: h1, h2"},
		{"http_protocols", "h1,h3", "http_protocols: HTTP/3 is not available; remove h3"},
		{"http_protocols", "h1,h2,H1", "Duplicate protocols specified"},
		{"http_protocols", 1.0, "http_protocols must be a string or a list of strings"},
		{"http_protocols", fromJSON("h1", 2.0), "http_protocols must be a string or a list of strings"},
		{"http2_cleartext", "upgrade", h2cGone("upgrade")},
		{"http2_cleartext", " Both ", h2cGone("both")},
		{"http2_cleartext", "yes", "Invalid http2_cleartext: yes"},
		{"http2_cleartext", 1.0, "Invalid http2_cleartext: 1"},
		{"asgi_loop", "trio", "Invalid ASGI loop: trio"},
		{"asgi_lifespan", "yes", "Invalid ASGI lifespan: yes"},
		{"http_parser", "slow", "http_parser must be one of: auto, fast, python"},
		{"reload_engine", "x", "Invalid reload_engine: 'x'"},
		{"reload_extra_files", "nope", "File nope does not exists."},
		{"protocol", "h2", "protocol must be one of: http, uwsgi, fastcgi, scgi"},
		{"logconfig_dict", "x", "Value is not a dictionary: x "},
		{"logconfig_dict", object, "Value is not a dictionary: <object object at 0x7f> "},
		{"logger_class", 1.0, "Not a string: 1"},
		{"syslog_addr", "localhost:514", "invalid syslog address"},
		{"syslog_addr", "unix://", "invalid syslog address"},
		{"syslog_addr", "unix:///dev/log#tcp", "invalid syslog address"},
		{"syslog_addr", "http://x", "invalid syslog address"},
		{"syslog_addr", "udp://x:y", "invalid syslog address: 'y' is not a valid port number."},
		{"syslog_addr", nil, "Not a string: None"},
		{"syslog_facility", "local8", "unknown facility name"},
		{"syslog_facility", 1.0, "unknown facility name"},
		{"statsd_host", "x:y", "Value must be one of ('host:port', 'unix://PATH')"},
		{"statsd_host", "[::1", "Value must be one of ('host:port', 'unix://PATH')"},
		{"statsd_host", "[::1]x", "Value must be one of ('host:port', 'unix://PATH')"},
		{"statsd_host", "unix://", "Value must be one of ('host:port', 'unix://PATH')"},
		{"worker_connections", -1.0, "Value must be positive: -1"},
		{"control_socket_mode", "0o9", "invalid literal for int() with base 0: '0o9'"},
		{"dirty_workers", 2000.0, "dirty_workers must be between 0 and 1000, got 2000"},
		{"dirty_threads", 0.0, "dirty_threads must be between 1 and 128, got 0"},
		{"pools", "gpu", "Value is not a dictionary: gpu "},
		{"http2_max_concurrent_streams", 0.0, "http2_max_concurrent_streams must be between 1 and 2147483647, got 0"},
		{"http2_initial_window_size", 2147483648.0, "http2_initial_window_size must be between 1 and 2147483647, got 2147483648"},
		{"http2_max_frame_size", 16383.0, "http2_max_frame_size must be between 16384 and 16777215, got 16383"},
		{"http2_max_frame_size", 16777216.0, "http2_max_frame_size must be between 16384 and 16777215, got 16777216"},
		{"http2_max_frame_size", -1.0, "http2_max_frame_size must be between 16384 and 16777215, got -1"},
		{"http2_max_header_list_size", -1.0, "Value must be positive: -1"},
		{"http2_idle_timeout", -1.0, "Value must be positive: -1"},
		{"limit_connections", -1.0, "Value must be positive: -1"},
		{"limit_request_body", "1G", "invalid literal for int() with base 0: '1G'"},
		{"queue_limit", "many", "invalid literal for int() with base 0: 'many'"},
		{"queue_timeout", 0.5, "Not a whole number: 0.5"},
		{"handshake_timeout", nil, "Not a whole number: None"},
		{"header_timeout", -1.0, "Value must be positive: -1"},
		{"body_timeout", -1.0, "Value must be positive: -1"},
		{"body_min_rate", 2.5, "Not a whole number: 2.5"},
		{"write_timeout", "", "invalid literal for int() with base 0: ''"},
	} {
		// From a file, with Gunicorn's two messages.
		l := Layer{Name: "x.py", Values: map[string]any{c.name: c.in}, file: true}
		_, err := Resolve("", Layer{dir: dir}, l)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s = %v: error %q, want %q", c.name, c.in, err, c.want)
			continue
		}
		v := plain(c.in)
		want := "Invalid value for " + c.name + ": " + pyStr(v) + "\n\n\nError: " + c.want + "\n  " + c.name + " = " + pyRepr(v) + " (x.py)"
		if got := Report(err); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "\n") {
			t.Errorf("%s: report %q, want %q", c.name, got, want)
		}
	}
}

func h2cGone(mode string) string {
	return "http2_cleartext: '" + mode + "' is not available, since RFC 9113 section 3.1 has removed the upgrade from HTTP/1.1 to h2c; use prior-knowledge"
}

// What package tlsconf refuses is an error of the setting.
func TestTLSNames(t *testing.T) {
	for name, value := range map[string]string{"ciphers": "NO-SUCH-CIPHER", "tls_min_version": "1.1"} {
		_, err := Resolve("", Layer{Name: "command line", Values: map[string]any{name: value}})
		var wrong *ValueError
		if !errors.As(err, &wrong) || wrong.Setting != name || wrong.Value != value || !strings.HasPrefix(err.Error(), name+": ") || !strings.Contains(err.Error(), value) {
			t.Errorf("%s = %s: %v", name, value, err)
		}
	}
}

func TestReport(t *testing.T) {
	_, err := Resolve("", Layer{Name: "command line", Values: map[string]any{"workers": -1}})
	if got := Report(err); got != "\nError: Value must be positive: -1\n  workers = -1 (command line); accepted: whole number, auto, or a range such as 2..16\n" {
		t.Errorf("%q", got)
	}
	var value *ValueError
	if !errors.As(err, &value) || value.Setting != "workers" || value.Source != "command line" {
		t.Errorf("%#v", err)
	}
	if got := Report(ErrNoApp); got != "\nError: No application module specified.\n" {
		t.Errorf("%q", got)
	}
	_, _, err = ParseArgs("indrik", strings.Fields("-w x"))
	want := "usage: indrik [OPTIONS] [APP_MODULE]\nindrik: error: argument -w/--workers: invalid int value: 'x'\n"
	if got := Report(err); got != want {
		t.Errorf("%q", got)
	}
}

func TestSeconds(t *testing.T) {
	s := byName["slow_request_log"]
	for v, want := range map[any]float64{0: 0, 2: 2, 0.25: 0.25, " 1_0.5 ": 10.5, "1e-3": 0.001, ".5": 0.5} {
		if got, err := check(s, v, ""); err != nil || got != want {
			t.Errorf("%v: %v, %v", v, got, err)
		}
	}
	for v, want := range map[any]string{
		-1: "Value must be positive: -1", -0.5: "Value must be positive: -0.5", "x": "could not convert string to float: 'x'", "0x1p4": "could not convert string to float: '0x1p4'",
		"nan": "Not a number of seconds: nan", "1e999": "Not a number of seconds: 1e999", true: "Not a number: True",
	} {
		if got, err := check(s, v, ""); err == nil || err.Error() != want {
			t.Errorf("%v: %v, %v, want %q", v, got, err, want)
		}
	}
}
