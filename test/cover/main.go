// Command cover tells how many statements of each package a profile has seen run, and fails
// if a package is below its floor. make cover runs it.
//
//	go run ./test/cover -floor internal/master=85 -uncovered FILE PROFILE
//
// The profile is one of go tool covdata textfmt. In FILE is each piece of code that never ran,
// one a line: where it is, in which function, how many statements it has, and its first line.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

func main() {
	floors := floors{}
	flag.Var(floors, "floor", "PACKAGE=PERCENT that it has to have; may be given again")
	uncovered := flag.String("uncovered", "", "`file` for the code that never ran")
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), floors, *uncovered, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "cover:", err)
		os.Exit(1)
	}
}

// floors has the percent that packages need.
type floors map[string]float64

// String is what flag.Value asks for.
func (f floors) String() string { return "" }

// Set takes a floor, as PACKAGE=PERCENT.
func (f floors) Set(text string) error {
	name, figure, _ := strings.Cut(text, "=")
	percent, err := strconv.ParseFloat(figure, 64)
	if err != nil {
		return fmt.Errorf("%q is not PACKAGE=PERCENT", text)
	}
	f[name] = percent
	return nil
}

func run(profile string, floors floors, uncovered string, out io.Writer) error {
	f, err := os.Open(profile)
	if err != nil {
		return err
	}
	defer f.Close()
	blocks, err := read(f)
	if err != nil {
		return fmt.Errorf("%s: %w", profile, err)
	}
	if uncovered != "" {
		if err := list(uncovered, blocks); err != nil {
			return err
		}
	}
	return report(out, blocks, floors)
}
