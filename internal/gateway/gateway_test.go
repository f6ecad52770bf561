package gateway

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"indrik/internal/http1"
)

// uwsgi returns a packet with variables, given as NAME=VALUE.
func uwsgi(modifier byte, pairs ...string) []byte {
	var block []byte
	for _, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		for _, s := range []string{name, value} {
			block = binary.LittleEndian.AppendUint16(block, uint16(len(s)))
			block = append(block, s...)
		}
	}
	packet := binary.LittleEndian.AppendUint16([]byte{modifier}, uint16(len(block)))
	return append(append(packet, 0), block...)
}

func scgi(pairs ...string) []byte {
	var block []byte
	for _, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		block = append(append(append(append(block, name...), 0), value...), 0)
	}
	return fmt.Appendf(nil, "%d:%s,", len(block), block)
}

func fastCGI(id uint16, flags byte, pairs ...string) []byte {
	var params []byte
	for _, p := range pairs {
		name, value, _ := strings.Cut(p, "=")
		params = append(params, byte(len(name)))
		params = binary.BigEndian.AppendUint32(params, uint32(len(value))|1<<31)
		params = append(append(params, name...), value...)
	}
	b := appendRecord(nil, fcgiBeginRequest, id, []byte{0, fcgiResponder, flags, 0, 0, 0, 0, 0})
	for half := (len(params) + 1) / 2; len(params) > 0; { // in two records
		n := min(half, len(params))
		b = appendRecord(b, fcgiParams, id, params[:n])
		params = params[n:]
	}
	return appendRecord(b, fcgiParams, id, nil)
}

func show(vars []Variable) string {
	var list []string
	for _, v := range vars {
		list = append(list, fmt.Sprintf("%s=%s", v.Name, v.Value))
	}
	return strings.Join(list, " ")
}

var pairs = []string{"CONTENT_LENGTH=3", "SCGI=1", "REQUEST_METHOD=POST", "HTTP_X=" + strings.Repeat("long", 100), "EMPTY="}

// TestHeadsInPieces: a head is read when all of it is there, wherever it was cut, and what
// follows it is left alone.
func TestHeadsInPieces(t *testing.T) {
	for _, test := range []struct {
		name  string
		head  []byte
		parse func([]byte) ([]Variable, int, error)
	}{
		{"uwsgi", uwsgi(0, pairs...), func(b []byte) ([]Variable, int, error) {
			vars, n, _, err := ParseUWSGI(b, nil)
			return vars, n, err
		}},
		{"scgi", scgi(pairs...), func(b []byte) ([]Variable, int, error) { return ParseSCGI(b, nil) }},
		{"fastcgi", fastCGI(7, 0, pairs...), func(b []byte) ([]Variable, int, error) {
			var h FastCGIHead
			n, err := ParseFastCGI(b, &h)
			return h.Variables, n, err
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for n := range test.head {
				if _, got, err := test.parse(test.head[:n]); got != 0 || err != nil {
					t.Fatalf("of %d bytes of %d: length %d, %v", n, len(test.head), got, err)
				}
			}
			vars, n, err := test.parse(append(bytes.Clone(test.head), "abc"...))
			if err != nil || n != len(test.head) || show(vars) != strings.Join(pairs, " ") {
				t.Fatalf("length %d, %v: %s", n, err, show(vars))
			}
		})
	}
}

func many(n int) []string {
	list := []string{"CONTENT_LENGTH=0", "SCGI=1"}
	for len(list) < n {
		list = append(list, "A=")
	}
	return list
}

