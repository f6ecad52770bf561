//go:build linux

package test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

// These tests put the proxies that most servers stand behind in front of the
// server: nginx and haproxy, where they are installed.

// proxy starts a program that has a configuration file, waits until it listens,
// and ends it with the test.
func proxy(t testing.TB, ports []int, conf string, command func(dir, conf string) []string) {
	t.Helper()
	dir := harness.TempDir(t)
	path := filepath.Join(dir, "proxy.conf")
	harness.Must(t, os.WriteFile(path, []byte(strings.ReplaceAll(conf, "DIR", dir)), 0o644))
	args := command(dir, path)
	log := harness.NewTranscript()
	r, w, err := os.Pipe()
	harness.Must(t, err)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, w, w
	harness.Must(t, cmd.Start())
	harness.Started.Store(cmd.Process.Pid, true)
	w.Close()
	go log.Collect(r)
	done := make(chan struct{})
	go func() {
		cmd.Wait()
		close(done)
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(harness.Patience):
			cmd.Process.Kill()
			<-done
		}
		if t.Failed() {
			t.Logf("log of %s:\n%s", filepath.Base(args[0]), log)
		}
	})
	for _, port := range ports {
		harness.Eventually(t, fmt.Sprintf("%s listens on port %d", filepath.Base(args[0]), port), func() bool {
			select {
			case <-done:
				t.Fatalf("%q ended:\n%s", args, log)
			default:
			}
			return harness.Listening(port)
		})
	}
}

// nginx starts nginx with some contexts of its configuration.
func nginx(t testing.TB, ports []int, contexts string) {
	t.Helper()
	program := harness.FindProgram(t, "nginx")
	const modules = "/usr/lib/nginx/modules/ngx_stream_module.so"
	load := ""
	if _, err := os.Stat(modules); err == nil {
		load = "load_module " + modules + ";\n"
	} else if built, _ := exec.Command(program, "-V").CombinedOutput(); strings.HasPrefix(contexts, "stream") && !strings.Contains(string(built), "--with-stream ") {
		t.Skip("nginx has no module for streams")
	}
	conf := load + `daemon off;
master_process off;
pid DIR/nginx.pid;
error_log stderr notice;
events { worker_connections 512; }
` + contexts
	proxy(t, ports, conf, func(dir, conf string) []string {
		return []string{program, "-e", "stderr", "-p", dir, "-c", conf}
	})
}

// nginxHTTP is an http context of nginx that relays a port to an upstream, over
// connections that it keeps.
func nginxHTTP(port int, upstream string) string {
	return fmt.Sprintf(`http {
  access_log off;
  client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi; uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
  upstream app { server %s; keepalive 16; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:%d;
    keepalive_requests 1000000;
    location / {
      proxy_pass http://app;
      proxy_next_upstream off;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto https;
    }
  }
}
`, upstream, port)
}

// nginxStream is a stream context of nginx that relays connections with the
// PROXY protocol.
func nginxStream(port, upstream int) string {
	return fmt.Sprintf("stream { server { listen 127.0.0.1:%d; proxy_pass 127.0.0.1:%d; proxy_protocol on; } }\n", port, upstream)
}

// haproxy starts haproxy with a frontend and a backend. mode is http or tcp,
// server the parameters of the server line after its address. Nothing is tried
// again: what is lost shows.
func haproxy(t testing.TB, mode, listen, upstream, server string) {
	t.Helper()
	program := harness.FindProgram(t, "haproxy")
	extra := ""
	if mode == "http" {
		extra = "  http-reuse always\n  option forwardfor\n  http-request set-header X-Forwarded-Proto https\n"
	}
	conf := fmt.Sprintf(`global
  maxconn 500
defaults
  mode %s
  retries 0
  timeout connect 10s
  timeout client 60s
  timeout server 60s
frontend in
  bind %s
  default_backend app
backend app
%s  server app %s %s
`, mode, listen, extra, upstream, server)
	_, port, err := net.SplitHostPort(listen)
	harness.Must(t, err)
	n, err := strconv.Atoi(port)
	harness.Must(t, err)
	proxy(t, []int{n}, conf, func(_, conf string) []string { return []string{program, "-db", "-f", conf} })
}

