package deploy

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write deploy/kubernetes anew")

// ofHelm are the lines that only an object of Helm's has, and where a template comes from.
var ofHelm = regexp.MustCompile(`(?m)^ *(app\.kubernetes\.io/managed-by|helm\.sh/chart): .*\n`)

// withMetrics are the values of the manifests without Helm, of which some need the metrics.
const withMetrics = minimal + "metrics: {enabled: true}\n"

// TestManifests: the manifests without Helm are what the chart makes of its defaults with
// metrics, so that what the other tests check of the chart holds for them. `go test -run TestManifests -update`
// writes them.
func TestManifests(t *testing.T) {
	dir := filepath.Join(repository, "deploy", "kubernetes")
	all := map[string]string{}
	for name, text := range map[string]string{
		"deployment.yaml": withMetrics, "service.yaml": withMetrics, "poddisruptionbudget.yaml": withMetrics, "networkpolicy.yaml": withMetrics,
		"podmonitor.yaml":              minimal + "metrics: {enabled: true, podMonitor: {enabled: true}}",
		"horizontalpodautoscaler.yaml": withMetrics + "autoscaling: {enabled: true, targetBusy: 70}", "scaledobject.yaml": withKEDA,
	} {
		files, err := render(t, text)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = strings.TrimLeft(ofHelm.ReplaceAllString(files[name], ""), "\n")
	}
	for name, want := range all {
		if *update {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got := read(t, "deploy", "kubernetes", name)
		if got != want {
			t.Errorf("deploy/kubernetes/%s is not what the chart makes: go test -run TestManifests -update\n%s", name, want)
		}
		if _, err := decode(name, got); err != nil {
			t.Error(err)
		}
	}
	found, _ := filepath.Glob(filepath.Join(dir, "*.yaml"))
	for _, path := range found {
		if name := filepath.Base(path); all[name] == "" && name != "kustomization.yaml" {
			t.Errorf("nothing makes deploy/kubernetes/%s", name)
		}
	}
	for _, match := range regexp.MustCompile(`(?m)^ *#? *- (\S+\.yaml)$`).FindAllStringSubmatch(read(t, "deploy", "kubernetes", "kustomization.yaml"), -1) {
		if all[match[1]] == "" {
			t.Errorf("kustomization.yaml names %s, which is not there", match[1])
		}
	}
}

// TestPage: the values of docs/kubernetes.md are values of the chart.
func TestPage(t *testing.T) {
	page := read(t, "docs", "kubernetes.md")
	blocks := regexp.MustCompile("(?s)```yaml\n# [a-z]+\\.values\\.yaml\n(.*?)```").FindAllStringSubmatch(page, -1)
	if len(blocks) < 3 {
		t.Errorf("the page has %d blocks of values", len(blocks))
	}
	for _, block := range blocks {
		text := block[1]
		if !strings.Contains(text, "image:") {
			text += minimal
		}
		objects(t, text)
	}
}
