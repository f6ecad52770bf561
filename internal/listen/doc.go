// Package listen makes listening sockets, takes those that others made, and names
// them in Gunicorn's words.
//
// Of a socket that this package returns: its descriptor is close-on-exec and in
// non-blocking mode, and unknown to the poller of the Go runtime, so that a process
// that only holds it is not woken by connections meant for another one. To accept,
// give [Listener.File] to net.FileListener, which works on a duplicate. All
// duplicates, whichever process holds them, are one socket: its queue of connections,
// its mode and [RefuseNew] are common to them, and it listens until the last one is
// closed.
//
// A unix socket never takes the place of one that somebody listens on, and is only
// removed by [Listener.Unlink] while it is the file that the listener made. Call that
// before Close: while the socket is open, no other file can get its inode number.
//
// Try it with go test ./internal/listen.
package listen
