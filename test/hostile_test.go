//go:build linux

package test

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"indrik/test/harness"
)

const nobody = 65534

// A hostile is a server whose workers do their worst, with honest clients beside them.
type hostile struct {
	*harness.Server
	stranger *exec.Cmd // a process of the workers' user that is not the server's
	front    int
	n        atomic.Int64
	stop     chan struct{}
	clients  sync.WaitGroup
}

// startHostile starts a server of the app hostile. uid: as that user, 0: as root, with
// workers that are nobody.
func startHostile(t *testing.T, uid int, app string, args ...string) *hostile {
	t.Helper()
	if os.Getuid() != 0 || harness.SystemPython() == "" {
		t.Skip("needs root, to start processes of other users, and a python3 that everybody can run")
	}
	source, err := os.ReadFile("apps/hostile.py")
	harness.Must(t, err)
	h := &hostile{stop: make(chan struct{})}
	h.stranger = exec.Command("/bin/sleep", "3000")
	h.stranger.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	harness.Must(t, h.stranger.Start())
	t.Cleanup(func() {
		h.stranger.Process.Kill()
		h.stranger.Wait()
	})
	secret := harness.TempDir(t) + "/secret"
	harness.Must(t, os.WriteFile(secret, []byte("root's"), 0o600))
	o := harness.Options{
		App: "hostile:" + app, Python: harness.SystemPython(), UID: uid, MayLeave: true,
		Args:  append([]string{"-w", "3", "--timeout", "5"}, args...),
		Env:   []string{"PYTHONPATH=", fmt.Sprintf("STRANGER=%d", h.stranger.Process.Pid), "SECRET=" + secret},
		Files: map[string]string{"hostile.py": string(source)},
	}
	if uid == 0 {
		o.Args = append(o.Args, "--user", "nobody", "--group", fmt.Sprint(nobody), "--front-user", "daemon")
	}
	h.Server = harness.Start(t, o)
	h.Workers(3)
	h.front = h.Role("front")[0].PID
	return h
}

// beside has clients ask until done is called: each gets its own answer, or a 5xx.
func (h *hostile) beside(t *testing.T) (done func()) {
	stop := make(chan struct{})
	for range 3 {
		h.clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				word := fmt.Sprint("word", h.n.Add(1))
				r, err := h.Request("GET", "/?"+word, "")
				switch {
				case err != nil:
					t.Errorf("%s: %s", word, err)
				case r.Status == 200 && r.Body != "hello "+word, r.Status != 200 && r.Status/100 != 5:
					t.Errorf("%s: got %d %q", word, r.Status, r.Body)
				}
			}
		})
	}
	done = sync.OnceFunc(func() {
		close(stop)
		h.clients.Wait()
	})
	t.Cleanup(done)
	return done
}

// attack has a worker do its worst, and sees what became of the server.
func (h *hostile) attack(t *testing.T, name string) {
	t.Helper()
	done := h.beside(t)
	r, err := h.Request("GET", "/attack/"+name, "")
	if err != nil {
		t.Errorf("%s: %s", name, err)
	} else if r.Status == 200 && r.Body != "done" || r.Status != 200 && r.Status/100 != 5 {
		t.Errorf("%s: got %d %q", name, r.Status, r.Body)
	}
	done()
	back := harness.Within(harness.Patience, func() bool {
		r, err := h.Request("GET", "/?back", "")
		return err == nil && r.Status == 200 && r.Body == "hello back"
	})
	if !back {
		t.Errorf("%s: the service is not back", name)
	}
	if pids := h.Role("front"); len(pids) != 1 || pids[0].PID != h.front {
		t.Errorf("%s: front %d, now %v", name, h.front, pids)
	}
	if !h.Running() || !harness.Alive(h.stranger.Process.Pid) {
		t.Errorf("%s: master runs: %v; stranger runs: %v", name, h.Running(), harness.Alive(h.stranger.Process.Pid))
	}
}

// attacks are those that concern the master, the spawner and other processes.
var attacks = strings.Fields("channel empty rights flood steal shut memory trace signals root inherited close")