func TestBadHeads(t *testing.T) {
	var h FastCGIHead
	parse := map[string]func([]byte) error{
		"uwsgi":   func(b []byte) error { _, _, _, err := ParseUWSGI(b, nil); return err },
		"scgi":    func(b []byte) error { _, _, err := ParseSCGI(b, nil); return err },
		"fastcgi": func(b []byte) error { _, err := ParseFastCGI(b, &h); return err },
	}
	long := appendRecord(nil, fcgiBeginRequest, 1, []byte{0, fcgiResponder, 0})
	for range 3 {
		long = appendRecord(long, fcgiParams, 1, make([]byte, 30_000))
	}
	for _, test := range []struct {
		protocol string
		head     []byte
		status   int
		text     string
	}{
		{"uwsgi", []byte("GET / HTTP/1.1\r\n"), 501, "this is HTTP"},
		{"uwsgi", []byte{22, 3, 1}, 501, "TLS"},
		{"uwsgi", uwsgi(5), 501, "modifier1 of the uwsgi packet is 5"},
		{"uwsgi", []byte{0, 1, 0, 0, 9}, 400, "within the name"},
		{"uwsgi", []byte{0, 3, 0, 0, 5, 0, 'A'}, 400, "within the name"},
		{"uwsgi", []byte{0, 3, 0, 0, 1, 0, 'A'}, 400, "within the value"},
		{"uwsgi", []byte{0, 6, 0, 0, 1, 0, 'A', 9, 0, 'B'}, 400, "within the value"},
		{"uwsgi", uwsgi(0, many(1001)...), 431, "more than 1000 variables"},
		{"scgi", []byte("GET / HTTP/1.1\r\n"), 400, "this is no SCGI"},
		{"scgi", []byte("012:"), 400, "begins with 0"},
		{"scgi", []byte("99999:"), 431, "too large"},
		{"scgi", []byte("9999999"), 431, "too large"},
		{"scgi", []byte("1:a;"), 400, "comma"},
		{"scgi", []byte("3:A\x00B,"), 400, "within a variable"},
		{"scgi", scgi("SCGI=1", "CONTENT_LENGTH=0"), 400, "does not begin with CONTENT_LENGTH"},
		{"scgi", scgi("CONTENT_LENGTH=0"), 400, "does not say SCGI 1"},
		{"scgi", scgi(many(1001)...), 431, "more than 1000 variables"},
		{"fastcgi", []byte("GET / HTTP/1.1\r\n"), 400, "this is no FastCGI"},
		{"fastcgi", []byte("G"), 400, "this is no FastCGI"},
		{"fastcgi", appendRecord(nil, fcgiBeginRequest, 1, []byte{0}), 400, "too short"},
		{"fastcgi", appendRecord(appendRecord(nil, fcgiBeginRequest, 1, []byte{0, 1, 0}), fcgiStdin, 1, nil), 400, "type 5 stands within the variables"},
		{"fastcgi", fastCGI(1, 0, many(1001)...), 431, "more than 1000 variables"},
		{"fastcgi", long, 431, "too large"},
		{"fastcgi", slices.Concat(appendRecord(nil, fcgiBeginRequest, 1, []byte{0, 1, 0}), appendRecord(nil, fcgiParams, 1, []byte{1}), appendRecord(nil, fcgiParams, 1, nil)), 400, "within a variable"},
		{"fastcgi", slices.Concat(appendRecord(nil, fcgiBeginRequest, 1, []byte{0, 1, 0}), appendRecord(nil, fcgiParams, 1, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}), appendRecord(nil, fcgiParams, 1, nil)), 400, "within a variable"},
		{"fastcgi", bytes.Repeat(appendRecord(nil, fcgiAbortRequest, 3, nil), 2000), 400, "too many records"},
	} {
		err := parse[test.protocol](test.head)
		var bad *Error
		if !errors.As(err, &bad) || bad.Status != test.status || !strings.Contains(bad.Text, test.text) {
			t.Errorf("%s %.40q: %v; want %d, %q", test.protocol, test.head, err, test.status, test.text)
		}
	}
}

// TestFastCGIManagement: records that are not of the request are answered, each once.
func TestFastCGIManagement(t *testing.T) {
	values := append([]byte{15, 0}, "FCGI_MPXS_CONNS"...)
	request := fastCGI(9, fcgiKeepConn, "A=1")
	b := slices.Concat(
		appendRecord(nil, fcgiGetValues, 0, values),
		appendRecord(nil, 77, 0, nil),
		appendRecord(nil, fcgiBeginRequest, 4, []byte{0, 2, 0, 0, 0, 0, 0, 0}), // an authorizer
		appendRecord(nil, fcgiParams, 4, nil),
		request[:16],
		appendRecord(nil, fcgiBeginRequest, 5, []byte{0, 1, 0, 0, 0, 0, 0, 0}), // at the same time
		request[16:],
	)
	var answers []byte
	var h FastCGIHead
	start, n := 0, 0
	for end := 0; n == 0; end++ {
		var err error
		if n, err = ParseFastCGI(b[start:end], &h); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, h.Answer...)
		if n == 0 {
			start += h.Passed
		}
	}
	if start+n != len(b) || h.ID != 9 || !h.KeepConn || show(h.Variables) != "A=1" {
		t.Errorf("ends at %d of %d, id %d, keep %v: %s", start+n, len(b), h.ID, h.KeepConn, show(h.Variables))
	}
	want := slices.Concat(
		appendRecord(nil, fcgiGetValuesResult, 0, append([]byte{15, 1}, "FCGI_MPXS_CONNS0"...)),
		appendRecord(nil, fcgiUnknownType, 0, []byte{77, 0, 0, 0, 0, 0, 0, 0}),
		appendEnd(nil, 4, fcgiUnknownRole),
		appendEnd(nil, 5, fcgiCannotMultiplex),
	)
	if !bytes.Equal(answers, want) {
		t.Errorf("answered with %q, want %q", answers, want)
	}
}

