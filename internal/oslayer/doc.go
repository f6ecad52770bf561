// Package oslayer is what Indrik wants of the operating system around processes:
// starting them with given descriptors, signalling them without ever hitting a
// stranger, reaping, users and groups, and titles in ps.
//
// Children are collected by [Reap] alone: nothing in a process that uses it may
// wait for a child in another way (os/exec does). Linux has everything here. Where
// another system lacks something, the function says what happens instead.
//
// Importing the package gives os.Args fresh memory, so that [SetTitle] may write
// where the arguments were. Try it with go test ./internal/oslayer.
package oslayer
