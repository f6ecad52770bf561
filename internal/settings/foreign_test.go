package settings

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// Command lines of other servers, as they are in their documentation, and what they
// mean here.
func TestForeignOptions(t *testing.T) {
	for _, c := range []struct {
		args string
		app  string
		want map[string]any
	}{
		{"main:app --host 0.0.0.0 --port 8080 --workers 4", "main:app", map[string]any{"bind": []string{"0.0.0.0:8080"}, "workers": 4}},
		{"main:app --port 80", "main:app", map[string]any{"bind": []string{"127.0.0.1:80"}}},
		{"--host=:: main:app", "main:app", map[string]any{"bind": []string{"[::]:8000"}}},
		{"--host [::1] --port 9 main:app", "main:app", map[string]any{"bind": []string{"[::1]:9"}}},
		{"--port 9 -b unix:/run/x main:app", "main:app", map[string]any{"bind": []string{"unix:/run/x", "127.0.0.1:9"}}},
		{"--uds /run/x.sock main:app", "main:app", map[string]any{"bind": []string{"unix:/run/x.sock"}}},
		{"--fd 3 main:app", "main:app", map[string]any{"bind": []string{"fd://3"}}},
		{"--factory main:create", "main:create()", nil},
		{"main:create() --factory", "main:create()", nil},
		{"--factory main", "main:application()", nil},
		{"--app-dir src main:app", "main:app", map[string]any{"pythonpath": "src"}},
		{"--lifespan off main:app", "main:app", map[string]any{"asgi_lifespan": "off"}},
		{"--loop uvloop main:app", "main:app", map[string]any{"asgi_loop": "uvloop"}},
		{"--interface asgi3 main:app", "main:app", map[string]any{"worker_class": "asgi"}},
		{"--interface asginl --ws-max-size 5 main:app", "main:app", map[string]any{"worker_class": "asgi", "asgi_lifespan": "off", "websocket_max_message_size": 5}},
		{"--interface wsgi --workers-kill-timeout 5 --blocking-threads 4 app:app", "app:app", map[string]any{"graceful_timeout": 5, "threads": 4}},
		{"--proxy-headers --root-path /api main:app", "main:app", map[string]any{"root_path": "/api"}},
		{"--no-proxy-headers main:app", "main:app", map[string]any{"forwarded_allow_ips": ""}},
		{"--access-log main:app", "main:app", map[string]any{"accesslog": "-"}},
		{"--no-access-log --log-level warning main:app", "main:app", map[string]any{"accesslog": nil, "loglevel": "warning"}},
		{"--limit-max-requests 9 --timeout-keep-alive 5 --timeout-graceful-shutdown 7 main:app", "main:app",
			map[string]any{"max_requests": 9, "keepalive": 5, "graceful_timeout": 7}},
		{"--ws-ping-interval 20.0 --ws-ping-timeout 5 --ws-per-message-deflate false main:app", "main:app",
			map[string]any{"websocket_ping_interval": 20, "websocket_ping_timeout": 5, "websocket_compression": false}},
		{"--ssl-keyfile k --ssl-certfile c main:app", "main:app", map[string]any{"keyfile": "k", "certfile": "c"}},
		{"--no-server-header --no-use-colors --date-header main:app", "main:app", map[string]any{"server_header": "off"}},
		{"--http-socket :80 --processes 3 app:app", "app:app", map[string]any{"bind": []string{":80"}, "workers": 3}},
		{"--header drop app:app", "app:app", map[string]any{"header_map": "drop"}}, // an abbreviation that Gunicorn has
		{"-w 2 app:app", "app:app", map[string]any{"workers": 2}},
	} {
		l, app, err := ParseArgs("indrik", strings.Fields(c.args))
		if err != nil || app != c.app || len(c.want)+len(l.Values) > 0 && !reflect.DeepEqual(l.Values, c.want) {
			t.Errorf("%s: %q, %v, %v; want %q, %v", c.args, app, l.Values, err, c.app, c.want)
		}
	}
}