// TestFastCGIAbort: a request that is aborted before its variables have come is over, and
// another may follow.
func TestFastCGIAbort(t *testing.T) {
	b := slices.Concat(
		appendRecord(nil, fcgiBeginRequest, 1, []byte{0, 1, 1, 0, 0, 0, 0, 0}),
		appendRecord(nil, fcgiParams, 1, []byte("not even half of")),
		appendRecord(nil, fcgiAbortRequest, 1, nil),
		fastCGI(1, 0, "B=2"))
	var h FastCGIHead
	n, err := ParseFastCGI(b, &h)
	if err != nil || n != len(b) || show(h.Variables) != "B=2" {
		t.Errorf("%d of %d, %v: %s", n, len(b), err, show(h.Variables))
	}
	if !bytes.Equal(h.Answer, appendEnd(nil, 1, 0)) {
		t.Errorf("answered with %q", h.Answer)
	}
}

func stdin(id uint16, padding byte, parts ...string) []byte {
	var b []byte
	for _, p := range append(parts, "") {
		b = appendRecord(b, fcgiStdin, id, []byte(p))
		b[len(b)-len(p)-2] = padding
		b = append(b, make([]byte, padding)...)
	}
	return b
}

// decodeAll decodes a body that comes and goes in pieces of so many bytes.
func decodeAll(s *Stdin, src []byte, in, out int) (body []byte, rest int, err error) {
	buf := make([]byte, out)
	for start, end := 0, 0; ; {
		end = min(len(src), end+in)
		for {
			nd, ns, done, err := s.Decode(buf, src[start:end])
			body, start = append(body, buf[:nd]...), start+ns
			if err != nil || done {
				return body, len(src) - start, err
			}
			if nd == 0 {
				break
			}
		}
		if end == len(src) {
			return body, 0, errors.New("no end")
		}
	}
}

func TestStdin(t *testing.T) {
	for _, padding := range []byte{0, 5} {
		src := append(stdin(3, padding, "hello ", "w", "orld"), "next"...)
		for in := 1; in <= len(src); in++ {
			for out := 1; out < 12; out++ {
				var s Stdin
				s.Reset(3, 11)
				body, rest, err := decodeAll(&s, src, in, out)
				if err != nil || string(body) != "hello world" || rest > 4 {
					t.Fatalf("padding %d, pieces of %d into %d: %q, rest %d, %v", padding, in, out, body, rest, err)
				}
			}
		}
	}
	for _, test := range []struct {
		length int64
		src    []byte
		text   string
	}{
		{4, stdin(3, 0, "hello"), "longer"},
		{6, stdin(3, 0, "hello"), "shorter"},
		{5, stdin(4, 0, "hello"), "of request 4"},
		{5, appendRecord(nil, fcgiParams, 3, nil), "type 4"},
		{5, []byte("GET / HTTP"), "no FastCGI"},
	} {
		var s Stdin
		s.Reset(3, test.length)
		if _, _, err := decodeAll(&s, test.src, 3, 3); err == nil || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%q: %v, want %q", test.src, err, test.text)
		}
	}
	var s Stdin
	s.Reset(3, -1)
	if body, _, err := decodeAll(&s, stdin(3, 0, "of any", " length"), 100, 100); err != nil || string(body) != "of any length" || s.Chunks() != 3 || s.Chunks() != 0 {
		t.Errorf("without a length: %q, %v", body, err)
	}
}

func TestEndsBody(t *testing.T) {
	end := stdin(3, 4)
	for n := range len(end) {
		if _, _, known := EndsBody(end[:n], 3); known {
			t.Errorf("known after %d of %d bytes", n, len(end))
		}
	}
	if n, ends, known := EndsBody(end, 3); n != len(end) || !ends || !known {
		t.Errorf("%d, %v, %v", n, ends, known)
	}
	for _, b := range [][]byte{stdin(3, 0, "body"), stdin(4, 0), []byte("x")} {
		if _, ends, known := EndsBody(b, 3); ends || !known {
			t.Errorf("%q: ends %v, known %v", b, ends, known)
		}
	}
}

