package front

import (
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// idleMemory is how much an idle connection may cost.
const idleMemory = 8 << 10

// TestIdleConnectionMemory measures what Go holds for each of many connections
// that have had a request. The clients are bare descriptors, which cost Go
// nothing; bench/idle measures the real process.
func TestIdleConnectionMemory(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector makes everything larger")
	}
	const n = 2000
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < 3*n {
		t.Skipf("needs %d descriptors, the limit is %d", 3*n, limit.Cur)
	}
	r := newRig(t, 0)
	r.listen()
	g := r.generation(1, testConfig())
	w := r.worker(g, 1)
	w.loops.Go(func() { w.spin() })
	address, err := net.ResolveTCPAddr("tcp", r.addr)
	must(t, err)
	to := &unix.SockaddrInet4{Port: address.Port, Addr: [4]byte{127, 0, 0, 1}}
	request := []byte("GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: idle\r\nAccept: */*\r\n\r\n")
	answer := make([]byte, 4096)
	open := func(n int) {
		for range n {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			must(t, err)
			t.Cleanup(func() { unix.Close(fd) })
			must(t, unix.Connect(fd, to))
			if _, err := unix.Write(fd, request); err != nil {
				t.Fatal(os.NewSyscallError("write", err))
			}
			if _, err := unix.Read(fd, answer); err != nil {
				t.Fatal(os.NewSyscallError("read", err))
			}
		}
	}
	held := func() uint64 {
		// Stacks shrink, and pools are emptied, in the second collection.
		for range 3 {
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	open(100)
	before := held()
	open(n)
	var each uint64
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if each = (held() - before) / n; each <= idleMemory || time.Now().After(end) {
			break
		}
	}
	t.Logf("%d bytes for each idle connection", each)
	if each > idleMemory {
		t.Errorf("an idle connection costs %d bytes, want at most %d", each, idleMemory)
	}
}
