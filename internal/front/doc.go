// Package front is the process that holds the client connections: it speaks HTTP, gives
// requests to the workers by way of package dispatch, and writes the responses.
//
// Connections outlive workers, and with a handover even fronts. A client that is slow costs
// a goroutine and never a worker: a request is submitted when all of it has come, or, with
// an ASGI app, streamed as the app reads it; and a response is taken from the worker as
// fast as the worker sends it, within the bounds of package outbox.
//
// # Where things are
//
//	the process       main.go, server.go; control.go, what the master commands; config.go
//	connections       listener.go accepts; connlimit.go, handshake.go (PROXY header, TLS);
//	                  conn.go, conninfo.go; deadlines.go ends what takes too long;
//	                  keepalive.go, drain.go, handover.go, linger.go: how they end
//	HTTP/1            http1serve.go, connread.go, bodyreader.go read; http1sink.go writes
//	HTTP/2            http2conn.go reads; http2stream.go is a request and the sink of its
//	                  response, http2upload.go its body; http2turns.go says whose turn it
//	                  is, http2flush.go sends; http2flood.go, http2reuse.go, http2websocket.go
//	a request         exchange.go; environ.go, scope.go, forwardedfor.go, variables.go: what
//	                  the app sees of it; requestid.go, timing.go, trace.go; message.go: what a worker gets
//	a body            body.go; spool.go keeps it; bodystream.go streams it; uploadrate.go,
//	                  credit.go
//	a response        response.go, sink.go; plain.go, tls.go carry it; access.go,
//	                  accessfile.go log it
//	WebSockets        websocket.go, websocketread.go, websocketbridge.go
//	the dispatcher    dispatched.go, affinity.go: what it asks of a request; health.go
//	memory and rates  held.go, collector.go, buffers.go; pace.go, tokenbucket.go, complaint.go
//
// # The way of a request
//
// The goroutine of the connection reads it (http1serve.go, body.go), encodes it (message.go)
// and submits it (dispatched.go). The dispatcher hands it to a worker, and the goroutine that
// reads that worker's slot calls exchange.Reply, which writes the response to the client
// through the sink: the connection, or the stream of HTTP/2. What the client does not take at
// once stays in the outbox, and another goroutine writes it.
//
// An exchange, and the head of its request, belong to the goroutine that reads the request
// until it is submitted, and after that to the goroutine that answers. The connection's
// goroutine reads on meanwhile: into free space of its buffer, and without touching the
// exchange.
//
// A goroutine that waits for a client is woken by the read deadline of its socket
// ([conn.wake]).
//
// # Locks
//
//	dispatch.Queue's --> webSocket.mu --> outbox.Outbox's --> conn.mu
//	                                                      --> tlsSocket.mu
//	                     outbox.Outbox's of a stream --> http2Conn.mu --> that of the connection
//	                     upload.bodyMu --> http2Conn.mu
//	                                  --> accessFile.mu
//	                                  --> the send queue's of package dispatch
//	                     bodyStream.mu --> the send queue's of package dispatch
//	server.mu, unread.mu, complaint.mu, collector.mu
//
// A lock on the left is taken before one on the right; those in the last line are taken
// alone. A function whose name ends in Locked is called with the mutex of its receiver held,
// or, if it implements dispatch.Request, with that of the queue. Functions that take a lock
// release it before they return.
//
// The goroutine of a connection, and only that, uses its fields below "Of the goroutine
// run". A config does not change.
//
// # Time
//
// Connections count in nanoseconds of the monotonic clock ([now]), which fit atomics. The
// times of a request that the log needs, and those of the dispatcher, are time.Time.
//
// The master commands this process over the control socket; docs/protocol.md describes the
// messages. Nothing is read from signals.
package front
