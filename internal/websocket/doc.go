// Package websocket is the WebSocket protocol, above all the server's side: RFC 6455, and
// permessage-deflate of RFC 7692. Bytes in, bytes out, no sockets, no goroutines, no
// timers.
//
//   - [ParseHandshake] checks the request that opens a connection, and
//     [Handshake.AppendFields] writes what the answer says.
//   - A [Decoder] reads what the client sends, strictly: each violation is an
//     [*Error] with the close code that RFC 6455 wants for it. It passes on a message
//     in parts as they come, text always in whole characters of valid UTF-8, so that
//     nobody has to hold a message that somebody else holds already.
//   - An [Encoder] writes messages, in one frame or as many as the caller
//     has parts; [AppendPing], [AppendPong] and [AppendClose] write the rest.
//
// Messages are compressed each for itself ("no context takeover", both ways): a
// connection on which nothing happens holds no compressor, no window and no buffer.
//
// A program between a client and an app that frames messages itself has both ends: it
// reads the app's frames with [Decoder.OfServer], and writes its own by [AppendMasked].
//
// The caller answers pings, and decides when what was said is over: neither
// type keeps the state of the closing handshake.
package websocket