// reloadUnder reloads a server with two workers while clients make requests
// through a proxy, of which none may be lost.
func reloadUnder(t *testing.T, s *harness.Server, via *harness.Endpoint) {
	t.Helper()
	k, o := via.BothLoads(4)
	for range 3 {
		s.Reload(2)
		k.Progress(50)
		o.Progress(50)
	}
	harness.ExpectNoneLost(t, k, o)
	if n := s.Log.Count(`Invalid request|\[ERROR\]|\[CRITICAL\]`); n > 0 {
		t.Errorf("%d complaints in the log", n)
	}
}

// echoEnviron is an app for loads, as echo is, that shows its environ at /environ.
const echoEnviron = `import echo, showenviron

def app(environ, start_response):
    if environ["PATH_INFO"] == "/environ":
        return showenviron.app(environ, start_response)
    return echo.app(environ, start_response)
`

func startBehind(t testing.TB, args ...string) *harness.Server {
	t.Helper()
	return harness.Start(t, harness.Options{App: "both:app", Files: map[string]string{"both.py": echoEnviron},
		Args: append([]string{"--workers", "2", "--keep-alive", "75"}, args...)})
}

func TestBehindNginx(t *testing.T) {
	t.Parallel()
	s := startBehind(t)
	port := harness.FreePort(t)
	nginx(t, []int{port}, nginxHTTP(port, s.Address))
	via := harness.EndpointAt(s.T, port)

	c := harness.DialFrom(t, "127.0.0.3", port)
	var upstream any
	for i := range 3 {
		e := variablesOf(t, c.Do(t, "GET", "/environ", ""))
		e.expect(t, variables{
			"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "127.0.0.3", "wsgi.url_scheme": "https",
			"HTTP_HOST": "test", "SERVER_PROTOCOL": "HTTP/1.1",
		})
		if i > 0 && e["REMOTE_PORT"] != upstream {
			t.Errorf("request %d came on another connection", i+1)
		}
		upstream = e["REMOTE_PORT"]
	}
	if r := c.Do(t, "HEAD", "/", ""); r.Status != 200 {
		t.Errorf("HEAD: %v", r)
	}
	if r := c.Do(t, "POST", "/", strings.Repeat("b", 1<<20)); r.Body != "/\n"+strings.Repeat("b", 1<<20) {
		t.Errorf("a large body: %v", r)
	}
	reloadUnder(t, s, via)
	s.Terminate()
}

func TestBehindNginxOnUnixSocket(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "both:app", Files: map[string]string{"both.py": echoEnviron}, Bind: []string{"unix:DIR/web.sock"},
		Args: []string{"--workers", "2", "--keep-alive", "75"}})
	port := harness.FreePort(t)
	nginx(t, []int{port}, nginxHTTP(port, "unix:"+s.Path("web.sock")))
	variablesOf(t, harness.DialFrom(t, "127.0.0.3", port).Do(t, "GET", "/environ", "")).expect(t, variables{
		"REMOTE_ADDR": "", "HTTP_X_FORWARDED_FOR": "127.0.0.3", "wsgi.url_scheme": "https", "SERVER_NAME": "test", "SERVER_PORT": "443",
	})
	reloadUnder(t, s, harness.EndpointAt(s.T, port))
	s.Terminate()
}

func TestBehindNginxStream(t *testing.T) {
	t.Parallel()
	s := startBehind(t, "--proxy-protocol=v1")
	port := harness.FreePort(t)
	nginx(t, []int{port}, nginxStream(port, s.Port))
	expectProxied(t, s, port)
	reloadUnder(t, s, harness.EndpointAt(s.T, port))
	s.Terminate()
}

