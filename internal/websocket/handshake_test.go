package websocket

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"indrik/internal/http1"
)

func request(t testing.TB, method, version string, fields ...string) *http1.Request {
	t.Helper()
	var req http1.Request
	head := method + " /chat " + version + "\r\nHost: x\r\n" + strings.Join(append(fields, "", ""), "\r\n")
	if n, err := http1.ParseRequest(&http1.Config{LimitRequestFields: 100, LimitRequestFieldSize: 8190}, []byte(head), &req); n == 0 || err != nil {
		t.Fatalf("%q: %d, %v", head, n, err)
	}
	return &req
}

var good = []string{
	"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13",
}

func with(fields []string, more ...string) []string {
	return append(append([]string(nil), fields...), more...)
}

func without(fields []string, name string, more ...string) []string {
	var kept []string
	for _, f := range fields {
		if !strings.HasPrefix(f, name+":") {
			kept = append(kept, f)
		}
	}
	return append(kept, more...)
}

func TestIsUpgrade(t *testing.T) {
	for _, test := range []struct {
		version string
		fields  []string
		want    bool
	}{
		{"HTTP/1.1", good, true},
		{"HTTP/1.1", without(good, "Upgrade", "upgrade: h2c, WebSocket"), true},
		{"HTTP/1.1", without(good, "Connection", "Connection: keep-alive, upgrade"), true},
		{"HTTP/1.1", without(good, "Connection", "Connection: keep-alive", "Connection: Upgrade"), true},
		{"HTTP/1.1", without(good, "Connection"), false},
		{"HTTP/1.1", without(good, "Upgrade"), false},
		{"HTTP/1.1", without(good, "Upgrade", "Upgrade: websockets"), false},
		{"HTTP/1.0", good, false},
		{"HTTP/1.1", without(good, "Sec-WebSocket-Key"), true},
	} {
		if got := IsUpgrade(request(t, "GET", test.version, test.fields...)); got != test.want {
			t.Errorf("%s %q: %v", test.version, test.fields, got)
		}
	}
}

func TestParseHandshake(t *testing.T) {
	for _, test := range []struct {
		method string
		fields []string
		status int // 0: accepted
	}{
		{"GET", good, 0},
		{"POST", good, 400},
		{"GET", with(good, "Content-Length: 0"), 0},
		{"GET", with(good, "Content-Length: 1"), 400},
		{"GET", with(good, "Transfer-Encoding: chunked"), 400},
		{"GET", without(good, "Sec-WebSocket-Version"), 426},
		{"GET", without(good, "Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"), 426},
		{"GET", with(good, "Sec-WebSocket-Version: 13"), 426},
		{"GET", without(good, "Sec-WebSocket-Key"), 400},
		{"GET", without(good, "Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j"), 400},
		{"GET", without(good, "Sec-WebSocket-Key", "Sec-WebSocket-Key: ?"), 400},
		{"GET", with(good, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400},
		{"GET", with(good, "Sec-WebSocket-Protocol: a b"), 400},
		{"GET", with(good, "Sec-WebSocket-Extensions: permessage-deflate; =1"), 400},
		{"GET", with(good, "Sec-WebSocket-Extensions: permessage-deflate x"), 400},
		{"GET", with(good, "Sec-WebSocket-Extensions: x-other; a=\"b\", , y"), 0},
	} {
		_, err := ParseHandshake(request(t, test.method, "HTTP/1.1", test.fields...))
		status := 0
		var refusal *HandshakeError
		if errors.As(err, &refusal) {
			status = refusal.Status
		} else if err != nil {
			t.Errorf("%q: error %v is no refusal", test.fields, err)
		}
		if status != test.status {
			t.Errorf("%s %q: %d (%v), not %d", test.method, test.fields, status, err, test.status)
		}
	}
}

// TestAccept: the example of RFC 6455 section 1.3.
func TestAccept(t *testing.T) {
	h, err := ParseHandshake(request(t, "GET", "HTTP/1.1", with(good, "Sec-WebSocket-Protocol: chat, superchat", "Sec-WebSocket-Protocol: third")...))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(h.Protocols); got != "[chat superchat third]" || !h.Offers("third") || h.Offers("fourth") {
		t.Error(got)
	}
	got := ""
	for _, f := range h.AppendFields(nil, "chat", true) {
		got += string(f.Name) + ": " + string(f.Value) + "\n"
	}
	if want := "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\nSec-WebSocket-Protocol: chat\n"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
}

func TestDeflateOffers(t *testing.T) {
	const plain = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	for offer, want := range map[string]string{
		"permessage-deflate":                                                    plain,
		"permessage-deflate; client_max_window_bits":                            plain,
		"permessage-deflate; client_max_window_bits=10":                         plain,
		"permessage-deflate; server_max_window_bits=12; client_max_window_bits": plain + "; server_max_window_bits=12",
		"permessage-deflate; server_max_window_bits=\"8\"":                      plain + "; server_max_window_bits=8",
		"permessage-deflate; server_max_window_bits=15":                         plain + "; server_max_window_bits=15",
		"permessage-deflate; server_no_context_takeover":                        plain,
		"permessage-deflate; server_max_window_bits=7":                          "",
		"permessage-deflate; server_max_window_bits=16":                         "",
		"permessage-deflate; server_max_window_bits=08":                         "",
		"permessage-deflate; server_max_window_bits=+8":                         "",
		"permessage-deflate; server_max_window_bits":                            "",
		"permessage-deflate; server_no_context_takeover=1":                      "",
		"permessage-deflate; client_max_window_bits=7":                          "",
		"permessage-deflate; unknown":                                           "",
		"permessage-deflate; client_max_window_bits; client_max_window_bits":    "",
		"permessage-deflate; unknown, permessage-deflate":                       plain,
		"x-webkit-deflate-frame":                                                "",
	} {
		h, err := ParseHandshake(request(t, "GET", "HTTP/1.1", with(good, "Sec-WebSocket-Extensions: "+offer)...))
		if err != nil {
			t.Errorf("%s: %v", offer, err)
			continue
		}
		got := ""
		for _, f := range h.AppendFields(nil, "", true) {
			if string(f.Name) == "Sec-WebSocket-Extensions" {
				got = string(f.Value)
			}
		}
		if got != want {
			t.Errorf("%s: %q, not %q", offer, got, want)
		}
		for _, f := range h.AppendFields(nil, "", false) {
			if string(f.Name) == "Sec-WebSocket-Extensions" {
				t.Errorf("%s: accepted although compression is off", offer)
			}
		}
	}
}

func FuzzHandshake(f *testing.F) {
	f.Add("chat, superchat", "permessage-deflate; client_max_window_bits=10, x; a=\"b\"")
	f.Fuzz(func(t *testing.T, protocols, extensions string) {
		req := request(t, "GET", "HTTP/1.1", good...)
		req.Fields = append(req.Fields,
			http1.Field{Name: []byte("sec-websocket-protocol"), Value: []byte(protocols)},
			http1.Field{Name: []byte("sec-websocket-extensions"), Value: []byte(extensions)})
		h, err := ParseHandshake(req)
		var refusal *HandshakeError
		if err != nil && (!errors.As(err, &refusal) || refusal.Status != 400) {
			t.Errorf("%v", err)
		}
		if err == nil && h.Window != 0 && (h.Window < minWindow || h.Window > maxWindow) {
			t.Errorf("a window of %d bits", h.Window)
		}
	})
}
