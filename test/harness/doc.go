// Package harness starts the real binary for black-box tests and gives them what an operator
// and a client have: signals, log lines, exit codes, processes and files of a Server, and
// connections to an Endpoint, on which every byte is the test's own (Client, WebSocket, H2Conn)
// or net/http's (Web). A Load counts each request, and says why one was lost. A Fleet is several
// hosts with balancers in front of them, each in a network namespace (NetNS).
//
// Start gives each test a server of its own, in a directory of its own, on a port of its own.
// When the test ends the server is ended too, and the test fails if it has left anything behind:
// a process, a socket, a pid file, a temporary file. The log of a server whose test failed is
// printed.
//
// Nothing here waits for time to pass. Events are lines of a Transcript, responses and ends of
// processes; what an app does between two of them is governed by a Gate, a named pipe that it
// opens and the test releases.
//
// The binary is built once for all tests, from the tree whose directory test they are in. The
// package knows nothing of the program but what everybody can see from outside.
package harness
