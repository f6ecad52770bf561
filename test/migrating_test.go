//go:build linux

package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"indrik/test/harness"
)

func migratingDoc(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(harness.Repository, "docs", "migrating.md"))
	harness.Must(t, err)
	return string(text)
}

// What the tables of equivalents name is there: options and settings.
func TestMigratingNames(t *testing.T) {
	t.Parallel()
	help, err := exec.Command(harness.Command(t)[0], "--help-all").Output()
	harness.Must(t, err)
	flags := regexp.MustCompile(`--?[a-z][a-z0-9_-]*`).FindAllString(string(help), -1)
	text, err := os.ReadFile(filepath.Join(harness.Repository, "docs", "settings.md"))
	harness.Must(t, err)
	var settings []string
	for _, m := range regexp.MustCompile(`(?m)^### (\w+)$`).FindAllStringSubmatch(string(text), -1) {
		settings = append(settings, m[1])
	}
	code := regexp.MustCompile("`([^`]+)`")
	setting := regexp.MustCompile(`^[a-z_]+$`)
	rows := 0
	for line := range strings.SplitSeq(migratingDoc(t), "\n") {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if !strings.HasPrefix(line, "| `") || len(cells) < 2 {
			continue
		}
		rows++
		for _, m := range code.FindAllStringSubmatch(strings.Join(cells[1:], " "), -1) {
			word := strings.Fields(m[1])[0]
			switch {
			case strings.HasPrefix(word, "-") && !slices.Contains(flags, word):
				t.Errorf("there is no option %s: %s", word, line)
			case setting.MatchString(word) && strings.Contains(word, "_") && !slices.Contains(settings, word):
				t.Errorf("there is no setting %s: %s", word, line)
			}
		}
	}
	if rows < 60 {
		t.Errorf("%d rows were found", rows)
	}
}

// The commands in the page are good, also those of the unit and of the container.
func TestMigratingCommands(t *testing.T) {
	t.Parallel()
	doc := migratingDoc(t)
	var lines []string
	for _, m := range regexp.MustCompile(`(?m)^\s+indrik (.*)$|^ExecStart=\S*/indrik (.*)$`).FindAllStringSubmatch(doc, -1) {
		lines = append(lines, m[1]+m[2])
	}
	for _, m := range regexp.MustCompile("`indrik ([^`]*)`").FindAllStringSubmatch(doc, -1) {
		lines = append(lines, strings.Trim(m[1], "'"))
	}
	for _, m := range regexp.MustCompile(`(?m)^CMD \["indrik", (.*)\]$`).FindAllStringSubmatch(doc, -1) {
		lines = append(lines, strings.NewReplacer(`"`, "", ",", "").Replace(m[1]))
	}
	subcommand := regexp.MustCompile(`^[a-z]+( |$)`) // TestMigrate and TestSubcommands have those
	lines = slices.DeleteFunc(lines, subcommand.MatchString)
	if len(lines) < 6 {
		t.Fatalf("only %d commands were found: %q", len(lines), lines)
	}
	app := "async def app(scope, receive, send):\n    pass\n\ndef create_app():\n    return app\n"
	for _, line := range lines {
		s := harness.Launch(t, harness.Options{
			App: "-", Bind: []string{}, Args: append(strings.Fields(line), "--check-config"),
			Files: map[string]string{"shop/__init__.py": "", "shop/wsgi.py": "def application(environ, start_response):\n    pass\n", "main.py": app},
		})
		s.ExpectExit(0)
		if t.Failed() {
			t.Fatalf("%s\n%s", line, s.Log)
		}
	}
}
