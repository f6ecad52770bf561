package front

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"indrik/internal/wire"
)

// environOf sends a request and returns what the worker got.
func environOf(t *testing.T, r *rig, w *fakeWorker, format string, args ...any) map[string]string {
	t.Helper()
	c := r.dial()
	c.send(format, args...)
	q := w.take(0)
	w.say(0, echo(q))
	c.expect(200, "*")
	return q.environ
}

func TestEnviron(t *testing.T) {
	r, w := answering(t)
	e := environOf(t, r, w, "POST /a%%2Fb%%C3%%A9%%zz//c?x=%%20y HTTP/1.1\nHost: h:1\nContent-Type: text/plain\nContent-Length: 2\nX-A: 1\nx-a: 2\nCookie: c=1\nCookie: d=2\nX-Latin: \xe9\nEmpty:\n\nhi")
	host, port, _ := strings.Cut(r.addr, ":")
	for k, want := range map[string]string{
		"REQUEST_METHOD": "POST", "QUERY_STRING": "x=%20y", "RAW_URI": "/a%2Fb%C3%A9%zz//c?x=%20y",
		"SERVER_PROTOCOL": "HTTP/1.1", "PATH_INFO": "/a/bÃ©%zz//c", "SCRIPT_NAME": "",
		"REMOTE_ADDR": "127.0.0.1", "SERVER_NAME": host, "SERVER_PORT": port,
		"CONTENT_TYPE": "text/plain", "CONTENT_LENGTH": "2", "wsgi.url_scheme": "http",
		"HTTP_HOST": "h:1", "HTTP_X_A": "1,2", "HTTP_COOKIE": "c=1,d=2", "HTTP_X_LATIN": "é", "HTTP_EMPTY": "",
	} {
		if e[k] != want {
			t.Errorf("%s is %q, want %q", k, e[k], want)
		}
	}
	for _, k := range []string{"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"} {
		if _, has := e[k]; has {
			t.Errorf("%s is there", k)
		}
	}
	e = environOf(t, r, w, "GET / HTTP/1.0\n\n")
	if _, has := e["CONTENT_LENGTH"]; has || e["SERVER_PROTOCOL"] != "HTTP/1.0" {
		t.Errorf("environ %v", e)
	}
	e = environOf(t, r, w, "GET http://other/p?q#f HTTP/1.1\nHost: h\n\n")
	if e["PATH_INFO"] != "/p" || e["QUERY_STRING"] != "q" || e["RAW_URI"] != "http://other/p?q#f" {
		t.Errorf("environ %v", e)
	}
}

// A name with an underscore must never be taken for the one with a hyphen, nor
// join it.
func TestHeaderMap(t *testing.T) {
	const head = "GET / HTTP/1.1\nHost: h\nX-Forwarded-For: true\nX_Forwarded_For: forged\nX_Only: x\n\n"
	for _, tt := range []struct{ mode, joined, only string }{
		{"drop", "true", ""},
		{"dangerous", "true,forged", "x"},
	} {
		cfg := testConfig()
		cfg.HeaderMap = tt.mode
		r := newRig(t, 0)
		r.listen()
		w := r.worker(r.generation(1, cfg), 1)
		e := environOf(t, r, w, head)
		if e["HTTP_X_FORWARDED_FOR"] != tt.joined || e["HTTP_X_ONLY"] != tt.only {
			t.Errorf("%s: %q, %q", tt.mode, e["HTTP_X_FORWARDED_FOR"], e["HTTP_X_ONLY"])
		}
		// Many fields go another way.
		e = environOf(t, r, w, "%s", strings.Replace(head, "X_Only", strings.Repeat("A: b\n", manyFields)+"X_Only", 1))
		if e["HTTP_X_FORWARDED_FOR"] != tt.joined || e["HTTP_A"] != "b"+strings.Repeat(",b", manyFields-1) {
			t.Errorf("%s, many: %q, %q", tt.mode, e["HTTP_X_FORWARDED_FOR"], e["HTTP_A"])
		}
	}
	cfg := testConfig()
	cfg.HeaderMap = "refuse"
	r := newRig(t, 0)
	r.listen()
	r.worker(r.generation(1, cfg), 1)
	c := r.dial()
	c.send("%s", head)
	c.expect(400, "*")
	c.closed()
}