// What nobody has, or has no equivalent, is answered with what to write.
func TestUsageAdvice(t *testing.T) {
	for _, c := range []struct{ args, text, advice string }{
		{"--wrokers 2 app:app", "unrecognized arguments: --wrokers", "--wrokers: did you mean --workers?"},
		{"--wrokers=2 app:app", "unrecognized arguments: --wrokers=2", "--wrokers: did you mean --workers?"},
		{"--bnd :80 app:app", "unrecognized arguments: --bnd", "--bnd: did you mean --bind?"},
		{"--hots 0.0.0.0 app:app", "unrecognized arguments: --hots", "--hots: did you mean --host?"},
		{"--keepalive 5 app:app", "unrecognized arguments: --keepalive", "--keepalive: did you mean --keep-alive?"},
		{"--pidfile x app:app", "unrecognized arguments: --pidfile", "--pidfile: did you mean --pid?"},
		{"--accesslog - app:app", "unrecognized arguments: --accesslog", "--accesslog: did you mean --access-logfile?"},
		{"--on-starting x app:app", "unrecognized arguments: --on-starting", "--on-starting: on_starting can be set in a config file"},
		{"--tmp-upload-dir x app:app", "unrecognized arguments: --tmp-upload-dir", "--tmp-upload-dir: tmp_upload_dir can be set in a config file, or by INDRIK_TMP_UPLOAD_DIR"},
		{"--quic-bind :80 app:app", "unrecognized arguments: --quic-bind", "--quic-bind is an option of hypercorn: there is no HTTP/3"},
		{"--reload-dir src app:app", "unrecognized arguments: --reload-dir", "--reload-dir is an option of uvicorn: leave it out"},
		{"--ssl-keyfile-password x app:app", "unrecognized arguments: --ssl-keyfile-password", "openssl pkey"},
		{"--no-such-option-at-all app:app", "unrecognized arguments: --no-such-option-at-all", ""},
		{"-x app:app", "unrecognized arguments: -x", ""},
		{"--port", "argument --port: expected one argument", ""},
		{"--factory=1 app:app", "argument --factory: ignored explicit argument '1'", ""},
		{"--interface rsgi app:app", "argument --interface: invalid choice: 'rsgi'", ""},
		{"--timeout-keep-alive x app:app", "argument --keep-alive: invalid int value: 'x'", ""},
	} {
		_, _, err := ParseArgs("indrik", strings.Fields(c.args))
		var usage *UsageError
		if !errors.As(err, &usage) || !strings.HasPrefix(usage.Text, c.text) {
			t.Errorf("%s: %v", c.args, err)
			continue
		}
		advice := strings.Join(usage.Advice, "\n")
		if c.advice == "" && advice != "" || !strings.Contains(advice, c.advice) {
			t.Errorf("%s: advice %q, want %q", c.args, advice, c.advice)
		}
		if report := Report(err); c.advice != "" && !strings.Contains(report, "\n  "+usage.Advice[0]+"\n") {
			t.Errorf("%s: reported as %q", c.args, report)
		}
	}
}

// Each foreign option is known by a server, and goes to a setting that exists.
func TestForeignTable(t *testing.T) {
	for flag, o := range foreignOptions {
		if byFlag[flag] != nil {
			t.Errorf("%s is an option here", flag)
		}
		if o.of == "" || o.setting != "" && Lookup(o.setting) == nil {
			t.Errorf("%s: %+v", flag, o)
		}
		if o.answer != "" && (o.setting != "" || o.special != nil) {
			t.Errorf("%s is taken and answered", flag)
		}
		for word := range strings.FieldsSeq(o.answer) {
			word = strings.Trim(word, ".,:;()")
			if strings.HasPrefix(word, "--") && byFlag[word] == nil {
				t.Errorf("%s: there is no %s", flag, word)
			}
		}
	}
}

// A second word behind the app is no silent loss.
func TestSecondPositional(t *testing.T) {
	l, app, err := ParseArgs("indrik", []string{"run", "main.py"})
	if err != nil || app != "run" || fmt.Sprint(l.remarks) != "[the app is 'run'; what follows it is ignored: main.py]" {
		t.Errorf("%q, %v, %q", app, err, l.remarks)
	}
	for _, args := range [][]string{{"-V"}, {"-v"}, {"--version"}} {
		if _, _, err := ParseArgs("indrik", args); !errors.Is(err, ErrVersion) {
			t.Errorf("%q: %v", args, err)
		}
	}
}

// The help is one screen, without marks of Markdown; the other has every option once.
func TestHelps(t *testing.T) {
	short, all := Help("indrik"), HelpAll("indrik")
	if n := strings.Count(short, "\n"); n > 32 || !strings.Contains(short, "Examples:\n  indrik app:app ") {
		t.Errorf("%d lines:\n%s", n, short)
	}
	for _, text := range []string{short, all} {
		for line := range strings.Lines(text) {
			if len([]rune(line)) > 80 || strings.ContainsAny(line, "`") || strings.Contains(line, "](") {
				t.Errorf("line %q", line)
			}
		}
	}
	effects, idle, _ := strings.Cut(all, "\n"+withoutEffect+":\n")
	for i := range Table {
		s := &Table[i]
		if !s.HasFlag() {
			continue
		}
		flags := "  " + strings.Join(s.Flags, ", ")
		in := strings.Count(effects, flags+" ") + strings.Count(effects, flags+"\n")
		out := strings.Count(idle, flags+" ") + strings.Count(idle, flags+"\n")
		if without := s.Effect == Needless || s.Effect == Missing; in+out != 1 || (out == 1) != without {
			t.Errorf("%s: %d times among those with an effect, %d among the others", flags, in, out)
		}
	}
}
