// Package exitcode names the codes that Indrik ends with. They are Gunicorn's,
// so that unit files and scripts need no change. Beside them, an app that exits before
// it is ready at the first start ends the server with its own code, and one that a signal
// ends with 128 and the signal.
package exitcode

const (
	// OK: a normal stop, --version, --help, a --check-config that found
	// nothing, and the parent of a daemon. A supervisor need not restart it.
	OK = 0

	// Config: a setting, the config file, the pid file or an address is no
	// good, or no Python was found. A restart without a change fails again:
	// read the message on standard error.
	Config = 1

	// Usage: the command line could not be understood; the message names the
	// argument. See indrik --help.
	Usage = 2

	// WorkerBoot: a worker ended before it could serve: the module of the app
	// or something that it imports is missing or raises. The error log has
	// the traceback.
	WorkerBoot = 3

	// AppLoad: the module was imported, but there is no app in it under the
	// name given, or it is not callable.
	AppLoad = 4

	// Resources: the server could not start for want of what the system limits,
	// descriptors, processes, memory or file sizes; the message names the limit. It
	// is EX_OSERR of sysexits.h, not one of Gunicorn's codes, which ends with
	// Internal then. A supervisor may restart it: others may have let go of theirs.
	Resources = 71

	// Internal: an error that Indrik did not expect, or a hook of the master
	// that raised. A supervisor should restart it; please report it with the
	// error log.
	Internal = 255
)
