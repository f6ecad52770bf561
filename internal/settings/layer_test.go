package settings

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func env(pairs ...string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, pair := range pairs {
			if v, ok := strings.CutPrefix(pair, name+"="); ok {
				return v, true
			}
		}
		return "", false
	}
}

// layers makes every layer but the defaults.
func layers(t *testing.T, vars []string, file map[string]any, args ...string) []Layer {
	t.Helper()
	fromEnv, err := FromEnv(env(vars...))
	if err != nil {
		t.Fatal(err)
	}
	cmdArgs, err := FromCmdArgs("indrik", env(vars...))
	if err != nil {
		t.Fatal(err)
	}
	fromFile := FromFile("gunicorn.conf.py", file, nil)
	fromArgs, _, err := ParseArgs("indrik", args)
	if err != nil {
		t.Fatal(err)
	}
	return []Layer{fromEnv, fromFile, FromVariables(vars), cmdArgs, fromArgs}
}

func resolve(t *testing.T, layers []Layer) *Config {
	t.Helper()
	c, err := Resolve("test:app", layers...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaults(t *testing.T) {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	c := resolve(t, layers(t, nil, nil))
	for _, s := range Table {
		if s.Kind != KindHook && (c.IsSet(s.Name) || c.Source(s.Name) != "default") {
			t.Errorf("%s comes from %s", s.Name, c.Source(s.Name))
		}
	}
	if c.Chdir() != dir || c.User() != os.Geteuid() || c.Group() != os.Getegid() || value[identity](c, "user").text != "" {
		t.Errorf("chdir %s, user %d, group %d", c.Chdir(), c.User(), c.Group())
	}
	if _, err := json.Marshal(c.All()); err != nil {
		t.Error(err)
	}
}

func TestEnvironment(t *testing.T) {
	c := resolve(t, layers(t, []string{"WEB_CONCURRENCY=3", "PORT=5000", "FORWARDED_ALLOW_IPS=10.0.0.0/8", "SENDFILE=no", "SCRIPT_NAME=/x"}, nil))
	if c.Workers() != 3 || c.Source("workers") != "WEB_CONCURRENCY" {
		t.Errorf("workers: %d from %s", c.Workers(), c.Source("workers"))
	}
	if got := c.Bind(); !slices.Equal(got, []string{"0.0.0.0:5000"}) || c.Source("bind") != "PORT" {
		t.Errorf("bind: %q", got)
	}
	if got := c.ForwardedAllowIPs(); !slices.Equal(got, []string{"10.0.0.0/8"}) {
		t.Errorf("forwarded_allow_ips: %q", got)
	}
	if c.Sendfile() || c.Front().ScriptName != "/x" {
		t.Errorf("sendfile %v, script name %q", c.Sendfile(), c.Front().ScriptName)
	}

	c = resolve(t, layers(t, []string{"WEB_CONCURRENCY=", "PORT=", "FORWARDED_ALLOW_IPS=", "SENDFILE=YES"}, nil))
	if c.IsSet("workers") || c.IsSet("bind") || !c.Sendfile() {
		t.Error("an empty variable is a value")
	}
	if got := c.ForwardedAllowIPs(); len(got) != 0 {
		t.Errorf("an empty FORWARDED_ALLOW_IPS trusts %q", got)
	}

	// Every other layer goes over the environment.
	c = resolve(t, layers(t, []string{"WEB_CONCURRENCY=3", "PORT=5000", "SENDFILE=no"}, map[string]any{
		"workers": 4.0, "bind": "x:1", "sendfile": true,
	}))
	if c.Workers() != 4 || c.Bind()[0] != "x:1" || !c.Sendfile() {
		t.Error("the environment goes over the file")
	}
}

func TestWrongEnvironment(t *testing.T) {
	for text, want := range map[string]string{
		"abc": "invalid literal for int() with base 0: 'abc'",
		"-1":  "Value must be positive: -1",
	} {
		_, err := Resolve("", layers(t, []string{"WEB_CONCURRENCY=" + text}, nil)...)
		var value *ValueError
		if !errors.As(err, &value) || value.Error() != want || value.Source != "WEB_CONCURRENCY" {
			t.Errorf("%v", err)
		}
	}
}

func TestListsReplace(t *testing.T) {
	file := map[string]any{"bind": []any{"file:1", "file:2"}}
	vars := []string{"PORT=1", "GUNICORN_CMD_ARGS=-b env:1 --bind=env:2"}
	for _, c := range []struct {
		vars []string
		args string
		want []string
	}{
		{nil, "", []string{"file:1", "file:2"}},
		{vars, "", []string{"env:1", "env:2"}},
		{vars, "-b a:1 -bb:2", []string{"a:1", "b:2"}},
	} {
		got := resolve(t, layers(t, c.vars, file, strings.Fields(c.args)...)).Bind()
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: %q", c.args, got)
		}
	}
}

func TestCmdArgs(t *testing.T) {
	l, err := FromCmdArgs("indrik", env("INDRIK_CMD_ARGS=-w 2 --access-logformat '%(h)s x'", "GUNICORN_CMD_ARGS=-w 3 -t 4"))
	if err != nil || l.Values["workers"] != 2 || l.Values["timeout"] != nil || l.Values["access_log_format"] != "%(h)s x" {
		t.Errorf("%v, %v", l.Values, err)
	}
	// Set and empty is set.
	if l, err = FromCmdArgs("indrik", env("INDRIK_CMD_ARGS=", "GUNICORN_CMD_ARGS=-w 3")); err != nil || l.Values != nil {
		t.Errorf("%v, %v", l.Values, err)
	}
	_, err = FromCmdArgs("indrik", env("GUNICORN_CMD_ARGS=--nope"))
	if want := "unrecognized arguments: --nope (in GUNICORN_CMD_ARGS)"; err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
	_, err = FromCmdArgs("indrik", env("GUNICORN_CMD_ARGS='"))
	if want := "GUNICORN_CMD_ARGS: No closing quotation"; err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestApp(t *testing.T) {
	for _, c := range []struct {
		args []string
		file map[string]any
		want string
	}{
		{[]string{"-w", "2", "a:b", "-D"}, map[string]any{"wsgi_app": "c:d"}, "a:b"},
		{[]string{"a:b", "c:d"}, nil, "a:b"},
		{nil, map[string]any{"wsgi_app": "c:d"}, "c:d"},
		{nil, nil, ""},
	} {
		_, app, err := ParseArgs("indrik", c.args)
		if err != nil {
			t.Fatal(err)
		}
		conf, err := Resolve(app, layers(t, nil, c.file, c.args...)...)
		if err != nil || conf.App() != c.want {
			t.Errorf("%q, %v: %q, %v", c.args, c.file, conf.App(), err)
		}
	}
}

func TestProcName(t *testing.T) {
	file := map[string]any{}
	for _, c := range [][2]string{{"", "test:app"}, {"default_proc_name", "low"}, {"proc_name", "high"}} {
		if c[0] != "" {
			file[c[0]] = c[1]
		}
		conf := resolve(t, layers(t, nil, file))
		if conf.ProcName() != c[1] || conf.All()["proc_name"] != c[1] {
			t.Errorf("%v: %q", file, conf.ProcName())
		}
	}
}

func TestFileErrors(t *testing.T) {
	file := FromFile("/etc/x.py", map[string]any{"timeout": "soon", "workers": -2.0}, map[string]int{"workers": 7, "timeout": 3})
	_, err := Resolve("", file)
	var value *ValueError
	if !errors.As(err, &value) || value.Setting != "workers" || value.Source != "/etc/x.py, line 7" || !value.InFile {
		t.Fatalf("%#v", err)
	}
	// Even when the command line replaces it.
	l := Layer{Name: "x.py", Values: map[string]any{"workers": "many"}, file: true}
	over := Layer{Name: "command line", Values: map[string]any{"workers": 2}}
	if _, err := Resolve("", l, over); err == nil {
		t.Error("a wrong value was accepted")
	}
}

// Every mistake is told, in the order of the layers, and what is right counts.
func TestAllErrors(t *testing.T) {
	file := FromFile("x.py", map[string]any{
		"workers": "many", "threads": 4.0, "chdir": "/no/such", "daemon": "maybe",
		"pre_fork": map[string]any{"python": "<function pre_fork>", "error": "Value must have an arity of: 2"},
	}, map[string]int{"workers": 1, "chdir": 2, "daemon": 3, "pre_fork": 4})
	fromEnv, err := FromEnv(env("WEB_CONCURRENCY=3"))
	if err != nil {
		t.Fatal(err)
	}
	args, _, err := ParseArgs("indrik", []string{"-t", "-1", "--dirty-workers", "2000"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := Resolve("", fromEnv, file, args)
	want := "Invalid value for workers: many\n\n\nError: invalid literal for int() with base 0: 'many'\n" +
		"  workers = 'many' (x.py, line 1); accepted: whole number, auto, or a range such as 2..16\n" +
		"Invalid value for chdir: /no/such\n\n\nError: can't chdir to '/no/such'\n" +
		"  chdir = '/no/such' (x.py, line 2); accepted: directory\n" +
		"Invalid value for daemon: maybe\n\n\nError: Invalid boolean: maybe\n" +
		"  daemon = 'maybe' (x.py, line 3); accepted: true or false\n" +
		"Invalid value for pre_fork: <function pre_fork>\n\n\nError: Value must have an arity of: 2\n" +
		"  pre_fork = <function pre_fork> (x.py, line 4); accepted: function with the parameters server, worker\n" +
		"\nError: Value must be positive: -1\n" +
		"  timeout = -1 (command line); accepted: whole number\n" +
		"\nError: dirty_workers must be between 0 and 1000, got 2000\n" +
		"  dirty_workers = 2000 (command line); accepted: whole number from 0 to 1000\n"
	if got := Report(err); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if c.Workers() != 3 || c.Source("workers") != "WEB_CONCURRENCY" || c.Threads() != 4 || c.Timeout() != 30 {
		t.Errorf("workers %d from %s, threads %d, timeout %d", c.Workers(), c.Source("workers"), c.Threads(), c.Timeout())
	}
}

func TestWarnings(t *testing.T) {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	l := FromFile(filepath.Join(dir, "gunicorn.conf.py"),
		map[string]any{"worker": 2.0, "WORKERS": 1.0, "cores": 8.0, "time_out": nil, "xyzzy": "x",
			"pre_forks": map[string]any{"python": "<pre_forks()>"}, "time_it": map[string]any{"python": "<time_it()>"}, "reuse_port": true, "worker_tmp_dir": "/dev/shm", "http_parser": "auto"},
		map[string]int{"worker": 3, "workers": 4, "reuse_port": 2, "cores": 1, "worker_tmp_dir": 5})
	c, err := Resolve("", l, Layer{Name: "command line", Values: map[string]any{"loglevel": "loud"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"unknown setting 'WORKERS' in gunicorn.conf.py: did you mean 'workers'?",
		"unknown setting 'pre_forks' in gunicorn.conf.py: did you mean 'pre_fork'?",
		"unknown setting 'time_out' in gunicorn.conf.py: did you mean 'timeout'?",
		"unknown setting 'worker' in gunicorn.conf.py, line 3: did you mean 'workers'?",
		"reuse_port (gunicorn.conf.py, line 2) has no effect: " + Lookup("reuse_port").Why,
		"unknown loglevel 'loud' (command line): info is used",
	}
	if got := c.Warnings(); !slices.Equal(got, want) {
		t.Errorf("warnings:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	want = []string{"worker_tmp_dir (gunicorn.conf.py, line 5) has no effect: " + Lookup("worker_tmp_dir").Why}
	if got := c.Notes(); !slices.Equal(got, want) {
		t.Errorf("notes %q, want %q", got, want)
	}
	if c.Loglevel() != "info" {
		t.Errorf("log level %q", c.Loglevel())
	}
}

func TestConfigFile(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	base, err := FromEnv(env())
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir("/") // a daemon, or a chdir of the config: the search stays where it was
	check := func(want string, explicit bool, layers ...Layer) {
		t.Helper()
		got, ok := ConfigFile(append([]Layer{base}, layers...)...)
		if got != want || ok != explicit {
			t.Errorf("%q, %v; want %q, %v", got, ok, want, explicit)
		}
	}
	named := func(name string) Layer { return Layer{Values: map[string]any{"config": name}} }
	write := func(name string) {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	check("", false)
	write("gunicorn.conf.py")
	check(filepath.Join(dir, "gunicorn.conf.py"), false)
	write("indrik.conf.py")
	check(filepath.Join(dir, "indrik.conf.py"), false)
	check("a.py", true, named("a.py"))
	check("b.py", true, named("a.py"), named(" b.py "))
	check("python:a.b", true, named("python:a.b"), named(""))
	check("c.py", true, FromVariables([]string{"INDRIK_CONFIG=c.py"}))
	check("a.py", true, FromVariables([]string{"INDRIK_CONFIG=c.py"}), named("a.py"))

	all := func(layers ...Layer) []string { return ConfigFiles(append([]Layer{base}, layers...)...) }
	for _, name := range []string{"indrik.conf.py", "gunicorn.conf.py", "pyproject.toml"} {
		if path := filepath.Join(dir, name); !slices.Contains(all(), path) {
			t.Errorf("%v lacks %s", all(), path)
		}
	}
	for name, want := range map[string][]string{
		"a.py": {filepath.Join(dir, "a.py")}, "file:/b.py": {"/b.py"}, "python:a.b": nil,
	} {
		if got := all(named(name)); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestChdirStartsFromTheFirstDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "app"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	base, err := FromEnv(env())
	if err != nil {
		t.Fatal(err)
	}
	file := Layer{Name: "x.py", Values: map[string]any{"chdir": "app"}}
	for range 2 { // as a reload does it
		c, err := Resolve("", base, file)
		if err != nil {
			t.Fatal(err)
		}
		t.Chdir(c.Chdir())
	}
}
