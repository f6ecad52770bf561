// Indrik serves Python web apps: indrik module:app.
package main

import (
	"os"

	"indrik/internal/cli"
)

func main() { os.Exit(cli.Main()) }
