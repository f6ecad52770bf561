// Package wire is how the processes of Indrik talk: control messages,
// requests in Python's marshal format, responses, and the memory that a front
// shares with its workers. docs/protocol.md describes every message; a test
// compares it with this package.
//
// It knows the bytes and the descriptors and nothing of what is done with
// them. Try it with go test ./internal/wire.
//
// The numbers that Python shares with it are in python/indrik/protocol.py, which
// is made from this package by go generate.
package wire

//go:generate go run ./genpython -o ../../python/indrik/protocol.py -wire .
