// Package migrate reads how another server is started and says how Indrik does the same:
// `indrik migrate FILE|COMMAND`. It knows the command lines, variables and files of uvicorn,
// Hypercorn, Granian, Gunicorn, uWSGI and Unit, and what holds such a command: a Procfile, a
// Dockerfile, a unit of systemd.
//
// For each server there is one table of [rules], in a file of its own. A rule says what becomes
// of an option, for the program, and in two languages for people: docs/migrating.md and
// docs/ru/migrating.md have their tables from there.
//
// What is read is anybody's text. Nothing of it is run, and no other file is opened than the
// one that is named and those that it includes.
//
//go:generate go run ./gendocs ../../docs/migrating.md ../../docs/ru/migrating.md
package migrate
