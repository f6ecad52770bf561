//go:build linux

package test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"indrik/test/harness"
)

// migrate runs `indrik migrate` in a directory, and returns what it says.
func migrate(t *testing.T, dir string, environ []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command(harness.Command(t)[0], append([]string{"migrate"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(append(harness.BinaryEnv(), "PATH="+os.Getenv("PATH"), "INDRIK_PYTHON="+harness.Python()), environ...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// What is printed for another server's command or file is a configuration with which the
// server starts.
func TestMigrate(t *testing.T) {
	t.Parallel()
	const wsgi = "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'wsgi']\n\napp = application\n"
	const asgi = "async def app(scope, receive, send):\n    pass\n\ndef create_app():\n    return app\n"
	files := map[string]string{
		"shop/__init__.py": "", "shop/wsgi.py": wsgi, "shop/main.py": asgi, "main.py": asgi, "wsgi.py": wsgi, "app.py": wsgi, "logging.json": `{"version": 1}`,
		"cert.pem": "", "key.pem": "",
		"django.ini": `[uwsgi]
project = shop
module = %(project).wsgi:application
master = true
processes = 4
threads = 2
socket = %d/%n.sock
chmod-socket = 660
vacuum = true
harakiri = 60
max-requests = 1000
max-requests-delta = 100
buffer-size = 32768
post-buffering = 8192
enable-threads = true
single-interpreter = true
die-on-term = true
need-app = true
env = DJANGO_SETTINGS_MODULE=shop.settings
static-map = /static=/srv/static
logto = %d%n.log
`,
		"flask.ini": `[uwsgi]
wsgi-file = app.py
callable = app
http = :0
workers = %k
cheaper = 2
cheaper-initial = 2
lazy-apps = true
disable-logging = true
log-5xx = true
reload-on-rss = 300
worker-reload-mercy = 20
stats = 127.0.0.1:0
py-autoreload = 1
touch-reload = app.py
`,
		"gevent.yaml":    "uwsgi:\n  module: wsgi\n  http-socket: 127.0.0.1:0\n  http-keepalive: 1\n  listen: 256\n  limit-post: 1048576\n  procname-prefix: shop\n",
		"Procfile":       "web: uvicorn main:app --host 0.0.0.0 --port $PORT --workers 2\n",
		"Dockerfile":     "FROM python\nENV WORKERS=3\nCMD gunicorn --workers $WORKERS --bind 127.0.0.1:0 --access-logfile - shop.wsgi\n",
		"shop.service":   "[Service]\nEnvironment=GRANIAN_INTERFACE=asginl GRANIAN_PORT=0 GRANIAN_LOG_ACCESS_ENABLED=true\nExecStart=/usr/bin/granian --workers 2 main:app\n",
		"hypercorn.toml": "bind = \"127.0.0.1:0\"\nworkers = 2\nkeep_alive_timeout = 9\naccesslog = \"-\"\napplication_path = \"main:app\"\n",
		"unit.json":      `{"listeners": {"127.0.0.1:8399": {"pass": "applications/a"}}, "applications": {"a": {"type": "python", "module": "shop.wsgi", "processes": 2, "path": ".", "environment": {"A": "b"}}}}`,
		"production.env": "UVICORN_HOST=127.0.0.1\nUVICORN_PORT=0\nUVICORN_WORKERS=2\nUVICORN_APP=main:app\n",
	}
	for _, line := range []string{
		"django.ini", "flask.ini", "gevent.yaml", "Procfile", "Dockerfile", "shop.service", "hypercorn.toml", "unit.json", "production.env",
		"uvicorn main:app --host 0.0.0.0 --port 0 --workers 4 --proxy-headers --forwarded-allow-ips * --loop auto --http httptools",
		"uvicorn --factory main:create_app --port 0 --lifespan off --limit-concurrency 100 --limit-max-requests 1000 --timeout-keep-alive 65 --backlog 512",
		"uvicorn shop.main:app --uds x.sock --root-path /api --log-level debug --no-access-log --ws-max-size 1000000 --ws-ping-interval 20.0 --ws-per-message-deflate false",
		"uvicorn main:app --reload --reload-dir shop --reload-include *.html --use-colors --app-dir . --log-config logging.json --port 0 --no-server-header",
		"fastapi run main.py --workers 2 --port 0",
		"hypercorn main:app --bind 127.0.0.1:0 --worker-class uvloop --access-logfile - --error-logfile - --log-level info --graceful-timeout 5 --keep-alive 5",
		"hypercorn asgi:main:app -b 127.0.0.1:0 -w 2 --websocket-ping-interval 10 --read-timeout 30 --max-requests 100 --max-requests-jitter 10 -p x.pid --statsd-host localhost:8125",
		"granian --interface wsgi --host 127.0.0.1 --port 0 --workers 2 --blocking-threads 4 --backpressure 64 --workers-kill-timeout 10s --process-name shop wsgi:app",
		"granian --interface asgi --loop asyncio --http 1 --no-ws --log-level warning --access-log --respawn-failed-workers --port 0 main:app",
		"gunicorn -k uvicorn.workers.UvicornWorker -w 2 --bind 127.0.0.1:0 --timeout 120 --graceful-timeout 20 main:app",
		"uwsgi --http-socket 127.0.0.1:0 --module shop.wsgi --master --processes 2 --threads 2 --harakiri 30 --enable-threads --need-app",
		"uwsgi --socket 127.0.0.1:0 --wsgi-file wsgi.py --protocol http --pp . --http-timeout 30 --log-4xx --cheaper 1 -p 3 --lazy-apps",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			args := strings.Fields(line)
			d := harness.TempDir(t)
			for name, text := range files {
				harness.Must(t, os.MkdirAll(d+"/shop", 0o755))
				harness.Must(t, os.WriteFile(d+"/"+name, []byte(text), 0o644))
			}
			config, errs, code := migrate(t, d, nil, args...)
			if code != 0 || errs != "" {
				t.Fatalf("exit code %d: %s%s", code, config, errs)
			}
			command, _, _ := migrate(t, d, nil, append([]string{"--command"}, args...)...)
			harness.Must(t, os.WriteFile(d+"/indrik.conf.py", []byte(config), 0o644))
			check := func(shell string) {
				t.Helper()
				cmd := exec.Command("sh", "-c", shell)
				cmd.Dir = d
				cmd.Env = append(harness.BinaryEnv(), "INDRIK_PYTHON="+harness.Python(), "PATH="+os.Getenv("PATH"), "HOME="+d)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%s: %v\n%s\nof\n%s", shell, err, out, config)
				}
			}
			binary := harness.Command(t)[0]
			app := ""
			if !strings.Contains(config, "\nwsgi_app = ") {
				app = " main:app"
			}
			check(binary + " --check-config" + app)
			harness.Must(t, os.Remove(d+"/indrik.conf.py"))
			check(strings.Replace(command[strings.LastIndex("\n"+command, "\nindrik "):], "indrik ", binary+" --check-config ", 1))
		})
	}
}

// Bad input is a line, and says which exit code it is worth.
func TestMigrateErrors(t *testing.T) {
	t.Parallel()
	dir := harness.TempDir(t)
	harness.Must(t, os.WriteFile(dir+"/x.txt", []byte("hello"), 0o644))
	harness.Must(t, os.WriteFile(dir+"/u.ini", []byte("[uwsgi]\nmodule = a\nfrob\x1b[2J = 1\n"), 0o644))
	for command, want := range map[string]struct {
		code int
		text string
	}{
		"":                      {2, "Usage: indrik migrate"},
		"--frob x":              {2, "there is no option --frob"},
		"nothing.ini":           {1, "nothing.ini: there is no such file, and it is no command that starts a server"},
		"x.txt":                 {1, "what kind of file it is cannot be told"},
		"node index.js":         {1, "there is no server in it that is known"},
		"u.ini":                 {1, "indrik migrate: not known: frob\ufffd[2J = 1"},
		"uvicorn a:b --frob":    {1, "indrik migrate: not known: frob"},
		"gunicorn a:b --frob":   {1, "gunicorn: unrecognized arguments: --frob"},
		"--command uvicorn --x": {1, "not known: x"},
	} {
		out, errs, code := migrate(t, dir, nil, strings.Fields(command)...)
		if code != want.code || !strings.Contains(errs, want.text) || strings.ContainsAny(out+errs, "\x1b") {
			t.Errorf("indrik migrate %s: exit code %d, %s%s", command, code, out, errs)
		}
	}
	if out, _, code := migrate(t, dir, []string{"UVICORN_PORT=81"}, "--help"); code != 0 || !strings.HasPrefix(out, "Usage: indrik migrate") {
		t.Errorf("--help: %d, %s", code, out)
	}
	if out, _, code := migrate(t, dir, []string{"UVICORN_PORT=81"}, "uvicorn", "a:b"); code != 0 || !strings.Contains(out, "bind = ['127.0.0.1:81']  # port") {
		t.Errorf("a variable: %d, %s", code, out)
	}
}
