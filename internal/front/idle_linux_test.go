package front

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"

	"indrik/internal/wire"
)

// How much an idle connection may cost, in bytes.
const (
	idleMemory      = 8 << 10
	idleHTTP2Memory = 12 << 10
)

// The memory of idle connections is what Go holds for each of many that have had a request.
// The clients are bare descriptors, which cost Go nothing; bench/idle measures the real
// process.
func TestIdleConnectionMemory(t *testing.T) {
	request := []byte("GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: idle\r\nAccept: */*\r\n\r\n")
	testIdleMemory(t, testConfig(), idleMemory, func(fd int) error {
		if _, err := unix.Write(fd, request); err != nil {
			return os.NewSyscallError("write", err)
		}
		_, err := unix.Read(fd, make([]byte, 4096))
		return os.NewSyscallError("read", err)
	})
}

func TestIdleHTTP2Memory(t *testing.T) {
	var asks bytes.Buffer
	asks.WriteString(http2.ClientPreface)
	f := http2.NewFramer(&asks, nil)
	must(t, f.WriteSettings())
	must(t, f.WriteSettingsAck())
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, h := range [][2]string{
		{":method", "GET"}, {":scheme", "http"}, {":authority", "127.0.0.1"}, {":path", "/hello"}, {"user-agent", "idle"}, {"accept", "*/*"},
	} {
		must(t, enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]}))
	}
	must(t, f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}))
	cfg := testConfig()
	allowHTTP2(cfg)
	answer := make([]byte, 4096)
	testIdleMemory(t, cfg, idleHTTP2Memory, func(fd int) error {
		if _, err := unix.Write(fd, asks.Bytes()); err != nil {
			return os.NewSyscallError("write", err)
		}
		for n := 0; !bytes.HasSuffix(answer[:n], []byte("Hello, world!\n")); {
			m, err := unix.Read(fd, answer[n:])
			if err != nil || m == 0 {
				return fmt.Errorf("read: %d bytes, %w", m, err)
			}
			n += m
		}
		return nil
	})
}

// testIdleMemory opens connections, on each of which ask makes one request.
func testIdleMemory(t *testing.T, cfg *wire.FrontConfig, most uint64, ask func(fd int) error) {
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
	g := r.generation(1, cfg)
	w := r.worker(g, 1)
	w.loops.Go(func() { w.spin() })
	address, err := net.ResolveTCPAddr("tcp", r.addr)
	must(t, err)
	to := &unix.SockaddrInet4{Port: address.Port, Addr: [4]byte{127, 0, 0, 1}}
	open := func(n int) {
		for range n {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			must(t, err)
			t.Cleanup(func() { unix.Close(fd) })
			must(t, unix.Connect(fd, to))
			must(t, ask(fd))
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
		if each = (held() - before) / n; each <= most || time.Now().After(end) {
			break
		}
	}
	t.Logf("%d bytes for each idle connection", each)
	if each > most {
		t.Errorf("an idle connection costs %d bytes, want at most %d", each, most)
	}
}
