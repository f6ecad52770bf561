package settings

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// checkFiles takes files that exist, and patterns, which may come to match
// files later. Relative ones start from base.
func checkFiles(v any, base string) (any, error) {
	list, err := checkStrings(v)
	for _, name := range list {
		if IsPattern(name) {
			continue
		}
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(base, path)
		}
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("File %s does not exists.", name)
		}
	}
	return list, err
}

// IsPattern reports whether a file of reload_extra_files is a pattern.
func IsPattern(name string) bool { return strings.ContainsAny(name, "*?[") }
