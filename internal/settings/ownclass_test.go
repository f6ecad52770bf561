package settings

import (
	"reflect"
	"strings"
	"testing"
)

func TestOwnClassIsKnownOnceAsked(t *testing.T) {
	t.Parallel()
	file := FromFile("x.py", map[string]any{"worker_class": map[string]any{"python": "<class '__config__.Mine'>"}}, nil)
	c, err := Resolve("app:app", file)
	if err != nil || c.UnknownClass() != "__config__.Mine" {
		t.Fatalf("%q, %v", c.UnknownClass(), err)
	}
	c, err = Resolve("app:app", file, FromClass("__config__.Mine", WorkerGevent, nil, []string{"its wait() is not called"}))
	if err != nil || c.UnknownClass() != "" || c.Kind() != WorkerGevent || c.KindForLog() != "gevent, by the class __config__.Mine" {
		t.Errorf("%q %q %q, %v", c.UnknownClass(), c.Kind(), c.KindForLog(), err)
	}
	if got := c.Warnings(); len(got) != 1 || got[0] != "its wait() is not called" {
		t.Errorf("%q", got)
	}
	for _, name := range []string{"sync", "gunicorn.workers.sync.SyncWorker", "uvicorn.workers.UvicornWorker"} {
		if c, err := Resolve("app:app", Layer{Values: map[string]any{"worker_class": name}}); err != nil || c.UnknownClass() != "" {
			t.Errorf("%s is not known: %v", name, err)
		}
	}
}

// CONFIG_KWARGS of uvicorn's worker are settings, and go above the command line.
func TestClassOptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key     string
		value   any
		setting string
		want    any
	}{
		{"loop", "uvloop", "asgi_loop", "uvloop"},
		{"lifespan", "off", "asgi_lifespan", "off"},
		{"root_path", "/api", "root_path", "/api"},
		{"forwarded_allow_ips", "*", "forwarded_allow_ips", []string{"*"}},
		{"forwarded_allow_ips", []any{"10.0.0.1", "::1"}, "forwarded_allow_ips", []string{"10.0.0.1", "::1"}},
		{"proxy_headers", false, "forwarded_allow_ips", []string(nil)},
		{"limit_concurrency", 100.0, "worker_connections", 100},
		{"limit_max_requests", 5.0, "max_requests", 5},
		{"timeout_keep_alive", 600.0, "keepalive", 600},
		{"ws_max_size", 16777216.0, "websocket_max_message_size", 16777216},
		{"ws_ping_interval", 3600.0, "websocket_ping_interval", 3600},
		{"ws_per_message_deflate", false, "websocket_compression", false},
		{"server_header", false, "server_header", "off"},
		{"access_log", false, "accesslog", nil},
		{"log_level", "warning", "loglevel", "warning"},
		{"log_config", map[string]any{"version": 1.0}, "logconfig_dict", map[string]any{"version": 1.0}},
		{"backlog", 100.0, "backlog", 100},
	} {
		cfg, err := Resolve("app:app", Layer{Values: map[string]any{"keepalive": 1}}, FromClass("my.Worker", WorkerASGI, map[string]any{c.key: c.value}, nil))
		if err != nil {
			t.Errorf("%s: %v", c.key, err)
			continue
		}
		if got := cfg.values[c.setting]; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s = %v: %s is %#v, want %#v", c.key, c.value, c.setting, got, c.want)
		}
		if w := cfg.Warnings(); w != nil {
			t.Errorf("%s: %q", c.key, w)
		}
	}
}

func TestClassOptionsWithoutEffectAreSaid(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]struct {
		value any
		why   string
	}{
		"headers":       {[]any{"a"}, "fields of responses are the app's"},
		"date_header":   {false, "the field Date is always sent"},
		"ws_max_queue":  {5.0, "a client waits while the app does not read"},
		"log_config":    {"logging.yaml", "read it in the config file, and give it to logconfig_dict"},
		"reload_dirs":   {"x", "leave it out"},
		"no_such_thing": {1.0, "it is no option of uvicorn's that is known here"},
	} {
		l := FromClass("my.Worker", WorkerASGI, map[string]any{key: want.value}, nil)
		if len(l.remarks) != 1 || !strings.HasPrefix(l.remarks[0], "CONFIG_KWARGS of my.Worker: "+key+" has no effect: ") || !strings.Contains(l.remarks[0], want.why) {
			t.Errorf("%s: %q, want %q", key, l.remarks, want.why)
		}
	}
	all := map[string]any{"http": "h11", "ws": "wsproto", "workers": 1.0, "reload": false, "factory": true, "interface": "asgi3"}
	if l := FromClass("my.Worker", WorkerASGI, all, nil); l.remarks != nil || len(l.Values) != 1 {
		t.Errorf("%q %v", l.remarks, l.Values)
	}
}
