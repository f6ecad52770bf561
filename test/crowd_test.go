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
	must(t, err)
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
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	if limit.Max < n {
		t.Skipf("needs %d file descriptors, the limit is %d", n, limit.Max)
	}
	if limit.Cur < n {
		limit.Cur = limit.Max
		must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	}
}

// latencies makes requests on kept connections for a while, and returns how
// long each took, in order.
func latencies(s *server, clients int, during time.Duration) []time.Duration {
	s.t.Helper()
	var mu sync.Mutex
	var all []time.Duration
	var wg sync.WaitGroup
	end := time.Now().Add(during)
	for range clients {
		c := s.client()
		wg.Go(func() {
			for time.Now().Before(end) {
				began := time.Now()
				c.SetDeadline(began.Add(patience))
				c.Write([]byte(format("GET", "/", "")))
				r, err := readResponse(c.r, "GET")
				if err != nil || r.status != 200 {
					s.t.Errorf("a client in the crowd: %v, %v", r, err)
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
	crowd, wait := 1000, 8*time.Second
	if os.Getenv("INDRIK_TEST_LONG") != "" {
		crowd, wait = 5000, 20*time.Second
	}
	needFiles(t, uint64(crowd+1000))
	s := start(t, options{app: "hello:app", args: []string{"--workers", "2", "--keep-alive", "75", "--header-timeout", fmt.Sprint(int(wait.Seconds()))}})
	front := s.role("front")[0].pid
	before := latencies(s, 4, wait/8)
	memory := residentKiB(front)

	began := time.Now()
	slow := make([]*client, 0, crowd)
	defer func() {
		for _, c := range slow {
			c.Close()
		}
	}()
	for range crowd {
		c, err := dial("tcp", s.addr())
		must(t, err)
		c.send(t, "GET / HTTP/1.1\r\nHost: te")
		slow = append(slow, c)
	}
	t.Logf("%d connections in %v", crowd, time.Since(began))
	eventually(t, "the front has them all", func() bool { return openFiles(front) >= crowd })

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
	during := latencies(s, 4, wait/4)
	used := residentKiB(front) - memory
	close(stop)
	sending.Wait()

	p0, p1 := percentile(before, 0.99), percentile(during, 0.99)
	t.Logf("p50 %v alone, %v among %d slow connections; p99 %v, %v: %.1f times; %d and %d requests; %d KiB for each slow connection",
		percentile(before, 0.5), percentile(during, 0.5), crowd, p0, p1, float64(p1)/float64(p0), len(before), len(during), used/crowd)
	if p1 > time.Second {
		t.Errorf("the p99 of normal clients is %v among slow ones, %v without", p1, p0)
	}
	if time.Since(began) < wait {
		if n := openFiles(front); n < crowd {
			t.Errorf("%d descriptors: the slow connections were ended early", n)
		}
	}
	eventually(t, "the slow connections are ended", func() bool { return openFiles(front) < 200 })
	if took := time.Since(began); took > wait+patience {
		t.Errorf("ended after %v", took)
	}
	s.get("/")
	s.terminate()
}

func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "gated:app", args: []string{"--limit-connections", "3", "--keep-alive", "60", "--threads", "4"}})
	// The probe's connection is gone before the others come.
	eventually(t, "no connection is open", func() bool { return !connected(s.port) })
	var idle []*client
	for range 3 {
		c := s.client()
		c.do(t, "GET", "/", "")
		idle = append(idle, c)
	}
	idle[0].do(t, "GET", "/", "") // the second is the one that is idle longest now
	for n, oldest := range []int{1, 2, 0} {
		c := s.client()
		if r := c.do(t, "GET", "/", ""); r.status != 200 {
			t.Errorf("connection %d at the limit: %v", n+1, r)
		}
		idle[oldest].expectEOF(t)
		for i, other := range idle {
			gone := i == oldest || slices.Contains([]int{1, 2, 0}[:n], i)
			if !gone && closedByPeer(other) {
				t.Errorf("connection %d at the limit: connection %d was closed, too", n+1, i)
			}
		}
		idle = append(idle, c)
	}

	// With none idle, new connections wait in the backlog.
	var busy []*client
	var gates []*gate
	for i := range 3 {
		g := s.gate(fmt.Sprint("busy", i))
		c := s.client()
		c.send(t, format("GET", fmt.Sprint("/busy", i), ""))
		g.entered()
		busy, gates = append(busy, c), append(gates, g)
	}
	next := s.client()
	next.send(t, format("GET", "/", ""))
	time.Sleep(500 * time.Millisecond)
	if answered(next) {
		t.Error("a fourth connection was served beside three busy ones")
	}
	for i, c := range busy {
		if closedByPeer(c) {
			t.Errorf("busy connection %d was closed", i)
		}
	}
	gates[1].release()
	if r := busy[1].receive(t, "GET"); r.status != 200 {
		t.Errorf("%v", r)
	}
	if r := next.receive(t, "GET"); r.status != 200 {
		t.Errorf("the connection that waited: %v", r)
	}
	gates[0].release()
	gates[2].release()
	for _, c := range []*client{busy[0], busy[2]} {
		if r := c.receive(t, "GET"); r.status != 200 {
			t.Errorf("%v", r)
		}
	}
	s.terminate()
}

// Connections that never say anything keep nobody out.
func TestSilentConnectionsGiveWay(t *testing.T) {
	t.Parallel()
	s := start(t, options{args: []string{"--limit-connections", "3", "--keep-alive", "60"}})
	eventually(t, "no connection is open", func() bool { return !connected(s.port) })
	var silent []*client
	for range 3 {
		silent = append(silent, s.client())
	}
	c := s.client()
	for range 3 {
		if r := c.do(t, "GET", "/", ""); r.status != 200 {
			t.Errorf("beside three that are silent: %v", r)
		}
	}
	eventually(t, "one of them is closed", func() bool { return slices.ContainsFunc(silent, closedByPeer) })
	s.terminate()
}

func TestConnectionLimitUnderLoad(t *testing.T) {
	t.Parallel()
	// More clients than connections: all are served, though not on kept ones.
	s := start(t, options{app: "echo:app", args: []string{"--limit-connections", "4", "--workers", "2", "--keep-alive", "60"}})
	o := s.oneShotLoad(12)
	o.progress(500)
	sum := o.finish()
	t.Logf("load: %v", sum)
	if sum.losses() > 0 {
		t.Errorf("requests were lost: %v", sum)
	}
	s.terminate()
}

func TestTooManyOpenFiles(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "hello:app", args: []string{"--keep-alive", "60"}})
	front := s.role("front")[0].pid
	kept := s.client()
	kept.do(t, "GET", "/", "")

	// The limit falls while the front runs: nothing that it knows at its start
	// saves it from EMFILE.
	var was unix.Rlimit
	must(t, unix.Prlimit(front, unix.RLIMIT_NOFILE, nil, &was))
	low := unix.Rlimit{Cur: uint64(openFiles(front) + 10), Max: was.Max}
	must(t, unix.Prlimit(front, unix.RLIMIT_NOFILE, &low, nil))
	mark := s.log.mark()
	crowd := s.crowd(50, "GET ")
	s.log.expectFrom(t, mark, `\[ERROR\] .*too many open files`)

	began, cpu := time.Now(), cpuTime(t, front)
	for range 20 {
		if r := kept.do(t, "GET", "/", ""); r.status != 200 {
			t.Errorf("%v", r)
		}
		time.Sleep(100 * time.Millisecond)
	}
	used, passed := cpuTime(t, front)-cpu, time.Since(began)
	t.Logf("the front used %v of %v", used, passed)
	if used > passed/4 {
		t.Errorf("the front used %v of %v while it could accept nothing", used, passed)
	}
	if n := s.log.count(`too many open files`); n != 1 {
		t.Errorf("%d lines in the log about too many open files, want 1", n)
	}

	// With room again, those that waited are served.
	must(t, unix.Prlimit(front, unix.RLIMIT_NOFILE, &was, nil))
	for i, c := range crowd {
		c.send(t, "/ HTTP/1.1\r\nHost: test\r\n\r\n")
		if r := c.receive(t, "GET"); r.status != 200 {
			t.Errorf("connection %d: %v", i, r)
		}
	}
	if got := s.role("front"); len(got) != 1 || got[0].pid != front {
		t.Errorf("the front did not survive: %v", got)
	}
	s.terminate()
}

