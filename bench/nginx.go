package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
)

// nginxConfig is what Gunicorn's own documentation recommends, with connections
// to Gunicorn that are kept, which is faster.
const nginxConfig = `daemon off;
worker_processes %[1]d;
pid %[2]s/nginx.pid;
error_log stderr error;
%[3]s
events { worker_connections 20000; }
http {
  access_log off;
  sendfile on;
  client_max_body_size 4m;
  keepalive_timeout %[6]d;
  keepalive_requests 1000000000;
  client_body_temp_path %[2]s/nginx-body;
  proxy_temp_path %[2]s/nginx-proxy;
  fastcgi_temp_path %[2]s/nginx-fastcgi;
  uwsgi_temp_path %[2]s/nginx-uwsgi;
  scgi_temp_path %[2]s/nginx-scgi;
  upstream app { server unix:%[2]s/gunicorn.sock fail_timeout=0; keepalive 32; }
  server {
    listen %[4]s backlog=2048;
    %[5]s
    location / {
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_redirect off;
      proxy_pass http://app;
    }
  }
}
`

// bothServers starts nginx and Gunicorn, hands signals on to them, and ends
// with Gunicorn.
const bothServers = `nginx -p "$1" -c "$2" & nginx=$!
shift 2
"$@" & gunicorn=$!
trap 'kill -QUIT $nginx; kill $gunicorn' TERM
trap 'kill -HUP $gunicorn' HUP
while kill -0 $gunicorn 2>/dev/null; do wait $gunicorn; done
wait $nginx
`

func behindNginx(e *environment, s *setup) []string {
	args := []string{"sh", "-c", bothServers, "sh", s.Dir, s.file("nginx.conf"), e.bin + "/gunicorn"}
	inner := *s
	inner.TLS, inner.HTTP2, inner.Idle, inner.Brief = false, false, false, false // nginx does that
	return slices.Concat(args, gunicornArgs(e, &inner, "gthread", "unix:"+s.file("gunicorn.sock")))
}

// writeNginxConfig writes the file that nginx is started with.
func writeNginxConfig(e *environment, s *setup) error {
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;" // the directory is that of whoever runs the bench
	}
	listen, tls := s.address(), ""
	if s.TLS {
		listen += " ssl"
		tls = fmt.Sprintf("ssl_certificate %s; ssl_certificate_key %s;", e.certFile, e.keyFile)
	}
	if s.HTTP2 {
		listen += " http2"
	}
	keepAlive := 75
	if s.Brief {
		keepAlive = 1
	}
	text := fmt.Sprintf(nginxConfig, s.Workers, s.Dir, user, listen, tls, keepAlive)
	return os.WriteFile(s.file("nginx.conf"), []byte(text), 0o644)
}

// nginxVersion asks the program of the system, which is not installed by the
// bench.
func nginxVersion(ctx context.Context) (string, error) {
	for _, path := range []string{"/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"} {
		if _, err := os.Stat(path); err == nil {
			text, err := complaint(ctx, path, "-v")
			if err != nil {
				return "", err
			}
			_, version, _ := strings.Cut(text, "nginx/")
			return strings.TrimSpace(version), nil
		}
	}
	return "", fmt.Errorf("nginx is not installed (Debian: apt-get install nginx-light)")
}
