package test

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// layers lists, for each package of the program, the packages of the program
// that it may import: imports point from the command line down to what knows
// nothing of the rest. A package that is not listed is a mistake too.
var layers = map[string][]string{
	"cmd/indrik": {"internal/cli"},

	"internal/cli": {
		"internal/control", "internal/exitcode", "internal/front", "internal/gateway", "internal/listen", "internal/master", "internal/migrate", "internal/oslayer", "internal/pyfind",
		"internal/settings", "internal/status", "internal/top", "internal/version", "internal/wire",
	},
	"internal/top":             {"internal/status"},
	"internal/migrate":         {"internal/settings", "internal/shlex", "internal/status"},
	"internal/migrate/gendocs": {"internal/migrate"},
	"internal/master": {
		"internal/appmetrics", "internal/autoscale",
		"internal/canary", "internal/capacity", "internal/codewatch", "internal/control", "internal/errlog", "internal/exitcode", "internal/gateway", "internal/listen", "internal/notify",
		"internal/oslayer", "internal/pathwalk", "internal/recycle", "internal/sinks", "internal/pidfile", "internal/settings", "internal/stacktext", "internal/status", "internal/tlsconf", "internal/version",
		"internal/wire", "python",
	},
	"internal/front": {
		"internal/appmetrics",
		"internal/accesslog", "internal/account", "internal/admin", "internal/canary", "internal/capacity", "internal/dispatch", "internal/errlog", "internal/gateway", "internal/http1", "internal/http2", "internal/listen", "internal/liveview", "internal/metrics", "internal/oslayer", "internal/otlpmetrics", "internal/outbox", "internal/pools", "internal/quarantine",
		"internal/sinks", "internal/proxyproto", "internal/redact", "internal/status", "internal/syslog", "internal/tlsconf", "internal/tracing", "internal/version", "internal/websocket", "internal/wire",
	},
	"internal/admin":      {},
	"internal/control":    {"internal/shlex"},
	"internal/liveview":   {},
	"internal/redact":     {},
	"internal/stacktext":  {},
	"internal/status":     {},
	"internal/shlex":      {},
	"internal/dispatch":   {"internal/account", "internal/canary", "internal/status", "internal/wire"},
	"internal/metrics":    {"internal/dispatch", "internal/oslayer", "internal/recycle", "internal/status", "internal/version"},
	"internal/recycle":    {},
	"internal/quarantine": {},
	"internal/settings": {
		"internal/accesslog", "internal/canary", "internal/exitcode", "internal/gateway", "internal/http1", "internal/listen", "internal/redact", "internal/shlex", "internal/tlsconf", "internal/wire",
	},
	"internal/tools/house":      {},
	"internal/settings/gendocs": {"internal/settings", "internal/version"},
	"internal/wire/genpython":   {},
	"internal/pyfind":           {},
	"internal/codewatch":        {},
	"internal/notify":           {},
	"internal/pidfile":          {"internal/pathwalk"},
	"internal/pools":            {"internal/status", "internal/wire"},
	"internal/listen":           {"internal/pathwalk"},
	"internal/oslayer":          {},
	"internal/outbox":           {"internal/account"},
	"internal/sinks":            {"internal/errlog", "internal/statsd", "internal/syslog", "internal/wire"},
	"internal/statsd":           {"internal/datagram", "internal/pathwalk"},
	"internal/syslog":           {"internal/datagram", "internal/pathwalk"},
	"internal/proxyproto":       {},
	"internal/tlsconf":          {"internal/wire"},
	"python":                    {"internal/wire"},
	"internal/tracing":          {"internal/otlp", "internal/version"},
	"internal/otlp":             {"internal/version"},
	"internal/otlpmetrics":      {"internal/otlp"},

	"internal/accesslog":  {},
	"internal/appmetrics": {},
	"internal/account":    {},
	"internal/autoscale":  {},
	"internal/canary":     {},
	"internal/capacity":   {},
	"internal/datagram":   {},
	"internal/errlog":     {"internal/pathwalk"},
	"internal/drawings":   {},
	"internal/exitcode":   {},
	"internal/gateway":    {"internal/http1"},
	"internal/http1":      {},
	"internal/http2":      {"internal/http1"},
	"internal/pathwalk":   {},
	"internal/version":    {},
	"internal/websocket":  {"internal/http1"},
	"internal/wire":       {"internal/http1"},

	"internal/http2/http2test": {},
	"internal/wire/wiretest":   {"internal/wire"},

	"bench":          {"bench/load", "bench/proctree", "bench/serve", "bench/stats"},
	"bench/idle":     {"bench/proctree", "bench/serve"},
	"bench/load":     {},
	"bench/overload": {"bench/serve", "bench/stats"},
	"bench/scaling":  {"bench/serve"},
	"bench/proctree": {},
	"bench/serve":    {"bench/proctree"},
	"bench/sharing":  {"bench/proctree", "bench/serve"},
	"bench/stats":    {},
	"bench/where":    {"bench/load", "bench/proctree", "bench/serve", "bench/stats"},

	"test":         {"test/harness", "test/pythons"},
	"test/cover":   {},
	"test/harness": {},
	"test/pythons": {},
}

