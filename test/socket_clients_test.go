//go:build linux

package test

import (
	"os/exec"
	"testing"

	"indrik/test/harness"
)

// TestSocketClients: the clients that people use have nothing to complain about.
func TestSocketClients(t *testing.T) {
	t.Parallel()
	python := harness.Venv(t)
	s := harness.Start(t, sockets("--workers", "2"))
	for _, client := range []string{"websockets", "wsproto"} {
		out, err := exec.Command(python, "clients/with_"+client+".py", "ws://"+s.Address).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", client, err, out)
		}
	}
}
