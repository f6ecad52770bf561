package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPaste(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	dir, _ = os.Getwd()
	if err := os.WriteFile("app.ini", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "app.ini")
	for _, c := range []struct {
		line, app, name, wrong string
	}{
		{"--paste app.ini", file, file, ""},
		{"--paste app.ini#admin", file + "#admin", file, ""},
		{"--paste " + file + " -n name", file, "name", ""},
		{"--paste app.ini --paste-global a=b --paste-global c\\=d=e", file, file, ""},
		{"--paste no.ini#x", "", "", "'" + filepath.Join(dir, "no.ini") + "' not found"},
		{"--paste app.ini --paste-global a", "", "", "environment setting 'a' invalid"},
		{`--paste app.ini --paste-global a\=b`, "", "", `environment setting 'a\\=b' invalid`},
	} {
		cfg, err := Resolve("module:app", layers(t, nil, nil, strings.Fields(c.line)...)...)
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%s: %v, want %s", c.line, err, c.wrong)
			}
			continue
		}
		if err != nil || cfg.App() != c.app || cfg.ProcName() != c.name || cfg.PasteFile() != file {
			t.Errorf("%s: app %s, name %s, file %s, %v", c.line, cfg.App(), cfg.ProcName(), cfg.PasteFile(), err)
		}
	}
}
