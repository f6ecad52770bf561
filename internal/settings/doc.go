// Package settings is the one table of settings and how their values come
// about.
//
// [Table] says of each setting its name, flags, environment variables, kind,
// default and documentation. Everything else is derived from it: the command
// line parser, --help, the checks, docs/settings.md.
//
// Values come in layers. [Resolve] puts them on each other, from low to high:
//
//	defaults                            Table
//	environment                         FromEnv
//	config file                         ConfigFile finds it, Python evaluates it, FromFile; FromTOML
//	INDRIK_WORKERS and so on            FromVariables
//	INDRIK_CMD_ARGS, GUNICORN_CMD_ARGS  FromCmdArgs
//	command line                        ParseArgs
//
// A value of a higher layer replaces the lower one, lists too. A value that
// is no good is an error even when a higher layer replaces it. Last the values
// are checked against each other. All errors are told together; their texts
// are Gunicorn's where it has the setting, see [Report].
//
// The package starts nothing and opens no file except pyproject.toml, to see whether it
// has settings; it looks up users, groups, and whether files exist. A [Config] never
// changes, so that any goroutine may read it.
//
// The page docs/settings.md, the types in python/indrik/settingtypes.py and the accessors
// in accessors.go are made from the table by
//
//	go generate ./internal/settings
//
// and a test fails when they are not up to date.
package settings

//go:generate go run ./gendocs -o ../../docs/settings.md -types ../../python/indrik/settingtypes.py -table ../../python/indrik/compat/settingtable.py -accessors accessors.go
