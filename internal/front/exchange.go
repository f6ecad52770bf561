package front

import (
	"os"
	"sync"
	"sync/atomic"
	"time"

	"indrik/internal/account"
	"indrik/internal/dispatch"
	"indrik/internal/http1"
	"indrik/internal/wire"
)

// An exchange is a request and its response. Each connection of HTTP/1 has one,
// which serves one request after the other, and each stream of HTTP/2.
type exchange struct {
	dispatch.Job

	s    *server
	info *connInfo
	to   sink
	cfg  *config // at the time of the request

	// What a worker gets; kept until the response begins, since another one
	// may have to get it.
	kind       wire.Kind // of worker that the message is for
	message    []byte
	buffer     *[]byte    // that message is in, of messages
	files      []*os.File // the head, if it is too large for a message; the body, if it is
	body       *spool     // that is in the message, or its start
	length     int64      // of the body, as pack got it
	holder     *account.Holder
	held       int         // bytes of the message that are counted
	bodyStream *bodyStream // more of the body is fed to an ASGI worker
	webSocket  *webSocket  // it asks for a WebSocket connection, or is one

	// The request; method and the rest are parts of the connection's buffer.
	req        *http1.Request
	normalized normalized // what the app sees of it; zero before that is known
	closeAfter bool       // the connection serves no other request after it

	// Scratch of encode.
	nameBuf []byte
	fields  []http1.Field     // the fields that the app may see
	joined  map[string][]byte // what is left of a head with many fields

	// The response: of whoever answers it.
	replied        time.Time // when the head came; zero before
	head           http1.Head
	responseFields []http1.Field // of the head
	status         int           // 0: no head was sent
	framing        http1.Framing
	remaining      int64        // bytes that may still be sent under Content-Length
	sent           int64        // bytes of the body
	discarded      bool         // the client gets no more of it
	warned         bool         // of a body where there can be none
	trailers       bool         // the client takes trailers
	unacked        atomic.Int64 // bytes of a response that the worker has no credit for again
	full           atomic.Bool  // these are all that the worker may send
}

// A sink takes a response to the client: over a connection of HTTP/1, or as a
// stream of HTTP/2. One goroutine at a time calls it. It waits for the client
// only where the bounds of the outbox say so.
type sink interface {
	// start checks the head and notes it; it goes out with what follows.
	start(h *http1.Head) (http1.Framing, error)
	// body sends bytes of the body, which stay the caller's; last: all of
	// it is there now.
	body(p []byte, last bool)
	// file sends a part of a file as the body, or, if it is not the last of it, as
	// more of the body. It takes f over.
	file(f *os.File, offset, size int64, last bool)
	// hints sends an interim response 103.
	hints(fields []http1.Field) error
	// finish says that the response is complete. keep: the connection is good
	// for another one.
	finish(keep bool)
	// kill ends a response in a way that nobody takes for its end.
	kill()
	// broken tells whether the response was cut off.
	broken() bool
	// trail ends a chunked body, or one of HTTP/2, with trailers, which were
	// checked.
	trail(fields []http1.Field)
	// whenLow calls f once little of what was sent waits for the client: at once,
	// or from another goroutine.
	whenLow(f func())
}

// maxPooled is how large a buffer may have grown and still be kept for others.
const maxPooled = 128 << 10

var messages = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}

// Release implements [dispatch.Request].
func (ex *exchange) Release() {
	ex.closeFiles()
	if ex.body != nil {
		ex.body.free()
	}
	if ex.buffer != nil && cap(ex.message) <= maxPooled {
		*ex.buffer = ex.message[:0]
		messages.Put(ex.buffer)
	}
	ex.message, ex.buffer, ex.body = nil, nil, nil
	ex.holdMessage()
}

func (ex *exchange) closeFiles() {
	wire.CloseAll(ex.files)
	ex.files = nil
}

// keptFields is how many fields an idle connection keeps room for.
const keptFields = 32

// forget lets go of what the last request was made of, so that it does not stay in
// memory because the connection does.
func (ex *exchange) forget() {
	for _, fields := range []*[]http1.Field{&ex.fields, &ex.responseFields} {
		if cap(*fields) > keptFields {
			*fields = nil
		}
		clear((*fields)[:cap(*fields)])
	}
	ex.head = http1.Head{}
	ex.normalized, ex.joined = normalized{}, nil
	if ex.webSocket != nil { // its worker has more to say, perhaps; its fields are all gone
		ex.fields, ex.responseFields = nil, nil
		return
	}
	ex.Forget()
}
