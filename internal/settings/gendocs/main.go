// Gendocs writes docs/settings.md and python/indrik/settingtypes.py from the table of
// settings. Run it in the root of the repository:
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
	docs := flag.String("o", "docs/settings.md", "`file` for the page")
	types := flag.String("types", "python/indrik/settingtypes.py", "`file` for the types")
	flag.Parse()
	for path, text := range map[string]string{*docs: settings.Markdown(), *types: settings.PythonTypes()} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}