func TestHostileWorker(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		uid  int
		app  string
		args []string
		not  []string
	}{
		{"sync", 0, "app", nil, nil},
		{"preloaded", 0, "app", []string{"--preload", "--threads", "2"}, nil},
		{"asgi", 0, "asgi", nil, nil},
		// What is of the same user is free to be signalled.
		{"without root", nobody, "app", []string{"--preload"}, []string{"signals", "root"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := startHostile(t, c.uid, c.app, c.args...)
			for _, name := range attacks {
				if !slices.Contains(c.not, name) {
					h.attack(t, name)
				}
			}
			harness.Eventually(t, "the log tells of three workers that broke the protocol", func() bool {
				return h.Log.Count(`Worker \(pid:\d+\) is ended: `) >= 3
			})
			h.Reload(3)
			h.Terminate()
		})
	}
}

// The front has a user of its own, and says what that may not do. Workers have no groups of
// root's, and nothing that they start gets more rights.
func TestUsersOfAServerOfRoot(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 || harness.SystemPython() == "" {
		t.Skip("needs root, and a python3 that everybody can run")
	}
	s := harness.Start(t, harness.Options{
		App: "webapp:app", Python: harness.SystemPython(), Env: []string{"PYTHONPATH="},
		Conf: "import os\ntmp_upload_dir = os.getcwd() + '/private'\n",
		Args: []string{"--user", "nobody", "--front-user", "daemon"},
		Files: map[string]string{
			"private/.keep": "",
			"webapp.py":     "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'hello']\n",
		},
	})
	front, worker := s.Role("front")[0].PID, s.Role("worker")[0].PID
	for _, c := range []struct {
		pid         int
		field, want string
	}{
		{front, "Uid", "1\t1\t1\t1"}, {front, "Gid", "1\t1\t1\t1"}, {front, "Groups", ""}, {front, "CapEff", "0000000000000000"},
		{worker, "Uid", "65534\t65534\t65534\t65534"}, {worker, "Groups", ""}, {worker, "NoNewPrivs", "1"}, {worker, "CapEff", "0000000000000000"},
	} {
		if got := strings.TrimSpace(harness.ProcStatus(c.pid, c.field)); got != c.want {
			t.Errorf("process %d: %s is %q, want %q", c.pid, c.field, got, c.want)
		}
	}
	s.Log.ExpectFrom(t, 0, `WARNING\] The workers keep the group of root: set group, too`)
	s.Log.ExpectFrom(t, 0, `the front \(user 1\) cannot make files in \S*/private: permission denied`)
	s.Terminate()
}

// The user of the workers puts something else in the place of a log file, which root
// opens again at USR1.
func TestLogsInADirectoryOfOthers(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 || harness.SystemPython() == "" {
		t.Skip("needs root, and a python3 that everybody can run")
	}
	secrets := harness.TempDir(t)
	s := harness.Start(t, harness.Options{
		App: "webapp:app", Python: harness.SystemPython(), Env: []string{"PYTHONPATH="},
		Args: []string{"--user", "nobody", "--group", fmt.Sprint(nobody), "--error-logfile", "DIR/logs/error.log", "--access-logfile", "DIR/logs/access.log"},
		Files: map[string]string{
			"logs/.keep": "",
			"webapp.py":  "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'hello']\n",
		},
	})
	harness.Must(t, os.Chown(s.Path("logs"), nobody, nobody))
	for _, name := range []string{"error.log", "access.log"} {
		secret := secrets + "/" + name
		harness.Must(t, os.WriteFile(secret, []byte("root's\n"), 0o600))
		harness.Must(t, os.Rename(s.Path("logs/"+name), s.Path("logs/"+name+".1")))
		harness.Must(t, os.Symlink(secret, s.Path("logs/"+name)))
		harness.Must(t, os.Lchown(s.Path("logs/"+name), nobody, nobody))
	}
	s.Signal(syscall.SIGUSR1)
	harness.Eventually(t, "the log tells of it", func() bool {
		return strings.Count(s.ReadFile("logs/error.log.1"), "is a symbolic link of user 65534") >= 2 // of the master and the spawner
	})
	s.Get("/")
	for _, name := range []string{"error.log", "access.log"} {
		var st syscall.Stat_t
		harness.Must(t, syscall.Stat(secrets+"/"+name, &st))
		text, err := os.ReadFile(secrets + "/" + name)
		harness.Must(t, err)
		if st.Uid != 0 || string(text) != "root's\n" {
			t.Errorf("root's file is of user %d, and has %q", st.Uid, text)
		}
	}
	s.Terminate()
}
