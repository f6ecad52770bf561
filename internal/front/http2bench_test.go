package front

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/sys/unix"

	"indrik/internal/wire"
)

// benchStreams is how many streams the client of a benchmark has open at a time.
const benchStreams = 8

// BenchmarkHelloHTTP2 is a small response over streams of one connection, by a worker that does
// nothing but answer. The allocations are those of all sides; the loops of the client and the
// worker make none.
func BenchmarkHelloHTTP2(b *testing.B) {
	r := newRig(b, 0)
	r.listen()
	cfg := testConfig()
	allowHTTP2(cfg)
	w := r.worker(r.generation(1, cfg), 1)
	w.loops.Go(func() { w.spin() })
	benchmarkHTTP2(b, r)
}

// BenchmarkHelloHTTP2ASGI is the same with a worker that runs many requests at once.
func BenchmarkHelloHTTP2ASGI(b *testing.B) {
	r := newRig(b, 0)
	r.listen()
	cfg := testConfig()
	allowHTTP2(cfg)
	cfg.Kind, cfg.WorkerConnections = wire.KindASGI, 100
	w := r.asgiWorker(r.generation(1, cfg))
	w.loops.Go(func() { w.spinASGI() })
	benchmarkHTTP2(b, r)
}

func benchmarkHTTP2(b *testing.B, r *rig) {
	c := dialBench(b, r)
	c.ask(benchStreams) // what is made once is made
	c.await(benchStreams)
	b.ReportAllocs()
	b.ResetTimer()
	for asked := 0; asked < b.N; {
		n := min(benchStreams, b.N-asked)
		c.ask(n)
		c.await(n)
		asked += n
	}
}

// TestSmallRequestsAllocateNothing counts the allocations of requests over HTTP/2, those of the
// client and of the worker included.
func TestSmallRequestsAllocateNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	for name, bench := range map[string]func(*testing.B){"WSGI": BenchmarkHelloHTTP2, "ASGI": BenchmarkHelloHTTP2ASGI} {
		// Pools are emptied now and then, so it is not 0 exactly.
		if r := testing.Benchmark(bench); float64(r.MemAllocs) > float64(r.N)/4 {
			t.Errorf("%s: %d allocations for %d requests", name, r.MemAllocs, r.N)
		}
	}
}

// A benchClient speaks HTTP/2 without allocating.
type benchClient struct {
	b       *testing.B
	nc      net.Conn
	last    uint32
	out, in []byte
	have    int
}

func dialBench(b *testing.B, r *rig) *benchClient {
	nc, err := net.Dial("tcp", r.addr)
	must(b, err)
	b.Cleanup(func() { nc.Close() })
	must(b, nc.SetDeadline(time.Now().Add(time.Minute)))
	c := &benchClient{b: b, nc: nc, in: make([]byte, 64<<10), last: ^uint32(0)}
	_, err = io.WriteString(nc, http2.ClientPreface)
	must(b, err)
	f := http2.NewFramer(nc, nil)
	must(b, f.WriteSettings())
	must(b, f.WriteWindowUpdate(0, 1<<30))
	return c
}

// ask sends so many requests by one write.
func (c *benchClient) ask(n int) {
	const block = "\x82\x86\x84\x41\x01a" // GET, http, /, :authority a
	c.out = c.out[:0]
	for range n {
		c.last += 2
		c.out = append(c.out, 0, 0, byte(len(block)), byte(http2.FrameHeaders), byte(http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream))
		c.out = append(binary.BigEndian.AppendUint32(c.out, c.last), block...)
	}
	if _, err := c.nc.Write(c.out); err != nil {
		c.b.Fatal(err)
	}
}

// await reads until so many responses have ended.
func (c *benchClient) await(n int) {
	for n > 0 {
		m, err := c.nc.Read(c.in[c.have:])
		if err != nil {
			c.b.Fatal(err)
		}
		c.have += m
		rest := c.in[:c.have]
		for len(rest) >= 9 {
			size := 9 + (int(rest[0])<<16 | int(rest[1])<<8 | int(rest[2]))
			if len(rest) < size {
				break
			}
			switch kind, flags := http2.FrameType(rest[3]), http2.Flags(rest[4]); {
			case kind == http2.FrameRSTStream || kind == http2.FrameGoAway:
				c.b.Fatalf("got a frame of type %d", kind)
			case kind <= http2.FrameHeaders && flags.Has(http2.FlagDataEndStream):
				n--
			}
			rest = rest[size:]
		}
		c.have = copy(c.in, rest)
	}
}

// spinASGI is spin for a worker that runs many requests at once: it answers all that came in a
// message by one message.
func (w *fakeWorker) spinASGI() {
	const eventAt, idAt = 5, 5 + 5 // behind the header of a list or a tuple, and behind the kind
	answer := response(0, "200 OK", []header{{"Content-Type", "text/plain"}}, "Hello, world!\n")
	buf, out := make([]byte, wire.MaxMessage), make([]byte, 0, wire.MaxMessage)
	fd := int(w.slots[0].Fd())
	ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		select {
		case <-w.closed:
			return
		default:
		}
		unix.Poll(ready, 20)
		n := receiveNow(fd, buf)
		if n < 0 {
			continue
		}
		out = out[:0]
		for rest := buf[eventAt:n]; len(rest) > 0; rest = skipValue(rest) {
			if kind := binary.LittleEndian.Uint32(rest[eventAt+1:]); wire.Event(kind) != wire.EventRequest {
				continue
			}
			id := binary.LittleEndian.Uint32(rest[idAt+1:])
			w.setWord(slotWord(0, wordClaimed), uint64(id))
			start := len(out)
			out = append(out, answer...)
			binary.LittleEndian.PutUint32(out[start+idAt+1:], id)
		}
		if len(out) == 0 {
			continue
		}
		if _, err := unix.Write(fd, out); err != nil {
			return
		}
	}
}
