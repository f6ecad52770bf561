//go:build linux

package test

import (
	"bufio"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// listenPackets collects what comes to a datagram socket, as the lines of a
// transcript; addr is where.
func listenPackets(t *testing.T, network string) (tr *transcript, addr string) {
	t.Helper()
	addr = "127.0.0.1:0"
	if network == "unixgram" {
		addr = filepath.Join(tempDir(t), "socket")
	}
	c, err := net.ListenPacket(network, addr)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	tr = newTranscript()
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, _, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			tr.add(append(buf[:n:n], '\n'))
		}
	}()
	return tr, c.LocalAddr().String()
}

// listenStream collects what comes over TCP, a NUL byte at the end of each line.
func listenStream(t *testing.T) (tr *transcript, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	tr = newTranscript()
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
					tr.add([]byte(line + "\n"))
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
	listeners := map[string]func(t *testing.T) (*transcript, string){
		"udp": func(t *testing.T) (*transcript, string) {
			tr, addr := listenPackets(t, "udp")
			return tr, "udp://" + addr
		},
		"unix": func(t *testing.T) (*transcript, string) {
			tr, addr := listenPackets(t, "unixgram")
			return tr, "unix://" + addr + "#dgram"
		},
		"tcp": func(t *testing.T) (*transcript, string) {
			tr, addr := listenStream(t)
			return tr, "tcp://" + addr
		},
	}
	for name, listen := range listeners {
		t.Run(name, func(t *testing.T) {
			got, addr := listen(t)
			s := start(t, options{app: "webapp:app", files: map[string]string{"webapp.py": logging},
				args: []string{"--log-syslog", "--log-syslog-to", addr, "--log-syslog-facility", "local3"}})
			s.get("/path")
			// local3 is 19; info 6, warning 4. The prefix is the name of the process.
			for _, want := range []string{
				fmt.Sprintf(`^<158>gunicorn\.webapp\.app\.error: \[%d\] Starting indrik .*\x00$`, s.pid()),
				fmt.Sprintf(`^<158>gunicorn\.webapp\.app\.error: \[%[1]d\] Booting worker with pid: %[1]d\x00$`, s.workers(1)[0]),
				fmt.Sprintf(`^<156>gunicorn\.webapp\.app\.error: \[%d\] seen /path\x00$`, s.workers(1)[0]),
				fmt.Sprintf(`^<158>gunicorn\.webapp\.app\.access: \[%d\] 127\.0\.0\.1 - - \[.*\] "GET /path HTTP/1\.1" 200 2 .*\x00$`, s.workers(1)[0]),
			} {
				got.expectFrom(t, 0, want)
			}
			s.log.expectFrom(t, 0, `\[INFO\] Starting indrik`) // it goes to errorlog too
			s.client().send(t, "nonsense\r\n\r\n")
			got.expectFrom(t, 0, `\.error: \[\d+\] Invalid request from ip=127\.0\.0\.1`) // said by the front
			s.terminate()
			got.expectFrom(t, 0, fmt.Sprintf(`^<158>gunicorn\.webapp\.app\.error: \[%d\] Shutting down: Master\x00$`, s.pid()))
		})
	}
}

func TestSyslogWithoutAccessLog(t *testing.T) {
	t.Parallel()
	got, addr := listenPackets(t, "udp")
	s := start(t, options{args: []string{"--log-syslog", "--log-syslog-to", "udp://" + addr, "--log-syslog-prefix", "mine",
		"--disable-redirect-access-to-syslog", "--access-logfile", "acc.log"}})
	s.get("/path")
	eventually(t, "the request is logged", func() bool { return strings.Contains(s.read("acc.log"), "GET /path ") })
	s.terminate()
	got.expectFrom(t, 0, `^<14>gunicorn\.mine\.error: \[\d+\] Shutting down: Master\x00$`)
	if n := got.count("access"); n != 0 {
		t.Errorf("%d lines of the access log", n)
	}
}

// A log host that is away holds up nothing, and its return is noticed.
func TestSyslogIsAway(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	addr := l.Addr().String()
	l.Close()
	s := launch(t, options{args: []string{"--log-syslog", "--log-syslog-to", "tcp://" + addr}})
	s.expectExit(1)
	if s.log.count(`^Error: syslog tcp://.*: \[Errno 111\] Connection refused$`) != 1 {
		t.Errorf("%s", s.log)
	}

	l, err = net.Listen("tcp", addr)
	must(t, err)
	s = start(t, options{args: []string{"--log-syslog", "--log-syslog-to", "tcp://" + addr}})
	l.Close()
	began := time.Now()
	for range 20 {
		s.get("/")
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("20 requests took %s", took)
	}
	s.terminate()
}