func TestTrustedPeer(t *testing.T) {
	const head = "GET /app/x HTTP/1.1\nHost: h\nX-Forwarded-Proto: https\nSCRIPT_NAME: /app\n\n"
	r, w := answering(t) // trusts 10.0.0.1 only
	e := environOf(t, r, w, head)
	if e["wsgi.url_scheme"] != "http" || e["SCRIPT_NAME"] != "" || e["PATH_INFO"] != "/app/x" || e["HTTP_X_FORWARDED_PROTO"] != "https" {
		t.Errorf("untrusted: %v", e)
	}
	for _, allow := range []string{"*", "127.0.0.0/8", "10.0.0.1, 127.0.0.1"} {
		cfg := testConfig()
		cfg.ForwardedAllowIPs = allow
		r := newRig(t, 0)
		r.listen()
		w := r.worker(r.generation(1, cfg), 1)
		e := environOf(t, r, w, head)
		if e["wsgi.url_scheme"] != "https" || e["SCRIPT_NAME"] != "/app" || e["PATH_INFO"] != "/x" {
			t.Errorf("%s: %v", allow, e)
		}
		for value, want := range map[string]string{"wss": "https", "ws": "http", "https": "https", "HTTPS": "http"} {
			if e := environOf(t, r, w, "GET / HTTP/1.1\nHost: h\nX-Forwarded-Proto: %s\n\n", value); e["wsgi.url_scheme"] != want {
				t.Errorf("X-Forwarded-Proto: %s is the scheme %s, want %s", value, e["wsgi.url_scheme"], want)
			}
		}
		c := r.dial()
		c.send("GET / HTTP/1.1\nHost: h\nX-Forwarded-Proto: wss\nX-Forwarded-Proto: http\n\n")
		_, body := c.reply("GET")
		if !strings.Contains(body, "Contradictory scheme headers") {
			t.Errorf("got %q", body)
		}
		c = r.dial()
		c.send("GET /other HTTP/1.1\nHost: h\nSCRIPT_NAME: /app\n\n")
		c.expect(500, "*")
	}
}

// A head that does not fit a message goes as a file, with or without a body.
func TestLargeHead(t *testing.T) {
	cfg := testConfig()
	cfg.LimitRequestFields, cfg.LimitRequestHead = 1000, 0
	r := newRig(t, 0)
	r.listen()
	w := r.worker(r.generation(1, cfg), 1)
	var fields strings.Builder
	for i := range 300 {
		fmt.Fprintf(&fields, "X-%d: %s\n", i, strings.Repeat("v", 1000))
	}
	for _, size := range []int{0, 10, inlineBody, 100_000} {
		c := r.dial()
		body := strings.Repeat("b", size)
		c.send("POST / HTTP/1.1\nHost: h\n%sContent-Length: %d\n\n%s", &fields, size, body)
		q := w.take(0)
		if string(q.body) != body || len(q.environ["HTTP_X_299"]) != 1000 || q.environ["REQUEST_METHOD"] != "POST" {
			t.Errorf("%d: %d bytes, %d variables", size, len(q.body), len(q.environ))
		}
		w.say(0, response(q.id, "200 OK", nil, ""))
		c.expect(200, "")
	}
}

// Nothing is read with settings that are not those of the server: a request that
// comes before the first generation waits.
func TestRequestBeforeGeneration(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	c := r.dial()
	c.send("GET / HTTP/1.1\nHost: h\nX_A: b\n\n")
	time.Sleep(50 * time.Millisecond)
	cfg := testConfig()
	cfg.HeaderMap = "dangerous"
	w := r.worker(r.generation(1, cfg), 1)
	q := w.take(0)
	if q.environ["HTTP_X_A"] != "b" {
		t.Errorf("environ %v", q.environ)
	}
	w.say(0, echo(q))
	if resp := c.expect(200, "GET / "); resp.Close {
		t.Error("Connection: close")
	}
}

func TestConfigTrusts(t *testing.T) {
	c, err := newConfig(&wire.FrontConfig{
		ForwardedAllowIPs: "127.0.0.1,::1,10.0.0.0/8", ProxyAllowIPs: "*", ProxyProtocol: "off", AccessLogFormat: "%",
	})
	if err == nil {
		t.Error("the format is no format")
	}
	if n := c.forwardedAllowIPs; len(n.prefixes) != 3 || n.all || !c.proxyAllowIPs.all {
		t.Errorf("trusts %v", n)
	}
	// Addresses of IPv4 may be written as IPv6 has them, on either side.
	for list, peers := range map[string]map[string]bool{
		"::ffff:10.0.0.1":                     {"10.0.0.1": true, "::ffff:10.0.0.1": true, "10.0.0.2": false, "::10.0.0.1": false},
		"10.0.0.1":                            {"10.0.0.1": true, "::ffff:10.0.0.1": true, "::ffff:10.0.0.2": false},
		"::ffff:10.0.0.0/104":                 {"10.9.9.9": true, "::ffff:10.9.9.9": true, "11.0.0.1": false},
		"::ffff:0:0/96":                       {"192.0.2.1": true, "2001:db8::1": false},
		"::/0":                                {"2001:db8::1": true, "192.0.2.1": false},
		"2001:db8::/32, ::ffff:a00:1":         {"2001:db8::1": true, "10.0.0.1": true, "2001:db9::1": false},
		"fe80::1":                             {"fe80::1%eth0": true, "fe80::2%eth0": false},
		" ::ffff:10.0.0.1 , ::ffff:10.0.0.2 ": {"10.0.0.2": true},
	} {
		c, err := newConfig(&wire.FrontConfig{ForwardedAllowIPs: list, ProxyAllowIPs: list, ProxyProtocol: "off"})
		must(t, err)
		for peer, want := range peers {
			if addr := netip.MustParseAddr(peer); c.trusts(addr) != want || c.mayProxy(addr) != want {
				t.Errorf("%q trusts %s: %v, want %v", list, peer, !want, want)
			}
		}
	}
}
