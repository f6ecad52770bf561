// Package cli is the command line of Indrik: it reads the arguments and the
// environment, finds Python, and hands over to the master. Started with
// INDRIK_ROLE=front, which only a master does, the program is a front instead.
//
// What the program says to people before the master has its log is in
// messages.go, the codes it ends with are in package exitcode. Try it with
//
//	go run ./cmd/indrik --help
package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"indrik/internal/exitcode"
	"indrik/internal/front"
	"indrik/internal/master"
	"indrik/internal/pyfind"
	"indrik/internal/settings"
	"indrik/internal/wire"
)

const prog = "indrik"

// Where a master puts the control socket of its front, and the file for its stacks.
const (
	controlFD = 3
	dumpFD    = 4
)

// Main runs the program and returns its exit code.
func Main() int {
	if os.Getenv(wire.EnvRole) == wire.RoleFront {
		return front.Main(os.NewFile(controlFD, "control"), os.NewFile(dumpFD, "stacks"))
	}
	// The word alone: healthcheck:app is an app.
	if len(os.Args) > 1 {
		if run := withoutServer[os.Args[1]]; run != nil {
			return run(os.Args[2:], os.Environ(), os.Stdout, os.Stderr)
		}
	}
	if s := subcommandOf(os.Args); s != nil {
		return s.command(os.Args[2:], os.Environ(), os.Stdout, os.Stderr)
	}
	o, code, ok := options(os.Args, os.Environ(), os.Stdout, os.Stderr)
	if !ok {
		return code
	}
	return master.Run(o)
}

// options reads what the program was started with. If there is nothing to
// start, ok is false and code is the exit code.
func options(argv, environ []string, stdout, stderr io.Writer) (o master.Options, code int, ok bool) {
	o = master.Options{Argv: slices.Clone(argv), Stdout: stdout, Stderr: stderr}
	stop := func(err error) (master.Options, int, bool) {
		return o, tell(err, stdout, stderr), false
	}
	var args []string
	if len(argv) > 0 { // execve(2) allows none
		args = argv[1:]
	}
	err := readLayers(&o, args, environ)
	if err != nil {
		return stop(err)
	}
	if o.Dir, err = os.Getwd(); err != nil { // $PWD where it is the same directory
		return stop(fmt.Errorf("find the current directory: %w", err))
	}
	python, err := pyfind.Find(lookupIn(environ), programs(argv)...)
	if err != nil {
		return stop(err)
	}
	o.Python, o.PythonWhy = python.Path, python.Why
	return o, exitcode.OK, true
}

// readLayers puts into o the settings that the command line and the environment give, and
// the app.
func readLayers(o *master.Options, args, environ []string) (err error) {
	lookup := lookupIn(environ)
	args, o.Program = settings.SplitProgram(args)
	if o.Args, o.App, err = settings.ParseArgs(prog, args); err != nil {
		return err
	}
	if o.Program != nil {
		if err := absolute(o.Program); err != nil {
			return err
		}
		o.App = strings.TrimPrefix(strings.TrimPrefix(o.App, "file:"), "python:")
	}
	if o.CmdArgs, err = settings.FromCmdArgs(prog, lookup); err != nil {
		return err
	}
	if o.Env, err = settings.FromEnv(lookup); err != nil {
		return err
	}
	o.Vars = settings.FromVariables(environ)
	return nil
}

// absolute gives the file of a program, if it is one, a path that holds in any directory.
func absolute(program []string) error {
	if strings.HasPrefix(program[0], "python:") {
		return nil
	}
	path, err := filepath.Abs(strings.TrimPrefix(program[0], "file:"))
	program[0] = "file:" + path
	return err
}

// lookupIn returns what os.LookupEnv is for the process's own environment.
func lookupIn(environ []string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		for _, pair := range environ {
			if value, ok := strings.CutPrefix(pair, name+"="); ok {
				return value, true
			}
		}
		return "", false
	}
}

// programs are the paths by which this program is known: as it was called,
// and what the system says.
func programs(argv []string) []string {
	var paths []string
	if len(argv) > 0 {
		if path, err := exec.LookPath(argv[0]); err == nil {
			paths = append(paths, path)
		}
	}
	if path, err := os.Executable(); err == nil {
		paths = append(paths, path)
	}
	return paths
}

// tell says why there is nothing to start, and returns the exit code.
func tell(err error, stdout, stderr io.Writer) int {
	var usage *settings.UsageError
	var completion *settings.CompletionError
	var python *pyfind.NotFoundError
	switch {
	case errors.Is(err, settings.ErrHelp):
		io.WriteString(stdout, settings.Help(prog))
		return exitcode.OK
	case errors.Is(err, settings.ErrHelpAll):
		io.WriteString(stdout, settings.HelpAll(prog))
		return exitcode.OK
	case errors.Is(err, settings.ErrVersion):
		io.WriteString(stdout, versionText())
		return exitcode.OK
	case errors.As(err, &completion):
		script, err := settings.Completion(completion.Shell, prog)
		if err != nil {
			io.WriteString(stderr, settings.Report(err))
			return exitcode.Usage
		}
		io.WriteString(stdout, script)
		return exitcode.OK
	case errors.As(err, &usage):
		io.WriteString(stderr, settings.Report(err))
		return exitcode.Usage
	case errors.As(err, &python):
		io.WriteString(stderr, noPython(python.Tried))
		return exitcode.Config
	}
	io.WriteString(stderr, settings.Report(err))
	return exitcode.Config
}
