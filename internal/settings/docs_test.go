package settings

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The table of limits in docs/http.md has every limit and deadline of the front,
// with its default.
func TestTableOfLimits(t *testing.T) {
	page, err := os.ReadFile("../../docs/http.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_]+)` \\| ([^|]*) \\|").FindAllStringSubmatch(string(page), -1) {
		listed[m[1]] = m[2]
	}
	limit := regexp.MustCompile(`^limit_|_timeout$|^timeout$|_limit$|_rate$|^keepalive$|^http2_(max|initial)_`)
	// docs/websockets.md, docs/logging.md, docs/pools.md and docs/selfcare.md have them.
	elsewhere := []string{"websocket_ping_timeout", "access_log_timeout", "dirty_timeout", "dirty_graceful_timeout", "dirty_queue_limit", "stash_limit", "warmup_timeout"}
	for _, s := range Table {
		if !limit.MatchString(s.Name) || slices.Contains(elsewhere, s.Name) || s.Effect != Works {
			continue
		}
		if want := fmt.Sprint(s.Default); listed[s.Name] != want {
			t.Errorf("docs/http.md has %q for %s, want %s", listed[s.Name], s.Name, want)
		}
		delete(listed, s.Name)
	}
	for name := range listed {
		t.Errorf("docs/http.md lists %s, which is no limit", name)
	}
	for _, name := range regexp.MustCompile("`((?:[a-z0-9]+_)+[a-z0-9]+)`").FindAllStringSubmatch(string(page), -1) {
		if !slices.ContainsFunc(Table, func(s Setting) bool { return s.Name == name[1] }) && !strings.HasSuffix(name[1], "_x") {
			t.Errorf("docs/http.md speaks of %s, which is no setting", name[1])
		}
	}
}
