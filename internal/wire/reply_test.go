package wire

import (
	"bytes"
	"strings"
	"testing"
)

// Shorthands for messages as Python writes them.
func pyTuple(items ...string) string {
	return string(AppendTuple(nil, len(items))) + strings.Join(items, "")
}
func pyList(items ...string) string {
	return "[" + string(AppendTuple(nil, len(items))[1:]) + strings.Join(items, "")
}
func pyInt(v int64) string    { return string(AppendInt(nil, v)) }
func pyBytes(s string) string { return string(AppendBytes(nil, []byte(s))) }
func pyStr(s string) string   { return "u" + pyBytes(s)[1:] }

func TestDecodeWorkerMessage(t *testing.T) {
	headers := pyList(pyTuple(pyStr("A"), pyStr("caf\u00e9 \u00ff\u0080")), pyTuple(pyStr("B"), pyStr("")))
	var m Reply
	input := []byte(pyTuple(pyInt(0), pyInt(5), pyStr("200 OK"), headers, pyBytes("body")))
	if _, err := DecodeReply(input, &m); err != nil {
		t.Fatal(err)
	}
	if m.Kind != ReplyResponse || m.ID != 5 || string(m.Status) != "200 OK" || len(m.Headers) != 2 || string(m.Body) != "body" {
		t.Errorf("%+v", m)
	}
	if h := m.Headers; string(h[0].Name) != "A" || string(h[0].Value) != "caf\xe9 \xff\x80" || string(h[1].Name) != "B" || len(h[1].Value) != 0 {
		t.Errorf("headers %q", h)
	}
	if &m.Body[0] != &input[len(input)-4] {
		t.Error("the body was copied")
	}

	// A body can be elsewhere.
	if _, err := DecodeReply([]byte(pyTuple(pyInt(2), pyInt(5), pyInt(ResponseBufferSize))), &m); err != nil || m.InBuffer != ResponseBufferSize || m.Body != nil {
		t.Errorf("%+v, %v", m, err)
	}

	place := func(at, n int64) string { return pyTuple(pyInt(2), pyInt(5), pyTuple(pyInt(at), pyInt(n))) }
	if _, err := DecodeReply([]byte(place(ResponseArenaSize-5, 5)), &m); err != nil || m.ArenaAt != ResponseArenaSize-5 || m.InArena != 5 || m.Body != nil || m.InBuffer != 0 {
		t.Errorf("%+v, %v", m, err)
	}

	// Nothing of it must be left in the next one.
	if _, err := DecodeReply([]byte(pyTuple(pyInt(3), pyInt(6))), &m); err != nil {
		t.Fatal(err)
	}
	if m.Kind != ReplyEnd || m.ID != 6 || m.Status != nil || len(m.Headers) != 0 || m.Body != nil || m.InBuffer != 0 || m.InArena != 0 || m.ArenaAt != 0 {
		t.Errorf("%+v", m)
	}
}

// An ASGI worker sends what the app gave it, and several messages at a time.
func TestDecodeASGIMessages(t *testing.T) {
	input := []byte(pyTuple(pyInt(0), pyInt(5), pyInt(404), pyTuple(
		pyList(pyBytes("a"), pyBytes("caf\xe9")), pyTuple(pyBytes("b"), pyStr("\u00e9"))), pyBytes("body")) +
		pyTuple(pyInt(10), pyInt(6), pyInt(1<<40)) + pyTuple(pyInt(13), pyInt(7), pyInt(504)))
	var m Reply
	rest, err := DecodeReply(input, &m)
	if err != nil || m.Code != 404 || m.Status != nil || len(m.Headers) != 2 {
		t.Fatalf("%+v, %v", m, err)
	}
	if h := m.Headers; string(h[0].Name) != "a" || string(h[0].Value) != "caf\xe9" || string(h[1].Value) != "\xe9" {
		t.Errorf("headers %q", h)
	}
	rest, err = DecodeReply(rest, &m)
	if err != nil || m.Kind != ReplyCredit || m.ID != 6 || m.Count != 1<<40 || m.Code != 0 {
		t.Fatalf("%+v, %v", m, err)
	}
	rest, err = DecodeReply(rest, &m)
	if err != nil || m.Kind != ReplyFail || m.Code != 504 || len(rest) > 0 {
		t.Fatalf("%+v, %v", m, err)
	}
}

