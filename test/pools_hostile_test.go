//go:build linux

package test

import (
	"strings"
	"testing"

	"indrik/test/harness"
)

// A worker that calls pools, and a worker of a pool, do their worst: the server goes on, and calls
// of others are answered.
func TestPoolHostile(t *testing.T) {
	t.Parallel()
	attacks := []string{
		"nothing", "words", "no socket", "a stream", "its own channel", "closed", "no call", "a result", "a payload that changes",
		"a stash without end", "flood", "blocks",
		"pool/words", "pool/a call", "pool/an answer too many", "pool/a payload that changes", "pool/closed", "pool/the end", "pool/a signal to its parent",
	}
	s := harness.Start(t, harness.Options{
		App: "poolhostile:app", MayLeave: true,
		Args: []string{"-w", "2", "--dirty-app", "poolhostile:Hostile", "--dirty-workers", "2", "--dirty-timeout", "5", "--stash-limit", "1000000"},
	})
	front, master := s.Role("front")[0].PID, s.PID()
	for _, name := range attacks {
		if r, err := s.Request("GET", "/attack/"+strings.ReplaceAll(name, " ", "_"), ""); err == nil && r.Status != 200 && r.Status/100 != 5 {
			t.Errorf("%s: %v", name, r)
		}
		harness.Eventually(t, "calls are answered after "+name, func() bool {
			r, err := s.Request("GET", "/who", "")
			return err == nil && r.Status == 200 && r.Body == "pool"
		})
		if now := s.Role("front"); len(now) != 1 || now[0].PID != front || !harness.Alive(master) {
			t.Fatalf("%s: the front is %v, and was %d", name, now, front)
		}
	}
	s.Terminate()
}
