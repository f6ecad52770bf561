//go:build linux

package test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"

	"indrik/test/harness"
)

// scopeOf is what asgiapps:scope answered with.
func scopeOf(t testing.TB, body string) map[string]any {
	t.Helper()
	// Python reads what Python wrote.
	cmd := exec.Command(harness.Python(), "-c", "import sys, json; json.dump(eval(sys.stdin.read()), sys.stdout, "+
		"default=lambda b: 'b:' + b.decode('latin-1'))")
	cmd.Stdin = strings.NewReader(body)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	var scope map[string]any
	harness.Must(t, json.NewDecoder(bytes.NewReader(out)).Decode(&scope))
	return scope
}

// expectScope compares a scope with the values in want, as JSON has them; bytes are
// strings that begin with b:.
func expectScope(t testing.TB, scope map[string]any, want map[string]any) {
	t.Helper()
	for key, w := range want {
		got, _ := json.Marshal(scope[key])
		expected, _ := json.Marshal(w)
		if !bytes.Equal(got, expected) {
			t.Errorf("%s is %s, want %s", key, got, expected)
		}
	}
}

type list = []any

func TestASGIScope(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "asgiapps:scope", Args: []string{"--root-path", "/мир"}})
	c := s.Client()
	c.Send(t, "PATCH /caf%C3%A9/%41%2fb%zz%ff?q=%20&r HTTP/1.1\r\nHost: Example.com:80\r\nX-One: 1\r\nx-TWO: a, b\r\nX-One: caf\xe9\r\n"+
		"X_Under: dropped\r\nContent-Length: 4\r\n\r\nbody")
	got := scopeOf(t, c.Receive(t, "PATCH").Body)
	expectScope(t, got, map[string]any{
		"type": "http", "asgi": map[string]any{"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
		"method": "PATCH", "scheme": "http",
		"path": "/мир/café/A/b%zz\uFFFD", "raw_path": "b:/%D0%BC%D0%B8%D1%80/caf%C3%A9/%41%2fb%zz%ff",
		"query_string": "b:q=%20&r", "root_path": "/мир",
		"headers": list{
			list{"b:host", "b:Example.com:80"}, list{"b:x-one", "b:1"}, list{"b:x-two", "b:a, b"},
			list{"b:x-one", "b:café"}, list{"b:content-length", "b:4"},
		},
		"server": list{"127.0.0.1", s.Port}, "state": map[string]any{},
		"extensions": map[string]any{},
	})
	if client := fmt.Sprint(got["client"]); client != "["+strings.Replace(c.LocalAddr().String(), ":", " ", 1)+"]" {
		t.Errorf("client is %s, want %s", client, c.LocalAddr())
	}
	// A scope has nothing that the specification does not have.
	if delete(got, "pid"); len(got) != 14 {
		t.Errorf("%d items: %v", len(got), got)
	}

	c.Send(t, "OPTIONS * HTTP/1.0\r\nTE: trailers\r\n\r\n")
	expectScope(t, scopeOf(t, c.Receive(t, "OPTIONS").Body), map[string]any{
		"http_version": "1.0", "path": "*", "raw_path": "b:*", "query_string": "b:", "headers": list{list{"b:te", "b:trailers"}},
		"extensions": map[string]any{},
	})
	s.Terminate()

	s = harness.Start(t, harness.Options{App: "asgiapps:scope", Args: []string{"--asgi-send-after-disconnect", "raise", "--asgi-extensions", "pathsend,early_hint"}})
	expectScope(t, scopeOf(t, s.Client().Do(t, "GET", "/", "").Body), map[string]any{
		"asgi":       map[string]any{"version": "3.0", "spec_version": "2.4"},
		"extensions": map[string]any{"http.response.pathsend": map[string]any{}, "http.response.early_hint": map[string]any{}},
	})
	s.Terminate()
}

// A method that is not in capitals is one to the app, and a minor version of its own is told
// as it is, where the settings permit such requests.
func TestASGIScopeOfUnconventionalRequests(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "asgiapps:scope", Args: []string{"--permit-unconventional-http-method", "--permit-unconventional-http-version"}})
	c := s.Client()
	c.Send(t, "patch / HTTP/1.3\r\nHost: x\r\n\r\n")
	expectScope(t, scopeOf(t, c.Receive(t, "GET").Body), map[string]any{"method": "PATCH", "http_version": "1.3"})
	s.Terminate()
}

