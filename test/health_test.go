//go:build linux

package test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// TestHealth: the server itself says whether it lives and whether it is ready, also while
// its only worker is busy, and not the app.
func TestHealth(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "gated:app", Args: []string{"--health-path", "/-/health", "--drain-delay", "30"}})
	m := inFlight(s)
	ask := func(method, name string) (status int, ok bool, reason string) {
		t.Helper()
		r, err := s.Request(method, "/-/health/"+name, "")
		harness.Must(t, err)
		var h struct {
			OK      bool
			Reason  string
			Workers int
		}
		if method == "GET" {
			if err := json.Unmarshal([]byte(r.Body), &h); err != nil || r.Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %v, %v", name, r, err)
			}
		}
		return r.Status, h.OK, h.Reason
	}
	for _, name := range []string{"livez", "readyz", "startupz"} {
		if status, ok, reason := ask("GET", name); status != 200 || !ok || reason != "" {
			t.Errorf("%s: %d, %v, %q", name, status, ok, reason)
		}
	}
	if status, _, _ := ask("HEAD", "readyz"); status != 200 {
		t.Errorf("HEAD: %d", status)
	}
	if status, _, _ := ask("DELETE", "readyz"); status != 405 {
		t.Errorf("DELETE: %d", status)
	}
	m.run.Release()
	m.flight.Expect(200)

	// It is about to leave.
	s.Signal(syscall.SIGTERM)
	s.Log.Expect(t, `Draining in`)
	harness.Eventually(t, "it is not ready any more", func() bool {
		status, _, reason := ask("GET", "readyz")
		return status == 503 && reason == "the server is leaving"
	})
	if status, _, _ := ask("GET", "livez"); status != 200 {
		t.Errorf("livez of a server that leaves: %d", status)
	}
	s.Signal(syscall.SIGTERM)
	s.ExpectExit(0)
}

// TestHealthWithoutWorkers: a server that has none is not ready, and lives.
func TestHealthWithoutWorkers(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Args: []string{"--health-path", "/h"}})
	s.Signal(syscall.SIGTTIN)
	s.Workers(2)
	r, err := s.Request("GET", "/h/readyz", "")
	harness.Must(t, err)
	if !strings.Contains(r.Body, `"workers":2`) {
		harness.Eventually(t, "two workers are ready", func() bool {
			r, err := s.Request("GET", "/h/readyz", "")
			return err == nil && strings.Contains(r.Body, `"workers":2`)
		})
	}
	// Other paths, also those that only begin like it, are the app's.
	for _, path := range []string{"/", "/h", "/h/other", "/hx/readyz"} {
		if got := s.Get(path); strings.Contains(got, "workers") {
			t.Errorf("%s is answered with %q", path, got)
		}
	}
	s.Terminate()
}

// TestReadyWhileBusy: a server that has more requests than it can run is ready, by its health
// path and by its admin address.
func TestReadyWhileBusy(t *testing.T) {
	t.Parallel()
	s, admin := withAdmin(t, harness.Options{App: "gated:app", Args: []string{"--health-path", "/-/health", "--queue-limit", "4"}})
	m := inFlight(s)
	var waiting []*harness.Pending
	for range 10 {
		waiting = append(waiting, s.Begin("/"))
	}
	s.Log.Expect(t, `Overload: \d+ requests answered 503`)
	for range 20 {
		if r, err := admin.Request("GET", "/readyz", ""); err != nil || r.Status != 200 {
			t.Fatalf("at the admin address: %v, %v", r, err)
		}
		if r, err := s.Request("GET", "/-/health/readyz", ""); err != nil || r.Status != 200 {
			t.Fatalf("by the health path: %v, %v", r, err)
		}
	}
	m.run.Release()
	m.flight.Expect(200)
	for _, p := range waiting {
		p.Wait()
	}
	s.Terminate()
}