func TestDecodeWebSocketMessages(t *testing.T) {
	input := []byte(pyTuple(pyInt(14), pyInt(5), pyStr("chat"), pyList(pyTuple(pyBytes("x-a"), pyBytes("1")))) +
		pyTuple(pyInt(15), pyInt(6), pyInt(1), pyBytes("hé"), pyInt(0)) +
		pyTuple(pyInt(15), pyInt(7), pyInt(0), pyBytes("\xff"), pyInt(1)) +
		pyTuple(pyInt(16), pyInt(8), pyInt(4999), pyBytes("bye")))
	var m Reply
	rest, err := DecodeReply(input, &m)
	if err != nil || m.Kind != ReplyAccept || m.ID != 5 || string(m.Protocol) != "chat" || len(m.Headers) != 1 {
		t.Fatalf("%+v, %v", m, err)
	}
	rest, err = DecodeReply(rest, &m)
	if err != nil || m.Kind != ReplyMessage || m.ID != 6 || !m.Text || m.More || string(m.Body) != "hé" || m.Protocol != nil {
		t.Fatalf("%+v, %v", m, err)
	}
	rest, err = DecodeReply(rest, &m)
	if err != nil || m.Text || !m.More || string(m.Body) != "\xff" {
		t.Fatalf("%+v, %v", m, err)
	}
	rest, err = DecodeReply(rest, &m)
	if err != nil || m.Kind != ReplyClose || m.CloseCode != 4999 || string(m.Body) != "bye" || len(rest) > 0 {
		t.Fatalf("%+v, %v", m, err)
	}
}

// Python may write a str in any of these forms.
func TestDecodeStrForms(t *testing.T) {
	var m Reply
	for _, status := range []string{"u\x03\x00\x00\x00200", "t\x03\x00\x00\x00200", "a\x03\x00\x00\x00200", "A\x03\x00\x00\x00200", "z\x03200", "Z\x03200"} {
		if _, err := DecodeReply([]byte(pyTuple(pyInt(1), pyInt(5), status, pyList(), pyBytes(""))), &m); err != nil || string(m.Status) != "200" {
			t.Errorf("%q: %q, %v", status, m.Status, err)
		}
	}
}

