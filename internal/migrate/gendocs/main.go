// Gendocs writes the tables of docs/migrating.md and docs/ru/migrating.md from the rules of
// package migrate. Its arguments are the two files.
package main

import (
	"fmt"
	"os"

	"indrik/internal/migrate"
)

func main() {
	if len(os.Args) != 3 {
		fail(fmt.Errorf("usage: gendocs ENGLISH RUSSIAN"))
	}
	for i, language := range []migrate.Language{migrate.English, migrate.Russian} {
		text, err := os.ReadFile(os.Args[i+1])
		if err != nil {
			fail(err)
		}
		page, err := migrate.Page(string(text), language)
		if err != nil {
			fail(fmt.Errorf("%s: %w", os.Args[i+1], err))
		}
		if err := os.WriteFile(os.Args[i+1], []byte(page), 0o644); err != nil {
			fail(err)
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "gendocs:", err)
	os.Exit(1)
}
