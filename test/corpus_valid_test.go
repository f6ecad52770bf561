//go:build linux

package test

import (
	"fmt"
	"strings"
	"testing"

	"indrik/test/harness"
)

// The classes of requests that Gunicorn's own tests have as valid, over the wire.
// The requests are ours. Each is sent in several ways, and answered by the path
// and the body that the app sees; requests in a row, in their order.
var acceptedClasses = []struct {
	args  []string // of the server
	cases map[string]acceptedClass
}{
	{nil, map[string]acceptedClass{
		"an empty line before":               {"\r\nGET /a HTTP/1.1\r\nHost: test\r\n\r\n", []string{"/a\n"}},
		"an empty line too many":             {"POST /a HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\n\r\nx\r\nGET /b HTTP/1.1\r\nHost: test\r\n\r\n\r\nGET /c HTTP/1.1\r\nHost: test\r\n\r\n", []string{"/a\nx", "/b\n", "/c\n"}},
		"an empty line behind a chunked one": {chunkedHead + "1\r\na\r\n0\r\n\r\n\r\n" + chunkedHead + "1\r\nb\r\n0\r\n\r\n", []string{"/chunked\na", "/chunked\nb"}},
		"an empty Host":                      {"GET /a HTTP/1.1\r\nHost:\r\n\r\n", []string{"/a\n"}},
		"HTTP/1.0 without Host":              {"GET /a HTTP/1.0\r\n\r\n", []string{"/a\n"}},
		"CONNECT, then more":                 {"CONNECT test:80 HTTP/1.1\r\nHost: test:80\r\n\r\n" + harness.FormatRequest("GET", "/never", ""), []string{"\n"}},
	}},
	{[]string{"--permit-missing-host", "--permit-non-ascii-target"}, map[string]acceptedClass{
		"fields":                        {"PUT /stuff/here?foo=bar HTTP/1.1\r\nHost: test\r\nContent-Type: a/b\r\nContent-Length: 3\r\n\r\nabc", []string{"/stuff/here\nabc"}},
		"fragment":                      {"GET /favicon.ico#here?x HTTP/1.1\r\nHost: test\r\n\r\n", []string{"/favicon.ico\n"}},
		"no fields at all":              {"GET /test HTTP/1.1\r\n\r\n", []string{"/test\n"}},
		"one field":                     {"GET /get HTTP/1.1\r\nAccept: */*\r\n\r\n", []string{"/get\n"}},
		"length of zero":                {"POST /zero HTTP/1.1\r\nContent-Length: 0\r\n\r\n", []string{"/zero\n"}},
		"zeros before the length":       {"POST /zeros HTTP/1.1\r\nContent-Length: 003\r\n\r\nabc", []string{"/zeros\nabc"}},
		"GET with a body":               {"GET /body HTTP/1.1\r\nContent-Length: 5\r\n\r\nHELLO", []string{"/body\nHELLO"}},
		"chunked":                       {chunkedHead + "1e\r\nall your base are belong to us\r\n0\r\n\r\n", []string{"/chunked\nall your base are belong to us"}},
		"two chunks":                    {chunkedHead + "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", []string{"/chunked\nhello world"}},
		"zeros in sizes, upper case":    {chunkedHead + "005\r\nhello\r\n0A\r\n0123456789\r\n000\r\n\r\n", []string{"/chunked\nhello0123456789"}},
		"extensions":                    {chunkedHead + "5; some; parameters=stuff\r\nhello\r\n6; blahblah; blah\r\n world\r\n0\r\n\r\n", []string{"/chunked\nhello world"}},
		"quoted extension":              {chunkedHead + "1;x=\"a;b\"\r\na\r\n0\r\n\r\n", []string{"/chunked\na"}},
		"space before an extension":     {chunkedHead + "1 \t;x\r\na\r\n0\r\n\r\n", []string{"/chunked\na"}},
		"trailers":                      {chunkedHead + "1\r\na\r\n0\r\nVary: *\r\nContent-Type: text/plain\r\n\r\n", []string{"/chunked\na"}},
		"chunked in capitals":           {"POST /case HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", []string{"/case\na"}},
		"identity below chunked":        {"POST /below HTTP/1.1\r\nTransfer-Encoding: identity, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", []string{"/below\na"}},
		"gzip below chunked, then more": {"POST /gzip HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n" + harness.FormatRequest("GET", "/never", ""), []string{"/gzip\na"}},
		"1.0":                           {"GET /old HTTP/1.0\r\n\r\n" + harness.FormatRequest("GET", "/never", ""), []string{"/old\n"}},
		"1.0 and keep-alive":            {"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n", []string{"/a\n", "/b\n"}},
		"close, then more":              {"GET /a HTTP/1.1\r\nConnection: close\r\n\r\n" + harness.FormatRequest("GET", "/never", ""), []string{"/a\n"}},
		"in a row":                      {"GET /a HTTP/1.1\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 1\r\n\r\nxGET /c HTTP/1.1\r\n\r\n", []string{"/a\n", "/b\nx", "/c\n"}},
		"in a row, chunked":             {chunkedHead + "1\r\na\r\n0\r\n\r\n" + chunkedHead + "1\r\nb\r\n0\r\nX: y\r\n\r\nGET /c HTTP/1.1\r\n\r\n", []string{"/chunked\na", "/chunked\nb", "/c\n"}},
		"a request as a body":           {"POST /a HTTP/1.1\r\nContent-Length: 19\r\n\r\nGET /b HTTP/1.1\r\n\r\nGET /c HTTP/1.1\r\n\r\n", []string{"/a\nGET /b HTTP/1.1\r\n\r\n", "/c\n"}},
		"slashes":                       {"GET ///a//b HTTP/1.1\r\n\r\n", []string{"///a//b\n"}},
		"absolute form":                 {"GET http://test:80/a?b HTTP/1.1\r\nHost: other\r\n\r\n", []string{"/a\n"}},
		"asterisk":                      {"OPTIONS * HTTP/1.1\r\n\r\n", []string{"*\n"}},
		"unknown method":                {"MKCALENDAR / HTTP/1.1\r\n\r\nM-SEARCH / HTTP/1.1\r\n\r\n", []string{"/\n", "/\n"}},
		"bytes beyond ASCII":            {"GET /\xc3\xa9 HTTP/1.1\r\nX: \xff\r\n\r\n", []string{"/\xc3\xa9\n"}},
		"spaces around a value":         {"POST /x HTTP/1.1\r\nContent-Length: \t 1 \t\r\n\r\na", []string{"/x\na"}},
		"underscores are dropped":       {"GET /x HTTP/1.1\r\nContent_Length: 7\r\n\r\n", []string{"/x\n"}},
		"a field of 8 KiB":              {"GET /x HTTP/1.1\r\nX: " + strings.Repeat("y", 8185) + "\r\n\r\n", []string{"/x\n"}},
	}},
	{[]string{"--permit-missing-host", "--limit-request-line", "0"}, map[string]acceptedClass{
		"a line without a limit": {"GET /" + strings.Repeat("x", 20000) + " HTTP/1.1\r\n\r\n", []string{"/" + strings.Repeat("x", 20000) + "\n"}},
	}},
	{[]string{"--permit-missing-host", "--permit-obsolete-folding", "--strip-header-spaces", "--permit-unconventional-http-method", "--permit-unconventional-http-version"}, map[string]acceptedClass{
		"folding":          {"POST /x HTTP/1.1\r\nContent-Length:\r\n  1\r\n\r\na", []string{"/x\na"}},
		"space before one": {"POST /x HTTP/1.1\r\nContent-Length : 1\r\n\r\na", []string{"/x\na"}},
		"methods":          {"-blargh /x HTTP/1.1\r\n\r\n", []string{"/x\n"}},
		"versions":         {"GET /x HTTP/2.0\r\n\r\n", []string{"/x\n"}},
	}},
	{[]string{"--permit-missing-host", "--proxy-protocol=auto"}, map[string]acceptedClass{
		"PROXY 1":      {"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\nGET /x HTTP/1.1\r\n\r\n", []string{"/x\n"}},
		"PROXY absent": {"POST /x HTTP/1.1\r\nContent-Length: 1\r\n\r\naGET /y HTTP/1.1\r\n\r\n", []string{"/x\na", "/y\n"}},
	}},
}

