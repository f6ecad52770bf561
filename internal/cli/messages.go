package cli

import (
	"fmt"
	"strings"

	"indrik/internal/version"
)

// versionText is what --version prints.
func versionText() string { return fmt.Sprintf("%s (version %s)\n", prog, version.Version) }

// noPython says where Python was looked for and what to do.
func noPython(tried []string) string {
	var b strings.Builder
	b.WriteString("\nError: no Python found. Tried:\n")
	for _, place := range tried {
		fmt.Fprintf(&b, "  %s\n", place)
	}
	b.WriteString("Set INDRIK_PYTHON to the interpreter of the app's environment, or activate that environment.\n")
	return b.String()
}
