package front

import (
	"net/netip"
	"strings"
	"testing"

	"indrik/internal/http1"
)

// The client is the rightmost address of X-Forwarded-For that is not trusted.
func TestForwardedClient(t *testing.T) {
	for _, tt := range []struct {
		trusted, peer, fields, want string
	}{
		{"10.0.0.0/8", "10.0.0.1", "203.0.113.7", "203.0.113.7:0"},
		{"10.0.0.0/8", "192.0.2.1", "203.0.113.7", ""},
		{"10.0.0.0/8", "", "203.0.113.7", "203.0.113.7:0"}, // a unix socket
		{"", "", "203.0.113.7", "203.0.113.7:0"},
		{"10.0.0.0/8", "10.0.0.1", "", ""},
		{"10.0.0.0/8", "10.0.0.1", "1.1.1.1, 203.0.113.7, 10.0.0.2", "203.0.113.7:0"},
		{"10.0.0.0/8", "10.0.0.1", "1.1.1.1|203.0.113.7 ,10.0.0.2|10.0.0.3", "203.0.113.7:0"},
		{"10.0.0.0/8", "10.0.0.1", "10.0.0.9, 10.0.0.2", "10.0.0.9:0"},
		{"*", "192.0.2.1", "1.1.1.1, 203.0.113.7", "1.1.1.1:0"},
		{"10.0.0.0/8", "10.0.0.1", "203.0.113.7:4711", "203.0.113.7:4711"},
		{"10.0.0.0/8", "10.0.0.1", "[2001:db8::1]:4711", "[2001:db8::1]:4711"},
		{"10.0.0.0/8", "10.0.0.1", "[2001:db8::1]", "[2001:db8::1]:0"},
		{"10.0.0.0/8", "10.0.0.1", "2001:db8::1", "[2001:db8::1]:0"},
		{"10.0.0.0/8", "10.0.0.1", "fe80::1%eth0", "[fe80::1]:0"},
		{"10.0.0.0/8", "10.0.0.1", "203.0.113.7, ::ffff:10.0.0.2", "203.0.113.7:0"},
		// What is no address says nothing, nor does what comes before it.
		{"10.0.0.0/8", "10.0.0.1", "1.1.1.1, unknown", ""},
		{"10.0.0.0/8", "10.0.0.1", "1.1.1.1, unknown, 10.0.0.2", "10.0.0.2:0"},
		{"10.0.0.0/8", "10.0.0.1", "1.1.1.1, 300.1.1.1", ""},
		{"10.0.0.0/8", "10.0.0.1", "_hidden", ""},
		{"10.0.0.0/8", "10.0.0.1", ", ,203.0.113.7,,", "203.0.113.7:0"},
		// An address of IPv4 in IPv6 is that address.
		{"::ffff:10.0.0.1", "10.0.0.1", "203.0.113.7", "203.0.113.7:0"},
		{"::ffff:10.0.0.0/104", "10.2.0.1", "203.0.113.7", "203.0.113.7:0"},
		{"::ffff:10.0.0.0/104", "11.0.0.1", "203.0.113.7", ""},
	} {
		cfg := &config{forwardedAllowIPs: parseNetworks(tt.trusted)}
		ex := &exchange{requestState: requestState{cfg: cfg}, info: &connInfo{}, req: &http1.Request{}}
		if tt.peer != "" {
			ex.info.client = netip.MustParseAddr(tt.peer)
		}
		for value := range strings.SplitSeq(tt.fields, "|") {
			ex.req.Fields = append(ex.req.Fields, http1.Field{Name: []byte("x-forwarded-FOR"), Value: []byte(value)})
		}
		client, ok := ex.forwardedClient()
		got := ""
		if ok {
			got = client.String()
		}
		if got != tt.want {
			t.Errorf("%q from %q, %q trusted: %q, want %q", tt.fields, tt.peer, tt.trusted, got, tt.want)
		}
	}
}

// Who wants REMOTE_ADDR to be the client gets it there and in the log.
func TestForwardedForAll(t *testing.T) {
	for _, tt := range []struct{ setting, field, addr, port string }{
		{"all", "203.0.113.7", "203.0.113.7", ""},
		{"all", "203.0.113.7:81", "203.0.113.7", "81"},
		{"asgi", "203.0.113.7", "127.0.0.1", "*"},
		{"none", "203.0.113.7", "127.0.0.1", "*"},
	} {
		cfg := testConfig()
		cfg.ForwardedAllowIPs, cfg.ForwardedFor = "127.0.0.1", tt.setting
		r := newRig(t, 0)
		r.listen()
		w := r.worker(r.generation(1, cfg), 1)
		e := environOf(t, r, w, "GET / HTTP/1.1\nHost: h\nX-Forwarded-For: %s\n\n", tt.field)
		if e["REMOTE_ADDR"] != tt.addr || e["REMOTE_PORT"] != tt.port && tt.port != "*" {
			t.Errorf("%s, %s: %s, %s", tt.setting, tt.field, e["REMOTE_ADDR"], e["REMOTE_PORT"])
		}
	}
}

func TestLacksRoot(t *testing.T) {
	for _, tt := range []struct {
		path, root string
		want       bool
	}{
		{"/x", "/api", true}, {"/api/x", "/api", false}, {"/api", "/api", false}, {"/apis/x", "/api", true},
		{"/", "/api", true}, {"*", "/api", false}, {"/x", "", false}, {"", "/api", false},
	} {
		if got := lacksRoot([]byte(tt.path), []byte(tt.root)); got != tt.want {
			t.Errorf("%s below %s: %v", tt.path, tt.root, got)
		}
	}
}

// A proxy may say that the client speaks WebSocket over TLS.
func TestForwardedProtoOfWebSocket(t *testing.T) {
	for proto, want := range map[string]string{"wss": "https", "ws": "http", "https": "https", "http": "http"} {
		cfg := testConfig()
		cfg.ForwardedAllowIPs = "127.0.0.1"
		r := newRig(t, 0)
		r.listen()
		w := r.worker(r.generation(1, cfg), 1)
		if e := environOf(t, r, w, "GET / HTTP/1.1\nHost: h\nX-Forwarded-Proto: %s\n\n", proto); e["wsgi.url_scheme"] != want {
			t.Errorf("%s is %s, want %s", proto, e["wsgi.url_scheme"], want)
		}
	}
}
