package http1

import (
	"fmt"
	"strings"
	"testing"
)

const browserRequest = "GET /static/app.js?v=12 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n" +
	"Connection: keep-alive\r\nCookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\nUpgrade-Insecure-Requests: 1\r\n\r\n"

func TestParseRequestAllocs(t *testing.T) {
	cfg := permissive()
	var r Request
	for _, input := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n", browserRequest, "GET http://x:80/ HTTP/1.1\r\nA: b\r\n\r\n",
		"GET / HTTP/1.1\r\n" + strings.Repeat("A: b\r\n", 100) + "\r\n", "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
	} {
		buf := []byte(input)
		if n := testing.AllocsPerRun(100, func() {
			if n, err := ParseRequest(&cfg, buf, &r); n == 0 || err != nil {
				t.Fatal(n, err)
			}
			r.Get("connection")
		}); n != 0 {
			t.Errorf("%.40q: %v allocations", input, n)
		}
	}
}

func BenchmarkParseRequest(b *testing.B) {
	cfg := permissive()
	for _, bench := range []struct{ name, input string }{
		{"plain", "GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n"},
		{"browser", browserRequest},
		{"100 fields", "GET / HTTP/1.1\r\n" + strings.Repeat("X-Some-Field: some value\r\n", 100) + "\r\n"},
	} {
		b.Run(bench.name, func(b *testing.B) {
			var r Request
			buf := []byte(bench.input)
			b.SetBytes(int64(len(buf)))
			b.ReportAllocs()
			for b.Loop() {
				if n, err := ParseRequest(&cfg, buf, &r); n == 0 || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkChunked(b *testing.B) {
	cfg := permissive()
	for _, size := range []int{16, 4096} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			var input []byte
			for len(input) < 64<<10 {
				input = AppendChunk(input, make([]byte, size))
			}
			input = append(input, LastChunk...)
			dst := make([]byte, len(input))
			var c Chunked
			b.SetBytes(int64(len(input)))
			b.ReportAllocs()
			for b.Loop() {
				c.Reset(&cfg)
				if _, _, done, err := c.Decode(dst, input); !done || err != nil {
					b.Fatal(done, err)
				}
			}
		})
	}
}

func typicalHead() *Head {
	return &Head{Minor: 1, Status: []byte("200 OK"), Date: testDate, KnownLength: 13, KeepAlive: true,
		Fields: fieldsOf("Content-Type", "text/html; charset=utf-8", "X-Frame-Options", "DENY", "Vary", "Cookie", "Content-Length", "13")}
}

func TestAppendResponseHeadAllocs(t *testing.T) {
	h := typicalHead()
	dst := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() {
		h.KeepAlive = true
		if _, _, err := AppendResponseHead(dst, h); err != nil {
			t.Fatal(err)
		}
		AppendChunk(dst, h.Date)
		AppendInterim(dst, 100, nil)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAppendResponseHead(b *testing.B) {
	h := typicalHead()
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := AppendResponseHead(dst, h); err != nil {
			b.Fatal(err)
		}
	}
}
