//go:build linux

package test

import (
	"bufio"
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
)

// These tests put the proxies that most servers stand behind in front of the
// server: nginx and haproxy, where they are installed.

// find looks for a program, also where only root has its programs.
func find(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/usr/local/sbin") {
		path := filepath.Join(dir, name)
		if st, err := os.Stat(path); err == nil && !st.IsDir() && st.Mode()&0o111 != 0 {
			return path
		}
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// proxy starts a program that has a configuration file, waits until it listens,
// and ends it with the test.
func proxy(t testing.TB, ports []int, conf string, command func(dir, conf string) []string) {
	t.Helper()
	dir := tempDir(t)
	path := filepath.Join(dir, "proxy.conf")
	must(t, os.WriteFile(path, []byte(strings.ReplaceAll(conf, "DIR", dir)), 0o644))
	args := command(dir, path)
	log := newTranscript()
	r, w, err := os.Pipe()
	must(t, err)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, w, w
	must(t, cmd.Start())
	started.Store(cmd.Process.Pid, true)
	w.Close()
	go log.read(r)
	done := make(chan struct{})
	go func() {
		cmd.Wait()
		close(done)
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(patience):
			cmd.Process.Kill()
			<-done
		}
		if t.Failed() {
			t.Logf("log of %s:\n%s", filepath.Base(args[0]), log)
		}
	})
	for _, port := range ports {
		eventually(t, fmt.Sprintf("%s listens on port %d", filepath.Base(args[0]), port), func() bool {
			select {
			case <-done:
				t.Fatalf("%q ended:\n%s", args, log)
			default:
			}
			return listening(port)
		})
	}
}

// nginx starts nginx with some contexts of its configuration.
func nginx(t testing.TB, ports []int, contexts string) {
	t.Helper()
	program := find(t, "nginx")
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
	program := find(t, "haproxy")
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
	must(t, err)
	n, err := strconv.Atoi(port)
	must(t, err)
	proxy(t, []int{n}, conf, func(_, conf string) []string { return []string{program, "-db", "-f", conf} })
}

// behind is the server as clients of a proxy see it.
func (s *server) behind(port int) *server { return &server{t: s.t, port: port} }

// reloadUnder reloads a server with two workers while clients make requests
// through a proxy, of which none may be lost.
func reloadUnder(t *testing.T, s, via *server) {
	t.Helper()
	k, o := via.bothLoads(4)
	for range 3 {
		s.reload(2)
		k.progress(50)
		o.progress(50)
	}
	expectNoneLost(t, k, o)
	if n := s.log.count(`Invalid request|\[ERROR\]|\[CRITICAL\]`); n > 0 {
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

func startBehind(t testing.TB, args ...string) *server {
	t.Helper()
	return start(t, options{app: "both:app", files: map[string]string{"both.py": echoEnviron},
		args: append([]string{"--workers", "2", "--keep-alive", "75"}, args...)})
}

// from connects to a port from another loopback address.
func from(t testing.TB, addr string, port int) *client {
	t.Helper()
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}
	nc, err := d.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	must(t, err)
	nc.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { nc.Close() })
	return &client{nc, bufio.NewReader(nc)}
}

func TestBehindNginx(t *testing.T) {
	t.Parallel()
	s := startBehind(t)
	port := freePort(t)
	nginx(t, []int{port}, nginxHTTP(port, s.addr()))
	via := s.behind(port)

	c := from(t, "127.0.0.3", port)
	var upstream any
	for i := range 3 {
		e := variablesOf(t, c.do(t, "GET", "/environ", ""))
		e.expect(t, variables{
			"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "127.0.0.3", "wsgi.url_scheme": "https",
			"HTTP_HOST": "test", "SERVER_PROTOCOL": "HTTP/1.1",
		})
		if i > 0 && e["REMOTE_PORT"] != upstream {
			t.Errorf("request %d came on another connection", i+1)
		}
		upstream = e["REMOTE_PORT"]
	}
	if r := c.do(t, "HEAD", "/", ""); r.status != 200 {
		t.Errorf("HEAD: %v", r)
	}
	if r := c.do(t, "POST", "/", strings.Repeat("b", 1<<20)); r.body != "/\n"+strings.Repeat("b", 1<<20) {
		t.Errorf("a large body: %v", r)
	}
	reloadUnder(t, s, via)
	s.terminate()
}

