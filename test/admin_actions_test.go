//go:build linux

package test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"indrik/test/harness"
)

const adminToken = "correct-horse-battery-staple"

// An actionAnswer is what an action is answered with.
type actionAnswer struct {
	OK     bool
	Error  string
	Result map[string]any
}

// act asks for an action with a token.
func act(t *testing.T, e *harness.Endpoint, token, action string, fields ...string) (int, actionAnswer) {
	t.Helper()
	if token != "" {
		fields = append(fields, "Authorization: Bearer "+token)
	}
	r := asBrowser(t, e, "localhost", "POST", "/actions/"+action, fields...)
	var a actionAnswer
	if err := json.Unmarshal([]byte(r.Body), &a); err != nil {
		t.Fatalf("%s: %v, %v", action, r, err)
	}
	return r.Status, a
}

// acted asks for an action that has to succeed, and returns its result.
func acted(t *testing.T, e *harness.Endpoint, action string) map[string]any {
	t.Helper()
	status, a := act(t, e, adminToken, action)
	if status/100 != 2 || !a.OK || a.Error != "" {
		t.Fatalf("%s: %d, %+v", action, status, a)
	}
	return a.Result
}

// withToken starts a server that takes commands at its admin address.
func withToken(t *testing.T, o harness.Options) (*harness.Server, *harness.Endpoint) {
	t.Helper()
	path := t.TempDir() + "/token"
	harness.Must(t, os.WriteFile(path, []byte(adminToken+"\n"), 0o600))
	o.Args = append([]string{"--admin-token-file", path}, o.Args...)
	return withAdmin(t, o)
}

// TestAdminActions: whoever has the token can do what the control socket does, and gets the
// result when it is done.
func TestAdminActions(t *testing.T) {
	t.Parallel()
	s, admin := withToken(t, harness.Options{
		App: "webapp:app", Files: map[string]string{"webapp.py": versioned("old")}, Args: []string{"--workers", "2"},
	})
	s.WriteFile("webapp.py", versioned("new"))
	if r := acted(t, admin, "reload"); r["generation"] != 2.0 || r["workers"] != 2.0 || s.Get("/version") != "new" {
		t.Errorf("reload: %v", r)
	}
	s.Log.Expect(t, `Admin address: reload and wait \(127\.0\.0\.1\)`)
	s.WriteFile("webapp.py", "raise RuntimeError('it is broken')\n")
	status, a := act(t, admin, adminToken, "reload")
	if status != 409 || a.OK || !strings.Contains(a.Error, "Traceback") || !strings.Contains(a.Error, "it is broken") || s.Get("/version") != "new" {
		t.Errorf("a reload that fails: %d, %+v", status, a)
	}
	s.WriteFile("webapp.py", versioned("new"))
	if r := acted(t, admin, "scale?workers=3"); r["workers"] != 3.0 {
		t.Errorf("scale: %v", r)
	}
	workers := s.Workers(3)
	if r := acted(t, admin, fmt.Sprintf("worker-kill?pid=%d", workers[0])); r["killed"] != float64(workers[0]) {
		t.Errorf("worker-kill: %v", r)
	}
	s.Workers(3)
	acted(t, admin, "reopen")
	acted(t, admin, "stop")
	s.ExpectExit(0)
	if s.Log.Count(adminToken) > 0 {
		t.Error("the log has the token")
	}
}

