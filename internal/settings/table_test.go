package settings

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
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
		if s.HasFlag() && s.TakesValue() != (s.Metavar != "") {
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
		if (s.Effect == Works) != (s.Why == "") || strings.HasSuffix(s.Why, ".") {
			t.Errorf("%s: effect %d, because %q", s.Name, s.Effect, s.Why)
		}
		if s.Kind == KindChoice && (len(s.Choices) < 2 || s.BadChoice == "") {
			t.Errorf("%s: choices %q, %q", s.Name, s.Choices, s.BadChoice)
		}
		if s.Kind == KindHook {
			if s.Args == "" {
				t.Errorf("%s: no parameters", s.Name)
			}
			continue
		}
		// These have another type in Python than they have here.
		if s.Default == nil || s.Kind == KindCommaList || s.Kind == KindNetworks || s.Kind == KindPeers {
			continue
		}
		if v, err := check(&s, s.Default, "/"); err != nil || pyRepr(v) != pyRepr(s.Default) {
			t.Errorf("%s: the default becomes %v, %v", s.Name, v, err)
		}
	}
}

// otherDefaults are the settings whose default is not Gunicorn's, and why.
var otherDefaults = map[string]string{
	"config":                       "indrik.conf.py goes before gunicorn.conf.py",
	"default_proc_name":            "Gunicorn replaces it by the app before anybody sees it",
	"keepalive":                    "an idle client holds no worker",
	"asgi_disconnect_grace_period": "a client that leaves undoes nothing",
}

// gunicornsSetting is a row of Gunicorn's own table.
type gunicornsSetting struct {
	Name, Section, Action, Type, Nargs, Metavar string
	Flags                                       []string
	Default, Const                              any // null where they depend on the surroundings
}

func gunicornsSettings(t *testing.T) []gunicornsSetting {
	t.Helper()
	data, err := os.ReadFile("testdata/gunicorn_settings.json")
	if err != nil {
		t.Fatal(err)
	}
	var gunicorn struct{ Settings []gunicornsSetting }
	if err := json.Unmarshal(data, &gunicorn); err != nil {
		t.Fatal(err)
	}
	return gunicorn.Settings
}

// The names, flags and defaults that scripts and config files rely on.
func TestGunicornsSettings(t *testing.T) {
	known := map[string]bool{}
	for _, g := range gunicornsSettings(t) {
		known[g.Name] = true
		s := Lookup(g.Name)
		if s == nil {
			t.Errorf("%s is missing", g.Name)
			continue
		}
		if !slices.Equal(s.Flags, g.Flags) {
			t.Errorf("%s: flags %q, Gunicorn has %q", g.Name, s.Flags, g.Flags)
		}
		if section, ok := strings.CutSuffix(g.Section, " Arbiter Hooks"); ok {
			g.Section = section + " Arbiters"
		}
		if s.Section != g.Section {
			t.Errorf("%s: section %q, Gunicorn has %q", g.Name, s.Section, g.Section)
		}
		def := plain(g.Default)
		if _, ok := def.(string); ok && s.Kind != KindString {
			var err error
			if def, err = check(s, def, ""); err != nil {
				t.Errorf("%s: Gunicorn's default: %v", g.Name, err)
			}
		}
		if _, ok := otherDefaults[g.Name]; ok == (pyRepr(s.Default) == pyRepr(def)) {
			t.Errorf("%s: default %#v, Gunicorn has %#v", g.Name, s.Default, def)
		}
		if !s.HasFlag() {
			continue
		}
		action := "store"
		switch {
		case s.Off:
			action = "store_const"
		case s.Kind == KindBool:
			action = "store_true"
		case s.Repeats():
			action = "append"
		}
		kind := map[Kind]string{KindInt: "int", KindCount: "int", KindMode: "auto_int"}[s.Kind]
		if action != g.Action || kind != g.Type || (s.Bare != "") != (g.Nargs == "?") || s.Off != (g.Const == false) {
			t.Errorf("%s: %s %q %q, Gunicorn has %s %q, %q %v", g.Name, action, kind, s.Bare, g.Action, g.Type, g.Nargs, g.Const)
		}
		if g.Metavar != "" && g.Metavar != s.Metavar {
			t.Errorf("%s: metavar %s, Gunicorn has %s", g.Name, s.Metavar, g.Metavar)
		}
	}
	for _, s := range Table {
		if known[s.Name] == s.Added {
			t.Errorf("%s: added %v, in Gunicorn %v", s.Name, s.Added, known[s.Name])
		}
	}
	if len(known) < 119 {
		t.Errorf("only %d settings", len(known))
	}
}

