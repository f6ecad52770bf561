// Package master is the life cycle of an Indrik server: it owns the listening
// sockets, the pid file and the signals, starts the front and the spawner,
// and has workers forked, replaced and ended.
//
// One goroutine, the loop in [Master.run], owns all of its state. Signals,
// messages from the other processes, exits of children and timers reach it as
// functions in one channel and are handled one at a time, in order of arrival.
// Nothing that it does waits: a start, a reload, an upgrade or a drain is a
// state with events that lead out of it (see state.go).
//
// What it guarantees:
//
//   - A request that the kernel accepted is answered, whatever is done to the
//     server, unless its worker dies while it runs it, or graceful_timeout
//     ends it.
//   - A new configuration takes over only when every worker of it is ready. Until
//     then a failure changes nothing.
//   - The master never reads a byte from a client, and never blocks on another
//     process.
//
// It does not parse settings (package settings) or serve HTTP (package front).
package master
