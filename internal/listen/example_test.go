package listen_test

import (
	"fmt"

	"indrik/internal/listen"
)

// The values of the setting bind.
func ExampleParse() {
	for _, bind := range []string{"127.0.0.1", "[::1]:80", "unix:/run/shop.sock", "fd://3", "localhost:http"} {
		a, err := listen.Parse(bind)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Printf("%s %q %d %q %d\n", a.Network, a.Host, a.Port, a.Path, a.FD)
	}
	// Output:
	// tcp "127.0.0.1" 8000 "" 0
	// tcp "::1" 80 "" 0
	// unix "" 0 "/run/shop.sock" 0
	// fd "" 0 "" 3
	// 'http' is not a valid port number.
}
