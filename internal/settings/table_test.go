package settings

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	names := map[string]bool{}
	flags := map[string]bool{"-h": true, "--help": true, "-v": true, "--version": true}
	sections := map[string]bool{}
	last := ""
	for _, s := range Table {
		if names[s.Name] {
			t.Errorf("%s is in the table twice", s.Name)
		}
		names[s.Name] = true
		if s.Section != last && sections[s.Section] {
			t.Errorf("%s: the section %s is in two parts", s.Name, s.Section)
		}
		last = s.Section
		sections[s.Section] = true
		for _, flag := range s.Flags {
			if flags[flag] {
				t.Errorf("%s: the flag %s is taken", s.Name, flag)
			}
			flags[flag] = true
		}
		if !s.FileOnly() && s.TakesValue() != (s.Metavar != "") {
			t.Errorf("%s: metavar %q", s.Name, s.Metavar)
		}
		if s.Bare != "" {
			if _, err := check(&s, s.Bare, "/"); err != nil {
				t.Errorf("%s: the value of the flag alone: %v", s.Name, err)
			}
		}
		if !strings.HasSuffix(s.Doc, ".") || s.Note != "" && !strings.HasSuffix(s.Note, ".") {
			t.Errorf("%s: the documentation is no sentence: %q %q", s.Name, s.Doc, s.Note)
		}
		if s.Kind == KindHook {
			if s.Args == "" {
				t.Errorf("%s: no parameters", s.Name)
			}
			continue
		}
		// These have another type in Python than they have here.
		if s.Default == nil || s.Kind == KindCommaList || s.Kind == KindNetworks {
			continue
		}
		if v, err := check(&s, s.Default, "/"); err != nil || pyRepr(v) != pyRepr(s.Default) {
			t.Errorf("%s: the default becomes %v, %v", s.Name, v, err)
		}
	}
	for _, name := range elsewhere {
		if names[name] {
			t.Errorf("%s is in the table, and in the list of what is not", name)
		}
	}
}

