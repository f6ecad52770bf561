package settings

import (
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

// A program in Python can start the server: it calls run() of an application that derives
// from Gunicorn's BaseApplication. Such a program is named in the place of an app.

// startsServer is what a program has in it that starts the server.
var startsServer = regexp.MustCompile(`\b(?:BaseApplication|WSGIApplication|wsgiapp|(?:gunicorn|indrik)\.app)\b`)

// script is how a file begins that a Python runs, and that is no module by its name.
var script = regexp.MustCompile(`^#!.*\bpython`)

// SplitProgram divides a command line before the program in Python that it names, if it names
// one in the place of an app: file:PATH, python:MODULE, or the path of a file whose text says
// that it starts the server. What follows is the program's. Otherwise program is nil.
func SplitProgram(args []string) (own, program []string) {
	for i, arg := range args {
		if !isProgram(arg) {
			continue
		}
		if _, app, err := ParseArgs("", args[:i+1]); err == nil && app == arg {
			return args[:i+1], slices.Clone(args[i:])
		}
	}
	return args, nil
}

func isProgram(arg string) bool {
	if strings.HasPrefix(arg, "python:") && len(arg) > len("python:") || strings.HasPrefix(arg, "file:") && len(arg) > len("file:") {
		return true
	}
	if strings.HasPrefix(arg, "-") {
		return false
	}
	f, err := os.Open(arg)
	if err != nil {
		return false
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return false
	}
	text, err := io.ReadAll(io.LimitReader(f, mostBytes))
	if err != nil {
		return false
	}
	return startsServer.Match(text) || !strings.HasSuffix(arg, ".py") && script.Match(text)
}
