//go:build linux

package test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

func TestStatsd(t *testing.T) {
	t.Parallel()
	app := `
import logging
def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/fail":
        raise RuntimeError("failed")
    start_response("404 Not Found" if path == "/missing" else "200 OK", [])
    return [b"ok"]
`
	conf := `
def post_worker_init(worker):
    worker.log.warning("a warning")
    worker.log.critical("a critical one")
    worker.log.info("", extra={"metric": "app.depth", "value": 7, "mtype": "gauge"})
    worker.log.info("jobs", extra={"metric": "app.jobs", "value": 2, "mtype": "counter"})
    worker.log.debug("", extra={"metric": "app.size", "value": 0, "mtype": "histogram"})
    worker.log.debug("", extra={"metric": "app.took", "value": 1.5, "mtype": "timer"})
`
	for network, prefix := range map[string]string{"udp": "", "unixgram": "unix://"} {
		t.Run(network, func(t *testing.T) {
			got, addr := harness.ListenPackets(t, network)
			s := harness.Start(t, harness.Options{App: "webapp:app", Conf: conf, Files: map[string]string{"webapp.py": app}, Args: []string{
				"--statsd-host", prefix + addr, "--statsd-prefix", "web.one", "--dogstatsd-tags", "env:test,zone:a", "--enable-backlog-metric"}})
			expect := func(metric string) {
				t.Helper()
				got.ExpectFrom(t, 0, fmt.Sprintf(`^web\.one\.%s\|#env:test,zone:a$`, metric))
			}
			for _, m := range []string{
				`gunicorn\.log\.warning:1\|c\|@1\.0`, `gunicorn\.log\.critical:1\|c\|@1\.0`, `app\.depth:7\|g`, `app\.jobs:2\|c\|@1\.0`,
				`app\.size:0\|h`, `app\.took:1\.5\|ms`, `gunicorn\.workers:1\|g`, `gunicorn\.requests:1\|c\|@1\.0`,
				`gunicorn\.request\.status\.200:1\|c\|@1\.0`, `gunicorn\.request\.duration:\d+\.\d+\|ms`, `gunicorn\.backlog:\d+\|h`,
			} {
				expect(m)
			}
			s.Log.ExpectFrom(t, 0, `\[INFO\] jobs$`)
			before := got.Count(`gunicorn\.requests:`)
			for _, path := range []string{"/a", "/missing", "/fail"} {
				if _, err := s.Request("GET", path, ""); err != nil {
					t.Fatal(err)
				}
			}
			expect(`gunicorn\.request\.status\.404:1\|c\|@1\.0`)
			expect(`gunicorn\.request\.status\.500:1\|c\|@1\.0`)
			expect(`gunicorn\.log\.exception:1\|c\|@1\.0`)
			harness.Eventually(t, "each request is counted", func() bool { return got.Count(`gunicorn\.requests:`) == before+3 })
			s.Signal(syscall.SIGTTIN)
			expect(`gunicorn\.workers:2\|g`)
			harness.Kill(t, s.Workers(2)[0], syscall.SIGKILL)
			expect(`gunicorn\.log\.error:1\|c\|@1\.0`) // said by the master
			s.Terminate()
			expect(`gunicorn\.workers:0\|g`)
			if n := got.Count(`gunicorn\.requests:`); n != before+3 {
				t.Errorf("%d requests were counted", n)
			}
		})
	}
}

// A master that is to measure nothing has no timer for it, until a reload wants one.
func TestBacklogMetricByReload(t *testing.T) {
	t.Parallel()
	got, addr := harness.ListenPackets(t, "udp")
	s := harness.Start(t, harness.Options{Conf: "enable_backlog_metric = False\n", Args: []string{"--statsd-host", addr}})
	s.WriteFile("gunicorn.conf.py", "enable_backlog_metric = True\n")
	s.Reload(1)
	harness.Eventually(t, "it is measured again and again", func() bool { return got.Count(`^gunicorn\.backlog:`) >= 2 })
}

// With a logger of one's own each line is counted once, whoever writes it.
func TestStatsdWithRelay(t *testing.T) {
	t.Parallel()
	got, addr := harness.ListenPackets(t, "udp")
	s := harness.Start(t, harness.Options{Conf: harness.TestFile(t, "configs/json_files.py"), Args: []string{"--statsd-host", addr}})
	s.Get("/")
	harness.Kill(t, s.Workers(1)[0], syscall.SIGKILL)
	got.ExpectFrom(t, 0, `^gunicorn\.log\.error:1\|c\|@1\.0$`)
	s.Get("/")
	s.Terminate()
	got.ExpectFrom(t, 0, `^gunicorn\.workers:0\|g$`)
	n := strings.Count(s.ReadFile("err.json"), `"level": "ERROR"`)
	if !harness.Within(harness.Patience, func() bool { return got.Count(`^gunicorn\.log\.error`) >= n }) || n != got.Count(`^gunicorn\.log\.error`) {
		t.Errorf("%d errors in the log, %d counted", n, got.Count(`^gunicorn\.log\.error`))
	}
}
