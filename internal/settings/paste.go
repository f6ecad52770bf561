package settings

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// PasteFile is the PasteDeploy file that the app comes from, "" if none.
func (c *Config) PasteFile() string {
	if c.Paste() == "" {
		return ""
	}
	file, _, _ := strings.Cut(c.app, "#")
	return file
}

// findPaste makes what the setting paste names the app. A relative path starts
// from dir.
func (c *Config) findPaste(dir string) (errs []error) {
	location := c.Paste()
	if location == "" {
		return nil
	}
	if !filepath.IsAbs(location) {
		location = filepath.Join(dir, location)
	}
	c.app = location
	if _, err := os.Stat(c.PasteFile()); err != nil {
		errs = append(errs, c.wrong("paste", fmt.Errorf("%s not found", pyRepr(c.PasteFile()))))
	}
	for _, item := range c.RawPasteGlobalConf() {
		// `\=` is part of the name or of the value.
		if !strings.Contains(strings.ReplaceAll(item, `\=`, ""), "=") {
			errs = append(errs, c.wrong("raw_paste_global_conf", fmt.Errorf("environment setting %s invalid", pyRepr(item))))
		}
	}
	return errs
}
