//go:build linux

package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"indrik/test/harness"
)

// This file runs web servers with blocks of the pages.

// runNginx runs nginx with a block of a page.
func runNginx(t *testing.T, block string) {
	t.Helper()
	program, dir := harness.NeedsProgram(t, "nginx"), harness.TempDir(t)
	for _, name := range []string{"uwsgi_params", "fastcgi_params", "scgi_params"} {
		block = strings.ReplaceAll(block, "include "+name, "include /etc/nginx/"+name)
	}
	harness.Must(t, os.WriteFile(filepath.Join(dir, "nginx.conf"), fmt.Appendf(nil, `daemon off; master_process off; pid %[1]s/nginx.pid; error_log stderr;
events {}
http {
    access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
%[2]s
}
`, dir, block), 0o644))
	harness.RunProgram(t, dir, nil, program, "-e", "stderr", "-c", filepath.Join(dir, "nginx.conf"), "-p", dir)
}

// runApache runs Apache with a block of a page on a port, with the modules that the block
// needs.
func runApache(t *testing.T, port int, block string, modules ...string) {
	t.Helper()
	program, dir := harness.NeedsProgram(t, "apache2"), harness.TempDir(t)
	var load strings.Builder
	for _, m := range append([]string{"mpm_event", "authz_core"}, modules...) {
		fmt.Fprintf(&load, "LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n", m, m)
	}
	harness.Must(t, os.WriteFile(filepath.Join(dir, "apache.conf"), fmt.Appendf(nil, `ServerRoot %[1]s
PidFile %[1]s/apache.pid
DefaultRuntimeDir %[1]s
ErrorLog /dev/stderr
Listen 127.0.0.1:%[2]d
User www-data
Group www-data
%[3]s
%[4]s
`, dir, port, load.String(), block), 0o644))
	harness.RunProgram(t, dir, nil, program, "-D", "FOREGROUND", "-f", filepath.Join(dir, "apache.conf"))
}
