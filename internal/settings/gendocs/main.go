// Gendocs writes docs/settings.md from the table of settings. Run it in the
// root of the repository:
//
//	go run ./internal/settings/gendocs
package main

import (
	"flag"
	"fmt"
	"os"

	"indrik/internal/settings"
)

func main() {
	out := flag.String("o", "docs/settings.md", "file to write")
	flag.Parse()
	if err := os.WriteFile(*out, []byte(settings.Markdown()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
