//go:build linux

package test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"indrik/test/harness"

	"golang.org/x/sys/unix"
)

// connections lists the states of the TCP connections to a port, as
// /proc/net/tcp has them.
func connections(port int) []string {
	local := fmt.Sprintf(":%04X", port)
	var states []string
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		data, _ := os.ReadFile(table)
		for line := range strings.Lines(string(data)) {
			f := strings.Fields(line)
			if len(f) > 3 && strings.HasSuffix(f[1], local) && f[3] != "0A" { // LISTEN
				states = append(states, f[3])
			}
		}
	}
	return states
}

// cpuTime is how long a process has run.
func cpuTime(t testing.TB, pid int) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	harness.Must(t, err)
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100 (proc(5))
}

// needFiles skips a test where neither this process nor the server could have n
// descriptors.
func needFiles(t testing.TB, n uint64) {
	t.Helper()
	var limit unix.Rlimit
	harness.Must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	if limit.Max < n {
		t.Skipf("needs %d file descriptors, the limit is %d", n, limit.Max)
	}
	if limit.Cur < n {
		limit.Cur = limit.Max
		harness.Must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	}
}

// latencies makes requests on kept connections for a while, and returns how
// long each took, in order.
func latencies(s *harness.Server, clients int, during time.Duration) []time.Duration {
	s.T.Helper()
	var mu sync.Mutex
	var all []time.Duration
	var wg sync.WaitGroup
	end := time.Now().Add(during)
	for range clients {
		c := s.Client()
		wg.Go(func() {
			for time.Now().Before(end) {
				began := time.Now()
				c.SetDeadline(began.Add(harness.Patience))
				c.Write([]byte(harness.FormatRequest("GET", "/", "")))
				r, err := harness.ReadResponse(c.Reader, "GET")
				if err != nil || r.Status != 200 {
					s.T.Errorf("a client in the crowd: %v, %v", r, err)
					return
				}
				took := time.Since(began)
				mu.Lock()
				all = append(all, took)
				mu.Unlock()
				time.Sleep(time.Millisecond)
			}
		})
	}
	wg.Wait()
	slices.Sort(all)
	return all
}

func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(p*float64(len(sorted)-1))]
}

func TestSlowLoris(t *testing.T) {
	t.Parallel()
	crowd, wait := 1000, 16*time.Second
	if os.Getenv("INDRIK_TEST_LONG") != "" {
		crowd, wait = 5000, 20*time.Second
	}
	needFiles(t, uint64(crowd+1000))
	s := harness.Start(t, harness.Options{App: "hello:app", Args: []string{"--workers", "2", "--keep-alive", "75", "--header-timeout", fmt.Sprint(int(wait.Seconds()))}})
	front := s.Role("front")[0].PID
	before := latencies(s, 4, time.Second)
	memory := harness.ResidentKiB(front)

	began := time.Now()
	slow := make([]*harness.Client, 0, crowd)
	defer func() {
		for _, c := range slow {
			c.Close()
		}
	}()
	for range crowd {
		c, err := harness.Dial("tcp", s.Address)
		harness.Must(t, err)
		c.Send(t, "GET / HTTP/1.1\r\nHost: te")
		slow = append(slow, c)
	}
	t.Logf("%d connections in %v", crowd, time.Since(began))
	harness.Eventually(t, "the front has them all", func() bool { return harness.OpenFiles(front) >= crowd })

	stop := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() { // each gets another byte every few seconds
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			_, _ = slow[i%crowd].Write([]byte("s"))
			if i%20 == 0 {
				time.Sleep(10 * time.Millisecond)
			}
		}
	})
	during := latencies(s, 4, 2*time.Second)
	used := harness.ResidentKiB(front) - memory
	close(stop)
	sending.Wait()

	p0, p1 := percentile(before, 0.99), percentile(during, 0.99)
	t.Logf("p50 %v alone, %v among %d slow connections; p99 %v, %v: %.1f times; %d and %d requests; %d KiB for each slow connection",
		percentile(before, 0.5), percentile(during, 0.5), crowd, p0, p1, float64(p1)/float64(p0), len(before), len(during), used/crowd)
	if p1 > wait/4 { // who waits for slow ones, waits until they are ended
		t.Errorf("the p99 of normal clients is %v among slow ones, %v without", p1, p0)
	}
	if n := harness.OpenFiles(front); n < crowd && time.Since(began) < wait {
		t.Errorf("%d descriptors: the slow connections were ended early", n)
	}
	harness.Eventually(t, "the slow connections are ended", func() bool { return harness.OpenFiles(front) < 200 })
	if took := time.Since(began); took > wait+harness.Patience {
		t.Errorf("ended after %v", took)
	}
	s.Get("/")
	s.Terminate()
}

