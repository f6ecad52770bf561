//go:build linux

package test

import (
	"testing"

	"indrik/test/harness"
)

// TestCarriedPackageWins: whatever package indrik is installed, also if something has
// imported it before the server's code runs, the processes of the server use their own.
func TestCarriedPackageWins(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"--preload"}} {
		s := harness.Start(t, harness.Options{
			App: "webapp:app",
			Files: map[string]string{
				"site/indrik/__init__.py": "__version__ = '99'\n",
				"site/indrik/wire.py":     "raise RuntimeError('the installed one')\n",
				"site/sitecustomize.py":   "import indrik\n",
				"webapp.py": `import indrik

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [("%s %s" % (indrik.__file__, indrik.deadline(environ) is not None)).encode()]
`,
			},
			Env:  []string{"PYTHONPATH=DIR/site"},
			Args: args,
		})
		if got, want := s.Get("/"), "<indrik>/__init__.py True"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		s.Terminate()
	}
}
