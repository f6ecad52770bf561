package oslayer

import (
	"os"
	"strings"
)

// argv0 still points to where the kernel put the arguments.
var argv0 = ownArgs()

// ownArgs gives os.Args memory of its own and returns the old first argument. The
// runtime does not copy the arguments, unlike the environment; everything made of
// them, for example a flag's value, would change with the title. Since this runs before main
// nothing has been made of them yet.
func ownArgs() string {
	if len(os.Args) == 0 {
		return ""
	}
	first := os.Args[0]
	args := make([]string, len(os.Args))
	for i, a := range os.Args {
		args[i] = strings.Clone(a)
	}
	os.Args = args
	return first
}
