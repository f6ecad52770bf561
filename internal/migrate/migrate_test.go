package migrate

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"indrik/internal/settings"
)

// written puts files into a directory, and returns it.
func written(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// expect checks the command line that is printed, and what the comments have.
func expect(t *testing.T, r *Result, command string, comments ...string) {
	t.Helper()
	all := strings.Split(strings.TrimSpace(r.Command()), "\n")
	if got := all[len(all)-1]; got != command {
		t.Errorf("the command is\n  %s\nand not\n  %s", got, command)
	}
	for _, c := range comments {
		if !strings.Contains(r.Config(), c) {
			t.Errorf("%q is not in\n%s", c, r.Config())
		}
	}
}

// What command lines become.
func TestCommandLines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line, environ, want string
		comments            string // separated by |
	}{
		{"uvicorn main:app", "", "indrik --access-logfile - main:app", ""},
		{"uvicorn main:app --host 0.0.0.0 --port 80 --workers 4 --no-access-log", "", "indrik --bind 0.0.0.0:80 --workers 4 main:app", "# host, port"},
		{"uvicorn --uds /run/x.sock --factory --no-access-log --proxy-headers main:create", "", "indrik --bind unix:/run/x.sock 'main:create()'", "Without an option: factory, access-log, proxy-headers"},
		{"uvicorn a:b --no-access-log --no-proxy-headers --no-server-header --no-date-header", "", "indrik --forwarded-allow-ips '' --server-header off a:b", "no-date-header: the field Date is always sent"},
		{"uvicorn a:b --no-access-log --ws-ping-interval 1.5 --ws-per-message-deflate false --ws none --log-level trace --limit-concurrency 9", "", "indrik --worker-connections 9 --websocket-ping-interval 2 --no-websocket-compression --log-level debug a:b", "ws = none: WebSockets are not spoken in Python"},
		{"uvicorn a:b --no-access-log --loop zuvloop --env-file .env --header X:Y", "", "indrik --asgi-loop zuvloop a:b", "env-file = .env: see --env"},
		{"uvicorn a:b --no-access-log --frob", "", "indrik a:b", "Not known as an option of uvicorn:|#   frob"},
		{"uvicorn a:b --workers", "", "indrik --access-logfile - a:b", "--workers: its value is missing"},
		{"uvicorn a:b --workers many", "", "indrik --access-logfile - a:b", "workers = many: not understood: argument -w/--workers: invalid int value: 'many'"},
		{"python -m uvicorn a:b", "UVICORN_HOST=::1 UVICORN_PORT=81 UVICORN_ACCESS_LOG=false UVICORN_RELOAD=true", "indrik --bind '[::1]:81' --reload a:b", ""},
		{"uvicorn", "UVICORN_APP=a:b UVICORN_ACCESS_LOG=0 UVICORN_FROB=1", "indrik a:b", "UVICORN_FROB=1"},
		{"fastapi run --workers 4 app/main.py", "", "indrik --bind 0.0.0.0:8000 --workers 4 --access-logfile - app.main:app", ""},
		{"fastapi dev main.py --app api", "", "indrik --reload --access-logfile - main:api", ""},
		{"hypercorn -b :80 -b unix:/x -w 4 -k uvloop --access-logfile - --keep-alive 7 asgi:main:app", "", "indrik --bind :80 --bind unix:/x --workers 4 --keep-alive 7 --asgi-loop uvloop --access-logfile - main:app", ""},
		{"hypercorn main -k trio --verify-mode CERT_REQUIRED --insecure-bind :80 --read-timeout 3.5 --debug", "", "indrik --header-timeout 4 --log-level debug --cert-reqs 2 main:app", "worker-class = trio|insecure-bind = :80: all addresses speak TLS or none"},
		{"granian --interface wsgi --workers-kill-timeout 1m30s --no-ws --http 2 --url-path-prefix /x app:a", "", "indrik --graceful-timeout 90 --root-path /x --http-protocols h2 app:a", "no-ws: WebSockets cannot be turned off"},
		{"granian main", "GRANIAN_BLOCKING_THREADS=4 GRANIAN_LOG_ACCESS_ENABLED=true GRANIAN_WEBSOCKETS=false GRANIAN_METRICS_ENABLED=1", "indrik --threads 4 --access-logfile - --admin-bind 127.0.0.1:9090 main:app", "RSGI, Granian's default, is not there"},
		{"granian --interface asgi --uds /x --uds-permissions 660 --http1-header-read-timeout 1500 --ssl-protocol-min tls1.3 a:b", "", "indrik --bind unix:/x --header-timeout 2 --umask 0o117 --tls-min-version 1.3 a:b", ""},
		{"gunicorn -w4 -k gevent shop.wsgi -c conf.py", "GUNICORN_CMD_ARGS=--timeout=9", "indrik --workers 4 --worker-class gevent --timeout 9 shop.wsgi", "it is read unchanged: indrik --config conf.py"},
		{"newrelic-admin run-program gunicorn a:b", "", "indrik a:b", "newrelic-admin run-program: put it before indrik as it was before gunicorn"},
		{"sh -c 'python manage.py migrate && exec gunicorn a:b -b 0.0.0.0:$PORT'", "", "indrik a:b", "PORT, which the address is taken from"},
		{"uwsgi --http :8000 -M --wsgi-file app/wsgi.py --callable app -p 4 --lazy-apps --disable-logging", "", "indrik --bind 0.0.0.0:8000 --workers 4 app.wsgi:app", "Without an option: master"},
		{"uwsgi --socket /run/a.sock --chmod-socket=666 -w a.wsgi --http-keepalive --disable-logging", "UWSGI_PROCESSES=3", "indrik --bind uwsgi://unix:/run/a.sock --workers 3 --keep-alive 75 --preload --umask 0o111 a.wsgi", ""},
		{"uwsgi --https :443,cert.pem,key.pem -w a --logto /x.log", "", "indrik --bind 0.0.0.0:443 --preload --access-logfile /x.log --error-logfile /x.log --keyfile key.pem --certfile cert.pem a", ""},
	} {
		r, err := Migrate([]string{c.line}, strings.Fields(c.environ))
		if len(strings.Fields(c.line)) == 1 {
			r, err = Migrate(strings.Fields(c.line), strings.Fields(c.environ))
		}
		if err != nil {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		t.Run(c.line, func(t *testing.T) { expect(t, r, c.want, strings.Split(c.comments, "|")...) })
	}
}

