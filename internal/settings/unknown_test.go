package settings

import (
	"slices"
	"strings"
	"testing"
)

// fn is a function of a config file, as it comes from Python.
func fn(name string) any { return map[string]any{"python": "<" + name + "()>"} }

// Names in a config file that are no settings: which of them gets a word, and which.
func TestUnknownNames(t *testing.T) {
	for _, c := range []struct {
		about  string
		values map[string]any
		want   []string // NAME: TEXT
	}{
		{"the config file of the image tiangolo/uvicorn-gunicorn", map[string]any{
			"workers_per_core_str": "1", "max_workers_str": nil, "use_max_workers": nil, "web_concurrency_str": nil, "host": "0.0.0.0",
			"port": "80", "bind_env": nil, "use_loglevel": "info", "use_bind": "0.0.0.0:80", "cores": 2.0, "workers_per_core": 1.0,
			"default_web_concurrency": 2.0, "web_concurrency": 2.0, "accesslog_var": "-", "use_accesslog": "-", "errorlog_var": "-",
			"use_errorlog": "-", "graceful_timeout_str": "120", "timeout_str": "120", "keepalive_str": "5",
			"loglevel": "info", "workers": 2.0, "bind": "0.0.0.0:80", "errorlog": "-", "worker_tmp_dir": "/dev/shm", "accesslog": "-",
			"graceful_timeout": 120.0, "timeout": 120.0, "keepalive": 5.0, "log_data": map[string]any{"x": 1.0},
		}, nil},
		{"misspelt", map[string]any{"worker": 2.0, "time_out": 3.0, "acceslog": "-", "pre_forks": fn("pre_forks")},
			[]string{"worker: did you mean 'workers'?", "time_out: did you mean 'timeout'?", "acceslog: did you mean 'accesslog'?", "pre_forks: did you mean 'pre_fork'?"}},
		{"hooks of other servers", map[string]any{"before_fork": fn("before_fork"), "after_fork": fn("after_fork"), "after_mold_fork": fn("after_mold_fork")},
			[]string{"before_fork: did you mean 'pre_fork'?", "after_fork: did you mean 'post_fork'?", "after_mold_fork: did you mean 'after_refork'?"}},
		{"a function of one's own", map[string]any{"after_fork": fn("after_fork"), "post_fork": fn("post_fork")}, nil},
		{"misspelt, but set too", map[string]any{"worker": 2.0, "workers": 3.0}, nil},
		{"other names", map[string]any{"preload": true, "log_file": "x", "access_logfile": "-", "keep_alive": 5.0, "pid": "x.pid",
			"name": "shop", "env": []any{"A=B"}, "log_level": "debug", "ssl_keyfile": "k", "processes": 4.0},
			[]string{"preload: did you mean 'preload_app'?", "log_file: did you mean 'errorlog'?", "access_logfile: did you mean 'accesslog'?",
				"keep_alive: did you mean 'keepalive'?", "pid: did you mean 'pidfile'?", "name: did you mean 'proc_name'?", "env: did you mean 'raw_env'?",
				"log_level: did you mean 'loglevel'?", "ssl_keyfile: did you mean 'keyfile'?", "processes: did you mean 'workers'?"}},
		{"logfile", map[string]any{"logfile": "x"}, []string{"logfile: did you mean 'errorlog'?"}},
		{"what they name is set too", map[string]any{"name": "x", "proc_name": "x", "log_file": "x", "errorlog": "x", "debug": true, "loglevel": "debug"}, nil},
		{"names of other things", map[string]any{"name": fn("name"), "env": map[string]any{"python": "environ({})"}, "pid": 12.0,
			"preload": "x", "app": map[string]any{"python": "<Flask>"}, "port": map[string]any{"python": "<Port>"}}, nil},
		{"host and port", map[string]any{"host": "0.0.0.0", "port": 80.0}, []string{`host: write bind = "HOST:PORT"`, `port: write bind = "HOST:PORT"`}},
		{"debug", map[string]any{"debug": true}, []string{`debug: write loglevel = "debug"`}},
		{"own", map[string]any{"cores": 2.0, "multiplier": 2.0, "max_timeout": 5.0, "database_url": "x"}, nil},
	} {
		var want []string
		for _, w := range c.want {
			name, text, _ := strings.Cut(w, ": ")
			want = append(want, "unknown setting '"+name+"' in gunicorn.conf.py: "+text)
		}
		slices.Sort(want)
		l := FromFile("gunicorn.conf.py", c.values, nil)
		if got := slices.Sorted(slices.Values(l.remarks)); !slices.Equal(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", c.about, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// In [tool.indrik] every name is meant for this program.
func TestUnknownKeys(t *testing.T) {
	l, err := FromTOML("pyproject.toml", []byte("[tool.indrik]\nhost = '0.0.0.0'\nport = 80\nworkers = 2\nworker = 3\npreload = true\nnothing_like_it = 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`unknown setting 'host' in pyproject.toml, line 2: write bind = "HOST:PORT"`,
		`unknown setting 'port' in pyproject.toml, line 3: write bind = "HOST:PORT"`,
		`unknown setting 'worker' in pyproject.toml, line 5: did you mean 'workers'?`,
		`unknown setting 'preload' in pyproject.toml, line 6: did you mean 'preload_app'?`,
		`unknown setting 'nothing_like_it' in pyproject.toml, line 7: it has no effect`,
	}
	if !slices.Equal(l.remarks, want) {
		t.Errorf("%s", strings.Join(l.remarks, "\n"))
	}
	if l.File() != "pyproject.toml" {
		t.Errorf("file %q", l.File())
	}
	l, err = FromTOML("pyproject.toml", []byte("[tool.indrik]\nreload = 'yes'\n"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = Resolve("app:app", l)
	if got, want := Report(err), "\nError: Invalid boolean: yes\n  reload = 'yes' (pyproject.toml, line 2); accepted: true or false\n"; got != want {
		t.Errorf("%q", got)
	}
	if l, err = FromTOML("pyproject.toml", []byte("[tool.black]\n")); err != nil || l.File() != "" {
		t.Errorf("%q, %v", l.File(), err)
	}
}

// What meant names exists.
func TestMeant(t *testing.T) {
	for name, setting := range meant {
		if Lookup(name) != nil || Lookup(setting) == nil {
			t.Errorf("%s: %s", name, setting)
		}
	}
	for name, other := range instead {
		if Lookup(name) != nil || Lookup(other.setting) == nil {
			t.Errorf("%s: %s", name, other.setting)
		}
	}
}

// Kinds of worker that are none, each with what to write.
func TestClassHints(t *testing.T) {
	for name, want := range map[string]string{
		"eventlet": "gevent", "uvloop": "asgi_loop", "unicorn": "'asgi'", "threads": "'gthread'", "aiohttp.GunicornWebWorker": "aiohttp",
		"nope": "the kinds of worker are sync",
	} {
		_, err := checkClass(name)
		if err == nil || !strings.HasPrefix(err.Error(), "class uri '"+name+"' invalid or not found: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNoWorkersWarns(t *testing.T) {
	for _, n := range []any{0.0, "0"} {
		c, err := Resolve("app:app", FromFile("x.py", map[string]any{"workers": n}, nil))
		if err != nil || len(c.Warnings()) != 1 || !strings.HasPrefix(c.Warnings()[0], "workers is 0 (x.py): ") {
			t.Errorf("%v: %q, %v", n, c.Warnings(), err)
		}
	}
}
