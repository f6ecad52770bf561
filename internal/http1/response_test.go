package http1

import (
	"strings"
	"testing"
	"time"
)

func fieldsOf(pairs ...string) (fields []Field) {
	for i := 0; i < len(pairs); i += 2 {
		fields = append(fields, Field{[]byte(pairs[i]), []byte(pairs[i+1])})
	}
	return fields
}

var testDate = AppendDate(nil, time.Date(2026, 11, 4, 5, 6, 7, 0, time.FixedZone("", 3600)))

func TestAppendResponseHead(t *testing.T) {
	const (
		start = "HTTP/1.1 200 OK\r\nServer: indrik\r\nDate: Wed, 04 Nov 2026 04:06:07 GMT\r\n"
		keep  = start + "Connection: keep-alive\r\n"
		close = start + "Connection: close\r\n"
	)
	ok := func(change func(*Head)) Head {
		h := Head{Minor: 1, Status: []byte("200 OK"), Date: testDate, KnownLength: -1, KeepAlive: true}
		change(&h)
		return h
	}
	tests := []struct {
		name    string
		head    Head
		want    string
		framing Framing
		length  int64
	}{
		{"streamed", ok(func(h *Head) {}), keep + "Transfer-Encoding: chunked\r\n\r\n", FramingChunked, -1},
		{"whole", ok(func(h *Head) { h.KnownLength = 5 }), keep + "Content-Length: 5\r\n\r\n", FramingLength, 5},
		{"whole and empty", ok(func(h *Head) { h.KnownLength = 0 }), keep + "Content-Length: 0\r\n\r\n", FramingLength, 0},
		{"length of the app", ok(func(h *Head) { h.Fields = fieldsOf("content-length", " 7 ") }), keep + "content-length: 7\r\n\r\n", FramingLength, 7},
		{"body too long", ok(func(h *Head) { h.Fields, h.KnownLength = fieldsOf("Content-Length", "7"), 9 }), keep + "Content-Length: 7\r\n\r\n", FramingLength, 7},
		{"body too short", ok(func(h *Head) { h.Fields, h.KnownLength = fieldsOf("Content-Length", "7"), 5 }), close + "Content-Length: 7\r\n\r\n", FramingLength, 7},
		{"same length twice", ok(func(h *Head) { h.Fields = fieldsOf("Content-Length", "7", "A", "b", "content-length", "7") }),
			keep + "Content-Length: 7\r\nA: b\r\n\r\n", FramingLength, 7},
		{"order and case", ok(func(h *Head) {
			h.KnownLength = 2
			h.Fields = fieldsOf("b-B", "1", "Set-Cookie", "a", "A", "\t2 ", "Set-Cookie", "b", "Empty", "", "Latin", "\xe9")
		}), keep + "Content-Length: 2\r\nb-B: 1\r\nSet-Cookie: a\r\nA: 2\r\nSet-Cookie: b\r\nEmpty: \r\nLatin: \xe9\r\n\r\n", FramingLength, 2},
		{"dropped", ok(func(h *Head) {
			h.KnownLength = 2
			h.Fields = fieldsOf("Connection", "keep-alive, x", "keep-alive", "x", "Proxy-Authenticate", "x", "proxy-authorization", "x", "TE", "x",
				"Trailers", "x", "Transfer-Encoding", "chunked", "Upgrade", "x", "SERVER", "x", "Date", "x", "Kept", "x")
		}), keep + "Content-Length: 2\r\nKept: x\r\n\r\n", FramingLength, 2},
		{"close by the app", ok(func(h *Head) { h.KnownLength, h.Fields = 2, fieldsOf("A", "b", "connection", "x, Close") }),
			close + "Content-Length: 2\r\nA: b\r\n\r\n", FramingLength, 2},
		{"close by the app, of two fields", ok(func(h *Head) { h.Fields = fieldsOf("Connection", "close", "Connection", "keep-alive") }),
			close + "Transfer-Encoding: chunked\r\n\r\n", FramingChunked, -1},
		{"close by the app, without a body", ok(func(h *Head) { h.Status, h.Fields = []byte("204 No Content"), fieldsOf("Connection", "close") }),
			strings.Replace(close, "200 OK", "204 No Content", 1) + "\r\n", FramingNone, -1},
		{"keep-alive by the app changes nothing", ok(func(h *Head) { h.KeepAlive, h.KnownLength, h.Fields = false, 2, fieldsOf("Connection", "keep-alive") }),
			close + "Content-Length: 2\r\n\r\n", FramingLength, 2},
		{"close", ok(func(h *Head) { h.KeepAlive = false }), close + "Transfer-Encoding: chunked\r\n\r\n", FramingChunked, -1},
		{"1.0 streamed", ok(func(h *Head) { h.Minor = 0 }), strings.Replace(close, "1.1", "1.0", 1) + "\r\n", FramingClose, -1},
		{"1.0 whole", ok(func(h *Head) { h.Minor, h.KnownLength = 0, 3 }), strings.Replace(keep, "1.1", "1.0", 1) + "Content-Length: 3\r\n\r\n", FramingLength, 3},
		{"later minor version", ok(func(h *Head) { h.Minor = 7 }), keep + "Transfer-Encoding: chunked\r\n\r\n", FramingChunked, -1},
		{"HEAD", ok(func(h *Head) { h.HeadRequest, h.KnownLength = true, 0 }), keep + "\r\n", FramingNone, -1},
		{"HEAD with length", ok(func(h *Head) { h.HeadRequest, h.KnownLength, h.Fields = true, 0, fieldsOf("Content-Length", "7") }),
			keep + "Content-Length: 7\r\n\r\n", FramingNone, 7},
		{"HEAD in 1.0", ok(func(h *Head) { h.Minor, h.HeadRequest = 0, true }), strings.Replace(keep, "1.1", "1.0", 1) + "\r\n", FramingNone, -1},
		{"204", ok(func(h *Head) {
			h.Status, h.Fields = []byte("204 No Content"), fieldsOf("Content-Length", "0", "A", "b")
		}),
			strings.Replace(keep, "200 OK", "204 No Content", 1) + "A: b\r\n\r\n", FramingNone, -1},
		{"CONNECT", ok(func(h *Head) { h.Connect, h.KnownLength, h.Fields = true, 2, fieldsOf("Content-Length", "2", "A", "b") }),
			close + "A: b\r\n\r\n", FramingClose, -1},
		{"CONNECT refused", ok(func(h *Head) { h.Connect, h.KnownLength, h.Status = true, 2, []byte("405 No") }),
			strings.Replace(keep, "200 OK", "405 No", 1) + "Content-Length: 2\r\n\r\n", FramingLength, 2},
		{"304", ok(func(h *Head) { h.Status, h.Fields = []byte("304 Not Modified"), fieldsOf("Content-Length", "7") }),
			strings.Replace(keep, "200 OK", "304 Not Modified", 1) + "Content-Length: 7\r\n\r\n", FramingNone, 7},
		{"no reason", ok(func(h *Head) { h.Status, h.KnownLength = []byte("299"), 0 }), strings.Replace(keep, "200 OK", "299 ", 1) + "Content-Length: 0\r\n\r\n", FramingLength, 0},
		{"reason of its own", ok(func(h *Head) { h.Status, h.KnownLength = []byte("200 Tr\xe8s  bien"), 0 }),
			strings.Replace(keep, "OK", "Tr\xe8s  bien", 1) + "Content-Length: 0\r\n\r\n", FramingLength, 0},
		{"no date", ok(func(h *Head) { h.Date = nil }), "HTTP/1.1 200 OK\r\nServer: indrik\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n", FramingChunked, -1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, framing, err := AppendResponseHead([]byte("before"), &test.head)
			if err != nil || string(got) != "before"+test.want {
				t.Errorf("%v\ngot  %q\nwant %q", err, got, test.want)
			}
			if framing != test.framing || test.head.ContentLength != test.length {
				t.Errorf("framing %d, length %d; want %d, %d", framing, test.head.ContentLength, test.framing, test.length)
			}
			if keep := strings.Contains(test.want, "keep-alive\r\n"); test.head.KeepAlive != keep {
				t.Errorf("keep-alive %v", test.head.KeepAlive)
			}
		})
	}
}