// What files become.
func TestFiles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files    map[string]string
		want     string
		comments []string
	}{
		"uwsgi.ini": {map[string]string{"uwsgi.ini": `
; a comment
[uwsgi]
base = /srv/shop
project = shop
chdir = %(base)/%(project)
wsgi-file = %(base)/%(project)/shop/wsgi.py
processes = %k
threads = 2   ; and why
master = true # and why
lazy-apps = false
die-on-term
http-socket = :80\
  00
disable-logging = true
harakiri = 60
cheaper = 2
if-env = DEBUG
py-autoreload = 1
endif =
env = A=%n
secret = $(SECRET)
frobnicate = yes
plugin = python3
ini = more.ini:extra
`, "more.ini": "[uwsgi]\nworkers = 9\n[extra]\nlisten = 1024\n"},
			"indrik --bind 0.0.0.0:8000 --backlog 1024 --workers auto --threads 2 --timeout 60 --preload --chdir /srv/shop/shop --env A=uwsgi shop.wsgi",
			[]string{"it depends on if-env = DEBUG", "$(SECRET) is not known here", "cheaper = 2: see --workers", "#   frobnicate = yes", "master, die-on-term"},
		},
		"config/app.ini": {map[string]string{"config/app.ini": "[uwsgi]\nset = dir=/srv\nmount = /shop=%(dir)/shop.py\nmanage-script-name = true\nmount = /b=x.py\nsocket = @abstract\ndaemonize = /var/log/x.log\nreq-logger = file:/var/log/y.log\n"},
			"indrik --preload --daemon --env SCRIPT_NAME=/shop --pythonpath /srv --access-logfile /var/log/y.log --error-logfile /var/log/x.log shop",
			[]string{"one server serves one app", "abstract and shared sockets are not there"},
		},
		"uwsgi.yaml": {map[string]string{"uwsgi.yaml": "other:\n  workers: 9\nuwsgi:\n  module: \"a.b:c\"\n  lazy-apps: true\n  disable-logging: true\n  env:\n    - A=1\n    - B=2\n"},
			"indrik --env A=1 --env B=2 a.b:c", nil},
		"uwsgi.json": {map[string]string{"uwsgi.json": `{"uwsgi": {"module": "a", "callable": "b", "lazy": true, "workers": 3, "http": ["127.0.0.1:1", "127.0.0.1:2"], "disable-logging": true}}`},
			"indrik --bind 127.0.0.1:1 --bind 127.0.0.1:2 --workers 3 a:b", nil},
		"Procfile": {map[string]string{"Procfile": "release: python manage.py migrate\nworker: celery -A x\nweb: gunicorn --bind 0.0.0.0:$PORT shop.wsgi --log-file -\n"},
			"indrik --error-logfile - shop.wsgi", []string{"PORT, which"}},
		"Procfile.dev": {map[string]string{"Procfile.dev": "api: uvicorn a:b --no-access-log --reload\njs: npm start\n"}, "indrik --reload a:b", nil},
		"Dockerfile": {map[string]string{"Dockerfile": `FROM node AS build
CMD ["node"]
FROM python:3.12
ENV UVICORN_HOST=0.0.0.0 \
    UVICORN_PORT="8080"
ENV NAME with blanks
# a comment
ENTRYPOINT ["/usr/bin/tini", "--"]
CMD ["uvicorn", "--no-access-log", "main:app"]
`}, "indrik --bind 0.0.0.0:8080 main:app", []string{"/usr/bin/tini --: put it before indrik", `CMD ["indrik"]`}},
		"web.Dockerfile": {map[string]string{"web.Dockerfile": "FROM x\nENV WORKERS=3\nCMD exec gunicorn -w ${WORKERS:-2} -t ${T:-70} --threads $THREADS a:b\n"},
			"indrik", nil},
		"shop.service": {map[string]string{"shop.service": `[Unit]
Description=shop
[Service]
Environment="A=b c" UVICORN_WORKERS=3
EnvironmentFile=-/etc/default/shop
ExecStart=/srv/venv/bin/uvicorn --no-access-log \
    --uds /run/shop.sock shop:app
`}, "indrik --bind unix:/run/shop.sock --workers 3 shop:app", []string{"EnvironmentFile=-/etc/default/shop", "Type=notify works"}},
		"hypercorn.toml": {map[string]string{"hypercorn.toml": "bind = [\"0.0.0.0:80\", \"[::]:80\"]\nworkers = 2\naccesslog = \"-\"\nkeep_alive_timeout = 9\nuse_reloader = true\ninclude_server_header = false\nh2_max_concurrent_streams = 50\nserver_names = [\"a\"]\nfrob = 1\napplication_path = \"main\"\n"},
			"indrik --bind 0.0.0.0:80 --bind '[::]:80' --workers 2 --keep-alive 9 --reload --server-header off --access-logfile - --http2-max-concurrent-streams 50 main:app", []string{"server_names = a: which hosts", "#   frob = 1"}},
		"unit.json": {map[string]string{"unit.json": `{"listeners": {"*:8300": {"pass": "applications/shop", "forwarded": {"client_ip": "X"}, "tls": {"certificate": "c"}}, "unix:/run/u.sock": {"pass": "routes"}},
  "access_log": {"path": "/var/log/a.log", "format": "$status"}, "routes": [], "applications": {"php": {"type": "php"}, "shop": {"type": "python 3.12", "module": "shop.wsgi", "callable": "app", "processes": {"max": 4, "spare": 1},
  "path": ["/srv", "/lib"], "environment": {"A": "1"}, "home": "/venv", "limits": {"timeout": 9}, "threads": 2}, "zoo": {"type": "python"}}}`},
			"indrik --bind 0.0.0.0:8300 --bind unix:/run/u.sock --workers 4 --threads 2 --timeout 9 --env A=1 --pythonpath /lib --access-logfile /var/log/a.log shop.wsgi:app",
			[]string{"applications.php: Python apps alone", "applications.zoo: one app for each server", "INDRIK_PYTHON=/venv/bin/python", "routes: routes, static files"}},
		"prod.env": {map[string]string{"prod.env": "# x\nexport GRANIAN_INTERFACE=asgi\nGRANIAN_PORT=\"9000\"\nDB=x\n"}, "indrik --bind 127.0.0.1:9000 MODULE:APP", []string{"# wsgi_app = 'module:variable'"}},
		".env":     {map[string]string{".env": "GUNICORN_CMD_ARGS=\"-w 3 --threads 2\"\n"}, "indrik --workers 3 --threads 2 MODULE:APP", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := written(t, c.files)
			r, err := Migrate([]string{filepath.Join(dir, name)}, nil)
			if c.want == "indrik" { // a variable that is not known
				if err == nil || !strings.Contains(err.Error(), "invalid int value: '$THREADS'") {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			expect(t, r, c.want, c.comments...)
			for _, u := range r.Unknown {
				if !strings.HasPrefix(u, "frob") {
					t.Errorf("%s is not known", u)
				}
			}
		})
	}
}

