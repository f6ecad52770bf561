// Gendocs writes docs/settings.md, python/indrik/settingtypes.py,
// python/indrik/compat/settingtable.py and internal/settings/accessors.go from the table of settings. Run it in the root of the repository:
//
//	go run ./internal/settings/gendocs
//
// With -man it writes the man pages, which packages have and the tree has not.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"indrik/internal/settings"
	"indrik/internal/version"
)

func main() {
	docs := flag.String("o", "docs/settings.md", "`file` for the page")
	types := flag.String("types", "python/indrik/settingtypes.py", "`file` for the types")
	table := flag.String("table", "python/indrik/compat/settingtable.py", "`file` for the settings that programs have")
	accessors := flag.String("accessors", "internal/settings/accessors.go", "`file` for the accessors of Go")
	man := flag.String("man", "", "write the man pages into this `directory`, and nothing else")
	date := flag.String("date", time.Now().UTC().Format(time.RFC3339), "`time` of the release, for the man pages (RFC 3339)")
	flag.Parse()
	files := map[string]string{*docs: settings.Markdown(), *types: settings.PythonTypes(), *table: settings.PythonTable(), *accessors: settings.GoAccessors()}
	if *man != "" {
		at, err := time.Parse(time.RFC3339, *date)
		if err != nil {
			fail(err)
		}
		files = map[string]string{
			filepath.Join(*man, "indrik.1"):         settings.ManCommand(version.Version, at),
			filepath.Join(*man, "indrik.conf.py.5"): settings.ManConfig(version.Version, at),
		}
	}
	for path, text := range files {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			fail(err)
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "gendocs:", err)
	os.Exit(1)
}