// The settings that Gunicorn does not have.
func TestAdditions(t *testing.T) {
	want := map[string]any{
		"queue_limit": 2048, "queue_timeout": 30, "limit_request_body": 1 << 30, "limit_connections": 0, "access_log_timeout": 1,
		"limit_memory": 0, "limit_client_memory": 0, "limit_client_connections": 0, "limit_client_streams": 1000,
		"limit_request_head": 32 << 10,
		"handshake_timeout":  10, "header_timeout": 60, "body_timeout": 0, "body_min_rate": 240, "write_timeout": 60,
		"websocket_ping_interval": 20, "websocket_ping_timeout": 20, "websocket_compression": true,
		"websocket_drain_max": 10, "websocket_drain_window": 10,
		"tls_min_version": "1.2", "http2_idle_timeout": 75,
		"asgi_send_after_disconnect": "ignore", "canary": "", "warmup": []string(nil), "warmup_timeout": 30, "selfcare_dry_run": []string(nil),
		"max_worker_memory": "0", "max_worker_memory_hard": "0", "worker_memory_measure": "rss", "max_worker_age": 0, "max_worker_age_jitter": 0,
		"quarantine": []string(nil), "quarantine_deaths": 3, "quarantine_window": 60, "quarantine_time": 60,
		"max_memory_use": 0, "max_memory_pressure": 0, "recycle_budget": "1", "refork_after": 0, "after_refork": nil,
		"asgi_extensions": []string(nil), "worker_affinity": "none", "forwarded_for": "asgi",
		"permit_missing_host": false, "permit_non_ascii_target": false,
		"server_header": "indrik", "log_format": "text", "drain_delay": 0, "health_path": "", "request_id_header": "", "server_timing": false, "slow_request_log": 0.0, "scale_down_delay": 60.0, "log_redact": []string(nil),
		"admin_bind": "", "admin_allow": []string{"127.0.0.0/8", "::1", "unix"}, "admin_hosts": []string{"localhost"}, "admin_token_file": "", "app_metrics": true,
		"front_user": nil, "front_group": nil, "worker_no_new_privs": nil,
		"speed":             "auto",
		"dirty_queue_limit": 1024, "pools": map[string]any{}, "stash_limit": 64 << 20,
	}
	for _, s := range Table {
		v, ok := want[s.Name]
		if ok != s.Added {
			t.Errorf("%s: added %v, wanted %v", s.Name, s.Added, ok)
		}
		flag := "--" + strings.ReplaceAll(s.Name, "_", "-")
		if s.Off {
			flag = "--no-" + flag[2:]
		}
		flags := []string{flag}
		if s.Kind == KindPools || s.Kind == KindHook { // are for config files alone
			flags = nil
		}
		if ok && (!reflect.DeepEqual(s.Default, v) || !slices.Equal(s.Flags, flags)) {
			t.Errorf("%s: flags %q, default %v", s.Name, s.Flags, s.Default)
		}
		delete(want, s.Name)
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
}

// Every kind has its words, its check, and its types in Go and Python. The table uses all
// kinds; hooks are not checked as values are.
func TestEveryKindIsKnownEverywhere(t *testing.T) {
	used := map[Kind]bool{}
	for i := range Table {
		s := &Table[i]
		used[s.Kind] = true
		if s.values() == "" {
			t.Errorf("%s: kind %d has no words for its values", s.Name, s.Kind)
		}
		check(s, s.Default, "/") // panics for a kind that it does not know
		s.goType()               // likewise
	}
	for kind := range KindHook + 1 {
		if !used[kind] {
			t.Errorf("no setting is of kind %d", kind)
		}
	}
}

func TestGeneratedFiles(t *testing.T) {
	for path, want := range map[string]string{
		"../../docs/settings.md":                     Markdown(),
		"../../python/indrik/settingtypes.py":        PythonTypes(),
		"../../python/indrik/compat/settingtable.py": PythonTable(),
		"accessors.go":                               GoAccessors(),
	} {
		have, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if string(have) != want {
			t.Errorf("%s is not up to date: go generate ./internal/settings", path)
		}
	}
}

func TestHelp(t *testing.T) {
	text := HelpAll("indrik")
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