// Bad input is one line that names it.
func TestBadInput(t *testing.T) {
	t.Parallel()
	dir := written(t, map[string]string{
		"x.txt": "hello", "empty.ini": "[uwsgi]\n", "x.xml": "<uwsgi></uwsgi>", "conf.py": "workers = 1", "a.json": `{"listeners": 3}`, "b.json": `{"applications": {}}`,
		"c.json": `{"uwsgi": 3}`, "Procfile": "web: npm start\n", "Procfile.none": "", "Dockerfile": "FROM x\n", "x.service": "[Service]\n", "x.toml": "a = ", ".env": "A=1\n",
		"loop.ini": "[uwsgi]\nini = loop.ini\n", "bad.ini": "[uwsgi]\n= 3\n", "quote.service": "[Service]\nExecStart=uvicorn 'a\n", "big.ini": "[uwsgi]\n" + strings.Repeat("#\n", maxFile/2+1),
	})
	for arg, want := range map[string]string{
		"x.txt": "what kind of file it is cannot be told", "empty.ini": "has no section [uwsgi] with options", "x.xml": "files in XML are not read",
		"conf.py": "indrik --config", "a.json": "it is no configuration of Unit", "b.json": "it has no Python app", "c.json": "it is no JSON document with sections",
		"Procfile": "there is no server in it that is known", "Procfile.none": "nothing in it starts a server", "Dockerfile": "nothing in it starts a server",
		"x.service": "nothing in it starts a server", "x.toml": "toml", ".env": "it has no variable of a server that is known", "bad.ini": "line 2 has a value without a name",
		"quote.service": "cannot be split into words", "big.ini": "has more than 65536 bytes", ".": "is no file", "nothing.ini": "there is no such file, and it is no command",
	} {
		_, err := Migrate([]string{filepath.Join(dir, arg)}, nil)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") && arg != "x.toml" {
			t.Errorf("%s: %v", arg, err)
		}
	}
	r, err := Migrate([]string{filepath.Join(dir, "loop.ini")}, nil)
	if err != nil || !strings.Contains(r.Config(), "too many files include each other") {
		t.Errorf("a file that includes itself: %v", err)
	}
	for _, args := range [][]string{{"node", "index.js"}, {"sh -c true"}} {
		if _, err := Migrate(args, nil); err == nil || !strings.Contains(err.Error(), "there is no server in it that is known") {
			t.Errorf("%q: %v", args, err)
		}
	}
	if _, err := Migrate([]string{"gunicorn", "--frob"}, nil); err == nil || !strings.Contains(err.Error(), "gunicorn: unrecognized arguments: --frob") {
		t.Errorf("an option that Gunicorn does not have: %v", err)
	}
}