func TestBehindNginxOnUnixSocket(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "both:app", files: map[string]string{"both.py": echoEnviron}, bind: []string{"unix:DIR/web.sock"},
		args: []string{"--workers", "2", "--keep-alive", "75"}})
	port := freePort(t)
	nginx(t, []int{port}, nginxHTTP(port, "unix:"+s.path("web.sock")))
	variablesOf(t, from(t, "127.0.0.3", port).do(t, "GET", "/environ", "")).expect(t, variables{
		"REMOTE_ADDR": "", "HTTP_X_FORWARDED_FOR": "127.0.0.3", "wsgi.url_scheme": "https", "SERVER_NAME": "test", "SERVER_PORT": "443",
	})
	reloadUnder(t, s, s.behind(port))
	s.terminate()
}

func TestBehindNginxStream(t *testing.T) {
	t.Parallel()
	s := startBehind(t, "--proxy-protocol=v1")
	port := freePort(t)
	nginx(t, []int{port}, nginxStream(port, s.port))
	expectProxied(t, s, port)
	reloadUnder(t, s, s.behind(port))
	s.terminate()
}

// expectProxied checks that the app sees the clients of a proxy that sends the
// PROXY protocol, in each request of a connection.
func expectProxied(t testing.TB, s *server, port int) {
	t.Helper()
	for _, addr := range []string{"127.0.0.1", "127.0.0.3", "127.1.2.3"} {
		c := from(t, addr, port)
		_, own := c.peer()
		for range 3 {
			variablesOf(t, c.do(t, "GET", "/environ", "")).expect(t, variables{
				"REMOTE_ADDR": addr, "REMOTE_PORT": own, "SERVER_NAME": "127.0.0.1", "SERVER_PORT": strconv.Itoa(s.port),
				"PROXY_PROTOCOL": "TCP4", "PROXY_ADDR": "127.0.0.1", "PROXY_PORT": strconv.Itoa(port),
			})
		}
	}
}

func TestBehindHAProxy(t *testing.T) {
	t.Parallel()
	s := startBehind(t)
	port := freePort(t)
	haproxy(t, "http", fmt.Sprintf("127.0.0.1:%d", port), s.addr(), "")
	c := from(t, "127.0.0.3", port)
	for range 3 {
		variablesOf(t, c.do(t, "GET", "/environ", "")).expect(t, variables{
			"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "127.0.0.3", "wsgi.url_scheme": "https",
		})
	}
	reloadUnder(t, s, s.behind(port))
	s.terminate()
}

func TestBehindHAProxyWithProxyProtocol(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"tcp", "http"} {
		for name, server := range map[string]string{
			"v1":   "send-proxy",
			"v2":   "send-proxy-v2",
			"auto": "send-proxy-v2 proxy-v2-options crc32c,unique-id check inter 100ms check-send-proxy",
		} {
			t.Run(mode+" "+name, func(t *testing.T) {
				s := startBehind(t, "--proxy-protocol="+name)
				port := freePort(t)
				haproxy(t, mode, fmt.Sprintf("127.0.0.1:%d", port), s.addr(), server)
				expectProxied(t, s, port)
				reloadUnder(t, s, s.behind(port))
				s.terminate()
			})
		}
	}
}

func TestBehindHAProxyOnIPv6(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]string{"v1": "send-proxy", "v2": "send-proxy-v2"} {
		s := startBehind(t, "--proxy-protocol="+name)
		port := freePort(t)
		haproxy(t, "tcp", fmt.Sprintf("[::1]:%d", port), s.addr(), server)
		c, err := dial("tcp", fmt.Sprintf("[::1]:%d", port))
		must(t, err)
		_, own := c.peer()
		for range 2 {
			variablesOf(t, c.do(t, "GET", "/environ", "")).expect(t, variables{
				"REMOTE_ADDR": "::1", "REMOTE_PORT": own, "PROXY_PROTOCOL": "TCP6", "PROXY_ADDR": "::1", "PROXY_PORT": strconv.Itoa(port),
			})
		}
		c.Close()
		s.terminate()
	}
}

func TestBehindHAProxyWithTLS(t *testing.T) {
	t.Parallel()
	// haproxy relays what it cannot read.
	s := start(t, withTLS(t, options{app: "both:app", files: map[string]string{"both.py": echoEnviron}, args: []string{"--workers", "2", "--keep-alive", "75", "--proxy-protocol=auto"}}))
	port := freePort(t)
	haproxy(t, "tcp", fmt.Sprintf("127.0.0.1:%d", port), s.addr(), "send-proxy-v2")
	c, err := secure(from(t, "127.0.0.3", port), s.o.tls)
	must(t, err)
	for range 2 {
		variablesOf(t, c.do(t, "GET", "/environ", "")).expect(t, variables{"REMOTE_ADDR": "127.0.0.3", "wsgi.url_scheme": "https", "PROXY_PROTOCOL": "TCP4"})
	}
	via := s.behind(port)
	via.o.tls = s.o.tls
	reloadUnder(t, s, via)
	s.terminate()
}
