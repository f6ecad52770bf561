package http1

import (
	"strings"
	"testing"
)

// What a server must get right about whole connections, class by class.
func TestConnections(t *testing.T) {
	fold := func(c *Config) { c.PermitObsoleteFolding = true }
	long := strings.Repeat("x", 8100)
	tests := []struct {
		name, input string
		change      func(*Config)
		want        string // as stream.outcome says it
	}{
		// pipelining
		{"three in a row", "GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 2\r\n\r\nabGET /3 HTTP/1.1\r\n\r\n", nil,
			"GET /1 1.1\nPOST /2 1.1 [Content-Length: 2] ab\nGET /3 1.1\nidle"},
		{"chunked, then another", "POST /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nGET /2 HTTP/1.1\r\n\r\n", nil,
			"POST /1 1.1 [Transfer-Encoding: chunked] a\nGET /2 1.1\nidle"},
		{"half of the second", "GET /1 HTTP/1.1\r\n\r\nGET /2 HT", nil, "GET /1 1.1\nincomplete"},
		{"1.0 with keep-alive", "GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n", nil,
			"GET /1 1.0 [Connection: keep-alive]\nGET /2 1.0\nclose"},

		// ends that hide a second request
		{"after close", "GET /1 HTTP/1.1\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\n\r\n", nil, "GET /1 1.1 [Connection: close]\nclose"},
		{"after 1.0", "GET /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.1\r\n\r\n", nil, "GET /1 1.0\nclose"},
		{"after a compressed body", "POST /1 HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n\x1f\x8b\r\n0\r\n\r\nGET /2 HTTP/1.1\r\n\r\n", nil,
			"POST /1 1.1 [Transfer-Encoding: gzip, chunked] \x1f\x8b\nclose"},
		{"a request as a body", "POST /1 HTTP/1.1\r\nContent-Length: 19\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n", nil,
			"POST /1 1.1 [Content-Length: 19] GET /2 HTTP/1.1\r\n\r\n\nGET /3 1.1\nidle"},
		{"a request in a chunk", "POST /1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n13\r\nGET /2 HTTP/1.1\r\n\r\n\r\n0\r\n\r\n", nil,
			"POST /1 1.1 [Transfer-Encoding: chunked] GET /2 HTTP/1.1\r\n\r\n\nidle"},
		{"GET with a body", "GET /1 HTTP/1.1\r\nContent-Length: 1\r\n\r\naGET /2 HTTP/1.1\r\n\r\n", nil, "GET /1 1.1 [Content-Length: 1] a\nGET /2 1.1\nidle"},
		{"no length, no body", "POST /1 HTTP/1.1\r\n\r\nab", nil, "POST /1 1.1\nincomplete"},

		// leniencies
		{"folding", "GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n", fold, "GET / 1.1 [A: b c]\nidle"},
		{"space before colon", "GET / HTTP/1.1\r\nA : b\r\n\r\n", func(c *Config) { c.StripHeaderSpaces = true }, "GET / 1.1 [A: b]\nidle"},
		{"any method", "m / HTTP/1.1\r\n\r\nM#/ / HTTP/1.1\r\n\r\n", func(c *Config) { c.PermitUnconventionalHTTPMethod = true }, "m / 1.1\n400 InvalidRequestMethod"},
		{"any version", "GET / HTTP/3.4\r\n\r\n", func(c *Config) { c.PermitUnconventionalHTTPVersion = true }, "GET / 3.4\nidle"},
		{"names with underscores are for the caller", "GET / HTTP/1.1\r\nA_B: c\r\nA-B: d\r\n\r\n", nil, "GET / 1.1 [A_B: c] [A-B: d]\nidle"},

		// long and odd, but right
		{"long line", "GET /" + long + " HTTP/1.1\r\n\r\n", func(c *Config) { c.LimitRequestLine = 8190 }, "GET /" + long + " 1.1\nidle"},
		{"long field", "GET / HTTP/1.1\r\nA: " + long + "\r\n\r\n", nil, "GET / 1.1 [A: " + long + "]\nidle"},
		{"slashes", "GET ///a HTTP/1.1\r\n\r\n", nil, "GET ///a 1.1\nidle"},
		{"four forms", "GET http://h/a HTTP/1.1\r\n\r\nOPTIONS * HTTP/1.1\r\n\r\nCONNECT h:1 HTTP/1.1\r\n\r\n", nil,
			"GET http://h/a 1.1 [Host: h]\nOPTIONS * 1.1\nCONNECT h:1 1.1 [Host: h:1]\nclose"},
		{"after CONNECT", "CONNECT h:1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n", nil, "CONNECT h:1 1.1 [Host: h:1]\nclose"},
		{"chunks of all kinds", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"3\r\nabc\r\n0003;x\r\ndef\r\n1;n=\"v;\\\"\"\r\ng\r\nA \t;y=z\r\n0123456789\r\na\r\n0123456789\r\n00;last\r\nSum: 1\r\n\r\n", nil,
			"PUT / 1.1 [Transfer-Encoding: chunked] abcdefg01234567890123456789\nidle"},

		// cut off
		{"half a line", "GET /", nil, "incomplete"},
		{"half a head", "GET / HTTP/1.1\r\nHost: a", nil, "incomplete"},
		{"half a body", "PUT / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhell", nil, "incomplete"},
		{"half a chunk", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell", nil, "incomplete"},
		{"no last CRLF", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", nil, "incomplete"},

		// refused, alone or after a good one
		{"request line", "GET /1 HTTP/1.1\r\n\r\nGET /a b HTTP/1.1\r\n\r\n", nil, "GET /1 1.1\n400 InvalidHTTPVersion"},
		{"empty line between", "GET /1 HTTP/1.1\r\n\r\n\r\nGET /2 HTTP/1.1\r\n\r\n", nil, "GET /1 1.1\n400 InvalidRequestLine"},
		{"bare LF", "GET / HTTP/1.1\n\r\n", nil, "400 InvalidRequestLine"},
		{"bad URL", "GET http://[::1/ HTTP/1.1\r\n\r\n", nil, "400 InvalidRequestLine"},
		{"asterisk", "HEAD * HTTP/1.1\r\n\r\n", nil, "400 InvalidRequestLine"},
		{"authority", "GET h:1 HTTP/1.1\r\n\r\n", nil, "400 InvalidRequestLine"},
		{"relative", "GET a HTTP/1.1\r\n\r\n", nil, "400 InvalidRequestLine"},
		{"method in lower case", "post / HTTP/1.1\r\n\r\n", nil, "400 InvalidRequestMethod"},
		{"method with a dot first", ".get / HTTP/1.1\r\n\r\n", nil, "400 InvalidRequestMethod"},
		{"method not ASCII", "GE\xd4 / HTTP/1.1\r\n\r\n", nil, "400 InvalidRequestMethod"},
		{"bytes before the method", "\x00\x00GET / HTTP/1.1\r\n\r\n", nil, "400 InvalidRequestMethod"},
		{"method with a colon", "GET:x / HTTP/1.1\r\n\r\n", nil, "400 InvalidRequestMethod"},
		{"another protocol", "GET / RTSP/1.0\r\n\r\n", nil, "400 InvalidHTTPVersion"},
		{"three digits", "GET / HTTP/110\r\n\r\n", nil, "400 InvalidHTTPVersion"},
		{"too old", "GET / HTTP/0.9\r\n\r\n", nil, "400 InvalidHTTPVersion"},
		{"too new", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", nil, "400 InvalidRequestLine"},
		{"NUL in a name", "GET / HTTP/1.1\r\nA\x00B: c\r\n\r\n", nil, "400 InvalidHeaderName"},
		{"space after a name", "GET / HTTP/1.1\r\nHost : c\r\n\r\n", nil, "400 InvalidHeaderName"},
		{"name not ASCII", "GET / HTTP/1.1\r\nContent-Length\xa0: 1\r\n\r\n", nil, "400 InvalidHeaderName"},
		{"forbidden trailer", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: a\r\n\r\n", nil, "400 InvalidHeaderName"},
		{"BEL", "GET / HTTP/1.1\r\nA: \x07\r\n\r\n", nil, "400 InvalidHeader"},
		{"DEL", "GET / HTTP/1.1\r\nA: \x7f\r\n\r\n", nil, "400 InvalidHeader"},
		{"LF in a value", "GET / HTTP/1.1\r\nA: b\nContent-Length: 5\r\n\r\n", nil, "400 InvalidHeader"},
		{"CR in a value", "GET / HTTP/1.1\r\nA: b\rContent-Length: 5\r\n\r\n", nil, "400 InvalidHeader"},
		{"no folding", "GET / HTTP/1.1\r\nA: b\r\n Content-Length: 5\r\n\r\n", nil, "400 ObsoleteFolding"},
		{"long line refused", "GET /" + long + " HTTP/1.1\r\n\r\n", nil, "414 LimitRequestLine"},
		{"many fields", "GET / HTTP/1.1\r\n" + strings.Repeat("A: b\r\n", 101) + "\r\n", nil, "431 LimitRequestHeaders"},
		{"long field refused", "GET / HTTP/1.1\r\nA: " + long + long + "\r\n\r\n", nil, "431 LimitRequestHeaders"},
		{"many trailers", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("A: b\r\n", 101) + "\r\n", nil, "431 LimitRequestHeaders"},
		{"length with a sign", "PUT / HTTP/1.1\r\nContent-Length: -0\r\n\r\n", nil, "400 InvalidHeader"},
		{"length of words", "PUT / HTTP/1.1\r\nContent-Length: five\r\n\r\nhello", nil, "400 InvalidHeader"},
		{"lengths", "PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", nil, "400 InvalidHeader"},
		{"list of lengths", "PUT / HTTP/1.1\r\nContent-Length: 2,2\r\n\r\nab", nil, "400 InvalidHeader"},
		{"length with an underscore", "PUT / HTTP/1.1\r\nContent-Length: 1_0\r\n\r\n0123456789", nil, "400 InvalidHeader"},
		{"types", "PUT / HTTP/1.1\r\nContent-Type: a/b\r\nContent-Type: a/c\r\n\r\n", nil, "400 InvalidHeader"},
		{"hosts", "PUT / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", nil, "400 InvalidHeader"},
		{"chunks and length", "PUT / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", nil, "400 InvalidHeader"},
		{"chunks twice", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", nil, "400 InvalidHeader"},
		{"chunks in 1.0", "PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", nil, "400 InvalidHeader"},
		{"chunks not last", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", nil, "400 InvalidHeader"},
		{"coding unheard of", "PUT / HTTP/1.1\r\nTransfer-Encoding: cow\r\n\r\n", nil, "501 UnsupportedTransferCoding"},
		{"expectation", "PUT / HTTP/1.1\r\nExpect: the-worst\r\n\r\n", nil, "417 ExpectationFailed"},
		{"bad chunk after a good one", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1_0\r\n", nil, "400 InvalidChunkSize"},
		{"spaces before a size", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n 1\r\na\r\n0\r\n\r\n", nil, "400 InvalidChunkSize"},
		{"spaces after a size", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n", nil, "400 InvalidChunkSize"},
		{"LF after a size", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", nil, "400 InvalidChunkSize"},
		{"no size", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\r\na\r\n0\r\n\r\n", nil, "400 InvalidChunkSize"},
		{"size with a sign", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n", nil, "400 InvalidChunkSize"},
		{"CR in an extension", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;\ra\r\na\r\n0\r\n\r\n", nil, "400 InvalidChunkExtension"},
		{"chunk too long", "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", nil, "400 ChunkMissingTerminator"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg := permissive()
			if test.change != nil {
				test.change(&cfg)
			}
			if got := readAll(t, &cfg, test.input).outcome(); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

// A head that comes in small pieces costs a few times as much as one that comes
// at once, not a hundred times.
func TestParseRequestInPieces(t *testing.T) {
	cfg := permissive()
	cfg.PermitObsoleteFolding, cfg.LimitRequestHead = true, 0
	input := []byte("GET / HTTP/1.1\r\n" + strings.Repeat("A: b\r\n"+strings.Repeat(" c\r\n", 1000), 100) + "\r\n")
	var r Request
	parsed, last := 0, 0
	for end := 1; ; end++ {
		n, err := ParseRequest(&cfg, input[:end], &r)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 || r.parsed != last {
			parsed, last = parsed+end, r.parsed
		}
		if n > 0 {
			break
		}
	}
	if most := 20*len(input) + 2000*promptHead; parsed > most {
		t.Errorf("%d bytes parsed for a head of %d", parsed, len(input))
	}
}
