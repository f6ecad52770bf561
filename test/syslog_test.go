//go:build linux

package test

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"indrik/test/harness"
)

// listenStream collects what comes over TCP, a NUL byte at the end of each line.
func listenStream(t *testing.T) (tr *harness.Transcript, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	harness.Must(t, err)
	t.Cleanup(func() { l.Close() })
	tr = harness.NewTranscript()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for r := bufio.NewReader(c); ; {
					line, err := r.ReadString(0)
					if err != nil {
						return
					}
					tr.Add([]byte(line + "\n"))
				}
			}()
		}
	}()
	return tr, l.Addr().String()
}

// logging is an app that logs a line for each request.
const logging = `
import logging
def app(environ, start_response):
    logging.getLogger("gunicorn.error").warning("seen %s", environ["PATH_INFO"])
    start_response("200 OK", [])
    return [b"ok"]
`

func TestSyslog(t *testing.T) {
	t.Parallel()
	listeners := map[string]func(t *testing.T) (*harness.Transcript, string){
		"udp": func(t *testing.T) (*harness.Transcript, string) {
			tr, addr := harness.ListenPackets(t, "udp")
			return tr, "udp://" + addr
		},
		"unix": func(t *testing.T) (*harness.Transcript, string) {
			tr, addr := harness.ListenPackets(t, "unixgram")
			return tr, "unix://" + addr + "#dgram"
		},
		"tcp": func(t *testing.T) (*harness.Transcript, string) {
			tr, addr := listenStream(t)
			return tr, "tcp://" + addr
		},
	}
	for name, listen := range listeners {
		t.Run(name, func(t *testing.T) {
			got, addr := listen(t)
			s := harness.Start(t, harness.Options{App: "webapp:app", Files: map[string]string{"webapp.py": logging},
				Args: []string{"--log-syslog", "--log-syslog-to", addr, "--log-syslog-facility", "local3"}})
			s.Get("/path")
			// local3 is 19; info 6, warning 4. The prefix is the name of the process.
			for _, want := range []string{
				fmt.Sprintf(`^<158>gunicorn\.webapp\.app\.error: \[%d\] Starting indrik .*\x00$`, s.PID()),
				fmt.Sprintf(`^<158>gunicorn\.webapp\.app\.error: \[%[1]d\] Booting worker with pid: %[1]d\x00$`, s.Workers(1)[0]),
				fmt.Sprintf(`^<156>gunicorn\.webapp\.app\.error: \[%d\] seen /path\x00$`, s.Workers(1)[0]),
				fmt.Sprintf(`^<158>gunicorn\.webapp\.app\.access: \[%d\] 127\.0\.0\.1 - - \[.*\] "GET /path HTTP/1\.1" 200 2 .*\x00$`, s.Workers(1)[0]),
			} {
				got.ExpectFrom(t, 0, want)
			}
			s.Log.ExpectFrom(t, 0, `\[INFO\] Starting indrik`) // it goes to errorlog too
			s.Client().Send(t, "nonsense\r\n\r\n")
			got.ExpectFrom(t, 0, `\.error: \[\d+\] Invalid request from ip=127\.0\.0\.1`) // said by the front
			s.Terminate()
			got.ExpectFrom(t, 0, fmt.Sprintf(`^<158>gunicorn\.webapp\.app\.error: \[%d\] Shutting down: Master\x00$`, s.PID()))
		})
	}
}

func TestSyslogWithoutAccessLog(t *testing.T) {
	t.Parallel()
	got, addr := harness.ListenPackets(t, "udp")
	s := harness.Start(t, harness.Options{Args: []string{"--log-syslog", "--log-syslog-to", "udp://" + addr, "--log-syslog-prefix", "mine",
		"--disable-redirect-access-to-syslog", "--access-logfile", "acc.log"}})
	s.Get("/path")
	harness.Eventually(t, "the request is logged", func() bool { return strings.Contains(s.ReadFile("acc.log"), "GET /path ") })
	s.Terminate()
	got.ExpectFrom(t, 0, `^<14>gunicorn\.mine\.error: \[\d+\] Shutting down: Master\x00$`)
	if n := got.Count("access"); n != 0 {
		t.Errorf("%d lines of the access log", n)
	}
}

// A log host that is away holds up nothing, and its return is noticed.
func TestSyslogIsAway(t *testing.T) {
	t.Parallel()
	addr := fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t))
	s := harness.Launch(t, harness.Options{Args: []string{"--log-syslog", "--log-syslog-to", "tcp://" + addr}})
	s.ExpectExit(1)
	if s.Log.Count(`^Error: syslog tcp://.*: \[Errno 111\] Connection refused$`) != 1 {
		t.Errorf("%s", s.Log)
	}

	l, err := net.Listen("tcp", addr)
	harness.Must(t, err)
	s = harness.Start(t, harness.Options{Args: []string{"--log-syslog", "--log-syslog-to", "tcp://" + addr}})
	l.Close()
	began := time.Now()
	for range 20 {
		s.Get("/")
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("20 requests took %s", took)
	}
	s.Terminate()
}
