//go:build linux

package test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// exiting are apps that end their process before it is ready, and how.
var exiting = map[string]struct {
	source string
	args   string
	code   int
	log    string
}{
	"exit with a message": {`import sys; sys.exit("no DATABASE_URL")`, "", 1, `^no DATABASE_URL$`},
	"exit with a code":    {`import sys; sys.exit(9)`, "--threads 4", 9, `\[ERROR\] Reason: Worker exited with code 9 before it was ready\.$`},
	"exit with 0":         {`raise SystemExit`, "", 0, `\[ERROR\] Worker \(pid:\d+\) exited with code 0 before it was ready\.$`},
	"os._exit":            {`import os; os._exit(7)`, "--workers 3", 7, `Reason: Worker exited with code 7 before`},
	"interrupt":           {`raise KeyboardInterrupt`, "", 130, `^KeyboardInterrupt$`},
	"crash":               {`import os; os.kill(os.getpid(), 11)`, "", 139, `Reason: Worker was sent SIGSEGV before it was ready\.$`},
	"exception":           {`1 / 0`, "", 3, `Reason: Worker failed to boot\.$`},
	"preloaded, exit":     {`import sys; sys.exit(9)`, "--preload", 9, `the app called sys\.exit\(9\)`},
	"preloaded, os._exit": {`import os; os._exit(7)`, "--preload", 7, `the spawner exited with code 7`},
	"lifespan": {`
import sys
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        sys.exit("no DATABASE_URL")
`, "", 1, `^no DATABASE_URL$`},
	"lifespan with uvloop": {`
import sys
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        sys.exit(9)
`, "-k asgi --asgi-loop uvloop", 9, `Reason: Worker exited with code 9`},
	"gevent": {`import sys; sys.exit(9)`, "-k gevent", 9, `Reason: Worker exited with code 9`},
	"a thread runs": {`
import sys, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
sys.exit(9)
`, "", 9, `Reason: Worker exited with code 9`},
}

// An app that exits at the first start ends the server, which has nothing to serve.
func TestAppExitsAtFirstStart(t *testing.T) {
	t.Parallel()
	for name, c := range exiting {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := harness.Options{App: "exiting:app", Files: map[string]string{"exiting.py": c.source}, Args: strings.Fields(c.args)}
			if strings.Contains(c.args, "gevent") || strings.Contains(c.args, "uvloop") {
				o.Python = harness.Venv(t)
			}
			s := harness.Launch(t, o)
			s.ExpectExit(c.code)
			s.Log.ExpectFrom(t, 0, c.log)
		})
	}
}

// In a reload nothing changes.
func TestAppExitsInReload(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "exiting:app", Files: map[string]string{"exiting.py": "from hello import app\n"}})
	old := s.Workers(1)
	for i, source := range []string{"import sys; sys.exit(9)", "raise SystemExit", "import os; os._exit(7)", "raise KeyboardInterrupt"} {
		s.WriteFile("exiting.py", source)
		s.Signal(syscall.SIGHUP)
		harness.Eventually(t, "the reload has failed", func() bool { return s.Log.Count("Reload failed, nothing was changed") == i+1 })
		s.Get("/")
	}
	if now := s.Workers(1); now[0] != old[0] {
		t.Error("the worker was replaced")
	}
}

// A worker that somebody ends while it boots is no app that exits.
func TestBootingWorkerIsEnded(t *testing.T) {
	t.Parallel()
	for sig, name := range map[syscall.Signal]string{syscall.SIGTERM: "SIGTERM", syscall.SIGQUIT: "SIGQUIT", syscall.SIGKILL: "SIGKILL"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := harness.Launch(t, harness.Options{App: "slow:app", Gates: []string{"import"}, Files: map[string]string{
				"slow.py": "import gate\ngate.wait('import')\nfrom hello import app\n",
			}})
			s.Gates["import"].Entered()
			first := s.Workers(1)[0]
			harness.Kill(t, first, sig)
			if sig == syscall.SIGTERM {
				s.Gates["import"].Release() // it is heeded once the import is over
			}
			harness.WaitGone(t, first)
			s.Gates["import"].Release()
			s.Ready()
			s.Log.ExpectFrom(t, 0, fmt.Sprintf(`Worker \(pid:%d\) was sent %s!`, first, name))
		})
	}
}