// dependencies are the modules that go.mod requires directly, and what for.
var dependencies = map[string]string{
	"charm.land/bubbletea/v2":            "the terminal of indrik top",
	"github.com/charmbracelet/x/ansi":    "how many cells of a terminal a text takes",
	"github.com/charmbracelet/x/term":    "the state of a terminal, to give it back",
	"github.com/charmbracelet/x/vt":      "what a terminal shows; in no binary",
	"github.com/klauspost/compress":      "permessage-deflate with a window that is given back",
	"github.com/pelletier/go-toml/v2":    "pyproject.toml",
	"golang.org/x/net":                   "the field tables of HTTP/2 (hpack)",
	"golang.org/x/sys":                   "system calls",
	"pgregory.net/rapid":                 "random interleavings in the test of the dispatcher; in no binary",
	"github.com/prometheus/client_model": "the form of metrics",
	"github.com/prometheus/common":       "the formats of Prometheus",

	"go.opentelemetry.io/otel":                          "spans: attributes and trace contexts",
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace": "OTLP of spans",
	"go.opentelemetry.io/otel/sdk":                      "sampling and batches of spans",
	"go.opentelemetry.io/otel/trace":                    "the interface of a span",
	"go.opentelemetry.io/proto/otlp":                    "the messages of OTLP",
	"google.golang.org/protobuf":                        "their encoding",
}

type goPackage struct {
	ImportPath string
	Module     struct{ Path string }
	Doc        string
	Imports    []string

	TestImports []string
}

func packages(t *testing.T, goos string) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Module,Doc,Imports,TestImports", "./...")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "GOOS="+goos)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var found []goPackage
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p goPackage
		if err := dec.Decode(&p); err == io.EOF {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		found = append(found, p)
	}
}

func TestLayers(t *testing.T) {
	t.Parallel()
	unused := map[string]bool{} // a row, or a row and what it allows
	for name, may := range layers {
		unused[name] = true
		for _, own := range may {
			unused[name+" imports "+own] = true
		}
	}
	for _, goos := range []string{"linux", "darwin"} {
		for _, p := range packages(t, goos) {
			name := strings.TrimPrefix(p.ImportPath, p.Module.Path+"/")
			delete(unused, name)
			may, known := layers[name]
			if !known {
				t.Errorf("package %s has no place among the layers: add it to the table in layers_test.go", name)
				continue
			}
			imports := p.Imports
			if name == "test" { // the black-box tests know nothing of the program
				imports = append(imports, p.TestImports...)
			}
			for _, path := range imports {
				own, ok := strings.CutPrefix(path, p.Module.Path+"/")
				if ok && !slices.Contains(may, own) {
					t.Errorf("%s must not import %s", name, own)
				}
				delete(unused, name+" imports "+own)
			}
		}
	}
	for row := range unused {
		t.Errorf("the layers have %s, which is not so: take it out of layers_test.go", row)
	}
}

func TestPackageComments(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t, "linux") {
		if p.Doc == "" {
			t.Errorf("package %s has no package comment", p.ImportPath)
		}
	}
}

func TestDependencies(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("go", "mod", "edit", "-json")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go mod edit: %v", err)
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
		Replace []any
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	required := map[string]bool{}
	for _, r := range mod.Require {
		if required[r.Path] = true; !r.Indirect && dependencies[r.Path] == "" {
			t.Errorf("go.mod requires %s, which is not in the list of dependencies", r.Path)
		}
	}
	for path := range dependencies {
		if !required[path] {
			t.Errorf("%s is in the list of dependencies, and go.mod does not require it", path)
		}
	}
	if len(mod.Replace) > 0 {
		t.Error("go.mod replaces a module")
	}
}
