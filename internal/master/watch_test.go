package master

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"indrik/internal/codewatch"
	"indrik/internal/notify"
	"indrik/internal/wire"
)

// writeCertificate writes a certificate and its key into two files.
func writeCertificate(w *world, serial int64) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"a.test"}, NotAfter: time.Now().Add(100 * 24 * time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(w.path(name), pem.EncodeToMemory(block), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
}

// withTLS runs a test with a master that serves over TLS.
func withTLS(t *testing.T, test func(*world)) {
	t.Helper()
	atStart(t, []string{"-c", "conf.py", "app:app"}, func(w *world) {
		writeCertificate(w, 1)
		w.set("certfile", w.path("cert.pem"))
		w.set("keyfile", w.path("key.pem"))
		w.start()
		w.pass(time.Second)
		w.expectState(running)
		test(w)
	})
}

// A certificate that changes on disk is taken once its files have stayed the same for a
// while; one that is no good is not.
func TestCertificateChanges(t *testing.T) {
	withTLS(t, func(w *world) {
		sent := func() int { return len(w.front().told(wire.TypeSecrets)) }
		w.pass(time.Minute)
		if sent() != 0 {
			t.Error("the certificate was sent again although it has not changed")
		}
		writeCertificate(w, 2)
		w.pass(certificateLook)
		if sent() != 0 {
			t.Error("it was read while somebody may be writing")
		}
		w.pass(certificateLook)
		if sent() != 1 {
			t.Errorf("the new certificate was sent %d times", sent())
		}
		w.expectLog("The certificate files have changed: new connections get the certificate of ")
		os.Remove(w.path("key.pem"))
		w.pass(10 * certificateLook)
		if sent() != 1 {
			t.Errorf("it was sent %d times", sent())
		}
		if n := strings.Count(w.log(), "cannot be used, the certificate before stays: "); n != 1 {
			t.Errorf("the log says it %d times", n)
		}
	})
}

// The key of session tickets changes twice a day, but not beside another master.
func TestTicketKeysChange(t *testing.T) {
	withTLS(t, func(w *world) {
		sent := func() int { return len(w.front().told(wire.TypeSecrets)) }
		w.pass(ticketPeriod - time.Minute)
		if sent() != 0 {
			t.Error("too early")
		}
		w.pass(2 * time.Minute)
		if sent() != 1 {
			t.Errorf("%d times after a period", sent())
		}
		w.signal(syscall.SIGUSR2)
		if w.successor().env[envTickets] == "" {
			t.Error("the successor does not get the keys")
		}
		w.pass(2 * ticketPeriod)
		if sent() != 1 {
			t.Errorf("the key was changed beside another master: %d", sent())
		}
		w.successor().die(exited(0))
		w.pass(2 * ticketRetry)
		if sent() != 2 {
			t.Errorf("the change that had waited did not come: %d", sent())
		}
		w.signal(syscall.SIGHUP) // each generation gets the keys, too
		w.pass(time.Second)
		w.expectState(running)
	})
}

// The file of the session ticket keys goes from one master to the next.
func TestTicketsAreHandedOver(t *testing.T) {
	var before, after tickets
	before.rotate(time.Unix(1, 0))
	f, err := before.file(wire.ConstantFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := after.load(f); err != nil || after.keys[0].Key != before.keys[0].Key {
		t.Errorf("%v: %v", err, after)
	}
	broken, err := wire.ConstantFile("broken", []byte("{"))
	if err != nil {
		t.Fatal(err)
	}
	defer broken.Close()
	if err := after.load(broken); err == nil {
		t.Error("rubbish is taken")
	}
}

// The hook ssl_context is asked for its settings.
func TestTLSHook(t *testing.T) {
	for _, fails := range []bool{false, true} {
		atStart(t, []string{"-c", "conf.py", "app:app"}, func(w *world) {
			writeCertificate(w, 1)
			w.file = map[string]any{"ssl_context": map[string]any{"python": "<function>"}, "certfile": w.path("cert.pem"), "keyfile": w.path("key.pem")}
			if fails {
				w.failures[wire.TypeTLSHook] = "no context"
			}
			w.start()
			w.pass(time.Second)
			if fails {
				w.expectEnd(1)
				w.expectLog("no context")
				return
			}
			if len(w.spawner().told(wire.TypeTLSHook)) != 1 {
				t.Errorf("it was not asked; log:\n%s", w.log())
			}
			w.expectState(running)
		})
	}
}

// A worker class of one's own is asked for its kind and its settings, before the hook
// ssl_context is called with them.
func TestWorkerClass(t *testing.T) {
	for _, fails := range []bool{false, true} {
		atStart(t, []string{"-k", "own.Mine", "--max-requests", "3", "app:app"}, func(w *world) {
			if fails {
				w.failures[wire.TypeClass] = "it has a loop of its own"
			}
			w.start()
			w.pass(time.Second)
			if fails {
				w.expectEnd(1)
				w.expectLog("it has a loop of its own")
				return
			}
			w.expectState(running)
			w.expectLog("Using worker: gthread, by the class own.Mine")
			prepared := w.spawner().told(wire.TypePrepare)
			if len(prepared) != 1 || prepared[0].Kind != "gthread" || fmt.Sprint(prepared[0].Settings["max_requests"]) != "7" {
				t.Errorf("%+v", prepared)
			}
		})
	}
}

// What the log says of modules is said once, and has a bound: workers tell it.
func TestModulesAreToldOnce(t *testing.T) {
	b, _, log := part()
	l := logging{base: b}
	l.tellModules([]string{"gunicorn.util"})
	l.tellModules([]string{"gunicorn.util", "gunicorn.errors"})
	for i := range 2 * modulesMost {
		l.tellModules([]string{fmt.Sprint("gunicorn.", i)})
	}
	if n := strings.Count(log.String(), "\n"); n != modulesMost || strings.Count(log.String(), "gunicorn.util") != 1 {
		t.Errorf("%d lines:\n%.400s", n, log.String())
	}
}

// That workers use indrik-speed is said when it changes.
func TestSpeedIsToldOnce(t *testing.T) {
	b, _, log := part()
	l := logging{base: b}
	for _, version := range []string{"", "0.1.0", "0.1.0", "0.2.0", "", ""} {
		l.tellSpeed(version)
	}
	got := regexp.MustCompile(`Using indrik-speed.*`).FindAllString(log.String(), -1)
	want := []string{"Using indrik-speed: 0.1.0", "Using indrik-speed: 0.2.0", "Using indrik-speed no more"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// A serviceManager is a socket that notes what it is told.
func serviceManager(w *world) func() string {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: w.path("notify"), Net: "unixgram"})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	w.env["NOTIFY_SOCKET"] = w.path("notify")
	return func() string {
		var text strings.Builder
		conn.SetReadDeadline(time.Unix(1, 0))
		raw, _ := conn.SyscallConn()
		raw.Control(func(fd uintptr) {
			buf := make([]byte, 4096)
			for {
				n, _, err := syscall.Recvfrom(int(fd), buf, syscall.MSG_DONTWAIT)
				if err != nil {
					return
				}
				text.WriteString(string(buf[:n]) + "\n")
			}
		})
		return text.String()
	}
}

// The watchdog of the service manager is fed while there is progress, and no longer.
func TestWatchdogIsFed(t *testing.T) {
	atStart(t, []string{"app:app"}, func(w *world) {
		heard := serviceManager(w)
		w.env["WATCHDOG_USEC"] = "10000000"
		w.m.service.notify = notify.New(w.sys.getenv)
		w.start()
		w.pass(time.Second)
		if text := heard(); !strings.Contains(text, "READY=1") || !strings.Contains(text, "STATUS=Indrik serves") {
			t.Errorf("%q", text)
		}
		w.pass(20 * time.Second)
		if n := strings.Count(heard(), "WATCHDOG=1"); n != 4 {
			t.Errorf("fed %d times in 20 s", n)
		}
		w.stuck = true
		for _, worker := range w.live() {
			worker.die(exited(3))
		}
		w.pass(workersGrace + 10*time.Second)
		heard()
		w.pass(20 * time.Second)
		if text := heard(); strings.Contains(text, "WATCHDOG=1") {
			t.Error("it is fed although there is no worker")
		}
		w.expectLog("The watchdog of the service manager is not fed: there has been no worker for 3")
		w.stuck = false
		for _, worker := range w.live() {
			worker.ready()
		}
		w.pass(20 * time.Second)
		if !strings.Contains(heard(), "WATCHDOG=1") {
			t.Error("it is not fed again")
		}
		w.signal(syscall.SIGHUP)
		w.pass(time.Second)
		w.signal(syscall.SIGTERM)
		w.pass(time.Second)
		if text := heard(); !strings.Contains(text, "RELOADING=1") || !strings.Contains(text, "STOPPING=1") {
			t.Errorf("%q", text)
		}
	})
}

// Code that changes makes a new generation, and requests wait for it.
func TestCodeChanges(t *testing.T) {
	inWorld(t, []string{"--reload"}, func(w *world) {
		w.expectLog("Reloader is on. Use in development only!")
		watcher := w.watchers[0]
		w.live()[0].say(wire.FromWorker{Type: wire.TypeFiles, Files: []string{"/app.py"}, Since: 1})
		w.spawner().conn.tell(wire.FromSpawner{Type: wire.TypeFiles, Files: []string{"/conf.py"}, Since: 1})
		w.wait()
		if !slices.Contains(watcher.files, "/app.py") || !slices.Contains(watcher.files, "/conf.py") {
			t.Errorf("watched are %v", watcher.files)
		}
		checked := func() int { return len(w.front().told(wire.TypeChecked)) }
		ask := func(n int) {
			w.front().conn.tell(wire.FromFront{Type: wire.TypeCheck, Check: n})
			w.wait()
		}
		ask(1)
		watcher.looks[0]()
		w.wait()
		if checked() != 1 {
			t.Errorf("the front has %d answers although nothing has changed", checked())
		}
		ask(2)
		watcher.options.Changed(codewatch.Change{Path: "/app.py", What: "modified"})
		watcher.looks[1]()
		w.wait()
		w.expectState(reloading)
		if checked() != 1 {
			t.Error("requests do not wait for the new code")
		}
		w.pass(w.boot + time.Second)
		w.expectState(running)
		if checked() != 2 {
			t.Error("requests wait for something that is there")
		}
		w.expectLog("Worker reloading: /app.py modified")
		// Changes without end are reloaded after longer and longer pauses.
		before := len(w.spawners)
		for range 10 {
			w.watchers[len(w.watchers)-1].options.Changed(codewatch.Change{Path: "/app.py", What: "modified"})
			w.pass(200 * time.Millisecond)
		}
		if n := len(w.spawners) - before; n > 5 {
			t.Errorf("%d reloads in 2 s", n)
		}
		w.pass(longestPause)
		w.watchers[0].options.Fallback(syscall.EMFILE)
		w.wait()
		w.expectLog("Reloader cannot use inotify, and polls: ")
	})
}

// Requests wait for new code, but not for ever; and a change while booting counts.
func TestCodeCheckHasALimit(t *testing.T) {
	inWorld(t, []string{"--reload"}, func(w *world) {
		w.stuck = true
		w.signal(syscall.SIGHUP)
		w.front().conn.tell(wire.FromFront{Type: wire.TypeCheck, Check: 7})
		w.pass(checkLimit - time.Second)
		if len(w.front().told(wire.TypeChecked)) != 0 {
			t.Error("answered too early")
		}
		w.pass(2 * time.Second)
		if told := w.front().told(wire.TypeChecked); len(told) != 1 || told[0].Check != 7 {
			t.Errorf("the front was told %v", told)
		}
	})
	inWorld(t, nil, func(w *world) { // a front of before the setting was taken away
		w.front().conn.tell(wire.FromFront{Type: wire.TypeCheck, Check: 1})
		w.wait()
		if len(w.front().told(wire.TypeChecked)) != 1 {
			t.Error("no answer")
		}
	})
	atStart(t, []string{"--reload", "app:app"}, func(w *world) {
		w.start()
		w.pass(w.boot / 2)
		w.watchers[0].options.Changed(codewatch.Change{Path: "/app.py", What: "modified"})
		w.pass(time.Second)
		w.expectState(running)
		if len(w.spawners) != 2 {
			t.Error("the change was forgotten")
		}
	})
}

// Turning the setting off ends the watch; other files begin another one.
func TestReloadOfTheReloader(t *testing.T) {
	inWorld(t, []string{"--reload", "-c", "conf.py"}, func(w *world) {
		w.signal(syscall.SIGHUP)
		w.pass(time.Second)
		if len(w.watchers) != 1 {
			t.Error("the same files are watched anew")
		}
		os.WriteFile(w.path("more.txt"), nil, 0o600)
		w.set("reload_extra_files", []any{w.path("more.txt")})
		w.signal(syscall.SIGHUP)
		w.pass(time.Second)
		if len(w.watchers) != 2 {
			w.t.Fatalf("%d watchers", len(w.watchers))
		}
		if !w.watchers[0].closed || !slices.Contains(w.watchers[1].options.Extra, w.path("more.txt")) {
			t.Errorf("the last one watches %v", w.watchers[1].options.Extra)
		}
		w.set("reload", false)
		w.signal(syscall.SIGHUP)
		w.pass(time.Second)
		if !w.watchers[1].closed {
			t.Error("it is still watched")
		}
	})
}

// The backlog is measured each second, if that is asked for.
func TestBacklogIsMeasured(t *testing.T) {
	linuxOnly(t)
	inWorld(t, []string{"--enable-backlog-metric", "--statsd-host", "127.0.0.1:1", "-b", "127.0.0.1:0"}, func(w *world) {
		w.pass(3 * time.Second)
		if n := strings.Count(w.log(), "socket backlog: 0"); n < 3 || n > 5 {
			t.Errorf("measured %d times", n)
		}
	})
}
