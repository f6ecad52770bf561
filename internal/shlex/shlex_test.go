package shlex_test

import (
	"fmt"

	"indrik/internal/shlex"
)

func ExampleSplit() {
	words, err := shlex.Split(`--bind 'unix:/run/my app.sock' -w\ 4 ""`)
	fmt.Printf("%q %v\n", words, err)
	_, err = shlex.Split(`--name "Ann`)
	fmt.Println(err)
	// Output:
	// ["--bind" "unix:/run/my app.sock" "-w 4" ""] <nil>
	// No closing quotation
}