func TestStdout(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789"), 20_000)
	b := AppendEnd(AppendStdout(nil, 3, body), 3)
	var got []byte
	for len(b) > 0 {
		r, err := parseRecord(b)
		if err != nil || r.id != 3 {
			t.Fatal(r, err)
		}
		if r.kind == fcgiStdout {
			got = append(got, b[fcgiHeader:fcgiHeader+r.length]...)
		}
		b = b[fcgiHeader+r.padded:]
		if len(b) == 0 && r.kind != fcgiEndRequest {
			t.Errorf("the last record has type %d", r.kind)
		}
	}
	if !bytes.Equal(got, body) {
		t.Error("another body")
	}
}

// checkHead checks that what variables became is one head for package http1, with no more
// fields than there were variables for it.
func checkHead(t *testing.T, vars []Variable, managed bool) {
	var h Head
	if h.Set(vars, managed) != nil {
		return
	}
	fields := 0
	for _, v := range vars {
		if bytes.HasPrefix(v.Name, []byte("HTTP_")) || string(v.Name) == "CONTENT_TYPE" || string(v.Name) == "CONTENT_LENGTH" {
			fields++
		}
	}
	cfg := http1.Config{}
	var req http1.Request
	n, err := http1.ParseRequest(&cfg, h.Text, &req)
	if err != nil {
		return
	}
	if n != len(h.Text) || len(req.Fields) > fields || req.Chunked || req.Minor != 0 {
		t.Fatalf("%q: ends at %d of %d with %d fields of %d", h.Text, n, len(h.Text), len(req.Fields), fields)
	}
	if path := http1.DecodePath(req.Path); !bytes.HasPrefix(path, h.Script) {
		t.Fatalf("path %q is not below %q", path, h.Script)
	}
}

func FuzzUWSGI(f *testing.F) {
	f.Add(uwsgi(0, pairs...))
	f.Add(uwsgi(30, "REQUEST_METHOD=GET", "PATH_INFO=/a/b", "SCRIPT_NAME=/a", "REQUEST_URI=/a/b?c"))
	f.Fuzz(func(t *testing.T, b []byte) {
		vars, n, managed, err := ParseUWSGI(b, nil)
		if n > len(b) || err != nil && n > 0 || len(vars) > maxVariables {
			t.Fatal(n, err, len(vars))
		}
		if n > 0 {
			checkHead(t, vars, managed)
		}
	})
}

func FuzzSCGI(f *testing.F) {
	f.Add(scgi(pairs...))
	f.Fuzz(func(t *testing.T, b []byte) {
		vars, n, err := ParseSCGI(b, nil)
		if n > len(b) || err != nil && n > 0 || len(vars) > maxVariables {
			t.Fatal(n, err, len(vars))
		}
		if n > 0 {
			checkHead(t, vars, false)
		}
	})
}

func FuzzFastCGI(f *testing.F) {
	f.Add(fastCGI(1, 1, pairs...))
	f.Add(append(fastCGI(300, 0, "REQUEST_METHOD=PUT", "SCRIPT_NAME=/x"), stdin(300, 3, "body")...))
	f.Fuzz(func(t *testing.T, b []byte) {
		var h FastCGIHead
		n, err := ParseFastCGI(b, &h)
		if n > len(b) || h.Passed > len(b) || err != nil && n > 0 || len(h.Variables) > maxVariables {
			t.Fatal(n, err, len(h.Variables))
		}
		if n > 0 {
			checkHead(t, h.Variables, false)
		}
	})
}

func FuzzStdin(f *testing.F) {
	f.Add(stdin(1, 0, "hello", "world"), uint8(3), uint8(2), int64(10))
	f.Add(stdin(1, 7, "x"), uint8(1), uint8(1), int64(-1))
	f.Fuzz(func(t *testing.T, b []byte, in, out uint8, length int64) {
		var whole, pieces Stdin
		whole.Reset(1, length)
		pieces.Reset(1, length)
		want, _, err1 := decodeAll(&whole, b, len(b)+1, len(b)+1)
		got, _, err2 := decodeAll(&pieces, b, int(in)+1, int(out)+1)
		if (err1 == nil) != (err2 == nil) || err1 == nil && !bytes.Equal(want, got) {
			t.Fatalf("whole: %q, %v; in pieces: %q, %v", want, err1, got, err2)
		}
	})
}
