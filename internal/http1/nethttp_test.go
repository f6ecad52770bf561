package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// A difference is a way in which net/http reads otherwise, or refuses, what is
// accepted here. docs/http.md has a line for each.
type difference struct {
	name    string
	example string // a request, accepted here, where it shows
	// applies reports whether a request, or the body of one, may show it.
	// refused is what net/http said, nil if it did not mind.
	applies func(r *Request, body []byte, refused error) bool
}

var differences = []difference{
	{
		"codings other than chunked",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		func(r *Request, _ []byte, refused error) bool {
			return says(refused, "transfer encoding") && slices.ContainsFunc(r.Fields, func(f Field) bool {
				return equalFold(f.Name, "transfer-encoding") && !equalFold(f.Value, "chunked")
			})
		},
	},
	{
		"targets that are not a URL",
		"GET /100% HTTP/1.1\r\nHost: h\r\n\r\n",
		func(r *Request, _ []byte, refused error) bool {
			target := string(r.Target)
			if string(r.Method) == "CONNECT" {
				target = "http://" + target
			}
			_, err := url.ParseRequestURI(target)
			return refused != nil && err != nil
		},
	},
	{
		"fragments",
		"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n",
		func(r *Request, _ []byte, refused error) bool {
			return refused == nil && bytes.IndexByte(r.Target, '#') >= 0
		},
	},
	{
		"percent signs in the host of a target",
		"GET http://%C3%A9.example/ HTTP/1.1\r\n\r\n",
		func(r *Request, _ []byte, refused error) bool {
			return refused == nil && bytes.IndexByte(r.Authority, '%') >= 0
		},
	},
	{
		"announced trailers that are forbidden",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Length\r\n\r\n0\r\n\r\n",
		func(r *Request, _ []byte, refused error) bool {
			return says(refused, "bad trailer key") && r.Get("Trailer") != nil
		},
	},
	{
		"whitespace before a chunk extension",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1 ;x\r\na\r\n0\r\n\r\n",
		func(_ *Request, body []byte, refused error) bool {
			return says(refused, "invalid byte in chunk length") && (bytes.Contains(body, []byte(" ;")) || bytes.Contains(body, []byte("\t;")))
		},
	},
	{
		"leading zeros of a chunk size",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000001\r\na\r\n0\r\n\r\n",
		func(_ *Request, body []byte, refused error) bool {
			return says(refused, "chunk length too large") && bytes.Contains(body, []byte("0000000000"))
		},
	},
}

func says(err error, what string) bool { return err != nil && strings.Contains(err.Error(), what) }

// explained reports whether one of the differences is the reason.
func explained(r *Request, body []byte, refused error) bool {
	return slices.ContainsFunc(differences, func(d difference) bool { return d.applies(r, body, refused) })
}

// compareRequest compares what is made of a head.
func compareRequest(r *Request, req *http.Request) error {
	if req.Method != string(r.Method) || req.RequestURI != string(r.Target) || req.ProtoMajor != r.Major || req.ProtoMinor != r.Minor {
		return fmt.Errorf("request line %q; net/http: %s %s %s", describe(r), req.Method, req.RequestURI, req.Proto)
	}
	if req.ContentLength != max(r.ContentLength, 0) && !r.Chunked || (len(req.TransferEncoding) > 0) != r.Chunked {
		return fmt.Errorf("framing %q; net/http: %d %q", describe(r), req.ContentLength, req.TransferEncoding)
	}
	if req.Method != "CONNECT" && req.Close == r.KeepAlive { // after that one every connection is closed here
		return fmt.Errorf("keep-alive %v, for net/http close %v", r.KeepAlive, req.Close)
	}
	if host := string(r.Get("Host")); host != req.Host {
		return fmt.Errorf("host %q, net/http %q", host, req.Host)
	}
	path, err := url.PathUnescape(string(r.Path))
	if err != nil {
		return fmt.Errorf("path %q: %w", r.Path, err)
	}
	theirs := req.URL.Path
	if r.Authority != nil && theirs == "" {
		theirs = path // RFC 9110 section 4.2.3 has them mean the same
	}
	if path != theirs || string(r.Query) != req.URL.RawQuery {
		return fmt.Errorf("path %q, query %q; net/http: %q, %q", r.Path, r.Query, req.URL.Path, req.URL.RawQuery)
	}
	return compareFields(r, req)
}

