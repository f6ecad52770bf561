package proxyproto_test

import (
	"fmt"

	"indrik/internal/proxyproto"
)

// What stands before the first request says whose connection the proxy relays.
func ExampleParse() {
	peeked := []byte("PROXY TCP4 203.0.113.9 192.0.2.1 56324 443\r\nGET / HTTP/1.1\r\n")
	h, n, err := proxyproto.Parse(proxyproto.Auto, peeked)
	fmt.Println(h.Source, "for", h.Dest, err)
	fmt.Printf("%q\n", peeked[n:])

	_, n, err = proxyproto.Parse(proxyproto.Auto, peeked[:10])
	fmt.Println(n, err)
	_, _, err = proxyproto.Parse(proxyproto.Auto, []byte("GET / HTTP/1.1\r\n"))
	fmt.Println(err)
	// Output:
	// 203.0.113.9:56324 for 192.0.2.1:443 <nil>
	// "GET / HTTP/1.1\r\n"
	// 0 <nil>
	// no PROXY header
}