// expectProxied checks that the app sees the clients of a proxy that sends the
// PROXY protocol, in each request of a connection.
func expectProxied(t testing.TB, s *harness.Server, port int) {
	t.Helper()
	for _, addr := range []string{"127.0.0.1", "127.0.0.3", "127.1.2.3"} {
		c := harness.DialFrom(t, addr, port)
		_, own := peer(c)
		for range 3 {
			variablesOf(t, c.Do(t, "GET", "/environ", "")).expect(t, variables{
				"REMOTE_ADDR": addr, "REMOTE_PORT": own, "SERVER_NAME": "127.0.0.1", "SERVER_PORT": strconv.Itoa(s.Port),
				"PROXY_PROTOCOL": "TCP4", "PROXY_ADDR": "127.0.0.1", "PROXY_PORT": strconv.Itoa(port),
			})
		}
	}
}

func TestBehindHAProxy(t *testing.T) {
	t.Parallel()
	s := startBehind(t)
	port := harness.FreePort(t)
	haproxy(t, "http", fmt.Sprintf("127.0.0.1:%d", port), s.Address, "")
	c := harness.DialFrom(t, "127.0.0.3", port)
	for range 3 {
		variablesOf(t, c.Do(t, "GET", "/environ", "")).expect(t, variables{
			"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "127.0.0.3", "wsgi.url_scheme": "https",
		})
	}
	reloadUnder(t, s, harness.EndpointAt(s.T, port))
	s.Terminate()
}

func TestBehindHAProxyWithProxyProtocol(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"tcp", "http"} {
		for name, server := range map[string]string{
			"v1":   "send-proxy",
			"v2":   "send-proxy-v2",
			"auto": "send-proxy-v2 proxy-v2-options crc32c,unique-id check inter 1s fall 100 check-send-proxy",
		} {
			t.Run(mode+" "+name, func(t *testing.T) {
				s := startBehind(t, "--proxy-protocol="+name)
				port := harness.FreePort(t)
				haproxy(t, mode, fmt.Sprintf("127.0.0.1:%d", port), s.Address, server)
				expectProxied(t, s, port)
				reloadUnder(t, s, harness.EndpointAt(s.T, port))
				s.Terminate()
			})
		}
	}
}

func TestBehindHAProxyOnIPv6(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]string{"v1": "send-proxy", "v2": "send-proxy-v2"} {
		s := startBehind(t, "--proxy-protocol="+name)
		port := harness.FreePort(t)
		haproxy(t, "tcp", fmt.Sprintf("[::1]:%d", port), s.Address, server)
		c, err := harness.Dial("tcp", fmt.Sprintf("[::1]:%d", port))
		harness.Must(t, err)
		_, own := peer(c)
		for range 2 {
			variablesOf(t, c.Do(t, "GET", "/environ", "")).expect(t, variables{
				"REMOTE_ADDR": "::1", "REMOTE_PORT": own, "PROXY_PROTOCOL": "TCP6", "PROXY_ADDR": "::1", "PROXY_PORT": strconv.Itoa(port),
			})
		}
		c.Close()
		s.Terminate()
	}
}

func TestBehindHAProxyWithTLS(t *testing.T) {
	t.Parallel()
	// haproxy relays what it cannot read.
	s := harness.Start(t, harness.WithTLS(t, harness.Options{App: "both:app", Files: map[string]string{"both.py": echoEnviron}, Args: []string{"--workers", "2", "--keep-alive", "75", "--proxy-protocol=auto"}}))
	port := harness.FreePort(t)
	haproxy(t, "tcp", fmt.Sprintf("127.0.0.1:%d", port), s.Address, "send-proxy-v2")
	c, err := harness.HandshakeTLS(harness.DialFrom(t, "127.0.0.3", port), s.TLS)
	harness.Must(t, err)
	for range 2 {
		variablesOf(t, c.Do(t, "GET", "/environ", "")).expect(t, variables{"REMOTE_ADDR": "127.0.0.3", "wsgi.url_scheme": "https", "PROXY_PROTOCOL": "TCP4"})
	}
	via := harness.EndpointAt(s.T, port)
	via.TLS = s.TLS
	reloadUnder(t, s, via)
	s.Terminate()
}