func TestFewFilesAllowed(t *testing.T) {
	t.Parallel()
	// With limit_connections 0 the descriptor limit is the limit: there is room
	// for what else the front opens, and no accept fails.
	s := start(t, options{app: "echo:app", args: []string{"--keep-alive", "60"},
		wrap: []string{"sh", "-c", `ulimit -n 100; exec "$@"`, "sh"}})
	front := s.role("front")[0].pid
	var crowd []*client
	large := func(i int) bool { return i%20 == 0 }
	for i := range 200 {
		c := s.client()
		if large(i) {
			c.send(t, "POST ")
		} else {
			c.send(t, "GET ")
		}
		crowd = append(crowd, c)
	}
	eventually(t, "the front has some", func() bool { return openFiles(front) > 40 })
	began, cpu := time.Now(), cpuTime(t, front)
	time.Sleep(2 * time.Second)
	used, passed := cpuTime(t, front)-cpu, time.Since(began)
	t.Logf("%d descriptors; the front used %v of %v", openFiles(front), used, passed)
	if used > passed/4 {
		t.Errorf("the front used %v of %v while it had no room", used, passed)
	}
	if n := s.log.count(`too many open files`); n > 1 {
		t.Errorf("%d lines in the log about too many open files", n)
	}
	// All are served, as others make room: a large body needs another file.
	body := strings.Repeat("b", 1<<20)
	for i, c := range crowd {
		c.SetDeadline(time.Now().Add(patience))
		if large(i) {
			c.send(t, fmt.Sprintf("/ HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
			if r := c.receive(t, "POST"); r.status != 200 || len(r.body) != len(body)+2 {
				t.Fatalf("connection %d, a large body: %v", i, r)
			}
		} else {
			c.send(t, "/ HTTP/1.1\r\nHost: test\r\n\r\n")
			if r := c.receive(t, "GET"); r.status != 200 {
				t.Fatalf("connection %d: %v", i, r)
			}
		}
		c.Close()
	}
	s.terminate()
}
