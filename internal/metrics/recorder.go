package metrics

import (
	"sync/atomic"
	"time"
)

// A Kind is what a client, or a web server in front, uses to ask.
type Kind uint8

// The kinds of requests.
const (
	HTTP1 Kind = iota
	HTTP2
	WebSocket // the handshake of a connection
	UWSGI
	SCGI
	FastCGI
	kinds
)

var kindNames = [kinds]string{"http1", "http2", "websocket", "uwsgi", "scgi", "fastcgi"}

// Methods of RFC 9110 and 5789. All others are one.
const (
	methodNone = iota // the head could not be read
	methodOther
	methodGet
	methodHead
	methodPost
	methodPut
	methodPatch
	methodDelete
	methodOptions
	methodConnect
	methodTrace
	methods
)

var methodNames = [methods]string{"none", "other", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"}

func methodOf(name []byte) int {
	switch string(name) {
	case "GET":
		return methodGet
	case "HEAD":
		return methodHead
	case "POST":
		return methodPost
	case "PUT":
		return methodPut
	case "PATCH":
		return methodPatch
	case "DELETE":
		return methodDelete
	case "OPTIONS":
		return methodOptions
	case "CONNECT":
		return methodConnect
	case "TRACE":
		return methodTrace
	case "":
		return methodNone
	}
	return methodOther
}

const (
	minStatus, maxStatus = 100, 599
	classes              = 5 // of statuses: 1xx to 5xx
)

var classNames = [classes]string{"1xx", "2xx", "3xx", "4xx", "5xx"}

// A Refusal is why a client was turned away before there was a request for the dispatcher.
type Refusal uint8

// Why clients are refused.
const (
	ClientConnections Refusal = iota // limit_client_connections
	ClientStreams                    // limit_client_streams
	ClientMemory                     // limit_client_memory, limit_memory: a connection was closed
	Quarantine                       // quarantine
	refusals
)

var refusalNames = [refusals]string{"client_connections", "client_streams", "memory", "quarantine"}

// A Timeout is what a client has taken too long for.
type Timeout uint8

// The timeouts of clients.
const (
	Handshake Timeout = iota // handshake_timeout
	Header                   // header_timeout
	Body                     // body_timeout, body_min_rate
	Write                    // write_timeout
	timeouts
)

var timeoutNames = [timeouts]string{"handshake", "header", "body", "write"}

// A Response is what is known of a request when its response has been made.
type Response struct {
	Method    []byte // empty: the head could not be read
	Kind      Kind
	Status    int
	Sent      int64         // bytes of the body
	Took      time.Duration // since its head had come, without the time in which the client takes it
	FirstByte time.Duration // until the head of the response was there
	Waited    time.Duration // for a worker; 0: not known
	Ran       time.Duration // in a worker; 0: not known
	Balancer  time.Duration // on its way here; 0: not known
}

// A Recorder counts. Any number of goroutines may use it; its methods do nothing on nil.
type Recorder struct {
	responses [methods][kinds][maxStatus - minStatus + 1]atomic.Uint64
	durations [classes]Histogram
	queue     Histogram
	app       Histogram
	balancer  Histogram
	firstByte Histogram
	received  atomic.Uint64 // bytes of bodies
	sent      atomic.Uint64
	opened    atomic.Uint64 // connections
	refused   [refusals]atomic.Uint64
	timedOut  [timeouts]atomic.Uint64
}

// Record counts a response.
func (r *Recorder) Record(resp *Response) {
	if r == nil {
		return
	}
	status := min(max(resp.Status, minStatus), maxStatus)
	r.responses[methodOf(resp.Method)][resp.Kind][status-minStatus].Add(1)
	r.durations[status/100-1].Observe(resp.Took)
	r.firstByte.Observe(resp.FirstByte)
	if resp.Waited > 0 {
		r.queue.Observe(resp.Waited)
	}
	if resp.Ran > 0 {
		r.app.Observe(resp.Ran)
	}
	if resp.Balancer > 0 {
		r.balancer.Observe(resp.Balancer)
	}
	if resp.Sent > 0 {
		r.sent.Add(uint64(resp.Sent))
	}
}

// each calls f for each combination that has occurred, and how often.
func (r *Recorder) each(f func(method int, kind Kind, status int, n uint64)) {
	for method := range methods {
		for kind := range kinds {
			for i := range r.responses[method][kind] {
				if n := r.responses[method][kind][i].Load(); n > 0 {
					f(method, kind, minStatus+i, n)
				}
			}
		}
	}
}

// RecordUnread counts a response to what could not be read as a request.
func (r *Recorder) RecordUnread(kind Kind, status int) {
	if r != nil {
		r.responses[methodNone][kind][min(max(status, minStatus), maxStatus)-minStatus].Add(1)
	}
}

// Receive counts n bytes of bodies of requests.
func (r *Recorder) Receive(n int64) {
	if r != nil && n > 0 {
		r.received.Add(uint64(n))
	}
}

// Open counts a connection that was accepted.
func (r *Recorder) Open() {
	if r != nil {
		r.opened.Add(1)
	}
}

// Refuse counts a client that was turned away.
func (r *Recorder) Refuse(why Refusal) {
	if r != nil {
		r.refused[why].Add(1)
	}
}

// TimeOut counts a client that was too slow.
func (r *Recorder) TimeOut(what Timeout) {
	if r != nil {
		r.timedOut[what].Add(1)
	}
}
