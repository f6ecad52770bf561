package master

import (
	"io"

	"indrik/internal/settings"
)

// Options are the command line and the environment. They stay as
// they are for the life of the process: a reload evaluates the config file
// anew and puts it between Env and Vars.
type Options struct {
	Env     settings.Layer // defaults from the environment
	Vars    settings.Layer // INDRIK_WORKERS and so on
	CmdArgs settings.Layer // INDRIK_CMD_ARGS or GUNICORN_CMD_ARGS
	Args    settings.Layer // command line
	App     string         // the app named on the command line, "" if none
	Program []string       // the program in Python that is named instead, with its arguments; nil if none

	Argv []string // as the process was started, for the upgrade and for sys.argv
	Dir  string   // working directory at the start; $PWD if it is the same one

	Python    string // the interpreter
	PythonWhy string // what decided that it is this one, for people

	Stdout, Stderr io.Writer
}

// layers are those that are there before the config file, which may name it.
func (o *Options) layers() []settings.Layer {
	return []settings.Layer{o.Env, o.Vars, o.CmdArgs, o.Args}
}
