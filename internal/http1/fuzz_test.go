package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// remains is what is left of input after something read from br, which was
// made on src, which was made on input.
func remains(br *bufio.Reader, src *bytes.Reader) int { return br.Buffered() + src.Len() }

// FuzzParseRequest checks that what ParseRequest accepts, http.ReadRequest reads
// the same way. The differences, each of them checked to be the reason:
//
//   - net/http has no codings but chunked: it refuses gzip and identity, which
//     leave the framing as it is.
//   - net/http refuses a target that it cannot unescape, or has no use for as a
//     URL; for WSGI a stray "%" is a character of the path.
//   - net/http keeps "#" in path and query; here the fragment ends both, as
//     in Gunicorn.
//   - net/http drops Host in favour of an absolute-form target; here Authority
//     has the one and the fields the other.
//   - net/http refuses a Trailer field that announces a forbidden trailer; here
//     the trailer itself is refused if it comes.
//   - net/http joins folded lines with as much space as they leave: any number
//     of spaces and tabs counts as one here.
//
// It also checks that bytes that come one by one make no difference.
func FuzzParseRequest(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\n\r\n",
		browserRequest,
		"POST /a?b#c HTTP/1.0\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello",
		"POST http://h:80/a%20b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n0\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
		"CONNECT [::1]:443 HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
		"GET //a/../b HTTP/1.9\r\nCookie: a\r\nCookie: b\r\nConnection: close, x\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"GET / HTTP/1.1\nA: b\n\n",
	} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, input []byte, fold bool) {
		cfg := DefaultConfig()
		cfg.PermitObsFold = fold
		r, n, err := parseAll(t, &cfg, string(input))
		if n == 0 || err != nil {
			return
		}
		src := bytes.NewReader(input)
		br := bufio.NewReaderSize(src, len(input)+16)
		req, err := http.ReadRequest(br)
		if err != nil {
			compareRefusal(t, r, err)
			return
		}
		if got := len(input) - remains(br, src); got != n {
			t.Errorf("the head has %d bytes, for net/http %d", n, got)
		}
		if req.Method != string(r.Method) || req.RequestURI != string(r.Target) || req.ProtoMajor != r.Major || req.ProtoMinor != r.Minor {
			t.Errorf("request line %s; net/http: %s %s %s", describe(r), req.Method, req.RequestURI, req.Proto)
		}
		if req.ContentLength != max(r.ContentLength, 0) && !r.Chunked || (len(req.TransferEncoding) > 0) != r.Chunked {
			t.Errorf("framing %s; net/http: %d %q", describe(r), req.ContentLength, req.TransferEncoding)
		}
		if req.Close == r.KeepAlive {
			t.Errorf("keep-alive %v, for net/http close %v", r.KeepAlive, req.Close)
		}
		compareTarget(t, r, req)
		compareFields(t, r, req)
	})
}

func compareRefusal(t *testing.T, r *Request, err error) {
	switch {
	case strings.Contains(err.Error(), "unsupported transfer encoding"), strings.Contains(err.Error(), "too many transfer encodings"):
		for _, f := range r.Fields {
			if equalFold(f.Name, "transfer-encoding") && !equalFold(f.Value, "chunked") {
				return
			}
		}
	case strings.Contains(err.Error(), "bad trailer key"):
		if r.Get("Trailer") != nil {
			return
		}
	default:
		target := string(r.Target)
		if string(r.Method) == "CONNECT" {
			target = "http://" + target
		}
		if _, err := url.ParseRequestURI(target); err != nil {
			return
		}
	}
	t.Errorf("net/http refuses %s: %v", describe(r), err)
}