// TestAdminActionsAreRefused: what is no action, what does not have the token, and what comes
// from a page of somebody else, changes nothing and says why.
func TestAdminActionsAreRefused(t *testing.T) {
	t.Parallel()
	s, admin := withToken(t, harness.Options{})
	for _, c := range []struct {
		action, token string
		status        int
		reason        string
	}{
		{"reload", "", 401, "this needs the token"},
		{"dance", adminToken, 404, "there is no such action"},
		{"", adminToken, 404, "there is no such action"},
		{"scale", adminToken, 400, "scale needs the parameter workers"},
		{"scale?workers=0", adminToken, 400, `workers: "0" is not a number from 1 on`},
		{"scale?workers=99999", adminToken, 409, "are more than 10000"},
		{"scale?n=2", adminToken, 400, `scale has no parameter "n"`},
		{"worker-kill?pid=1", adminToken, 409, "Worker 1 not found"},
		{"worker-kill?pid=1%20and", adminToken, 400, "is not a number"},
		{"stop?mode=now", adminToken, 400, `"now" is neither graceful nor quick`},
		{"rollback", adminToken, 409, "There is no upgrade to roll back"},
		{"drain", adminToken, 409, "There is no successor"},
	} {
		if status, a := act(t, admin, c.token, c.action); status != c.status || a.OK || !strings.Contains(a.Error, c.reason) {
			t.Errorf("%s: %d, %+v", c.action, status, a)
		}
	}
	for name, c := range map[string]struct {
		host   string
		fields []string
		want   string
	}{
		"another page": {"localhost", []string{"Origin: http://evil.example"}, `commands are not taken from pages of "http://evil.example".`},
		"another port": {"localhost:1", []string{"Origin: http://localhost:2"}, "commands are not taken from pages"},
		"no origin":    {"localhost", []string{"Origin: null"}, "commands are not taken from pages"},
		"rebound":      {"evil.example", []string{"Origin: http://evil.example"}, `"evil.example" is not a name of this server`},
		"metadata":     {"localhost", []string{"Sec-Fetch-Site: cross-site"}, "commands are not taken from pages"},
	} {
		r := asBrowser(t, admin, c.host, "POST", "/actions/reload", append(c.fields, "Authorization: Bearer "+adminToken)...)
		if r.Status != 403 || !strings.Contains(r.Body, c.want) {
			t.Errorf("%s: %v", name, r)
		}
	}
	if r := asBrowser(t, admin, "localhost", "GET", "/actions/reload", "Authorization: Bearer "+adminToken); r.Status != 405 {
		t.Errorf("GET: %v", r)
	}
	if lines := s.Log.All(`Handling signal`); len(lines) > 0 {
		t.Errorf("something was done: %q", lines)
	}
	s.Terminate()
}

// TestAdminWrongTokens: wrong tokens are answered late, only so many at a time, and the log
// tells of them in few lines; the right one works meanwhile.
func TestAdminWrongTokens(t *testing.T) {
	t.Parallel()
	s, admin := withToken(t, harness.Options{})
	type outcome struct {
		status int
		took   time.Duration
	}
	const tries = 30
	outcomes := make(chan outcome, tries)
	for i := range tries {
		go func() {
			begun := time.Now()
			r, err := rawAction(admin, fmt.Sprintf("wrong-token-number-%d", i))
			if err != nil {
				outcomes <- outcome{}
				return
			}
			outcomes <- outcome{r.Status, time.Since(begun)}
		}()
	}
	late, refused := 0, 0
	for range tries {
		switch o := <-outcomes; {
		case o.status == 401 && o.took >= time.Second:
			late++
		case o.status == 429:
			refused++
		default:
			t.Errorf("a wrong token: %+v", o)
		}
	}
	if late == 0 || late+refused != tries {
		t.Errorf("%d were answered late, %d refused", late, refused)
	}
	acted(t, admin, "reopen")
	s.Log.Expect(t, `Admin address: a command with a wrong token was refused \(127\.0\.0\.1\)`)
	if lines := s.Log.All(`wrong token`); len(lines) > 2 {
		t.Errorf("the log has %d lines", len(lines))
	}
	s.Terminate()
}

// rawAction asks for a reload with a token.
func rawAction(e *harness.Endpoint, token string) (*harness.Response, error) {
	c, err := e.Connect()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	text := harness.FormatRequest("POST", "/actions/reload", "", "Authorization: Bearer "+token, "Connection: close")
	if _, err := c.Write([]byte(strings.Replace(text, "Host: test", "Host: localhost", 1))); err != nil {
		return nil, err
	}
	return harness.ReadResponse(c.Reader, "POST")
}

// TestAdminActionsWithoutAToken: without a token file nobody can give commands.
func TestAdminActionsWithoutAToken(t *testing.T) {
	t.Parallel()
	s, admin := withAdmin(t, harness.Options{})
	if status, a := act(t, admin, adminToken, "reload"); status != 403 || a.Error != "commands are not taken here: there is no admin_token_file" {
		t.Errorf("%d, %+v", status, a)
	}
	s.Terminate()
}

