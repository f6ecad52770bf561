// Package control is the protocol of the control socket: the unix socket through which an
// operator's tools ask a running server for its state and tell it what to do. It is the
// protocol of Gunicorn's gunicornc, so that this program works with Indrik, too.
//
// A message is a length (4 bytes, big-endian) and that many bytes of JSON. A client sends
// requests, one after the other, and gets one response to each:
//
//	{"id": 1, "command": "worker add 2", "args": []}
//	{"id": 1, "status": "ok", "data": {"added": 2, "previous": 2, "total": 4}}
//	{"id": 2, "status": "error", "error": "Unknown command: dance"}
//
// The words of a command are those of its text, split as a shell does, and then args.
//
// A [Server] knows nothing of what commands mean. It asks the kernel who the peer is
// (unix(7), SO_PEERCRED), and bounds what any peer can cost: connections, the bytes of a
// request, and the time that a peer may take to send a request or to read a response.
package control