// Who may say what, in which fields, is decided by the rules of WSGI.
func TestASGITrust(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "asgiapps:scope", Args: []string{"--root-path", "/default"}})
	c := s.Client()
	expectScope(t, scopeOf(t, c.Do(t, "GET", "/api/x", "", "X-Forwarded-Proto: https", "SCRIPT_NAME: /api").Body), map[string]any{
		"scheme": "https", "path": "/api/x", "root_path": "/api",
	})
	// A proxy that takes away where the app is mounted, and one that does not.
	for _, path := range []string{"/x", "/default/x"} {
		expectScope(t, scopeOf(t, c.Do(t, "GET", path, "").Body), map[string]any{
			"path": "/default/x", "raw_path": "b:/default/x", "root_path": "/default",
		})
	}
	expectScope(t, scopeOf(t, c.Do(t, "GET", "/other/x", "", "SCRIPT_NAME: /api", "X-Forwarded-For: 203.0.113.7").Body), map[string]any{
		"path": "/api/other/x", "root_path": "/api", "client": list{"203.0.113.7", 0},
	})
	c = s.Client()
	if r := c.Do(t, "GET", "/", "", "X-Forwarded-Proto: https", "X-Forwarded-Ssl: off"); r.Status != 400 {
		t.Errorf("%v", r)
	}
	s.Terminate()

	s = harness.Start(t, harness.Options{App: "asgiapps:scope", Args: []string{"--forwarded-allow-ips", "192.0.2.1", "--header-map", "dangerous"}})
	c = s.Client()
	expectScope(t, scopeOf(t, c.Do(t, "GET", "/api/x", "", "X-Forwarded-Proto: https", "SCRIPT_NAME: /api").Body), map[string]any{
		"scheme": "http", "path": "/api/x", "root_path": "", "client": list{"127.0.0.1", c.LocalAddr().(*net.TCPAddr).Port},
		"headers": list{list{"b:host", "b:test"}, list{"b:x-forwarded-proto", "b:https"}, list{"b:script_name", "b:/api"}},
	})
	s.Terminate()
}

func TestASGIScopeOnAUnixSocket(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "asgiapps:scope", Bind: []string{"unix:DIR/web.sock"}})
	expectScope(t, scopeOf(t, s.Client().Do(t, "GET", "/", "").Body), map[string]any{
		"client": nil, "server": list{s.Path("web.sock"), nil}, "scheme": "http",
	})
	expectScope(t, scopeOf(t, s.Client().Do(t, "GET", "/", "", "X-Forwarded-For: 192.0.2.1, 203.0.113.7:81").Body), map[string]any{
		"client": list{"203.0.113.7", 81},
	})
	s.Terminate()
}

func TestASGIScopeOfProxyProtocol(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "asgiapps:scope", Args: []string{"--proxy-protocol=auto"}})
	c := s.Client()
	c.Send(t, "PROXY TCP4 192.0.2.7 192.0.2.8 1234 80\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
	expectScope(t, scopeOf(t, c.Receive(t, "GET").Body), map[string]any{"client": list{"192.0.2.7", 1234}})
	s.Terminate()
}

func TestASGIScopeOfTLS(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.WithTLS(t, harness.Options{App: "asgiapps:scope"}))
	got := scopeOf(t, s.Client().Do(t, "GET", "/", "").Body)
	expectScope(t, got, map[string]any{"scheme": "https", "http_version": "1.1"})
	expectScope(t, got["extensions"].(map[string]any), map[string]any{"tls": map[string]any{
		"server_cert": nil, "client_cert_chain": list{}, "client_cert_name": nil, "client_cert_error": nil,
		"tls_version": 0x304, "cipher_suite": got["extensions"].(map[string]any)["tls"].(map[string]any)["cipher_suite"],
	}})
	s.Terminate()
}

func TestASGIOverHTTP2(t *testing.T) {
	t.Parallel()
	harness.OverHTTP2(t, harness.Options{App: "asgiapps:scope"}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		got := scopeOf(t, w.Fetch("GET", "/p%61th?q", "", "X-One", "1", "TE", "trailers").Text)
		expectScope(t, got, map[string]any{"http_version": "2", "path": "/path", "raw_path": "b:/p%61th", "query_string": "b:q"})
		if ext := got["extensions"].(map[string]any); ext["http.response.trailers"] == nil || ext["http.response.early_hint"] == nil {
			t.Errorf("%v", ext)
		}
		s.Terminate()
	})
	harness.OverHTTP2(t, harness.Options{App: "asgiapps:reactions", Files: map[string]string{"data": "0123456789"}}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		for path, want := range map[string]string{
			"/": "ok", "/odd_types": "bytearray,memoryview", "/zerocopy": "<0123489>", "/zerocopy_whole": "23456789", "/hints": "hinted",
			"/whole_large": strings.Repeat("0123456789", 500_000), "/trailers": "no trailers",
		} {
			if p := w.Fetch("GET", path, ""); p.Text != want {
				t.Errorf("%s: %.100s", path, p)
			}
		}
		p := w.Fetch("GET", "/trailers", "", "TE", "trailers")
		if p.Text != "datamore" || p.Trailer.Get("X-Sum") != "8" || p.Trailer.Get("X-More") != "yes" || len(p.Trailer) != 2 {
			t.Errorf("%v, trailers %v", p, p.Trailer)
		}
		if p, err := w.Try(context.Background(), "GET", "/raise_in_body", nil); err == nil {
			t.Errorf("%v", p)
		}
		if p := w.Fetch("GET", "/raise", ""); p.StatusCode != 500 {
			t.Errorf("%v", p)
		}
		s.Terminate()
	})
}