// Each option of each server does something or is said something about, whatever its value.
func TestEveryOptionIsAnswered(t *testing.T) {
	t.Parallel()
	for _, s := range documented() {
		for i := range s.rules {
			for spec := range strings.FieldsSeq(s.rules[i].names) {
				name := strings.NewReplacer("[no-]", "", "=", "", "?", "", "*", "x").Replace(spec)
				for _, value := range []string{"1", "true", "x", "unix:/x", "", "a=b"} {
					m := newMigration(s)
					m.where, m.depth = "x", maxDepth
					m.take(option{name: name, value: value, given: true})
					m.finished()
					if len(m.unknown) > 0 {
						t.Errorf("%s: %s is not known", s.name, name)
					}
					if len(m.layer.Values)+len(m.unneed)+len(m.remarks)+len(m.values) == 0 && m.host+m.port+m.app == "" && value != "" {
						t.Errorf("%s: %s = %s comes to nothing", s.name, name, value)
					}
				}
			}
		}
	}
}

// What is printed is a file of Python with assignments and comments alone, and a command line
// that is understood; what was read cannot put anything else there.
func wellFormed(t *testing.T, r *Result) {
	t.Helper()
	assignment := regexp.MustCompile(`^[a-z_0-9]+ = \S`)
	for line := range strings.SplitSeq(r.Config(), "\n") {
		if line != "" && line[0] != '#' && !assignment.MatchString(line) {
			t.Errorf("%q is in\n%s", line, r.Config())
		}
		for _, c := range line {
			if c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 || c == 0x2028 {
				t.Errorf("%q is in %q", c, line)
			}
		}
	}
	if _, _, err := settings.ParseArgs(prog, r.m.layer.Args()); err != nil {
		t.Errorf("%q: %v", r.m.layer.Args(), err)
	}
}