func compareTarget(t *testing.T, r *Request, req *http.Request) {
	if bytes.IndexByte(r.Target, '#') >= 0 {
		return
	}
	path, err := url.PathUnescape(string(r.Path))
	if err != nil {
		t.Errorf("path %q: %v", r.Path, err)
	}
	if r.Authority != nil && req.URL.Path == "" {
		req.URL.Path = path
	}
	if path != req.URL.Path || string(r.Query) != req.URL.RawQuery {
		t.Errorf("path %q, query %q; net/http: %q, %q", r.Path, r.Query, req.URL.Path, req.URL.RawQuery)
	}
	host := r.Authority
	if host == nil {
		host = r.Get("Host")
	}
	if r.Authority != nil {
		h, err := url.Parse("http://" + string(host))
		if err != nil {
			t.Errorf("authority %q: %v", host, err)
			return
		}
		host = []byte(h.Host)
	}
	if oneSpace(string(host)) != oneSpace(req.Host) {
		t.Errorf("host %q, net/http %q", host, req.Host)
	}
}

func oneSpace(s string) string { return strings.Join(strings.FieldsFunc(s, isBlank), " ") }

func isBlank(r rune) bool { return r == ' ' || r == '\t' }

func compareFields(t *testing.T, r *Request, req *http.Request) {
	ours, theirs := http.Header{}, http.Header{}
	for _, f := range r.Fields {
		switch name := http.CanonicalHeaderKey(string(f.Name)); name {
		case "Host", "Transfer-Encoding", "Trailer": // net/http takes these out
		case "Content-Length": // and this, if it is folded, it does not
		default:
			ours.Add(name, oneSpace(string(f.Value)))
		}
	}
	for name, values := range req.Header {
		if name == "Content-Length" || name == "Trailer" {
			continue
		}
		for _, v := range values {
			theirs.Add(name, oneSpace(v))
		}
	}
	if theirs.Get("Cache-Control") == "no-cache" && ours.Get("Pragma") == "no-cache" && ours["Cache-Control"] == nil {
		theirs.Del("Cache-Control") // net/http adds it for HTTP/1.0 caches
	}
	if !reflect.DeepEqual(ours, theirs) {
		t.Errorf("fields %q; net/http: %q", ours, theirs)
	}
}

// FuzzChunked checks that a body that Chunked decodes to its end is the same
// body to net/http, with the same end; and that it is the same body however
// the input was cut. The differences: net/http counts leading zeros of a size
// as digits, of which it takes 16; and it refuses whitespace before the
// semicolon of an extension, which RFC 9112 section 7.1.1 has us read.
func FuzzChunked(f *testing.F) {
	for _, s := range []string{
		"0\r\n\r\n",
		"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
		"5;a=\"b\"\r\nhello\r\n00;c\r\nVary: *\r\n\r\n",
		"A ;\r\n0123456789\r\n0\r\nA:\r\n b\r\n\r\n",
		"5\nhello\n0\n\n",
		"00000000000000000001\r\na\r\n0\r\n\r\n",
	} {
		f.Add([]byte(s), uint8(3), uint8(2))
	}
	f.Fuzz(func(t *testing.T, input []byte, step, room uint8) {
		cfg := DefaultConfig()
		body, n, done, err := decodeChunked(&cfg, input, len(input)+1, len(input)+1)
		body2, n2, done2, err2 := decodeChunked(&cfg, input, int(step)+1, int(room)+1)
		if done != done2 || done && n != n2 || err == nil && !bytes.Equal(body, body2) || (err == nil) != (err2 == nil) ||
			err != nil && err.(*Error).Kind != err2.(*Error).Kind {
			t.Fatalf("at once: %q, %d, %v, %v; in pieces: %q, %d, %v, %v", body, n, done, err, body2, n2, done2, err2)
		}
		if !done || err != nil {
			return
		}
		const head = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
		src := bytes.NewReader(append([]byte(head), input...))
		br := bufio.NewReaderSize(src, len(head)+len(input)+16)
		req, err := http.ReadRequest(br)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := io.ReadAll(req.Body)
		if err != nil {
			if strings.Contains(err.Error(), "chunk length too large") && bytes.Contains(input, []byte("0000000000")) ||
				strings.Contains(err.Error(), "invalid byte in chunk length") && (bytes.Contains(input, []byte(" ;")) || bytes.Contains(input, []byte("\t;"))) {
				return
			}
			t.Fatalf("net/http refuses: %v", err)
		}
		if !bytes.Equal(body, theirs) {
			t.Errorf("body %q, net/http %q", body, theirs)
		}
		if got := len(input) - remains(br, src); got != n {
			t.Errorf("the body ends after %d bytes, for net/http after %d", n, got)
		}
	})
}

