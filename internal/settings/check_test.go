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
		{"header_map", " Refuse ", "refuse"},
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
		{"worker_class", "nope", "class uri 'nope' invalid or not found: the kinds of worker are sync and gthread"},
		{"worker_class", object, "class uri <object object at 0x7f> invalid or not found: the kinds of worker are sync and gthread"},
		{"header_map", "keep", "Invalid header map behaviour: keep"},
		{"header_map", true, "Invalid type for casting: True"},
	} {
		// From a file, with Gunicorn's two messages.
		l := Layer{Name: "x.py", Values: map[string]any{c.name: c.in}, file: true}
		_, err := Resolve("", Layer{dir: dir}, l)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s = %v: error %q, want %q", c.name, c.in, err, c.want)
			continue
		}
		want := "Invalid value for " + c.name + ": " + pyStr(plain(c.in)) + "\n\n\nError: " + c.want + "\n"
		if got := Report(err); got != want {
			t.Errorf("%s: report %q, want %q", c.name, got, want)
		}
	}
}

func TestReport(t *testing.T) {
	_, err := Resolve("", Layer{Name: "command line", Values: map[string]any{"workers": -1}})
	if got := Report(err); got != "\nError: Value must be positive: -1\n" {
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
