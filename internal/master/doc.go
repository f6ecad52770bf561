// Package master is the life cycle of an Indrik server: it owns the listening
// sockets, the pid file and the signals, starts the front and the spawner,
// and forks, replaces and ends workers.
//
// One goroutine, the loop in [Master.run], owns all of its state. Signals,
// messages from the other processes, exits of children and timers reach it as
// functions in one channel and are handled one at a time, in order of arrival.
// Nothing that it does waits: a start, a reload, an upgrade or a drain is a
// state with events that lead out of it. What each signal and each other event
// does in each state is in the two tables of transitions.go.
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
//
// # Where to look
//
//   - what a signal or an event does: transitions.go, then the function that stands there
//   - the death of a process: deaths.go; what the log says of a worker: obituary.go
//   - a start, a reload, --check-config, step by step: boot.go, reload.go, check.go; what
//     they have in common: candidate.go, configure.go, bind.go
//   - how many workers there are to be: balance.go, plan.go; how one is forked: spawn.go;
//     how one ends: pool.go
//   - what a worker, the front, a spawner says: channel.go, front.go, hooks.go
//   - connections and sockets that go to another master: upgrade.go; what comes from the one
//     before: inherit.go; workers that leave in favour of the other: pause.go
//   - the end of the server: shutdown.go
//   - calls to the operating system: system.go, in whose place tests put others
//
// # Words for the end
//
// Of one worker: retire lets it finish its requests (SIGTERM), quit does not (SIGQUIT),
// abort ends one that is over its time (SIGABRT), kill ends it at once; forget drops what
// belonged to it. Of a spawner: dismiss. Of a candidate: discard. Of the server: depart
// tells the clients, drain finishes their requests, quit and endNow do not; endProcesses
// tells every process, killRest ends those that do not obey, and exitIfDone ends the master
// when none is left. A start that fails: refuse before there is a loop, failStart before
// there is a log, failBoot after that.
package master