// TestReadyWithEnoughWorkers: when more than half of the workers are gone the server is not
// ready, until they are back. To get more workers is no reason not to be.
func TestReadyWithEnoughWorkers(t *testing.T) {
	t.Parallel()
	s, admin := withAdmin(t, harness.Options{
		App: "webapp:app", Args: []string{"--workers", "4", "--health-path", "/h"},
		Files: map[string]string{"webapp.py": versioned("1")},
	})
	ready := func() (bool, string) {
		t.Helper()
		r, err := admin.Request("GET", "/readyz", "")
		harness.Must(t, err)
		h, err := s.Request("GET", "/h/readyz", "")
		harness.Must(t, err)
		if (r.Status == 200) != strings.Contains(r.Body, `"ok":true`) {
			t.Errorf("%v", r)
		}
		return r.Status == 200 && h.Status == 200, r.Body
	}
	harness.Eventually(t, "all workers are ready", func() bool {
		ok, why := ready()
		if !ok {
			t.Errorf("with those that have started: %s", why)
		}
		return strings.Contains(why, `"workers":4`)
	})
	s.WriteFile("webapp.py", "import time\ntime.sleep(1000)\n") // no worker gets ready any more
	workers := s.Workers(4)
	for _, pid := range workers[:2] {
		harness.Kill(t, pid, syscall.SIGKILL)
	}
	harness.Eventually(t, "half of the workers are enough", func() bool {
		ok, why := ready()
		return ok && strings.Contains(why, `"workers":2`)
	})
	harness.Kill(t, workers[2], syscall.SIGKILL)
	harness.Eventually(t, "fewer are not", func() bool {
		ok, why := ready()
		return !ok && strings.Contains(why, `"reason":"1 of the workers are ready, and it takes 2"`)
	})
	harness.Kill(t, workers[3], syscall.SIGKILL)
	harness.Eventually(t, "none is not", func() bool {
		ok, why := ready()
		return !ok && strings.Contains(why, `"reason":"no worker is ready"`)
	})
	s.WriteFile("webapp.py", versioned("2"))
	for _, pid := range s.Workers(4) {
		harness.Kill(t, pid, syscall.SIGKILL)
	}
	harness.Eventually(t, "they are back", func() bool { ok, _ := ready(); return ok })

	s.Terminate()
}

// TestReadyWhileItGrows: workers that are yet to start are no reason not to be ready.
func TestReadyWhileItGrows(t *testing.T) {
	t.Parallel()
	s, admin := withAdmin(t, harness.Options{
		App: "webapp:app", Args: []string{"--control-socket", "srv.ctl"}, Files: map[string]string{"webapp.py": versioned("1")},
	})
	s.WriteFile("webapp.py", "import time\ntime.sleep(1000)\n")
	indrik(t, s, "scale", "8", "--timeout", "3s")
	s.Workers(8)
	if r, err := admin.Request("GET", "/readyz", ""); err != nil || r.Status != 200 || !strings.Contains(r.Body, `"workers":1`) {
		t.Errorf("%v, %v", r, err)
	}
	s.Signal(syscall.SIGINT)
	s.ExpectExit(0)
}

// TestHealthPathIsChecked: what is no path is an error that says so.
func TestHealthPathIsChecked(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"health", "/health/", "/a?b"} {
		s := harness.Launch(t, harness.Options{Args: []string{"--health-path", path}, NoProbe: true})
		s.ExpectExit(1)
		s.Log.Expect(t, fmt.Sprintf("health_path|%s", "not a path such as /-/health"))
	}
}

// TestHealthcheck: the command for images is 0 for a server that is ready, and else 1 with
// the reason. It finds the server by the same variables and options.
func TestHealthcheck(t *testing.T) {
	t.Parallel()
	check := func(env []string, args ...string) (int, string) {
		cmd := exec.Command(harness.Command(t)[0], append([]string{"healthcheck"}, args...)...)
		cmd.Env = append(append(env, "PATH=/nowhere"), harness.BinaryEnv()...)
		out, _ := cmd.CombinedOutput()
		return cmd.ProcessState.ExitCode(), string(out)
	}
	s := harness.Start(t, harness.Options{Args: []string{"--health-path", "/h", "--bind", "unix:DIR/web.sock", "--admin-bind", "unix:admin.sock"}})
	for name, c := range map[string]struct{ env, args []string }{
		"options":   {nil, []string{"--bind", s.Address, "--health-path", "/h"}},
		"variables": {[]string{"INDRIK_BIND=" + s.Address, "INDRIK_HEALTH_PATH=/h"}, nil},
		"PORT":      {[]string{fmt.Sprintf("PORT=%d", s.Port), "INDRIK_HEALTH_PATH=/h"}, nil},
		"admin":     {nil, []string{"--admin-bind", "unix:" + s.Path("admin.sock")}},
		"its name":  {[]string{"INDRIK_ADMIN_BIND=unix:" + s.Path("admin.sock"), "PORT=1"}, nil},
		"unix":      {nil, []string{"--bind", "unix:" + s.Path("web.sock"), "--health-path", "/h"}},
	} {
		if code, out := check(c.env, c.args...); code != 0 || out != "ready\n" {
			t.Errorf("%s: %d, %q", name, code, out)
		}
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no path":   {[]string{"--bind", s.Address}, "set admin_bind or health_path"},
		"no admin":  {[]string{"--admin-bind", fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t)), "--bind", s.Address, "--health-path", "/h"}, "connection refused"},
		"the app's": {[]string{"--admin-bind", s.Address}, "answered by something else"},
		"an app's":  {[]string{"--bind", s.Address, "--health-path", "/x"}, "answered by something else"},
		"nobody":    {[]string{"--bind", fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t)), "--health-path", "/h"}, "connection refused"},
		"no option": {[]string{"--no-such"}, "--no-such"},
	} {
		code, out := check(nil, c.args...)
		if code == 0 || !strings.Contains(out, c.want) {
			t.Errorf("%s: %d, %q", name, code, out)
		}
	}
	s.Terminate()
}
