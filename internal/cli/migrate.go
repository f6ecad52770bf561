package cli

import (
	"fmt"
	"io"

	"indrik/internal/exitcode"
	"indrik/internal/migrate"
	"indrik/internal/status"
)

const migrateUsage = `Usage: indrik migrate [--command] FILE | COMMAND...

Print the configuration that does what another server was started with: a config
file in Python, or with --command a command line. What has no equivalent is in
comments. FILE is a uwsgi.ini (or .yaml, .json), a hypercorn.toml, a Procfile, a
Dockerfile, a unit of systemd, a configuration of NGINX Unit or a file of
variables; COMMAND is a command line of uvicorn, Hypercorn, Granian, Gunicorn,
uWSGI or fastapi, and its variables are those of the environment.

The exit code is 0 if every option is known, else 1.
`

// migrateCommand carries out `indrik migrate`, which needs no server.
func migrateCommand(args, environ []string, stdout, stderr io.Writer) int {
	asCommand := false
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		switch args[0] {
		case "--command":
			asCommand = true
		case "-h", "--help":
			io.WriteString(stdout, migrateUsage)
			return exitcode.OK
		default:
			fmt.Fprintf(stderr, "indrik migrate: there is no option %s\n\n%s", status.PrintableLine(args[0]), migrateUsage)
			return exitcode.Usage
		}
		args = args[1:]
	}
	if len(args) == 0 {
		io.WriteString(stderr, migrateUsage)
		return exitcode.Usage
	}
	result, err := migrate.Migrate(args, environ)
	if err != nil {
		fmt.Fprintf(stderr, "indrik migrate: %s\n", status.PrintableLine(err.Error()))
		return exitcode.Config
	}
	if asCommand {
		io.WriteString(stdout, result.Command())
	} else {
		io.WriteString(stdout, result.Config())
	}
	for _, name := range result.Unknown {
		fmt.Fprintf(stderr, "indrik migrate: not known: %s\n", name)
	}
	if len(result.Unknown) > 0 {
		return exitcode.Config
	}
	return exitcode.OK
}

// withoutServer are the sub-commands that need no control socket.
var withoutServer = map[string]func(args, environ []string, stdout, stderr io.Writer) int{
	"healthcheck": healthcheck, "migrate": migrateCommand,
}