func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "gated:app", Args: []string{"--limit-connections", "3", "--keep-alive", "60", "--threads", "4"}})
	// The probe's connection is gone before the others come.
	harness.Eventually(t, "no connection is open", func() bool { return !connected(s.Port) })
	var idle []*harness.Client
	for range 3 {
		c := s.Client()
		c.Do(t, "GET", "/", "")
		idle = append(idle, c)
	}
	idle[0].Do(t, "GET", "/", "") // the second is the one that is idle longest now
	for n, oldest := range []int{1, 2, 0} {
		c := s.Client()
		if r := c.Do(t, "GET", "/", ""); r.Status != 200 {
			t.Errorf("connection %d at the limit: %v", n+1, r)
		}
		idle[oldest].ExpectEOF(t)
		for i, other := range idle {
			gone := i == oldest || slices.Contains([]int{1, 2, 0}[:n], i)
			if !gone && harness.ClosedByPeer(other) {
				t.Errorf("connection %d at the limit: connection %d was closed, too", n+1, i)
			}
		}
		idle = append(idle, c)
	}

	// With none idle, new connections wait in the backlog.
	var busy []*harness.Client
	var gates []*harness.Gate
	for i := range 3 {
		g := s.Gate(fmt.Sprint("busy", i))
		c := s.Client()
		c.Send(t, harness.FormatRequest("GET", fmt.Sprint("/busy", i), ""))
		g.Entered()
		busy, gates = append(busy, c), append(gates, g)
	}
	next := s.Client()
	next.Send(t, harness.FormatRequest("GET", "/", ""))
	time.Sleep(500 * time.Millisecond)
	if answered(next) {
		t.Error("a fourth connection was served beside three busy ones")
	}
	for i, c := range busy {
		if harness.ClosedByPeer(c) {
			t.Errorf("busy connection %d was closed", i)
		}
	}
	gates[1].Release()
	if r := busy[1].Receive(t, "GET"); r.Status != 200 {
		t.Errorf("%v", r)
	}
	if r := next.Receive(t, "GET"); r.Status != 200 {
		t.Errorf("the connection that waited: %v", r)
	}
	gates[0].Release()
	gates[2].Release()
	for _, c := range []*harness.Client{busy[0], busy[2]} {
		if r := c.Receive(t, "GET"); r.Status != 200 {
			t.Errorf("%v", r)
		}
	}
	s.Terminate()
}

// Connections that never say anything keep nobody out.
func TestSilentConnectionsGiveWay(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Args: []string{"--limit-connections", "3", "--keep-alive", "60"}})
	harness.Eventually(t, "no connection is open", func() bool { return !connected(s.Port) })
	var silent []*harness.Client
	for range 3 {
		silent = append(silent, s.Client())
	}
	c := s.Client()
	for range 3 {
		if r := c.Do(t, "GET", "/", ""); r.Status != 200 {
			t.Errorf("beside three that are silent: %v", r)
		}
	}
	harness.Eventually(t, "one of them is closed", func() bool { return slices.ContainsFunc(silent, harness.ClosedByPeer) })
	s.Terminate()
}

func TestConnectionLimitUnderLoad(t *testing.T) {
	t.Parallel()
	// More clients than connections: all are served, though not on kept ones.
	s := harness.Start(t, harness.Options{App: "echo:app", Args: []string{"--limit-connections", "4", "--workers", "2", "--keep-alive", "60"}})
	o := s.OneShotLoad(12)
	o.Progress(500)
	sum := o.Finish()
	t.Logf("load: %v", sum)
	if sum.Losses() > 0 {
		t.Errorf("requests were lost: %v", sum)
	}
	s.Terminate()
}