// FuzzResponseHead checks that http.ReadResponse reads back what
// AppendResponseHead writes: the status, the app's fields and nothing more
// than ours beside them, and the framing that was promised.
func FuzzResponseHead(f *testing.F) {
	f.Add([]byte("200 OK"), []byte("Content-Type"), []byte("text/plain"), []byte("X"), []byte("y"), int64(-1), true, true, false)
	f.Add([]byte("204 No Content"), []byte("Content-Length"), []byte("5"), []byte("Content-Length"), []byte("5"), int64(5), false, true, false)
	f.Add([]byte("304"), []byte("Content-Length"), []byte("5"), []byte("Connection"), []byte("x"), int64(0), true, true, true)
	f.Add([]byte("200 OK"), []byte("A"), []byte("b\r\nC: d"), []byte("E"), []byte("\x80\xff"), int64(0), true, false, true)
	f.Add([]byte("103 Early Hints"), []byte("Transfer-Encoding"), []byte("chunked"), []byte("Set-Cookie"), []byte("a=b"), int64(7), true, false, false)
	f.Fuzz(func(t *testing.T, status, name1, value1, name2, value2 []byte, known int64, later, keep, head bool) {
		h := Head{Status: status, Fields: []Field{{name1, value1}, {name2, value2}}, Date: testDate, KnownLength: max(known, -1), KeepAlive: keep, HeadRequest: head}
		if later {
			h.Minor = 1
		}
		out, framing, err := AppendResponseHead(nil, &h)
		if err != nil {
			if len(out) > 0 {
				t.Errorf("%v, but %q was written", err, out)
			}
			return
		}
		req := &http.Request{Method: "GET"}
		if head {
			req.Method = "HEAD"
		}
		src := bytes.NewReader(out)
		br := bufio.NewReaderSize(src, len(out)+16)
		resp, err := http.ReadResponse(br, req)
		if err != nil {
			t.Fatalf("net/http refuses %q: %v", out, err)
		}
		if n := remains(br, src); n > 0 {
			t.Errorf("%d bytes of %q are no head to net/http", n, out)
		}
		if resp.StatusCode != h.Code || resp.ProtoMinor != h.Minor {
			t.Errorf("status %s %s of %q", resp.Proto, resp.Status, out)
		}
		if got := fieldCount(resp); got > 5+2 {
			t.Errorf("%d fields in %q", got, out)
		}
		for _, f := range h.Fields {
			name := http.CanonicalHeaderKey(string(f.Name))
			if !isHopByHop(f.Name) && name != "Content-Length" && !strings.Contains(strings.Join(resp.Header.Values(name), "\n"), string(trim(f.Value))) {
				t.Errorf("%s is %q in %q", name, resp.Header.Values(name), out)
			}
		}
		if (len(resp.TransferEncoding) > 0) != (framing == FramingChunked) || framing == FramingLength && resp.ContentLength != h.ContentLength {
			t.Errorf("framing %d of %q; net/http: %d %q", framing, out, resp.ContentLength, resp.TransferEncoding)
		}
		if framing == FramingClose && (resp.ContentLength != -1 || h.KeepAlive) {
			t.Errorf("the body of %q does not end with the connection", out)
		}
		if framing != FramingNone && resp.Close == h.KeepAlive {
			t.Errorf("close %v for %q", resp.Close, out)
		}
	})
}

func fieldCount(resp *http.Response) (n int) {
	for _, values := range resp.Header {
		n += len(values)
	}
	return n
}
