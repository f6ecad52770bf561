package front

import (
	"testing"

	"indrik/internal/http1"
)

// BenchmarkEncode encodes what a browser sends.
func BenchmarkEncode(b *testing.B) {
	head := []byte("GET /some/path/of%20it?with=a&query=string HTTP/1.1\r\nHost: www.example.com\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n" +
		"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n" +
		"X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\nX-Request-Id: 0123456789abcdef\r\n" +
		"Connection: keep-alive\r\nCookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\r\n")
	cfg, err := newConfig(testConfig())
	must(b, err)
	from := &connInfo{endpoint: newEndpoint("127.0.0.1:8000", "tcp")}
	from.encode(nil)
	ex := &exchange{info: from, req: &http1.Request{}, requestState: requestState{cfg: cfg}}
	if _, err := http1.ParseRequest(&cfg.http, head, ex.req); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.SetBytes(int64(len(head)))
	for b.Loop() {
		if err := ex.encode(nil, -1); err != nil {
			b.Fatal(err)
		}
		ex.Release()
	}
}
