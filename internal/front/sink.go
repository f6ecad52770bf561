package front

import (
	"os"

	"indrik/internal/http1"
)

// A sink takes a response to the client: over a connection of HTTP/1, or as a
// stream of HTTP/2. One goroutine at a time calls it. It waits for the client
// only where the bounds of the outbox say so.
type sink interface {
	// start checks the head and keeps it; it is sent with what follows.
	start(h *http1.Head) (http1.Framing, error)
	// body sends bytes of the body, which stay the caller's. last: the body ends with
	// them.
	body(p []byte, last bool)
	// file sends a part of a file as more of the body. last: the body ends with it. It
	// takes f over.
	file(f *os.File, offset, size int64, last bool)
	// hints sends an interim response 103.
	hints(fields []http1.Field) error
	// finish says that the response is complete. keep: the connection may serve
	// another request.
	finish(keep bool)
	// kill cuts the response off so that no client takes it for complete.
	kill()
	// broken reports whether the response was cut off.
	broken() bool
	// trail ends a chunked body, or one of HTTP/2, with trailers. The caller has checked
	// them.
	trail(fields []http1.Field)
	// whenLow calls f once little of what was sent waits for the client: at once,
	// or from another goroutine.
	whenLow(f func())
}
