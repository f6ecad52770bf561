// Package http2 is the server's side of HTTP/2 (RFC 9113) without sockets: bytes in, events
// out; responses in, bytes out. Header compression is that of golang.org/x/net/http2/hpack.
//
// A [Conn] is the state of one connection. It has no lock: whoever owns it calls one method
// at a time. [Conn.Next] reads what the client has sent, frame by frame, and tells what it
// means; what has to be answered at once (settings, pings, windows, errors of one stream) is
// added to the output, which the owner takes by [Conn.TakeOutput] and sends in order.
//
// The package holds clients to the RFC: an error of the connection is returned as a
// [ConnError], after GOAWAY was added to the output; what is wrong with one stream resets it.
// It bounds what one connection may keep: the size of heads, their tables, the number of
// streams, and the bytes of bodies that the owner has not taken. How often a client may do
// what costs more than it gives is for the owner to say, who sees every frame.
package http2
