//go:build linux

package test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"indrik/test/harness"
)

// This file has web servers pass requests on by uwsgi, FastCGI and SCGI.

// gatewayEcho shows what the app sees, and sends the body back.
var gatewayEcho = map[string]string{"seen.py": `
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"].endswith("/who"):
        names = "REMOTE_ADDR", "wsgi.url_scheme", "SCRIPT_NAME", "PATH_INFO"
        return [" ".join(environ[name] for name in names).encode("latin-1")]
    return iter([environ["wsgi.input"].read()])
`}

// checkGateway asks the app through a web server.
func checkGateway(t *testing.T, port int) {
	t.Helper()
	via := harness.EndpointAt(t, port)
	harness.Eventually(t, "the web server answers", func() bool {
		r, err := via.Request("GET", "/who", "")
		return err == nil && r.Status == 200
	})
	seen := harness.DialFrom(t, "127.0.0.3", port).Do(t, "GET", "/a%20b/who?x=1", "", "X-Forwarded-For: 203.0.113.9")
	if want := "127.0.0.3 http  /a b/who"; seen.Body != want {
		t.Errorf("the app sees %q, want %q", seen.Body, want)
	}
	for _, size := range []int{0, 10, 128 << 10, 3 << 20} {
		body := strings.Repeat("0123456789abcdef", size/16) + strings.Repeat("x", size%16)
		if r, err := via.Request("POST", "/echo", body); err != nil || r.Status != 200 || r.Body != body {
			t.Errorf("the body of %d bytes came back as %v, %v", size, r, err)
		}
	}
}

func TestAllNginxGateways(t *testing.T) {
	t.Parallel()
	uwsgi := testedBlock(t, "nginx uwsgi")
	for protocol, block := range map[string]string{
		"uwsgi":   uwsgi,
		"fastcgi": testedBlock(t, "nginx FastCGI"),
		"scgi":    strings.NewReplacer("uwsgi_params", "scgi_params", "uwsgi_pass", "scgi_pass").Replace(uwsgi),
	} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Options{App: "seen:app", Files: gatewayEcho, Bind: []string{
				fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t)), protocol + "://unix:DIR/shop.sock",
			}})
			port := harness.FreePort(t)
			runNginx(t, harness.ReplaceAll(t, block, "/run/shop/shop.sock", s.Path("shop.sock"), "listen 80", fmt.Sprintf("listen 127.0.0.1:%d", port)))
			checkGateway(t, port)
			s.Terminate()
		})
	}
}

// TestAllNginxMounted: an app below a path, as uwsgi_modifier1 30 and SCRIPT_NAME say it.
func TestAllNginxMounted(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "seen:app", Files: gatewayEcho, Bind: []string{
		fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t)), "uwsgi://unix:DIR/shop.sock",
	}})
	port := harness.FreePort(t)
	runNginx(t, fmt.Sprintf(`server {
    listen 127.0.0.1:%d;
    location /shop { include uwsgi_params; uwsgi_param SCRIPT_NAME /shop; uwsgi_modifier1 30; uwsgi_pass unix:%s; }
}`, port, s.Path("shop.sock")))
	via := harness.EndpointAt(t, port)
	harness.Eventually(t, "the web server answers", func() bool {
		r, err := via.Request("GET", "/shop/who", "")
		return err == nil && strings.Contains(r.Body, " /shop /who")
	})
	s.Terminate()
}

// TestAllNginxGatewaysLoseNothing: reloads under load by way of nginx, with connections that
// it keeps and without.
func TestAllNginxGatewaysLoseNothing(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Args: []string{"--workers", "2"}, Bind: []string{
		fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t)), "uwsgi://unix:DIR/uwsgi.sock", "fastcgi://unix:DIR/fastcgi.sock",
	}})
	ports := []int{harness.FreePort(t), harness.FreePort(t)}
	runNginx(t, fmt.Sprintf(`upstream kept { server unix:%[4]s; keepalive 8; }
server { listen 127.0.0.1:%[1]d; location / { include uwsgi_params; uwsgi_next_upstream off; uwsgi_pass unix:%[3]s; } }
server { listen 127.0.0.1:%[2]d; location / { include fastcgi_params; fastcgi_next_upstream off; fastcgi_keep_conn on; fastcgi_pass kept; } }`,
		ports[0], ports[1], s.Path("uwsgi.sock"), s.Path("fastcgi.sock")))
	var loads []*harness.Load
	for _, port := range ports {
		via := harness.EndpointAt(t, port)
		harness.Eventually(t, "nginx answers", func() bool {
			r, err := via.Request("GET", "/", "")
			return err == nil && r.Status == 200
		})
		loads = append(loads, via.KeepAliveLoad(4))
	}
	for range 5 {
		s.Reload(2)
	}
	for _, l := range loads {
		l.ExpectNoneLost(t)
	}
	s.Terminate()
}

func TestAllApacheGateways(t *testing.T) {
	t.Parallel()
	harness.NeedsProgram(t, "apache2")
	block := testedBlock(t, "Apache uwsgi")
	for protocol, to := range map[string]string{"uwsgi": "uwsgi://127.0.0.1:8000/", "fastcgi": `fcgi://127.0.0.1:8000/" "enablereuse=on`, "scgi": "scgi://127.0.0.1:8000/"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			upstream, port := harness.FreePort(t), harness.FreePort(t)
			s := harness.Start(t, harness.Options{App: "seen:app", Files: gatewayEcho, Bind: []string{
				fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t)), fmt.Sprintf("%s://127.0.0.1:%d", protocol, upstream),
			}})
			block := harness.ReplaceAll(t, block, "uwsgi://127.0.0.1:8000/", to, "*:80", fmt.Sprintf("*:%d", port))
			block = strings.ReplaceAll(block, "127.0.0.1:8000", fmt.Sprintf("127.0.0.1:%d", upstream))
			runApache(t, port, block, "proxy", "proxy_uwsgi", "proxy_fcgi", "proxy_scgi")
			checkGateway(t, port)
			s.Terminate()
		})
	}
}

