package settings

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"indrik/internal/wire"
)

func config(t *testing.T, line string) *Config {
	t.Helper()
	return resolve(t, layers(t, nil, nil, strings.Fields(line)...))
}

func TestKind(t *testing.T) {
	for _, c := range []struct {
		line, class, kind string
		slots             int
	}{
		{"", "sync", "sync", 1},
		{"--threads 0", "sync", "sync", 1},
		{"--threads 4", "gthread", "gthread", 4},
		{"-k gthread", "gthread", "gthread", 1},
		{"-k gthread --threads 0", "gthread", "gthread", 1},
		{"-k gunicorn.workers.sync.SyncWorker", "gunicorn.workers.sync.SyncWorker", "sync", 1},
		{"-k gunicorn.workers.sync.SyncWorker --threads 2", "gthread", "gthread", 2},
		{"-k gevent --threads 9", "gevent", "gevent", 1},
		{"-k gevent_pywsgi", "gevent_pywsgi", "gevent", 1},
		{"-k egg:gunicorn#gevent_wsgi", "egg:gunicorn#gevent_wsgi", "gevent", 1},
		{"-k gunicorn.workers.ggevent.GeventWorker", "gunicorn.workers.ggevent.GeventWorker", "gevent", 1},
		{"-k gunicorn.workers.ggevent.GeventPyWSGIWorker", "gunicorn.workers.ggevent.GeventPyWSGIWorker", "gevent", 1},
		{"-k tornado", "tornado", "tornado", 1},
		{"-k gunicorn.workers.gthread.ThreadWorker", "gunicorn.workers.gthread.ThreadWorker", "gthread", 1},
	} {
		conf := config(t, c.line)
		if conf.KindForLog() != c.class || conf.Kind() != c.kind || conf.Slots() != c.slots {
			t.Errorf("%q: %s, %s, %d", c.line, conf.KindForLog(), conf.Kind(), conf.Slots())
		}
	}
}

func TestEarlyKind(t *testing.T) {
	for _, c := range []struct {
		low, high map[string]any
		want      string
	}{
		{nil, nil, ""},
		{map[string]any{"workers": 2}, nil, ""},
		{map[string]any{"worker_class": " gthread"}, map[string]any{"workers": 2}, "gthread"},
		{map[string]any{"worker_class": "gthread"}, map[string]any{"worker_class": "gunicorn.workers.sync.SyncWorker"}, "sync"},
		{map[string]any{"worker_class": "gthread"}, map[string]any{"worker_class": "nope"}, ""},
	} {
		if got := EarlyKind(Layer{Values: c.low}, Layer{Values: c.high}); got != c.want {
			t.Errorf("%v below %v: %q, want %q", c.low, c.high, got, c.want)
		}
	}
}

