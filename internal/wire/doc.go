// Package wire is how the processes of Indrik talk: control messages,
// requests in Python's marshal format, responses, and the memory that a front
// shares with its workers. docs/protocol.md describes every message; a test
// compares it with this package.
//
// It knows the bytes and the descriptors and nothing of what is done with
// them. Try it with go test ./internal/wire.
package wire
