//go:build linux

package test

import (
	"fmt"
	"strings"
)

// A mutation is a request that is not quite as it should be, or looks like one that
// is not.
type mutation struct{ name, text string }

// places are where bytes are put into requests, each marked by @.
var places = [][2]string{
	{"before the method", "@GET /a HTTP/1.1\r\nHost: a\r\n\r\n"},
	{"in the method", "GE@T /a HTTP/1.1\r\nHost: a\r\n\r\n"},
	{"after the method", "GET@ /a HTTP/1.1\r\nHost: a\r\n\r\n"},
	{"before the target", "GET @/a HTTP/1.1\r\nHost: a\r\n\r\n"},
	{"in the target", "GET /a@b HTTP/1.1\r\nHost: a\r\n\r\n"},
	{"in the query", "GET /a?b@c HTTP/1.1\r\nHost: a\r\n\r\n"},
	{"before the version", "GET /a @HTTP/1.1\r\nHost: a\r\n\r\n"},
	{"in the version", "GET /a HTTP/@1.1\r\nHost: a\r\n\r\n"},
	{"after the version", "GET /a HTTP/1.1@\r\nHost: a\r\n\r\n"},
	{"before a name", "GET /a HTTP/1.1\r\nHost: a\r\n@X-A: b\r\n\r\n"},
	{"before the first name", "GET /a HTTP/1.1\r\n@Host: a\r\n\r\n"},
	{"in a name", "GET /a HTTP/1.1\r\nHost: a\r\nX@A: b\r\n\r\n"},
	{"before a colon", "GET /a HTTP/1.1\r\nHost: a\r\nX-A@: b\r\n\r\n"},
	{"after a colon", "GET /a HTTP/1.1\r\nHost: a\r\nX-A:@b\r\n\r\n"},
	{"in a value", "GET /a HTTP/1.1\r\nHost: a\r\nX-A: b@c\r\n\r\n"},
	{"after a value", "GET /a HTTP/1.1\r\nHost: a\r\nX-A: b@\r\n\r\n"},
	{"in the host", "GET /a HTTP/1.1\r\nHost: a@b\r\n\r\n"},
	{"before a length", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: @5\r\n\r\nhello"},
	{"after a length", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5@\r\n\r\nhello"},
	{"before the name of a length", "POST /a HTTP/1.1\r\nHost: a\r\n@Content-Length: 5\r\n\r\nhello"},
	{"before a coding", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: @chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
	{"after a coding", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked@\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
	{"after the name of a coding", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding@: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
	{"before a size", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n@5\r\nhello\r\n0\r\n\r\n"},
	{"after a size", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5@\r\nhello\r\n0\r\n\r\n"},
	{"in an extension", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x@y\r\nhello\r\n0\r\n\r\n"},
	{"in a quoted extension", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=\"y@\"\r\nhello\r\n0\r\n\r\n"},
	{"after the data", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello@\r\n0\r\n\r\n"},
	{"after a chunk", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n@0\r\n\r\n"},
	{"after the last size", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0@\r\n\r\n"},
	{"before the trailers", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n@X-A: b\r\n\r\n"},
	{"in a trailer", "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-A: b@c\r\n\r\n"},
	{"after the end", "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello@"},
}

// particles are what is put there.
var particles = []string{"\x00", "\t", " ", "\r", "\n", "\r\n", "\v", "\f", "\x7f", "\x80", "\xa0", "\xff", "\"", "#", ",", ":", ";", "=", "@", "\\", "_", "0"}

// mutations are those requests, and some that were made by hand. Each is followed by
// a request that shows where it ended.
func mutations() []mutation {
	var all []mutation
	for _, place := range places {
		for _, p := range particles {
			all = append(all, mutation{fmt.Sprintf("%q %s", p, place[0]), strings.Replace(place[1], "@", p, 1)})
		}
	}
	get := func(name, line string, fields ...string) {
		all = append(all, mutation{name, line + "\r\n" + strings.Join(append(fields, "", ""), "\r\n")})
	}
	for _, method := range []string{"get", "G", "GE", "OPTIONS", "CONNECT", "TRACE", "PRI", "M-SEARCH", "QUERY", strings.Repeat("A", 20), strings.Repeat("A", 21)} {
		get("method "+method, method+" /a HTTP/1.1", "Host: a")
	}
	for _, version := range []string{"", "HTTP/0.9", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/1", "HTTP/1.10", "HTTP/01.1", "http/1.1", "HTTPS/1.1", "HTTP 1.1"} {
		get("version "+version, "GET /a "+version, "Host: a")
	}
	for _, target := range []string{"*", "a", "//a", "/a//b", "/%", "/%zz", "/a#b", "/a?b?c", "http://a/", "http://b/", "http://", "http:///a", "http:/a",
		"http://u:p@a/", "http://a:x/", "http://a:99999/", "https://a", "ftp://a/", "a:80", "a:80/", "/a\\b", "/[", "/{a}", "/a|b", "/<>", "/^`", "\\a"} {
		get("target "+target, "GET "+target+" HTTP/1.1", "Host: a")
	}
	get("CONNECT", "CONNECT a:80 HTTP/1.1", "Host: a:80")
	get("OPTIONS *", "OPTIONS * HTTP/1.1", "Host: a")
	get("no Host", "GET /a HTTP/1.1", "X-A: b")
	get("no Host in HTTP/1.0, kept", "GET /a HTTP/1.0", "Connection: keep-alive")
	for _, host := range []string{"", "a:80", "a:", ":80", "a:x", "a:99999", "a b", "a,b", "a/b", "u@a", "[::1]", "[::1]:80", "[::1", "::1", "[a]", "a?b", "a#b", "http://a", "\xe9", "%41", "%zz"} {
		get("Host "+host, "GET /a HTTP/1.1", "Host: "+host)
	}
	get("two Hosts", "GET /a HTTP/1.1", "Host: a", "Host: b")
	get("the same Host twice", "GET /a HTTP/1.1", "Host: a", "Host: a")
	post := func(name, body string, fields ...string) {
		all = append(all, mutation{name, "POST /a HTTP/1.1\r\nHost: a\r\n" + strings.Join(append(fields, "", ""), "\r\n") + body})
	}
	for _, length := range []string{"", "+5", "-5", "05", "5, 5", "5,5", "5 5", "0x5", "5e0", "5.0", "1_0", "\u0665", "99999999999999999999", "18446744073709551621", "9223372036854775807"} {
		post("length "+length, "hello", "Content-Length: "+length)
	}
	post("length twice", "hello", "Content-Length: 5", "Content-Length: 5")
	post("two lengths", "hello", "Content-Length: 5", "Content-Length: 4")
	post("length by another name", "hello", "Content_Length: 5")
	post("no length", "")
	chunks := "5\r\nhello\r\n0\r\n\r\n"
	for _, coding := range []string{"", "Chunked", "chunked, chunked", "chunked,", ",chunked", "gzip", "gzip, chunked", "chunked, gzip", "deflate, chunked", "identity", "identity, chunked",
		"chunked, identity", "xchunked", "chunked;q=1", "\"chunked\"", "'chunked'", "chunk", "cow", "cow, chunked", "chunked\x00", "trailers, chunked"} {
		post("coding "+coding, chunks, "Transfer-Encoding: "+coding)
		post("coding "+coding+" and a length", chunks, "Transfer-Encoding: "+coding, fmt.Sprint("Content-Length: ", len(chunks)))
	}
	post("coding twice", chunks, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked")
	post("codings in two fields", chunks, "Transfer-Encoding: gzip", "Transfer-Encoding: chunked")
	post("coding and identity in two fields", chunks, "Transfer-Encoding: chunked", "Transfer-Encoding: identity")
	post("coding by another name", chunks, "Transfer_Encoding: chunked")
	post("length, then coding", chunks, "Content-Length: 5", "Transfer-Encoding: chunked")
	all = append(all, mutation{"coding in HTTP/1.0", "POST /a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks})
	for _, body := range []string{"5\nhello\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhello\r\n0\n\r\n", "5\r\nhello\r\n0\r\n\n", "05\r\nhello\r\n00\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n", "+5\r\nhello\r\n0\r\n\r\n",
		"5\r\nhello0\r\n\r\n", "4\r\nhello\r\n0\r\n\r\n", "6\r\nhello\r\n0\r\n\r\n", "\r\n0\r\n\r\n", "A\r\n0123456789\r\n0\r\n\r\n", "g\r\n", "5;\r\nhello\r\n0\r\n\r\n", "5;a=\r\nhello\r\n0\r\n\r\n", "5;a=b;c\r\nhello\r\n0\r\n\r\n",
		"5;a=\"b\r\nhello\r\n0\r\n\r\n", "5; a = b\r\nhello\r\n0\r\n\r\n", "10000000000000005\r\nhello\r\n0\r\n\r\n", "8000000000000005\r\nhello\r\n0\r\n\r\n", "00000000000000005\r\nhello\r\n0\r\n\r\n",
		"5\r\nhello\r\n0\r\nHost: b\r\n\r\n", "5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n", "5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n0\r\nX-A: b\r\n c\r\n\r\n", "5\r\nhello\r\n0\r\nX-A : b\r\n\r\n", "5\r\nhello\r\n0\r\nX-A\r\n\r\n"} {
		post(fmt.Sprintf("chunks %q", body), body, "Transfer-Encoding: chunked")
	}
	for _, fields := range [][]string{{"X-A: b", " c"}, {"X-A: b", "\tc"}, {"X-A:", " c"}, {"X-A"}, {": b"}, {" X-A: b"}, {"X A: b"}, {"X-A: "}, {"X-A:"}, {"X-A:b"}, {"X_A: b"}, {"X-A:: b"}, {"\"X-A\": b"}, {"X-A: \xff\xfe"},
		{"Expect: 100-continue"}, {"Expect: nothing"}, {"Connection: close"}, {"Connection: keep-alive, close"}, {"Connection: ,"}, {"Upgrade: h2c", "Connection: Upgrade"},
		{"Content-Type: a/b", "Content-Type: c/d"}, {"TE: trailers"}, {"Trailer: Content-Length"}, {"Cookie: a=b", "Cookie: c=d"}} {
		get("fields "+strings.Join(fields, " | "), "GET /a HTTP/1.1", append([]string{"Host: a"}, fields...)...)
	}
	return all
}
