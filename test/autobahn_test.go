//go:build linux

package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"indrik/test/harness"
	"indrik/test/pythons"
)

// wstest runs the test suite from the directory that its first argument names. A server that is
// busy has ten seconds to end a connection that it has to end: the suite gives it one.
const wstest = `import site, sys
site.addsitedir(sys.argv[1])
sys.path.insert(0, sys.argv[1])
del sys.argv[1]
from autobahntestsuite.fuzzing import FuzzingProtocol

kill_after = FuzzingProtocol.killAfter
FuzzingProtocol.killAfter = lambda self, delay: kill_after(self, 10 * delay)
from autobahntestsuite.wstest import run
run()
`

// autobahnCases are the cases that are run: all of the sections about the protocol, and a few of
// those about large messages (9) and compression (12, 13), which only take long.
var autobahnCases = []string{
	"1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.1.4", "9.2.4", "9.3.5", "9.4.5", "9.5.4", "9.7.2", "10.*", "12.1.1", "12.1.5", "12.3.3", "13.2.2",
}

// TestAllAutobahn has the test suite of Autobahn try a WebSocket over HTTP/2, by a bridge, and one
// over HTTP/1.
func TestAllAutobahn(t *testing.T) {
	t.Parallel()
	if os.Getenv("INDRIK_TEST_ALL") == "" {
		t.Skip("needs INDRIK_TEST_ALL=1")
	}
	dir := filepath.Join(harness.Repository, ".cache", "venv-autobahn")
	want, err := os.ReadFile(filepath.Join(harness.Repository, "test", "requirements-autobahn.txt"))
	harness.Must(t, err)
	if have, err := os.ReadFile(filepath.Join(dir, "requirements.txt")); err != nil || !bytes.Equal(have, want) {
		t.Skip("needs the test suite of Autobahn: run `make venv-autobahn`")
	}
	python := pythons.Find("2.7")
	if python == "" {
		t.Skip("needs Python 2.7")
	}
	s := harness.Start(t, harness.WithHTTP2(t, harness.WebH2C, sockets("--workers", "2", "--websocket-max-message-size", fmt.Sprint(64<<20))))
	servers := map[string]string{"HTTP/1": s.Address, "HTTP/2": s.Bridge()}
	results := filepath.Join(harness.TempDir(t), "results")
	spec := map[string]any{
		"outdir": results, "cases": autobahnCases, "exclude-cases": []string{}, "exclude-agent-cases": map[string]any{},
		"options": map[string]any{"openHandshakeTimeout": 20, "closeHandshakeTimeout": 20, "serverConnectionDropTimeout": 20},
	}
	var list []map[string]string
	for agent, address := range servers {
		list = append(list, map[string]string{"agent": agent, "url": "ws://" + address + "/echo"})
	}
	spec["servers"] = list
	text, err := json.Marshal(spec)
	harness.Must(t, err)
	s.WriteFile("spec.json", string(text))
	harness.Output(t, s.Dir, nil, python, "-W", "ignore", "-c", wstest, dir, "--mode", "fuzzingclient", "--spec", s.Path("spec.json"))
	text, err = os.ReadFile(filepath.Join(results, "index.json"))
	harness.Must(t, err)
	var index map[string]map[string]struct {
		Behavior      string
		BehaviorClose string
	}
	harness.Must(t, json.Unmarshal(text, &index))
	for agent := range servers {
		count := map[string]int{}
		for name, r := range index[agent] {
			count[r.Behavior]++
			if !slices.Contains([]string{"OK", "NON-STRICT", "INFORMATIONAL"}, r.Behavior) || r.BehaviorClose != "OK" && r.BehaviorClose != "INFORMATIONAL" {
				file := fmt.Sprintf("%s_case_%s.json", strings.ReplaceAll(agent, "/", "_"), strings.ReplaceAll(name, ".", "_"))
				report, _ := os.ReadFile(filepath.Join(results, file))
				t.Errorf("%s, case %s: %s, at the end %s\n%.2000s", agent, name, r.Behavior, r.BehaviorClose, report)
			}
		}
		t.Logf("%s: %v", agent, count)
		if count["OK"] < 200 {
			t.Errorf("%s: of %d cases %d are OK", agent, len(index[agent]), count["OK"])
		}
	}
	s.Terminate()
}