func TestTooManyOpenFiles(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "hello:app", Args: []string{"--keep-alive", "60"}})
	front := s.Role("front")[0].PID
	// A descriptor that is let go later would end the one series of failures.
	harness.Eventually(t, "no connection is open", func() bool { return !connected(s.Port) })
	kept := s.Client()
	kept.Do(t, "GET", "/", "")

	// The limit falls while the front runs: nothing that it knows at its start
	// saves it from EMFILE.
	var was unix.Rlimit
	harness.Must(t, unix.Prlimit(front, unix.RLIMIT_NOFILE, nil, &was))
	low := unix.Rlimit{Cur: uint64(harness.OpenFiles(front) + 10), Max: was.Max}
	harness.Must(t, unix.Prlimit(front, unix.RLIMIT_NOFILE, &low, nil))
	mark := s.Log.Mark()
	crowd := s.Crowd(50, "GET ")
	s.Log.ExpectFrom(t, mark, `\[ERROR\] .*too many open files`)

	began, cpu := time.Now(), cpuTime(t, front)
	for range 20 {
		if r := kept.Do(t, "GET", "/", ""); r.Status != 200 {
			t.Errorf("%v", r)
		}
		time.Sleep(100 * time.Millisecond)
	}
	used, passed := cpuTime(t, front)-cpu, time.Since(began)
	t.Logf("the front used %v of %v", used, passed)
	if used > passed/4 {
		t.Errorf("the front used %v of %v while it could accept nothing", used, passed)
	}
	if n := s.Log.Count(`too many open files`); n != 1 {
		t.Errorf("%d lines in the log about too many open files, want 1", n)
	}

	// With room again, those that waited are served.
	harness.Must(t, unix.Prlimit(front, unix.RLIMIT_NOFILE, &was, nil))
	for i, c := range crowd {
		c.Send(t, "/ HTTP/1.1\r\nHost: test\r\n\r\n")
		if r := c.Receive(t, "GET"); r.Status != 200 {
			t.Errorf("connection %d: %v", i, r)
		}
	}
	if got := s.Role("front"); len(got) != 1 || got[0].PID != front {
		t.Errorf("the front did not survive: %v", got)
	}
	s.Terminate()
}

func TestFewFilesAllowed(t *testing.T) {
	t.Parallel()
	// With limit_connections 0 the descriptor limit is the limit: there is room
	// for what else the front opens, and no accept fails.
	s := harness.Start(t, harness.Options{App: "echo:app", Args: []string{"--keep-alive", "60"},
		Wrap: []string{"sh", "-c", `ulimit -n 100; exec "$@"`, "sh"}})
	front := s.Role("front")[0].PID
	var crowd []*harness.Client
	large := func(i int) bool { return i%20 == 0 }
	for i := range 200 {
		c := s.Client()
		if large(i) {
			c.Send(t, "POST ")
		} else {
			c.Send(t, "GET ")
		}
		crowd = append(crowd, c)
	}
	harness.Eventually(t, "the front has some", func() bool { return harness.OpenFiles(front) > 40 })
	began, cpu := time.Now(), cpuTime(t, front)
	time.Sleep(2 * time.Second)
	used, passed := cpuTime(t, front)-cpu, time.Since(began)
	t.Logf("%d descriptors; the front used %v of %v", harness.OpenFiles(front), used, passed)
	if used > passed/4 {
		t.Errorf("the front used %v of %v while it had no room", used, passed)
	}
	if n := s.Log.Count(`too many open files`); n > 1 {
		t.Errorf("%d lines in the log about too many open files", n)
	}
	// All are served, as others make room: a large body needs another file.
	body := strings.Repeat("b", 1<<20)
	for i, c := range crowd {
		c.SetDeadline(time.Now().Add(harness.Patience))
		if large(i) {
			c.Send(t, fmt.Sprintf("/ HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
			if r := c.Receive(t, "POST"); r.Status != 200 || len(r.Body) != len(body)+2 {
				t.Fatalf("connection %d, a large body: %v", i, r)
			}
		} else {
			c.Send(t, "/ HTTP/1.1\r\nHost: test\r\n\r\n")
			if r := c.Receive(t, "GET"); r.Status != 200 {
				t.Fatalf("connection %d: %v", i, r)
			}
		}
		c.Close()
	}
	s.Terminate()
}