// compareFields compares fields but for those that net/http takes out, and for
// the amount of whitespace that folding leaves in them.
func compareFields(r *Request, req *http.Request) error {
	out := []string{"Host", "Transfer-Encoding", "Trailer", "Content-Length"}
	ours, theirs := http.Header{}, http.Header{}
	for _, f := range r.Fields {
		if name := http.CanonicalHeaderKey(string(f.Name)); !slices.Contains(out, name) {
			ours.Add(name, oneSpace(string(f.Value)))
		}
	}
	for name, values := range req.Header {
		for _, v := range values {
			if !slices.Contains(out, name) {
				theirs.Add(name, oneSpace(v))
			}
		}
	}
	if theirs.Get("Cache-Control") == "no-cache" && ours.Get("Pragma") == "no-cache" && ours["Cache-Control"] == nil {
		theirs.Del("Cache-Control") // net/http adds it for HTTP/1.0 caches
	}
	if !reflect.DeepEqual(ours, theirs) {
		return fmt.Errorf("fields %q; net/http: %q", ours, theirs)
	}
	return nil
}

func oneSpace(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == '\t' }), " ")
}

// compareStream reads input with the parser and with net/http, one request
// after the other, and fails the test if net/http reads one that was accepted
// here in another way, and the reason is not listed.
func compareStream(t *testing.T, cfg *Config, input []byte) {
	t.Helper()
	src := bytes.NewReader(input)
	br := bufio.NewReaderSize(src, len(input)+16)
	for rest := input; ; {
		var r Request
		n, err := ParseRequest(cfg, rest, &r)
		if n == 0 || err != nil {
			return
		}
		body, size, ok := bodyOf(cfg, &r, rest[n:])
		req, err := http.ReadRequest(br)
		if err != nil {
			if !explained(&r, nil, err) {
				t.Fatalf("net/http refuses %q: %v", rest[:n], err)
			}
			return
		}
		if err := compareRequest(&r, req); err != nil && !explained(&r, nil, nil) {
			t.Fatalf("%q: %v", rest[:n], err)
		}
		if !ok {
			return
		}
		theirs, err := io.ReadAll(req.Body)
		if err != nil {
			if !explained(&r, rest[n:n+size], err) {
				t.Fatalf("net/http refuses the body %q: %v", rest[n:n+size], err)
			}
			return
		}
		if !bytes.Equal(body, theirs) {
			t.Fatalf("body %q; net/http: %q", body, theirs)
		}
		rest = rest[n+size:]
		if left := br.Buffered() + src.Len(); left != len(rest) {
			t.Fatalf("%d bytes are left; net/http: %d", len(rest), left)
		}
		if !r.KeepAlive {
			return
		}
	}
}

// bodyOf reads the body at the start of buf, which takes up size bytes of it; ok
// if it is well-formed and all there.
func bodyOf(cfg *Config, r *Request, buf []byte) (body []byte, size int, ok bool) {
	if r.Chunked {
		body, size, ok, _ = decodeChunked(cfg, buf, len(buf)+1, len(buf)+1)
		return body, size, ok
	}
	length := max(r.ContentLength, 0)
	if length > int64(len(buf)) {
		return nil, 0, false
	}
	return buf[:length], int(length), true
}

// The differences are still there: net/http does refuse the examples, or reads
// them otherwise, and for no other reason.
func TestDifferences(t *testing.T) {
	page, err := os.ReadFile("../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range differences {
		t.Run(d.name, func(t *testing.T) {
			if !strings.Contains(string(page), "\n| "+d.name) {
				t.Errorf("docs/http.md has no line for it")
			}
			cfg := permissive()
			var r Request
			n, err := ParseRequest(&cfg, []byte(d.example), &r)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, ok := bodyOf(&cfg, &r, []byte(d.example[n:])); !ok {
				t.Fatal("the body is not accepted")
			}
			req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(d.example)))
			if err == nil && compareRequest(&r, req) == nil {
				_, err = io.ReadAll(req.Body)
				if err == nil {
					t.Error("there is no difference any more")
				}
			}
			if !d.applies(&r, []byte(d.example[n:]), err) {
				t.Errorf("it does not apply to its own example: %v", err)
			}
		})
	}
}