func TestAppendResponseHeadRefuses(t *testing.T) {
	for _, test := range []struct {
		status string
		fields []Field
		want   string
	}{
		{"", nil, "invalid status of the response: ''"},
		{"20 OK", nil, "status"},
		{"2000", nil, "status"},
		{"099 Low", nil, "status"},
		{"abc", nil, "status"},
		{"100 Continue", nil, "status 100 cannot be that of a response"},
		{"101 Switching Protocols", fieldsOf("Upgrade", "x", "Connection", "upgrade"), "status 101 cannot be"},
		{"103 Early Hints", fieldsOf("Link", "</a>"), "status 103 cannot be"},
		{"199", nil, "status 199 cannot be"},
		{"200\tOK", nil, "status"},
		{"200 OK\r\nA: b", nil, `invalid status of the response: '200 OK\r\nA: b'`},
		{"200 OK", fieldsOf("", "b"), "header name"},
		{"200 OK", fieldsOf("A B", "b"), "invalid header name of the response: 'A B'"},
		{"200 OK", fieldsOf("A:", "b"), "header name"},
		{"200 OK", fieldsOf("\xe9", "b"), "header name"},
		{"200 OK", fieldsOf("A", "secret\r\nC: d"), "invalid value of the response's header A: byte 6 of it is 0x0d"},
		{"200 OK", fieldsOf("A", "\x00"), "invalid value"},
		{"200 OK", fieldsOf("A", "b\x7f"), "invalid value"},
		{"200 OK", fieldsOf("Server", "b\n"), "invalid value"}, // even if it is dropped
		{"200 OK", fieldsOf("Content-Length", "-1"), "content-length"},
		{"200 OK", fieldsOf("Content-Length", ""), "content-length"},
		{"200 OK", fieldsOf("Content-Length", "1_0"), "content-length"},
		{"200 OK", fieldsOf("Content-Length", "1", "Content-Length", "2"), "two values for content-length"},
	} {
		h := Head{Minor: 1, Status: []byte(test.status), Fields: test.fields, KnownLength: -1}
		got, _, err := AppendResponseHead([]byte("before"), &h)
		if err == nil || !strings.Contains(err.Error(), test.want) || string(got) != "before" {
			t.Errorf("%q %q: %v, %q", test.status, test.fields, err, got)
		}
	}
}

