// Package http1 is HTTP/1.0 and HTTP/1.1 as bytes in, bytes out: it parses
// request heads and chunked bodies, and writes response heads, chunks and
// error pages. It has no sockets, no clock and no state between requests.
//
// It is strict (RFC 9110, RFC 9112): what is malformed is refused with the
// status and the text that Gunicorn has for it. Each leniency is a field of
// [Config]. What it accepts, net/http reads the same way; the exceptions are
// listed at FuzzParseRequest, which checks that.
//
// Parsing works on the caller's buffer and allocates nothing for an ordinary
// request. Nothing here may be used by two goroutines at a time.
//
// Try it with go test ./internal/http1.
package http1
