package http1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// The texts are Gunicorn's: operators search their logs for them.
func TestErrorTexts(t *testing.T) {
	tests := []struct {
		kind    Kind
		status  int
		reason  string
		text    string
		message string
	}{
		{InvalidRequestLine, 400, "Bad Request", `Invalid HTTP request line: 'x'`, `Invalid Request Line 'Invalid HTTP request line: 'x''`},
		{InvalidRequestMethod, 400, "Bad Request", `Invalid HTTP method: 'x'`, `Invalid Method 'Invalid HTTP method: 'x''`},
		{InvalidHTTPVersion, 400, "Bad Request", `Invalid HTTP Version: 'x'`, `Invalid HTTP Version 'Invalid HTTP Version: 'x''`},
		{InvalidHeader, 400, "Bad Request", `Invalid HTTP Header: 'x'`, `Invalid HTTP Header: 'x'`},
		{InvalidHeaderName, 400, "Bad Request", `Invalid HTTP header name: 'x'`, `Invalid HTTP header name: 'x'`},
		{ObsoleteFolding, 400, "Bad Request", `Obsolete line folding is unacceptable: 'x'`, `Obsolete line folding is unacceptable: 'x'`},
		{LimitRequestHeaders, 431, "Request Header Fields Too Large", `'x'`, `Error parsing headers: ''x''`},
		{UnsupportedTransferCoding, 501, "Bad Request", `Unsupported transfer coding: 'x'`, `Unsupported transfer coding: 'x'`},
		{ExpectationFailed, 417, "Expectation Failed", `Unable to comply with expectation: 'x'`, `Unable to comply with expectation: 'x'`},
		{InvalidChunkSize, 400, "Bad Request", `Invalid chunk size: 'x'`, `Invalid chunk size: 'x'`},
		{InvalidChunkExtension, 400, "Bad Request", `Invalid chunk extension: 'x'`, `Invalid chunk extension: 'x'`},
		{ChunkMissingTerminator, 400, "Bad Request", `Invalid chunk terminator is not '\r\n': 'x'`, `Invalid chunk terminator is not '\r\n': 'x'`},
		{InvalidSchemeHeaders, 400, "Bad Request", `Contradictory scheme headers`, `Contradictory scheme headers`},
		{ConfigurationProblem, 500, "Bad Request", `Configuration problem: 'x'`, `Configuration problem: 'x'`},
	}
	for _, test := range tests {
		e := NewError(test.kind, []byte("x"))
		if e.Status != test.status || e.Reason != test.reason || e.Text != test.text || e.Error() != test.text || e.Message != test.message {
			t.Errorf("kind %d: %+v", test.kind, e)
		}
	}
	if e := NewBadScriptName([]byte("/x"), []byte("/y")); e.Text != "Configuration problem: Request path '/x' does not start with SCRIPT_NAME '/y'" {
		t.Errorf("%+v", e)
	}
	if e := newError(LimitRequestLine, "9 > 8"); e.Message != "Request Line is too large (9 > 8)" || e.Status != 414 || e.Reason != "URI Too Long" {
		t.Errorf("%+v", e)
	}
}

func TestRepr(t *testing.T) {
	for in, want := range map[string]string{
		"abc":                     `'abc'`,
		"it's":                    `"it's"`,
		`"it's"`:                  `'"it\'s"'`,
		"\r\n\t\\\x00\x7f\x9f":    `'\r\n\t\\\x00\x7f\x9f'`,
		"\xa0\xa1\xad\xff":        `'\xa0¡\xadÿ'`,
		strings.Repeat("a", 2000): "'" + strings.Repeat("a", 1024) + "'...",
	} {
		if got := repr([]byte(in)); got != want {
			t.Errorf("%.30q: %s, want %s", in, got, want)
		}
	}
}

func TestErrorPage(t *testing.T) {
	head, body := ErrorPage(501, "Bad Request", `<é> & "it's"`, testDate)
	page := append(head, body...)
	if !bytes.HasPrefix(page, []byte("HTTP/1.1 501 Bad Request\r\nDate: Wed, 04 Nov 2026 04:06:07 GMT\r\nConnection: close\r\nContent-Type: text/html\r\nContent-Length: ")) {
		t.Fatalf("%s", page)
	}
	r := bufio.NewReader(bytes.NewReader(page))
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err = io.ReadAll(resp.Body)
	if err != nil || r.Buffered() > 0 || len(resp.Header) != 3 {
		t.Errorf("%v, %d bytes left, headers %v", err, r.Buffered(), resp.Header)
	}
	for _, want := range []string{"<title>Bad Request</title>", "<h1><p>Bad Request</p></h1>", "&lt;&#233;&gt; &amp; &quot;it&#x27;s&quot;"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
}

// Fields can be added to a page, also what the connection is to do besides being closed.
func TestErrorPageWithFields(t *testing.T) {
	head, _ := ErrorPage(426, "Upgrade Required", "", testDate,
		Field{[]byte("Connection"), []byte("Upgrade")}, Field{[]byte("Upgrade"), []byte("websocket")})
	want := "HTTP/1.1 426 Upgrade Required\r\nDate: Wed, 04 Nov 2026 04:06:07 GMT\r\nConnection: close, Upgrade\r\n" +
		"Upgrade: websocket\r\nContent-Type: text/html\r\nContent-Length: "
	if !bytes.HasPrefix(head, []byte(want)) {
		t.Errorf("%s", head)
	}
}
