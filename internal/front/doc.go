// Package front is the process that holds the client connections: it speaks
// HTTP, queues requests, hands them to the workers, and writes the responses.
//
// Connections outlive workers, and with a handover even fronts. A client that
// is slow costs a goroutine and never a worker: a request is handed over when
// all of it is here, and a response is taken from the worker as fast as the
// worker gives it, within bounds.
//
// The way of a request: the goroutine of its connection reads it (conn.go,
// body.go), encodes the environ (environ.go) and submits it (dispatch.go).
// A worker takes it from the queue of its generation, and the goroutine that
// reads that worker's slot (worker.go) writes the response to the client
// (response.go, outbox.go). What happens when a worker dies is in settle.go.
//
// The master commands this process over the control socket (control.go);
// docs/protocol.md describes the messages. Nothing is read from signals.
package front
