//go:build linux

package test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"indrik/test/harness"
)

// TestH2Spec runs h2spec, the conformance test for servers of HTTP/2, as
// INDRIK_TEST_H2SPEC names it: over TLS and in the clear, without HTTP/1.1 and with it, and with
// apps of both kinds. It makes its own mistakes on purpose, some thousand of them.
func TestH2Spec(t *testing.T) {
	t.Parallel()
	program := os.Getenv("INDRIK_TEST_H2SPEC")
	if program == "" {
		t.Skip("INDRIK_TEST_H2SPEC names no h2spec; make blackbox builds one")
	}
	for _, app := range []string{"echo:app", "asgiapps:echo"} {
		for _, protocols := range []string{"h2", "h1,h2"} {
			o := harness.Options{App: app, Args: []string{"--http-protocols", protocols}, NoProbe: true}
			t.Run(app+" "+protocols, func(t *testing.T) {
				harness.OverHTTP2(t, o, func(t *testing.T, s *harness.Server, _ *harness.Web) { runH2Spec(t, program, s, protocols) })
			})
		}
	}
}

func runH2Spec(t *testing.T, program string, s *harness.Server, protocols string) {
	harness.Eventually(t, "it listens", func() bool { return harness.Listening(s.Port) })
	args := []string{"--host", "127.0.0.1", "--port", fmt.Sprint(s.Port), "--timeout", "20", "--strict"}
	if s.TLS != nil {
		args = append(args, "--tls", "--insecure")
	}
	out, err := exec.Command(program, args...).CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	summary := lines[len(lines)-1]
	if s.TLS == nil && protocols == "h1,h2" {
		// What does not begin as HTTP/2 does is a request of HTTP/1 there, and answered as one.
		const known = "2: Sends invalid connection preface"
		if !strings.HasSuffix(summary, " 1 failed") || !strings.Contains(string(out), "× "+known) || !strings.Contains(string(out), "looked like an HTTP/1.1 header") {
			t.Errorf("%v: %s", err, out)
		}
	} else if err != nil || !strings.Contains(summary, " passed, ") || !strings.HasSuffix(summary, " 0 failed") {
		t.Errorf("%v: %s", err, out)
	}
	t.Log(summary)
	s.Terminate()
}