// gunicornFetch has one test at a time look for the source of Gunicorn, and fetch it.
var gunicornFetch sync.Mutex

// gunicornSource returns the source distribution of Gunicorn, and a Python that has what its
// tests of uwsgi need.
func gunicornSource(t *testing.T) (dir, python string) {
	t.Helper()
	const version = "27.0.1"
	gunicornFetch.Lock()
	defer gunicornFetch.Unlock()
	dir = filepath.Join(harness.Repository, ".cache", "gunicorn-"+version)
	python = filepath.Join(dir, "venv", "bin", "python")
	if _, err := os.Stat(filepath.Join(dir, "complete")); err == nil {
		return filepath.Join(dir, "gunicorn-"+version), python
	}
	harness.Must(t, os.MkdirAll(dir, 0o755))
	for _, args := range [][]string{
		{"python3", "-m", "venv", "--clear", filepath.Join(dir, "venv")},
		{python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "pytest", "requests"},
		{python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary", ":all:", "--dest", dir, "gunicorn==" + version},
		{"tar", "-xzf", filepath.Join(dir, "gunicorn-"+version+".tar.gz"), "-C", dir},
		{"touch", filepath.Join(dir, "complete")},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Skipf("%q: %v\n%s", args, err, out)
		}
	}
	return filepath.Join(dir, "gunicorn-"+version), python
}

// gunicornUWSGI runs an app of Gunicorn's tests by uwsgi behind nginx, and returns its port.
func gunicornUWSGI(t *testing.T, source, directory, app string) (s *harness.Server, port int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(source, "tests/docker", directory, "app.py"))
	harness.Must(t, err)
	s = harness.Start(t, harness.Options{App: app, Files: map[string]string{"app.py": string(text)}, Args: []string{"--workers", "2"}, Bind: []string{
		fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t)), "uwsgi://unix:DIR/app.sock",
	}})
	port = harness.FreePort(t)
	runNginx(t, fmt.Sprintf(`upstream gunicorn { server unix:%s; }
server {
    listen 127.0.0.1:%d;
    uwsgi_buffer_size 32k; uwsgi_buffers 8 32k; uwsgi_busy_buffers_size 64k;
    location / {
        uwsgi_pass gunicorn; include uwsgi_params;
        uwsgi_param HTTP_X_FORWARDED_FOR $proxy_add_x_forwarded_for; uwsgi_param HTTP_X_REAL_IP $remote_addr;
    }
}`, s.Path("app.sock"), port))
	harness.Eventually(t, "nginx answers", func() bool { return harness.Listening(port) })
	return s, port
}

// TestAllGunicornUWSGI: Gunicorn's own tests of uwsgi behind nginx pass, with a WSGI app.
func TestAllGunicornUWSGI(t *testing.T) {
	t.Parallel()
	harness.NeedsProgram(t, "nginx")
	source, python := gunicornSource(t)
	s, port := gunicornUWSGI(t, source, "uwsgi", "app:application")
	dir := harness.TempDir(t)
	tests, err := os.ReadFile(filepath.Join(source, "tests/docker/uwsgi/test_uwsgi_integration.py"))
	harness.Must(t, err)
	harness.Must(t, os.WriteFile(filepath.Join(dir, "test_uwsgi_integration.py"), tests, 0o644))
	harness.Must(t, os.WriteFile(filepath.Join(dir, "conftest.py"), fmt.Appendf(nil, `import pytest
import requests

docker_available = pytest.mark.skipif(False, reason="")

@pytest.fixture
def nginx_url():
    return "http://127.0.0.1:%d"

@pytest.fixture
def session():
    with requests.Session() as s:
        yield s
`, port), 0o644))
	out := harness.Output(t, dir, nil, python, "-m", "pytest", "-q", "-p", "no:cacheprovider", dir)
	if !strings.Contains(out, "33 passed") || strings.Contains(out, "skipped") {
		t.Errorf("%s", out)
	}
	s.Terminate()
}

// TestAllGunicornUWSGIOfASGI: likewise its script for ASGI apps, without the containers that
// it would start, and its sleep for them.
func TestAllGunicornUWSGIOfASGI(t *testing.T) {
	t.Parallel()
	harness.NeedsProgram(t, "nginx")
	source, _ := gunicornSource(t)
	s, port := gunicornUWSGI(t, source, "test_asgi_uwsgi", "app:app")
	script, err := os.ReadFile(filepath.Join(source, "tests/docker/test_asgi_uwsgi/test_uwsgi.sh"))
	harness.Must(t, err)
	dir := harness.TempDir(t)
	harness.Must(t, os.WriteFile(filepath.Join(dir, "docker"), []byte("#!/bin/sh\n"), 0o755))
	script = bytes.ReplaceAll(script, []byte("127.0.0.1:8080"), []byte(net.JoinHostPort("127.0.0.1", fmt.Sprint(port))))
	script = bytes.ReplaceAll(script, []byte("sleep 5"), []byte(":"))
	harness.Must(t, os.WriteFile(filepath.Join(dir, "test.sh"), script, 0o644))
	out := harness.Output(t, dir, []string{"PATH=" + dir + ":" + os.Getenv("PATH")}, "bash", filepath.Join(dir, "test.sh"))
	if n := strings.Count(out, "PASS"); n != 5 || strings.Contains(out, "FAIL") {
		t.Errorf("%d tests passed:\n%s", n, out)
	}
	s.Terminate()
}
