package http1

import (
	"bufio"
	"bytes"
	"html"
	"io"
	"net/http"
	"strings"
	"testing"
)

// FuzzResponseHead checks that http.ReadResponse reads back what
// AppendResponseHead writes: the status, the app's fields and nothing more than
// the server's beside them, and the framing that was promised.
func FuzzResponseHead(f *testing.F) {
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
		checkLines(t, out, 1+5+2+1)
		req := &http.Request{Method: "GET"}
		if head {
			req.Method = "HEAD"
		}
		resp := readResponse(t, out, req)
		if resp.StatusCode != h.Code || resp.ProtoMinor != h.Minor {
			t.Errorf("status %s %s of %q", resp.Proto, resp.Status, out)
		}
		for _, f := range h.Fields {
			name := http.CanonicalHeaderKey(string(f.Name))
			if IsHopByHop(f.Name) {
				continue
			}
			if name != "Content-Length" && !strings.Contains(strings.Join(resp.Header.Values(name), "\n"), string(trim(f.Value))) {
				t.Errorf("%s is %q in %q", name, resp.Header.Values(name), out)
			}
		}
		if (len(resp.TransferEncoding) > 0) != (framing == FramingChunked) || framing == FramingLength && resp.ContentLength != h.ContentLength {
			t.Errorf("framing %d of %q; net/http: %d %q", framing, out, resp.ContentLength, resp.TransferEncoding)
		}
		if framing == FramingClose && (resp.ContentLength != -1 || h.KeepAlive) {
			t.Errorf("the body of %q does not end with the connection", out)
		}
		if framing == FramingNone && h.Code >= 200 && !bodyless(resp) {
			t.Errorf("net/http expects a body after %q", out)
		}
		if framing != FramingNone && resp.Close == h.KeepAlive {
			t.Errorf("close %v for %q", resp.Close, out)
		}
	})
}

// bodyless reports whether a client that knows the response has no body to wait
// for.
func bodyless(resp *http.Response) bool {
	return resp.Request.Method == "HEAD" || resp.StatusCode == 204 || resp.StatusCode == 304 || resp.ContentLength == 0
}

// FuzzInterim checks the same of AppendInterim.
func FuzzInterim(f *testing.F) {
	f.Fuzz(func(t *testing.T, code int, name, value []byte) {
		out, err := AppendInterim(nil, code, []Field{{name, value}})
		if err != nil {
			if len(out) > 0 {
				t.Errorf("%v, but %q was written", err, out)
			}
			return
		}
		checkLines(t, out, 1+1+1)
		resp := readResponse(t, out, nil)
		if resp.StatusCode != code || len(resp.Header) > 1 || resp.ContentLength > 0 || resp.TransferEncoding != nil {
			t.Errorf("%q is %+v", out, resp)
		}
	})
}

// FuzzErrorPage checks that a page is one whole response, and that no message
// gets out of its place in it.
func FuzzErrorPage(f *testing.F) {
	f.Fuzz(func(t *testing.T, kind uint8, subject []byte) {
		e := NewError(Kind(int(kind)%len(kinds)), subject)
		if strings.ContainsFunc(e.Text, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			t.Errorf("control characters in the log: %q", e.Text)
		}
		head, page := ErrorPage(e.Status, e.Reason, e.Message, testDate)
		resp := readResponse(t, head, nil)
		page = append(head, page...)
		if resp.StatusCode != e.Status || len(resp.Header) != 3 || resp.Header.Get("Date") != string(testDate) || !resp.Close {
			t.Errorf("%+v", resp)
		}
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(page)), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || !bytes.HasSuffix(page, body) {
			t.Fatalf("%v: %q of %q", err, body, page)
		}
		if n := bytes.Count(body, []byte("<")); n != 12 {
			t.Errorf("%d tags in %s", n, body)
		}
		if !strings.Contains(html.UnescapeString(string(body)), e.Message) {
			t.Errorf("%q is not in %s", e.Message, body)
		}
	})
}

// checkLines checks that head is at most so many lines, with no control byte
// besides their ends.
func checkLines(t *testing.T, head []byte, most int) {
	t.Helper()
	lines := bytes.SplitAfter(head, []byte("\r\n"))
	lines = lines[:len(lines)-1]
	if len(lines) > most {
		t.Errorf("%d lines in %q", len(lines), head)
	}
	for _, line := range lines {
		if !validValue(line[:len(line)-2]) {
			t.Errorf("control bytes in %q", head)
		}
	}
}

// readResponse reads a response head, which must be all of out.
func readResponse(t *testing.T, out []byte, req *http.Request) *http.Response {
	t.Helper()
	src := bytes.NewReader(out)
	br := bufio.NewReaderSize(src, len(out)+16)
	resp, err := http.ReadResponse(br, req)
	if err != nil {
		t.Fatalf("net/http refuses %q: %v", out, err)
	}
	if n := br.Buffered() + src.Len(); n > 0 {
		t.Errorf("%d bytes of %q are no head to net/http", n, out)
	}
	return resp
}
