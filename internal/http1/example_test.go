package http1_test

import (
	"fmt"

	"indrik/internal/http1"
)

// A head may come in pieces: ParseRequest wants more until it is there, and what follows is
// the body, here in chunks.
func Example() {
	input := []byte("POST /orders?id=7 HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
	config := http1.DefaultConfig()
	var r http1.Request
	n, err := http1.ParseRequest(&config, input[:20], &r)
	fmt.Println(n, err)
	n, err = http1.ParseRequest(&config, input, &r)
	fmt.Printf("%s %s ?%s for %s, chunked: %v, %v\n", r.Method, r.Path, r.Query, r.Get("host"), r.Chunked, err)

	var body http1.Chunked
	body.Reset(&config)
	data := make([]byte, 100)
	got, _, done, err := body.Decode(data, input[n:])
	fmt.Printf("%s, done: %v, %v\n", data[:got], done, err)

	_, err = http1.ParseRequest(&config, []byte("GET / HTTP/1.1\r\nHost : shop.test\r\n\r\n"), &r)
	fmt.Println(err)
	// Output:
	// 0 <nil>
	// POST /orders ?id=7 for shop.test, chunked: true, <nil>
	// hello, done: true, <nil>
	// Invalid HTTP header name: 'Host '
}