func TestHostileInput(t *testing.T) {
	t.Parallel()
	const bad = "\x1b[2J\u009b\u2028\nimport os\r'\"\\"
	for _, args := range [][]string{
		{"uvicorn", "--app-dir", bad, "--" + bad, bad, "--workers", bad, "--env-file", bad, bad},
		{"sh" + bad, "gunicorn", "-e", bad, bad}, {bad + "=x", "uwsgi", "--" + bad + "=" + bad, "--cheaper=" + bad, bad},
	} {
		r, err := Migrate(args, []string{"UVICORN_" + bad + "=" + bad})
		if err != nil {
			t.Fatal(err)
		}
		wellFormed(t, r)
	}
	dir := written(t, map[string]string{"u.ini": "[uwsgi]\n" + bad + " = " + bad + "\nmodule = " + bad + "\nenv = " + bad + "\n"})
	r, err := Migrate([]string{filepath.Join(dir, "u.ini")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, r)
}

func FuzzCommand(f *testing.F) {
	for _, line := range []string{
		"uvicorn main:app --host 0.0.0.0 --port 80 --workers 4", "hypercorn -b :80 -k uvloop main", "granian --interface wsgi --workers-kill-timeout 1m app",
		"uwsgi --http :80 -w a -M --cheaper 2", "A=b exec gunicorn -w 4 $X ${Y:-z}", "sh -c 'true; uvicorn a:b'", "fastapi run x.py",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		m, err := shellLine(line, nil, "x")
		if err == nil {
			wellFormed(t, &Result{m: m})
		}
	})
}

func FuzzFile(f *testing.F) {
	for name, text := range map[string]string{
		"u.ini": "[uwsgi]\nbase = /x\nchdir = %(base)/$(X)/%n\nmodule = a:b\nprocesses = %k ; x\n", "u.yaml": "uwsgi:\n  module: a\n  env:\n    - A=b\n",
		"u.json": `{"uwsgi": {"module": "a", "env": ["a=b"]}}`, "Procfile": "web: gunicorn a:b\n", "Dockerfile": "ENV A=b\nCMD [\"uvicorn\", \"a:b\"]\n",
		"x.service": "[Service]\nEnvironment=A=b\nExecStart=hypercorn a:b\n", "x.toml": "bind = ['x']\n", ".env": "UVICORN_PORT=1\n",
		"unit.json": `{"listeners": {"*:80": {}}, "applications": {"a": {"type": "python", "module": "m"}}}`,
	} {
		f.Add(name, []byte(text))
	}
	f.Fuzz(func(t *testing.T, name string, text []byte) {
		if slices.Contains([]string{"include", "ini", "config", "inherit"}, fmt.Sprint(name)) || strings.Contains(name, "/") {
			return
		}
		m, err := file(name, text, nil)
		if err == nil {
			wellFormed(t, &Result{m: m})
		}
	})
}

// The pages have what the rules say.
func TestPagesAreUpToDate(t *testing.T) {
	t.Parallel()
	for path, language := range map[string]Language{"../../docs/migrating.md": English, "../../docs/ru/migrating.md": Russian} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		page, err := Page(string(text), language)
		if err != nil || page != string(text) {
			t.Errorf("%s is not up to date: go generate ./internal/migrate (%v)", path, err)
		}
	}
	if _, err := Page("", English); err == nil {
		t.Error("a page without tables")
	}
	for _, s := range documented() {
		for _, r := range s.rules {
			if (r.note == "") != (r.russian == "") || r.to == nil && r.note == "" && r.instead == "" {
				t.Errorf("%s: the rule of %s is not whole", s.name, r.names)
			}
		}
	}
}
