//go:build linux

package test

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"indrik/test/harness"
)

// TestManySlowScrapers: clients of the admin address that say nothing, dribble, read nothing or
// ask for what is expensive again and again cost the clients of the app little, the front a
// bounded memory, and a probe still gets its answer.
func TestManySlowScrapers(t *testing.T) {
	t.Parallel()
	s, admin := withAdmin(t, harness.Options{Args: []string{"--workers", "2"}})
	most := func() time.Duration {
		var took []time.Duration
		for range 300 {
			begun := time.Now()
			s.Get("/")
			took = append(took, time.Since(begun))
		}
		slices.Sort(took)
		return took[len(took)*9/10]
	}
	calm, before := most(), harness.ResidentKiB(s.Role("front")[0].PID)

	stop := make(chan struct{})
	var wg sync.WaitGroup
	hold := func(head string) {
		for {
			select {
			case <-stop:
				return
			default:
			}
			c, err := net.Dial("tcp", admin.Address)
			if err != nil {
				t.Errorf("a scraper cannot connect: %v", err)
				return
			}
			io.WriteString(c, head)
			closed := make(chan struct{})
			go func() {
				// Nothing is read but the end: what is sent before it stays in the socket.
				c.SetReadDeadline(time.Now().Add(time.Second))
				one := make([]byte, 1)
				for err == nil {
					_, err = c.Read(one)
					time.Sleep(10 * time.Millisecond)
				}
				close(closed)
			}()
			select {
			case <-closed:
			case <-stop:
			}
			c.Close()
			<-closed
		}
	}
	for range 40 {
		wg.Go(func() { hold("") })
		wg.Go(func() { hold("GET /metrics HTTP/1.1\r\nHost: x\r\nX: ") })
		wg.Go(func() { hold("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n") })
		wg.Go(func() { hold("GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n") })
	}
	for range 3 {
		if r, err := admin.Request("GET", "/livez", ""); err != nil || r.Status != 200 {
			t.Errorf("a probe among many scrapers: %v, %v", r, err)
		}
	}
	busy, after := most(), harness.ResidentKiB(s.Role("front")[0].PID)
	close(stop)
	wg.Wait()
	t.Logf("nine of ten requests within %v, with scrapers %v; the front had %d KiB, then %d KiB", calm, busy, before, after)
	// This process, with its hundreds of goroutines, and the load of the machine count, too:
	// the slowest requests say how long somebody had to wait for a processor.
	if limit := 10*calm + 500*time.Millisecond; busy > limit {
		t.Errorf("nine of ten requests take up to %v among scrapers, %v without them", busy, calm)
	}
	if after > before+64<<10 {
		t.Errorf("the front had %d KiB, and has %d KiB with scrapers", before, after)
	}
	s.Terminate()
}

// TestStrangersAtTheAdminAddress: those who may not ask take no place from those who may, and
// cost no more than a line each.
func TestStrangersAtTheAdminAddress(t *testing.T) {
	t.Parallel()
	port := harness.FreePort(t)
	s := harness.Start(t, harness.Options{Args: []string{"--admin-bind", fmt.Sprintf("127.0.0.1:%d", port), "--admin-allow", "127.0.0.1"}})
	admin := harness.EndpointAt(t, port)
	dial := func() net.Conn {
		c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).Dial("tcp", admin.Address)
		harness.Must(t, err)
		t.Cleanup(func() { c.Close() })
		return c
	}
	for range 100 {
		dial()
	}
	admin.Get("/livez")
	harness.Eventually(t, "a stranger is told why it gets nothing", func() bool {
		c := dial()
		defer c.Close()
		io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
		got, _ := io.ReadAll(c)
		return strings.HasPrefix(string(got), "HTTP/1.1 403 ") && strings.HasSuffix(string(got), "\r\n\r\n127.0.0.2 may not see this: admin_allow does not name it.\n")
	})
	s.Terminate()
}

// TestAdminAddressDuringTheBoot: before the first workers are ready the address says what is
// missing, though the app's own does not answer yet; while the server leaves, that it does.
func TestAdminAddressDuringTheBoot(t *testing.T) {
	t.Parallel()
	port := harness.FreePort(t)
	s := harness.Launch(t, harness.Options{
		App: "webapp:app", NoProbe: true, Gates: []string{"import"},
		Files: map[string]string{"webapp.py": "import gate\ngate.wait('import')\n" + versioned("1")},
		Args:  []string{"--admin-bind", fmt.Sprintf("127.0.0.1:%d", port), "--drain-delay", "30"},
	})
	admin := harness.EndpointAt(t, port)
	answers := func(path string, status int, text string) func() bool {
		return func() bool {
			r, err := admin.Request("GET", path, "")
			return err == nil && r.Status == status && strings.Contains(r.Body, text)
		}
	}
	s.Gates["import"].Entered()
	harness.Eventually(t, "the start is not over", answers("/startupz", 503, `"reason":"the first workers are not ready yet"`))
	harness.Eventually(t, "it is not ready", answers("/readyz", 503, `"reason":"no worker is ready"`))
	harness.Eventually(t, "it lives", answers("/livez", 200, ""))
	s.Gates["import"].Release()
	harness.Eventually(t, "it is ready", answers("/readyz", 200, ""))
	if !answers("/startupz", 200, "")() {
		t.Error("the start is not over")
	}
	s.Signal(syscall.SIGTERM)
	harness.Eventually(t, "it leaves", answers("/readyz", 503, `"reason":"the server is leaving"`))
	if !answers("/livez", 200, "")() {
		t.Error("it does not live while it leaves")
	}
	s.Signal(syscall.SIGTERM)
	s.ExpectExit(0)
}