// The names, flags and defaults that scripts and config files rely on.
func TestGunicornsDefaults(t *testing.T) {
	want := []struct {
		name, flags string
		value       any
	}{
		{"config", "-c --config", nil},
		{"wsgi_app", "", nil},
		{"bind", "-b --bind", []string{"127.0.0.1:8000"}},
		{"backlog", "--backlog", 2048},
		{"workers", "-w --workers", 1},
		{"worker_class", "-k --worker-class", "sync"},
		{"threads", "--threads", 1},
		{"max_requests", "--max-requests", 0},
		{"max_requests_jitter", "--max-requests-jitter", 0},
		{"timeout", "-t --timeout", 30},
		{"graceful_timeout", "--graceful-timeout", 30},
		{"keepalive", "--keep-alive", 75}, // Gunicorn: 2
		{"limit_request_line", "--limit-request-line", 4094},
		{"limit_request_fields", "--limit-request-fields", 100},
		{"limit_request_field_size", "--limit-request-field_size", 8190},
		{"keyfile", "--keyfile", nil},
		{"certfile", "--certfile", nil},
		{"ssl_version", "--ssl-version", nil}, // Gunicorn: ssl.PROTOCOL_TLS, which is ignored too
		{"cert_reqs", "--cert-reqs", 0},
		{"ca_certs", "--ca-certs", nil},
		{"suppress_ragged_eofs", "--suppress-ragged-eofs", true},
		{"do_handshake_on_connect", "--do-handshake-on-connect", false},
		{"ciphers", "--ciphers", nil},
		{"http_protocols", "--http-protocols", []string{"h1"}},
		{"http2_cleartext", "--http2-cleartext", "off"},
		{"http2_max_concurrent_streams", "--http2-max-concurrent-streams", 100},
		{"http2_initial_window_size", "--http2-initial-window-size", 65535},
		{"http2_max_frame_size", "--http2-max-frame-size", 16384},
		{"http2_max_header_list_size", "--http2-max-header-list-size", 65536},
		{"proxy_protocol", "--proxy-protocol", "off"},
		{"proxy_allow_ips", "--proxy-allow-from", []string{"127.0.0.1", "::1"}},
		{"check_config", "--check-config", false},
		{"print_config", "--print-config", false},
		{"preload_app", "--preload", false},
		{"sendfile", "--no-sendfile", nil},
		{"chdir", "--chdir", nil},
		{"daemon", "-D --daemon", false},
		{"raw_env", "-e --env", []string(nil)},
		{"pidfile", "-p --pid", nil},
		{"user", "-u --user", nil},
		{"group", "-g --group", nil},
		{"umask", "-m --umask", 0},
		{"initgroups", "--initgroups", false},
		{"tmp_upload_dir", "", nil},
		{"secure_scheme_headers", "", map[string]string{"X-FORWARDED-PROTOCOL": "ssl", "X-FORWARDED-PROTO": "https", "X-FORWARDED-SSL": "on"}},
		{"forwarded_allow_ips", "--forwarded-allow-ips", []string{"127.0.0.1", "::1"}},
		{"pythonpath", "--pythonpath", nil},
		{"permit_obsolete_folding", "--permit-obsolete-folding", false},
		{"strip_header_spaces", "--strip-header-spaces", false},
		{"permit_unconventional_http_method", "--permit-unconventional-http-method", false},
		{"permit_unconventional_http_version", "--permit-unconventional-http-version", false},
		{"casefold_http_method", "--casefold-http-method", false},
		{"forwarder_headers", "--forwarder-headers", []string{"SCRIPT_NAME", "PATH_INFO"}},
		{"header_map", "--header-map", "drop"},
		{"accesslog", "--access-logfile", nil},
		{"access_log_format", "--access-logformat", `%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"`},
		{"errorlog", "--error-logfile --log-file", "-"},
		{"loglevel", "--log-level", "info"},
		{"proc_name", "-n --name", nil},
		{"default_proc_name", "", nil},
	}
	known := map[string]bool{}
	for _, w := range want {
		known[w.name] = true
		s := Lookup(w.name)
		if s == nil {
			t.Errorf("%s is missing", w.name)
		} else if flags := strings.Join(s.Flags, " "); flags != w.flags || !reflect.DeepEqual(s.Default, w.value) {
			t.Errorf("%s: flags %q, default %#v; want %q, %#v", w.name, flags, s.Default, w.flags, w.value)
		}
	}
	for _, s := range Table {
		if s.Kind != KindHook && known[s.Name] == s.Added {
			t.Errorf("%s: added %v, compared %v", s.Name, s.Added, known[s.Name])
		}
	}
}

// The settings that Gunicorn does not have.
func TestAdditions(t *testing.T) {
	want := map[string]any{
		"queue_limit": 2048, "queue_timeout": 30, "limit_request_body": 1 << 30, "limit_connections": 0,
		"handshake_timeout": 10, "header_timeout": 60, "body_timeout": 0, "body_min_rate": 240, "write_timeout": 60,
		"tls_min_version": "1.2", "http2_idle_timeout": 75,
	}
	for _, s := range Table {
		v, ok := want[s.Name]
		if ok != s.Added {
			t.Errorf("%s: added %v, wanted %v", s.Name, s.Added, ok)
		}
		if flag := "--" + strings.ReplaceAll(s.Name, "_", "-"); ok && (s.Default != v || len(s.Flags) != 1 || s.Flags[0] != flag) {
			t.Errorf("%s: flags %q, default %v", s.Name, s.Flags, s.Default)
		}
		delete(want, s.Name)
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
}

func TestDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != Markdown() {
		t.Error("docs/settings.md is not up to date: go run ./internal/settings/gendocs")
	}
}

func TestHelp(t *testing.T) {
	text := Help("indrik")
	for line := range strings.SplitSeq(text, "\n") {
		if len(line) > 79 && !strings.Contains(line, "%(") {
			t.Errorf("the line is too long: %q", line)
		}
	}
	for _, s := range Table {
		for _, flag := range s.Flags {
			if !strings.Contains(text, "  "+flag) && !strings.Contains(text, ", "+flag) {
				t.Errorf("%s is missing", flag)
			}
		}
	}
	if strings.Contains(text, "[]") || strings.Contains(text, "`") {
		t.Error("an empty default, or a mark of Markdown")
	}
}