type acceptedClass struct {
	request string
	answers []string
}

func TestAcceptedClasses(t *testing.T) {
	t.Parallel()
	for _, group := range acceptedClasses {
		s := harness.Start(t, harness.Options{App: "echo:app", Args: append([]string{"--threads", "2"}, group.args...)})
		for name, c := range group.cases {
			for _, size := range []int{len(c.request), 1 + len(c.request)/3, max(1, len(c.request)/100)} {
				if err := acceptedAs(s, c, size); err != nil {
					t.Errorf("%s, %d bytes at a time: %v", name, size, err)
				}
			}
		}
		s.Terminate()
	}
}

// acceptedAs sends requests in pieces, and checks that they are answered.
func acceptedAs(s *harness.Server, c acceptedClass, size int) error {
	client, err := s.Connect()
	if err != nil {
		return err
	}
	defer client.Close()
	for text := c.request; len(text) > 0; {
		n := min(size, len(text))
		if _, err := client.Write([]byte(text[:n])); err != nil {
			break // it was closed after the last one that it serves
		}
		text = text[n:]
	}
	for _, want := range c.answers {
		r, err := harness.ReadResponse(client.Reader, "GET")
		if err != nil || r.Status != 200 || string(r.Body) != want {
			return fmt.Errorf("%v, %w, want %q", r, err, want)
		}
	}
	if strings.Contains(c.request, "/never") {
		if r, err := harness.ReadResponse(client.Reader, "GET"); err == nil {
			return fmt.Errorf("what follows the last request was answered: %v", r)
		}
	}
	return nil
}