func TestFront(t *testing.T) {
	got := config(t, "").Front()
	want := &wire.FrontConfig{
		Timeout: 30, GracefulTimeout: 30, Keepalive: 75,
		AccessLogFormat:  defaultAccessLogFormat,
		AccessLogTimeout: 1,
		LimitRequestLine: 4094, LimitRequestFields: 100, LimitRequestFieldSize: 8190, LimitRequestHead: 32768, LimitClientStreams: 1000,
		HeaderMap: "drop", ForwarderHeaders: []string{"SCRIPT_NAME", "PATH_INFO"}, ForwardedAllowIPs: "127.0.0.1,::1", ForwardedFor: "asgi",
		SecureSchemeHeaders: map[string]string{"X-FORWARDED-PROTOCOL": "ssl", "X-FORWARDED-PROTO": "https", "X-FORWARDED-SSL": "on"},
		ServerHeader:        "indrik",
		LogFormat:           "text",
		Sendfile:            true,
		WorkerConnections:   1000,
		WorkerAffinity:      "none",
		QuarantineDeaths:    3, QuarantineWindow: 60, QuarantineTime: 60,

		ASGISendAfterDisconnect: "ignore",

		LimitRequestBody: 1 << 30, QueueLimit: 2048, QueueTimeout: 30,
		HandshakeTimeout: 10, HeaderTimeout: 60, BodyMinRate: 240, WriteTimeout: 60,
		WebSocketMaxMessageSize: 16 << 20, WebSocketPingInterval: 20, WebSocketPingTimeout: 20, WebSocketCompression: true,
		WebSocketDrainMax: 10, WebSocketDrainWindow: 10,
		ProxyProtocol: "off", ProxyAllowIPs: "127.0.0.1,::1", UWSGIAllowIPs: "127.0.0.1,::1",
		HTTP1: true, HTTP2MaxConcurrentStreams: 100, HTTP2InitialWindowSize: 65535, HTTP2MaxFrameSize: 16384, HTTP2MaxHeaderListSize: 65536, HTTP2IdleTimeout: 75,
		StashLimit: 64 << 20,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}

	got = config(t, "--limit-request-line 99999 --limit-request-fields 99999 --limit-request-field_size 99999 "+
		"--no-sendfile -e SCRIPT_NAME=/a -e SCRIPT_NAME=/b --permit-obsolete-folding --strip-header-spaces "+
		"--permit-unconventional-http-method --permit-unconventional-http-version --casefold-http-method").Front()
	if got.Sendfile || got.ScriptName != "/b" ||
		got.LimitRequestLine != 8190 || got.LimitRequestFields != 32768 || got.LimitRequestFieldSize != 99999 ||
		!got.PermitObsoleteFolding || !got.StripHeaderSpaces || !got.PermitUnconventionalHTTPMethod || !got.PermitUnconventionalHTTPVersion || !got.CasefoldHTTPMethod {
		t.Errorf("%+v", got)
	}
	if want := 8190 + 99999 + otherFields; got.LimitRequestHead != want {
		t.Errorf("limit_request_head is %d, want %d: room for the longest line and field", got.LimitRequestHead, want)
	}
	got = config(t, "--limit-request-head 100 --limit-request-field_size 99999").Front()
	if got.LimitRequestHead != 100 {
		t.Errorf("limit_request_head is %d, want what was set", got.LimitRequestHead)
	}
	got = config(t, "--limit-request-line 0 --limit-request-fields 0 --limit-request-field_size 0").Front()
	if got.LimitRequestLine != 0 || got.LimitRequestFields != 32768 || got.LimitRequestFieldSize != 8190 {
		t.Errorf("%+v", got)
	}
}

// Every setting of the front reaches its field, and no other.
func TestFrontHTTP(t *testing.T) {
	got := config(t, "--limit-connections 1 --limit-request-body 2 --queue-limit 3 --queue-timeout 4 --handshake-timeout 5 "+
		"--header-timeout 6 --body-timeout 7 --body-min-rate 8 --write-timeout 9 --proxy-protocol=v2 --proxy-allow-from 10.0.0.0/8,::1 "+
		"--http-protocols h2 --http2-cleartext prior-knowledge --http2-max-concurrent-streams 10 --http2-initial-window-size 11 "+
		"--http2-max-frame-size 20000 --http2-max-header-list-size 13 --http2-idle-timeout 14").Front()
	want := config(t, "").Front()
	want.LimitConnections, want.LimitRequestBody, want.QueueLimit, want.QueueTimeout, want.HandshakeTimeout = 1, 2, 3, 4, 5
	want.HeaderTimeout, want.BodyTimeout, want.BodyMinRate, want.WriteTimeout = 6, 7, 8, 9
	want.ProxyProtocol, want.ProxyAllowIPs = "v2", "10.0.0.0/8,::1"
	want.HTTP1, want.HTTP2, want.HTTP2Cleartext = false, true, true
	want.HTTP2MaxConcurrentStreams, want.HTTP2InitialWindowSize, want.HTTP2MaxFrameSize, want.HTTP2MaxHeaderListSize, want.HTTP2IdleTimeout = 10, 11, 20000, 13, 14
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
	if got := config(t, "--http2-cleartext prior-knowledge").Front(); got.HTTP2 || got.HTTP2Cleartext {
		t.Error("HTTP/2 without h2 in http_protocols")
	}
}

func TestFrontWebSocket(t *testing.T) {
	got := config(t, "--websocket-max-message-size 1 --websocket-ping-interval 2 --websocket-ping-timeout 3 "+
		"--no-websocket-compression --websocket-drain-max 4 --websocket-drain-window 5").Front()
	want := config(t, "").Front()
	want.WebSocketMaxMessageSize, want.WebSocketPingInterval, want.WebSocketPingTimeout, want.WebSocketCompression = 1, 2, 3, false
	want.WebSocketDrainMax, want.WebSocketDrainWindow = 4, 5
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
}

