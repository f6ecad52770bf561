package settings

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// inVariable is a value of a config file as an environment variable has it.
func inVariable(t *testing.T, v any) string {
	t.Helper()
	switch v := plain(v).(type) {
	case string:
		return v
	case []string:
		return strings.Join(v, ",")
	case map[string]string, map[string]any:
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	default:
		return strings.ToLower(pyStr(v))
	}
}

func TestVariables(t *testing.T) {
	for _, c := range []struct {
		variable, text, name string
		want                 any
	}{
		{"INDRIK_WORKERS", "3", "workers", 3},
		{"INDRIK_UMASK", "022", "umask", 0o22},
		{"INDRIK_BIND", "127.0.0.1:80, unix:/run/x,[::1]:80", "bind", []string{"127.0.0.1:80", "unix:/run/x", "[::1]:80"}},
		{"INDRIK_BIND", "[::1]:80", "bind", []string{"[::1]:80"}},
		{"INDRIK_RAW_ENV", `["A=1,2","B=3"]`, "raw_env", []string{"A=1,2", "B=3"}},
		{"INDRIK_PRELOAD_APP", "TRUE", "preload_app", true},
		{"INDRIK_PRELOAD_APP", "1", "preload_app", true},
		{"INDRIK_PRELOAD_APP", "yes", "preload_app", true},
		{"INDRIK_SENDFILE", "off", "sendfile", false},
		{"INDRIK_SENDFILE", "0", "sendfile", false},
		{"INDRIK_DAEMON", "no", "daemon", false},
		{"INDRIK_SECURE_SCHEME_HEADERS", `{"X": "y"}`, "secure_scheme_headers", map[string]string{"X": "y"}},
		{"INDRIK_LOGCONFIG_DICT", `{"version": 1}`, "logconfig_dict", map[string]any{"version": 1.0}},
		{"INDRIK_FORWARDED_ALLOW_IPS", "", "forwarded_allow_ips", []string{}},
		{"INDRIK_WORKERS", "", "workers", 1},
		{"INDRIK_BIND", "", "bind", []string{"127.0.0.1:8000"}},
	} {
		got := resolve(t, layers(t, []string{c.variable + "=" + c.text}, nil))
		if v := got.All()[c.name]; !reflect.DeepEqual(v, c.want) {
			t.Errorf("%s=%s: %#v, want %#v", c.variable, c.text, v, c.want)
		}
	}
	for pair, want := range map[string]string{
		"INDRIK_WORKERS=many":                  "invalid literal for int() with base 0: 'many'",
		"INDRIK_DAEMON=maybe":                  "Invalid boolean: maybe",
		"INDRIK_SECURE_SCHEME_HEADERS=X: y":    "Value is not a dictionary: X: y : a JSON object is needed",
		"INDRIK_SECURE_SCHEME_HEADERS=null":    "Value is not a dictionary: null : a JSON object is needed",
		`INDRIK_SECURE_SCHEME_HEADERS={"X":1}`: "Not a string: 1, the value of 'X'",
		`INDRIK_BIND=["a:1","b:2"`:             "not a list of strings in JSON: unexpected end of JSON input",
	} {
		variable, text, _ := strings.Cut(pair, "=")
		_, err := Resolve("", FromVariables([]string{pair}))
		var wrong *ValueError
		if !errors.As(err, &wrong) || err.Error() != want || wrong.Source != variable || pyStr(wrong.Value) != text && !strings.Contains(text, ":1}") {
			t.Errorf("%s: %v", pair, err)
		}
	}
}

// The environment goes over the file, and the options go over it.
func TestVariablesPrecede(t *testing.T) {
	file := map[string]any{"workers": 2.0, "threads": 2.0, "timeout": 2.0, "backlog": 2.0, "umask": 2.0}
	vars := []string{
		"WEB_CONCURRENCY=1", "INDRIK_WORKERS=3", "INDRIK_TIMEOUT=3", "INDRIK_BACKLOG=3", "INDRIK_UMASK=",
		"INDRIK_CMD_ARGS=-t 4 --backlog 4",
	}
	c := resolve(t, layers(t, vars, file, "--backlog", "5"))
	for name, want := range map[string]int{"workers": 3, "threads": 2, "timeout": 4, "backlog": 5, "umask": 2} {
		if got := c.get(name); got != want {
			t.Errorf("%s: %d from %s, want %d", name, got, c.Source(name), want)
		}
	}
}

func TestUnknownVariables(t *testing.T) {
	for variable := range strings.FieldsSeq("CMD_ARGS PYTHON ROLE FRONT PID FD ORIGIN LINK PEER TICKETS DAEMONIZED") {
		if variable = "INDRIK_" + variable; !Reserved(variable) {
			t.Errorf("%s is not reserved", variable)
		}
	}
	for i := range Table {
		if Reserved(Table[i].Variable()) {
			t.Errorf("%s is a setting and something else", Table[i].Variable())
		}
	}
	l := FromVariables([]string{
		"INDRIK_WORKER=3", "INDRIK_PYTHON=x", "INDRIK_DAEMONIZED=3", "INDRIK_OWN_APPS_VARIABLE=1", "INDRIK_TIME_OUT=", "INDRIK_PRE_FORK=a.b",
		"INDRIK_PORT=80", "INDRIK_HOST=0.0.0.0", "INDRIK_APP=app:app", "INDRIK_LOG_LEVEL=debug", "INDRIK_DEBUG=1",
		"INDRIK_WEB_PORT=tcp://10.0.0.1:80", "INDRIK_SERVICE_HOST=10.0.0.1", "INDRIK_SERVICE_PORT=80", "INDRIK_SERVICE_PORT_HTTP=80",
		"INDRIK_PORT_80_TCP=tcp://10.0.0.1:80", "INDRIK_PORT_80_TCP_ADDR=10.0.0.1", "INDRIK_WORKERS_SERVICE_HOST=10.0.0.2",
		"INDRIK_workers=3", "indrik_timeout=3", "INDRIK_=1", "INDRIK_BINDS",
	})
	c := resolve(t, []Layer{l})
	want := []string{
		"INDRIK_PRE_FORK has no effect: hooks can be set in a config file only",
		"unknown variable INDRIK_ in the environment: it has no effect",
		"unknown variable INDRIK_APP in the environment: did you mean INDRIK_WSGI_APP?",
		"unknown variable INDRIK_BINDS in the environment: did you mean INDRIK_BIND?",
		"unknown variable INDRIK_DEBUG in the environment: write INDRIK_LOGLEVEL=debug",
		"unknown variable INDRIK_HOST in the environment: write INDRIK_BIND=HOST:PORT",
		"unknown variable INDRIK_LOG_LEVEL in the environment: did you mean INDRIK_LOGLEVEL?",
		"unknown variable INDRIK_OWN_APPS_VARIABLE in the environment: it has no effect",
		"unknown variable INDRIK_PORT in the environment: write INDRIK_BIND=HOST:PORT",
		"unknown variable INDRIK_TIME_OUT in the environment: did you mean INDRIK_TIMEOUT?",
		"unknown variable INDRIK_WORKER in the environment: did you mean INDRIK_WORKERS?",
		"unknown variable INDRIK_workers in the environment: did you mean INDRIK_WORKERS?",
	}
	if got := c.Warnings(); !slices.Equal(got, want) {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if c.Workers() != 1 {
		t.Errorf("workers %d", c.Workers())
	}
}