// TestAdminTokenFile: a token that others could read is an error, at the start and at a
// reload; a reload takes a new one.
func TestAdminTokenFile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"not there":   {"", 0, `admin_token_file: .*token: no such file or directory`},
		"too open":    {adminToken, 0o644, `admin_token_file: everybody on this machine can read or change .*token, which has mode 0644: use chmod 600`},
		"too short":   {"secret\n", 0o600, `admin_token_file: .*token has to hold one token: 16 characters or more`},
		"two of them": {adminToken + "\n" + adminToken, 0o600, `has to hold one token`},
		"empty":       {"\n", 0o600, `has to hold one token`},
		"a directory": {"", os.ModeDir, `token is no regular file`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := t.TempDir() + "/token"
			switch c.mode {
			case 0:
			case os.ModeDir:
				harness.Must(t, os.Mkdir(path, 0o700))
			default:
				harness.Must(t, os.WriteFile(path, []byte(c.text), c.mode))
			}
			args := []string{"--admin-bind", "unix:admin.sock", "--admin-token-file", path}
			s := harness.Launch(t, harness.Options{Args: args, NoProbe: true})
			s.ExpectExit(1)
			s.Log.Expect(t, c.want)
			s = harness.Launch(t, harness.Options{Args: append(args, "--check-config"), NoProbe: true})
			s.ExpectExit(1)
			s.Log.Expect(t, c.want)
		})
	}
	t.Run("rotated", func(t *testing.T) {
		t.Parallel()
		s, admin := withToken(t, harness.Options{Args: []string{"--workers", "1"}})
		path := s.Args[len(s.Args)-1]
		for i, a := range s.Args {
			if a == "--admin-token-file" {
				path = s.Args[i+1]
			}
		}
		const fresh = "another-token-of-today"
		harness.Must(t, os.WriteFile(path, []byte(fresh), 0o600))
		acted(t, admin, "reopen") // the one before is good until the reload
		acted(t, admin, "reload")
		if status, _ := act(t, admin, adminToken, "reopen"); status != 401 {
			t.Errorf("the token from before the reload: %d", status)
		}
		if status, a := act(t, admin, fresh, "reopen"); status != 200 {
			t.Errorf("the new one: %d, %+v", status, a)
		}
		harness.Must(t, os.Chmod(path, 0o604))
		if status, a := act(t, admin, fresh, "reload"); status != 409 || !strings.Contains(a.Error, "everybody on this machine can read") {
			t.Errorf("a reload with a file that is too open: %d, %+v", status, a)
		}
		if status, a := act(t, admin, fresh, "reopen"); status != 200 {
			t.Errorf("after it: %d, %+v", status, a)
		}
		s.Terminate()
	})
}

// TestAdminUpgrade: the steps of an upgrade, by the admin address alone: whichever server
// answers, stop ends the older one, and rollback the newer one.
func TestAdminUpgrade(t *testing.T) {
	t.Parallel()
	binary, _ := install(t)
	s, admin := withToken(t, harness.Options{Daemon: true, Binary: binary, Args: []string{"--workers", "1"}})
	old := s.PID()
	role := func() (role string, pid int) {
		t.Helper()
		var status serverStatus
		r := asBrowser(t, admin, "localhost", "GET", "/status")
		if err := json.Unmarshal([]byte(r.Body), &status); err != nil {
			t.Fatalf("%v, %v", r, err)
		}
		return status.Role, status.PID
	}
	step := func(action string) int {
		t.Helper()
		if r := acted(t, admin, action); action == "upgrade" {
			return int(r["successor"].(float64))
		}
		return 0
	}
	for _, drained := range []bool{false, true} {
		successor := step("upgrade")
		if r, pid := role(); r != "master" || pid != old {
			t.Errorf("while both serve, %s %d answers", r, pid)
		}
		if drained {
			step("drain")
			harness.Eventually(t, "the successor answers", func() bool { r, pid := role(); return r == "successor" && pid == successor })
		}
		step("rollback")
		harness.WaitGone(t, successor)
		harness.Eventually(t, "the old server answers", func() bool { r, pid := role(); return r == "master" && pid == old })
		s.Get("/")
	}
	successor := step("upgrade")
	step("drain")
	harness.Eventually(t, "the successor answers", func() bool { r, _ := role(); return r == "successor" })
	step("stop")
	harness.WaitGone(t, old)
	harness.Eventually(t, "the new server is the only one", func() bool { r, pid := role(); return r == "master" && pid == successor })
	s.Get("/")
	(&upgraded{s, successor}).become()
	step("stop")
	s.ExpectExit(0)
}