func TestFrontTLS(t *testing.T) {
	for line, want := range map[string]*wire.TLS{
		"": nil,
		"--ciphers ECDHE-RSA-AES128-GCM-SHA256 --tls-min-version 1.3": nil,
		"--certfile a.pem":                 {MinVersion: tls.VersionTLS12},
		"--certfile a.pem --keyfile b.pem": {MinVersion: tls.VersionTLS12},
		"--certfile a.pem --cert-reqs 2 --ca-certs c.pem --tls-min-version 1.3": {MinVersion: tls.VersionTLS13, CertReqs: 2},
		"--certfile a.pem --ciphers ECDHE-RSA-AES128-GCM-SHA256": {
			MinVersion: tls.VersionTLS12, Ciphers: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
		},
	} {
		if got := config(t, line).Front().TLS; !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, want %+v", line, got, want)
		}
	}
}

func TestAllForPython(t *testing.T) {
	data, err := json.Marshal(config(t, "-u 7 -e A=1").All())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"user":7`, `"raw_env":["A=1"]`, `"pidfile":null`, `"sendfile":null`, `"proc_name":"test:app"`, `"default_proc_name":"test:app"`, `"umask":0`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%s is missing from %s", want, data)
		}
	}
	if strings.Contains(string(data), "pre_fork") {
		t.Error("a hook is among them")
	}
	if data, _ := json.Marshal(config(t, "").All()["raw_env"]); string(data) != "[]" {
		t.Errorf("an empty list becomes %s", data)
	}
}

func TestPrint(t *testing.T) {
	c := config(t, "-b a:1 -b b'c -u 7 -D")
	for name, want := range map[string]string{
		"bind": `['a:1', "b'c"]`, "user": "7", "daemon": "True", "pidfile": "None", "loglevel": "info", "workers": "1", "raw_env": "[]",
		"secure_scheme_headers": "{'X-FORWARDED-PROTO': 'https', 'X-FORWARDED-PROTOCOL': 'ssl', 'X-FORWARDED-SSL': 'on'}",
	} {
		if got := c.Print(name); got != want {
			t.Errorf("%s prints %s, want %s", name, got, want)
		}
	}
}

// Each accessor returns the type that its setting's values have, by default and as given.
func TestAccessors(t *testing.T) {
	c := reflect.ValueOf(config(t, ""))
	for i := range Table {
		s := &Table[i]
		method := c.MethodByName(s.GoName())
		if s.goType() == "" {
			if method.IsValid() {
				t.Errorf("%s has an accessor, and its values no type in Go", s.Name)
			}
			continue
		}
		if !method.IsValid() {
			t.Errorf("%s has no accessor %s", s.Name, s.GoName())
			continue
		}
		if got := method.Call(nil)[0]; got.Type().String() != s.goType() {
			t.Errorf("%s returns a %s, want %s", s.GoName(), got.Type(), s.goType())
		}
	}
}

func TestMistakesPanic(t *testing.T) {
	c := config(t, "")
	for _, f := range []func(){
		func() { value[string](c, "worker") },
		func() { value[string](c, "workers") },
		func() { value[int](c, "bind") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		}()
	}
}

func TestQuote(t *testing.T) {
	for in, want := range map[string]string{
		"a": "'a'", "it's": `"it's"`, `a"b'c`: `'a"b\'c'`, "a\\b\n\r\t": `'a\\b\n\r\t'`,
		"\x01\x7f": `'\x01\x7f'`, "é日": "'é日'", "\u00a0\u200b": `'\xa0\u200b'`, "\U000e0001": `'\U000e0001'`,
	} {
		if got := pyQuote(in); got != want {
			t.Errorf("%q is quoted %s, want %s", in, got, want)
		}
	}
}

func TestResolveChecksTheAccessLogFormat(t *testing.T) {
	_, err := Resolve("app", Layer{Name: "command line", Values: map[string]any{"access_log_format": "%(h"}})
	var value *ValueError
	if !errors.As(err, &value) || value.Setting != "access_log_format" {
		t.Errorf("%v", err)
	}
	// A class of one's own may have atoms that only Python can format.
	own := map[string]any{"access_log_format": "%(took).3f %(h)s", "logger_class": "logs.Logger"}
	c, err := Resolve("app", Layer{Name: "command line", Values: own})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Front().AccessLogFormat; got != defaultAccessLogFormat {
		t.Errorf("the front writes %q", got)
	}
}
