package front

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"indrik/internal/account"
	"indrik/internal/dispatch"
	"indrik/internal/http1"
	"indrik/internal/tracing"
	"indrik/internal/wire"
)

// An exchange is a request and its response. Each connection of HTTP/1 has one, which
// serves one request after the other, and so has each stream of HTTP/2.
//
// The goroutine that reads the request owns it until it is submitted; then the goroutine
// that answers does. The dispatcher sees to that: it calls methods whose names end in
// Locked with its mutex held, and Reply, Fail and TimeOut one at a time.
type exchange struct {
	dispatch.Job

	// As long as the connection.
	s      *server
	info   *connInfo
	to     sink
	req    *http1.Request // its slices are parts of the connection's buffer
	holder *account.Holder

	requestState
	messageState
	responseState

	// Memory that is used again.
	nameBuf        []byte
	fields         []http1.Field // that the app may see, of a request that is normalized
	responseFields []http1.Field // that the app has sent
}

// A requestState is the state of an exchange that concerns the request besides its head. begin
// sets all of it.
type requestState struct {
	cfg        *config       // at the time of the request
	requestID  []byte        // its own memory; nil: it has none
	span       *tracing.Span // nil: it has none
	normalized normalized
	joined     map[string][]byte // values of a head with many fields that are not encoded yet
	bodyStream *bodyStream       // sends more of the body to an ASGI worker
	webSocket  *webSocket        // it asks for a WebSocket connection, or is one
	closeAfter bool              // the connection serves no other request after it
}

// A messageState is what a worker gets of a request. It is kept until the response begins,
// since another worker may have to get it. Release gives it up.
type messageState struct {
	kind    wire.Kind // of worker that it is for
	bytes   []byte
	buffer  *[]byte    // of messages, that bytes is in
	files   []*os.File // the head, if it is too large for a message; the body, if it is
	body    *spool     // whose bytes are in the message, or the first of them
	length  int64      // of the body, as encode got it
	counted int        // bytes of it that are accounted for
}

// A responseState is the state of the response. begin sets all of it; after that it belongs to
// the goroutine that answers.
type responseState struct {
	replied   time.Time // when the head came; zero before
	heard     time.Time // when the worker's last message about it came; zero: it is not a worker's
	head      http1.Head
	status    int // 0: no head was sent
	framing   http1.Framing
	remaining int64        // bytes that may still be sent under Content-Length
	sent      int64        // bytes of the body
	discarded bool         // the client gets no more of it
	warned    bool         // of a body where there can be none
	trailers  bool         // the client takes trailers
	more      bool         // the worker has sent more, of this response or of others, that is acted on next
	unacked   atomic.Int64 // bytes that the worker has no credit for again
	full      atomic.Bool  // unacked is all that the worker may send
}

// ownPID is asked for once: Go makes a system call of it each time.
var ownPID = os.Getpid()

// begin makes ex ready for the next request of its connection.
func (ex *exchange) begin(cfg *config) {
	ex.Begin(ex, &cfg.dispatch, &ex.info.home, ownPID)
	ex.requestState = requestState{cfg: cfg}
	ex.kind = cfg.dispatch.Kind()
	ex.responseState = responseState{}
}

// Release implements [dispatch.Request].
func (ex *exchange) Release() {
	wire.CloseAll(ex.files)
	ex.files = nil
	if ex.body != nil {
		ex.body.free()
	}
	if ex.buffer != nil && cap(ex.bytes) <= maxPooled {
		*ex.buffer = ex.bytes[:0]
		messages.Put(ex.buffer)
	}
	ex.bytes, ex.buffer, ex.body = nil, nil, nil
	ex.holdMessage()
}

// messageFree is the size of a message for a worker up to which it is not accounted for.
const messageFree = 8 << 10

// holdMessage accounts for the size of the message, if it is not small.
func (ex *exchange) holdMessage() {
	n := cap(ex.bytes)
	if n <= messageFree {
		n = 0
	}
	if n != ex.counted {
		ex.holder.Hold(int64(n - ex.counted))
		ex.counted = n
	}
}

// keptFields is how many fields an idle connection keeps space for.
const keptFields = 32

// forget drops what the last request refers to, so that it does not stay in memory because
// the connection does.
func (ex *exchange) forget() {
	for _, fields := range []*[]http1.Field{&ex.fields, &ex.responseFields} {
		if cap(*fields) > keptFields {
			*fields = nil
		}
		clear((*fields)[:cap(*fields)])
	}
	ex.head = http1.Head{}
	ex.normalized, ex.joined = normalized{}, nil
	if ex.webSocket != nil { // its worker may still send something; nothing of its head is left
		ex.fields, ex.responseFields = nil, nil
		return
	}
	ex.Forget()
}

// reportedPath is how much of a target the master is told. In JSON a byte takes up to six,
// and a message has space for that many only.
const reportedPath = 4 << 10

// reported returns the path of the target as the log has it: without the query, which may
// hold secrets, and without bytes that cannot be printed.
func (ex *exchange) reported() string {
	path, _, _ := bytes.Cut(ex.req.Target, []byte("?"))
	path = path[:min(len(path), reportedPath)]
	if !bytes.ContainsFunc(path, func(r rune) bool { return r < ' ' || r >= 0x7f }) {
		return string(path)
	}
	var b strings.Builder
	for _, c := range path {
		if c < ' ' || c >= 0x7f {
			fmt.Fprintf(&b, `\x%02x`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