func TestAppendChunk(t *testing.T) {
	for size, want := range map[int]string{1: "1\r\n", 15: "F\r\n", 16: "10\r\n", 2748: "ABC\r\n"} {
		data := strings.Repeat("x", size)
		if got := AppendChunk([]byte("before"), []byte(data)); string(got) != "before"+want+data+"\r\n" {
			t.Errorf("%d bytes: %.20q", size, got)
		}
	}
	if got := AppendChunk(nil, nil); len(got) > 0 {
		t.Errorf("no data: %q", got)
	}
	if got := AppendChunkSize(nil, 1<<62); string(got) != "4000000000000000\r\n" {
		t.Errorf("%q", got)
	}
}

func TestAppendInterim(t *testing.T) {
	got, err := AppendInterim(nil, 100, nil)
	if err != nil || string(got) != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Errorf("%q, %v", got, err)
	}
	got, err = AppendInterim(nil, 103, fieldsOf("Link", "</a.css>; rel=preload", "Content-Length", "5", "Connection", "x"))
	if err != nil || string(got) != "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err = AppendInterim([]byte("before"), 103, fieldsOf("Link", "a\r\nb")); err == nil || string(got) != "before" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err = AppendInterim([]byte("before"), 200, nil); err == nil || string(got) != "before" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAppendUpgrade(t *testing.T) {
	date := []byte("Sun, 06 Nov 1994 08:49:37 GMT")
	got, err := AppendUpgrade(nil, "websocket", &Head{Date: date, Fields: fieldsOf("Sec-WebSocket-Accept", "x", "Connection", "close", "Content-Length", "0", "X-A", "b")})
	want := "HTTP/1.1 101 Switching Protocols\r\nServer: indrik\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n" +
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\nX-A: b\r\n\r\n"
	if err != nil || string(got) != want {
		t.Errorf("%q, %v", got, err)
	}
	if got, err = AppendUpgrade([]byte("before"), "websocket", &Head{Date: date, Fields: fieldsOf("X", "a\nb")}); err == nil || string(got) != "before" {
		t.Errorf("%q, %v", got, err)
	}
}

// The field Server has a text of one's own, or is left out: then one of the app's goes
// out.
func TestServerField(t *testing.T) {
	for _, c := range []struct {
		h    Head
		want string
	}{
		{Head{}, "Server: indrik"},
		{Head{Server: "web 1"}, "Server: web 1"},
		{Head{NoServer: true}, "Server: app's"},
		{Head{NoServer: true, Server: "off"}, "Server: app's"},
	} {
		c.h.Minor, c.h.Status, c.h.Fields = 1, []byte("200 OK"), fieldsOf("server", "app's", "X-A", "b")
		for i := range c.h.Fields {
			if string(c.h.Fields[i].Name) == "server" {
				c.h.Fields[i].Name = []byte("Server")
			}
		}
		got, _, err := AppendResponseHead(nil, &c.h)
		if err != nil || strings.Count(string(got), "\r\n"+c.want+"\r\n") != 1 || strings.Count(string(got), "Server:") != 1 {
			t.Errorf("%+v: %q, %v", c.h, got, err)
		}
		c.h.Fields = fieldsOf("X-A", "b")
		c.h.Date = []byte("now")
		got, err = AppendUpgrade(nil, "websocket", &c.h)
		if n := strings.Count(string(got), "Server:"); err != nil || (n == 0) != c.h.NoServer {
			t.Errorf("%+v: %q, %v", c.h, got, err)
		}
	}
	for text, want := range map[string]bool{"indrik": true, "a b/1": true, "": false, " a": false, "a\r\nb": false, "a\x00": false} {
		if IsServerValue(text) != want {
			t.Errorf("%q is one: %v", text, !want)
		}
	}
}