func TestDecodeWorkerMessageRefuses(t *testing.T) {
	ok, one := pyStr("200 OK"), pyInt(1)
	file := func(offset, count string) string { return pyTuple(pyInt(4), one, ok, pyList(), offset, count) }
	header := func(h string) string { return pyTuple(pyInt(7), one, pyList(h)) }
	chunk := func(body string) string { return pyTuple(pyInt(2), one, body) }
	tests := []struct{ name, input, want string }{
		{"empty", "", "ends too early"},
		{"no tuple", pyInt(3), "type 'i', not '('"},
		{"empty tuple", pyTuple(), "no message"},
		{"one item", pyTuple(one), "no message"},
		{"kind of another type", pyTuple(ok, one), "not an int"},
		{"kind -1", pyTuple(pyInt(-1), one), "unknown kind -1"},
		{"kind 17", pyTuple(pyInt(17), one), "unknown kind 17"},
		{"kind 1<<30", pyTuple(pyInt(1<<30), one), "unknown kind 1073741824"},
		{"too many items", pyTuple(pyInt(3), one, one), "END has 2 items, not 3"},
		{"too few items", pyTuple(pyInt(2), one), "CHUNK has 3 items, not 2"},
		{"id 0", pyTuple(pyInt(3), pyInt(0)), "no request id"},
		{"id -1", pyTuple(pyInt(3), pyInt(-1)), "no request id"},
		{"id 1<<31", pyTuple(pyInt(3), pyInt(1<<31)), "no request id"},
		{"id None", pyTuple(pyInt(3), "N"), "ends too early"},
		{"status bytes", pyTuple(pyInt(1), one, pyBytes("200"), pyList(), pyBytes("")), "not a str"},
		{"status 99", pyTuple(pyInt(1), one, pyInt(99), pyList(), pyBytes("")), "no status"},
		{"status 1000", pyTuple(pyInt(13), one, pyInt(1000)), "no status"},
		{"status None", pyTuple(pyInt(13), one, "NNNNN"), "not an int"},
		{"headers dict", pyTuple(pyInt(7), one, "{00000"), "neither list nor tuple"},
		{"header str", header(ok), "neither list nor tuple"},
		{"0 wanted", pyTuple(pyInt(10), one, pyInt(0)), "cannot be wanted"},
		{"less than 0 wanted", pyTuple(pyInt(10), one, pyInt(-5)), "cannot be wanted"},
		{"part of a file from -1", pyTuple(pyInt(12), one, pyInt(-1), one), "no part of a file"},
		{"flag 2", pyTuple(pyInt(15), one, pyInt(2), pyBytes(""), one), "neither 0 nor 1"},
		{"message str", pyTuple(pyInt(15), one, one, ok, one), "type 'u', not 's'"},
		{"close code 999", pyTuple(pyInt(16), one, pyInt(999), pyBytes("")), "no close code"},
		{"close code 5000", pyTuple(pyInt(16), one, pyInt(5000), pyBytes("")), "no close code"},
		{"reason str", pyTuple(pyInt(16), one, pyInt(1000), ok), "type 'u', not 's'"},
		{"subprotocol None", pyTuple(pyInt(14), one, "N", pyList()), "not a str"},
		{"header of one", header(pyTuple(ok)), "2 items, not 1"},
		{"header of three", header(pyTuple(ok, ok, ok)), "2 items, not 3"},
		{"header value None", header(pyTuple(ok, "NNNNN")), "not a str"},
		{"header name int", header(pyTuple(one, ok)), "not a str"},
		{"beyond Latin-1", header(pyTuple(ok, pyStr("\u0100"))), "beyond Latin-1"},
		{"euro", header(pyTuple(ok, pyStr("\u20ac"))), "beyond Latin-1"},
		{"half a character", header(pyTuple(ok, pyStr("a\xc3"))), "beyond Latin-1"},
		{"continuation alone", header(pyTuple(ok, pyStr("\x80"))), "beyond Latin-1"},
		{"overlong", header(pyTuple(ok, pyStr("\xc0\x80"))), "beyond Latin-1"},
		{"no continuation", header(pyTuple(ok, pyStr("\xc3\x28"))), "beyond Latin-1"},
		{"surrogate", header(pyTuple(ok, pyStr("\xed\xa0\x80"))), "beyond Latin-1"},
		{"ASCII that is not", header(pyTuple(ok, "z\x01\xe9")), "not ASCII"},
		{"body of 0 bytes elsewhere", pyTuple(pyInt(2), one, pyInt(0)), "0 bytes in the response buffer"},
		{"body of -1 bytes elsewhere", pyTuple(pyInt(2), one, pyInt(-1)), "-1 bytes in the response buffer"},
		{"too large for the buffer", pyTuple(pyInt(1), one, ok, pyList(), pyInt(ResponseBufferSize+1)), "bytes in the response buffer"},
		{"place of three", chunk(pyTuple(one, one, one)), "2 items, not 3"},
		{"place of one", chunk(pyTuple(one)), "2 items, not 1"},
		{"place at -1", chunk(pyTuple(pyInt(-1), one)), "1 bytes at -1 of the response arena"},
		{"place of 0 bytes", chunk(pyTuple(one, pyInt(0))), "0 bytes at 1 of the response arena"},
		{"place of -1 bytes", chunk(pyTuple(one, pyInt(-1))), "-1 bytes at 1 of the response arena"},
		{"place over the end", chunk(pyTuple(pyInt(ResponseArenaSize-4), pyInt(5))), "5 bytes at 1048572 of the response arena"},
		{"place behind the end", chunk(pyTuple(pyInt(ResponseArenaSize+1), one)), "1 bytes at 1048577 of the response arena"},
		{"place that overflows", chunk(pyTuple(pyInt(1<<62), pyInt(1<<62))), "of the response arena"},
		{"place with a str", chunk(pyTuple(one, ok)), "not an int"},
		{"place list", chunk(pyList(one, one)), "not 's'"},
		{"body str", pyTuple(pyInt(2), one, ok), "type 'u', not 's'"},
		{"body None", pyTuple(pyInt(2), one, "N"), "type 'N', not 's'"},
		{"body longer than the message", pyTuple(pyInt(2), one, string(AppendBytesHeader(nil, 1<<31))), "ends too early"},
		{"list longer than the message", pyTuple(pyInt(7), one, "[\xff\xff\xff\xff"), "ends too early"},
		{"short str over the end", string(AppendTuple(nil, 5)) + pyInt(1) + one + "z\x03ab", "ends too early"},
		{"offset -1", file(pyInt(-1), one), "no part of a file"},
		{"count -2", file(one, pyInt(-2)), "no part of a file"},
		{"offset None", file("N", "N"), "ends too early"},
		{"offset bool", file("T", pyInt(1)), "not an int"},
		{"offset of 64 bits", file("l\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x08\x00", one), "64 bits"},
		{"offset of 90 bits", file("l\x06\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00", one), "64 bits"},
		{"offset with a sign and no digits", file("l\x00\x00\x00\x80", one), "64 bits"},
		{"digit of 16 bits", file("l\x01\x00\x00\x00\xff\xff", one), "64 bits"},
		{"extension into the past", pyTuple(pyInt(8), one, pyInt(-1)), "extension"},
		{"extension without end", pyTuple(pyInt(8), one, pyInt(1<<40)), "extension"},
		{"reference", pyTuple(pyInt(3), "r\x00\x00\x00\x00"), "not an int"},
		{"flagged", "\xa8" + pyTuple(pyInt(3), one)[1:], "not '('"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var m Reply
			_, err := DecodeReply([]byte(test.input), &m)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

var typicalResponse = []byte(pyTuple(pyInt(0), pyInt(77), pyStr("200 OK"), pyList(
	pyTuple(pyStr("Content-Type"), pyStr("text/html; charset=utf-8")),
	pyTuple(pyStr("Content-Length"), pyStr("13")),
	pyTuple(pyStr("Vary"), pyStr("Cookie"))), pyBytes("Hello, World!")))

// A message cut short anywhere is an error and nothing worse.
func TestDecodeTruncated(t *testing.T) {
	var m Reply
	for i := range typicalResponse {
		if _, err := DecodeReply(typicalResponse[:i:i], &m); err == nil {
			t.Errorf("%d bytes were accepted", i)
		}
	}
}

func TestDecodeAllocs(t *testing.T) {
	var m Reply
	if n := testing.AllocsPerRun(100, func() {
		if _, err := DecodeReply(typicalResponse, &m); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDecodeWorkerMessage(b *testing.B) {
	var m Reply
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeReply(typicalResponse, &m); err != nil {
			b.Fatal(err)
		}
	}
}

// encode writes m as a worker does.
func encode(m *Reply) string {
	str := func(b []byte) string {
		var s strings.Builder
		for _, c := range b {
			s.WriteRune(rune(c))
		}
		return pyStr(s.String())
	}
	items := []string{pyInt(int64(m.Kind)), pyInt(int64(m.ID))}
	var headers []string
	for _, h := range m.Headers {
		headers = append(headers, pyTuple(str(h.Name), str(h.Value)))
	}
	status := str(m.Status)
	if m.Code != 0 {
		status = pyInt(int64(m.Code))
	}
	switch m.Kind {
	case ReplyResponse, ReplyStart:
		items = append(items, status, pyList(headers...), pyBytes(string(m.Body)))
	case ReplyChunk:
		items = append(items, pyBytes(string(m.Body)))
	case ReplyFile:
		items = append(items, status, pyList(headers...), pyInt(m.Offset), pyInt(m.Count))
	case ReplyPart:
		items = append(items, pyInt(m.Offset), pyInt(m.Count))
	case ReplyHints, ReplyTrailers:
		items = append(items, pyList(headers...))
	case ReplyExtend, ReplyCredit:
		items = append(items, pyInt(m.Count))
	case ReplyFail:
		items = append(items, status)
	}
	return pyTuple(items...)
}

// FuzzDecodeWorkerMessage checks that what the decoder accepts means the same
// when it is written anew.
func FuzzDecodeWorkerMessage(f *testing.F) {
	f.Add(typicalResponse)
	headers := pyList(pyTuple(pyStr("A"), pyStr("\u00e9")))
	for _, s := range []string{
		pyTuple(pyInt(1), pyInt(1), "z\x03200", headers, pyBytes("")),
		pyTuple(pyInt(2), pyInt(1<<31-1), pyBytes("chunk")),
		pyTuple(pyInt(3), pyInt(1)),
		pyTuple(pyInt(4), pyInt(1), pyStr("200 OK"), headers, pyInt(1<<40), pyInt(-1)),
		pyTuple(pyInt(5), pyInt(1)),
		pyTuple(pyInt(6), "l\x01\x00\x00\x00\x01\x00"),
		pyTuple(pyInt(7), pyInt(1), headers),
		pyTuple(pyInt(8), pyInt(1), pyInt(60000)),
		pyTuple(pyInt(0), pyInt(1), pyInt(404), pyTuple(pyList(pyBytes("a"), pyBytes("b\xff"))), pyBytes("x")),
		pyTuple(pyInt(9), pyInt(1)) + pyTuple(pyInt(10), pyInt(1), pyInt(1<<40)),
		pyTuple(pyInt(11), pyInt(1), headers),
		pyTuple(pyInt(12), pyInt(1), pyInt(5), pyInt(-1)),
		pyTuple(pyInt(13), pyInt(1), pyInt(504)),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		var m, again Reply
		rest, err := DecodeReply(input, &m)
		if err != nil {
			return
		}
		if len(rest) >= len(input) {
			t.Fatal("nothing was read")
		}
		first := encode(&m)
		if _, err := DecodeReply([]byte(first), &again); err != nil {
			t.Fatalf("%q: %v", first, err)
		}
		if second := encode(&again); !bytes.Equal([]byte(first), []byte(second)) {
			t.Errorf("%q became %q", first, second)
		}
	})
}
