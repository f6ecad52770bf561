package settings

// A Subcommand is a command to a server that runs, over its control socket, as the command
// line has it: indrik NAME.
type Subcommand struct {
	Name string
	Args string // as its usage has them
	Doc  string // one line, without a full stop
}

// Subcommands are in the order of the help. The first argument of the command line alone
// decides, and only the bare word: status:app is an app.
var Subcommands = []Subcommand{
	{"status", "[--json]", "show workers, queue, connections, the last reload and deaths"},
	{"top", "[--interval TIME]", "show the same live, in a terminal, with keys for the commands below"},
	{"trace", "[PID | --slow SECONDS] [--json]", "show where the Python code of workers is, without stopping it"},
	{"reload", "[--canary [SHARE for TIME]]", "reload configuration and code, and wait until the new workers serve; --canary tries them on a share of the requests first"},
	{"refork", "", "have the warmest worker fork all others anew, and wait until they serve"},
	{"reopen", "", "open the log files anew"},
	{"scale", "N", "have N workers, and wait until they serve"},
	{"worker", "kill PID", "end a worker after the requests it has, and wait until another serves"},
	{"upgrade", "", "start the program on disk beside the server that runs, and wait until it serves"},
	{"drain", "", "end the workers of the old server in favour of the new one, and wait until they have"},
	{"rollback", "", "end the new server of an upgrade, and wait until the old one serves alone"},
	{"stop", "[--quick]", "end the server, and wait until it has; --quick does not finish requests"},
	{"healthcheck", "[OPTIONS]", "ask the server on this machine whether it is ready"},
	{"migrate", "[--command] FILE|COMMAND", "print the configuration for what starts another server"},
}
