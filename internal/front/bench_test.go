package front

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"indrik/internal/errlog"
	"indrik/internal/http1"
	"indrik/internal/wire"
)

// BenchmarkHello is a small response over keep-alive connections, by workers
// that do nothing but answer. The allocations are those of both sides; the
// client's and the workers' loops make none.
func BenchmarkHello(b *testing.B) { benchmarkHello(b, newRig(b, 0)) }

// BenchmarkHelloWithMetrics is the same with an admin address.
func BenchmarkHelloWithMetrics(b *testing.B) {
	r := newRig(b, 0)
	r.s.beginMetrics()
	benchmarkHello(b, r)
}

func benchmarkHello(b *testing.B, r *rig) {
	r.listen()
	g := r.generation(1, testConfig())
	for range 2 {
		w := r.worker(g, 1)
		w.loops.Go(func() { w.spin() })
	}
	head := []byte("GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
	c := r.dial()
	c.get("/")
	c.expect(200, "*")
	b.ReportAllocs()
	b.SetParallelism(8)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		nc, err := net.Dial("tcp", r.addr)
		if err != nil {
			b.Error(err)
			return
		}
		defer nc.Close()
		buf := make([]byte, 4096)
		for pb.Next() {
			if _, err := nc.Write(head); err != nil {
				b.Error(err)
				return
			}
			n, err := nc.Read(buf)
			if err != nil || !bytes.HasSuffix(buf[:n], []byte("\r\n\r\nHello, world!\n")) {
				b.Errorf("got %q, %v", buf[:n], err)
				return
			}
		}
	})
}

// BenchmarkConnection is the same with a connection for each request.
func BenchmarkConnection(b *testing.B) {
	r := newRig(b, 0)
	r.listen()
	w := r.worker(r.generation(1, testConfig()), 1)
	w.loops.Go(func() { w.spin() })
	head := []byte("GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\nConnection: close\r\n\r\n")
	b.ReportAllocs()
	for b.Loop() {
		nc, err := net.Dial("tcp", r.addr)
		must(b, err)
		_, err = nc.Write(head)
		must(b, err)
		answer, err := io.ReadAll(nc)
		must(b, err)
		if !bytes.HasSuffix(answer, []byte("\r\n\r\nHello, world!\n")) {
			b.Fatalf("got %q", answer)
		}
		nc.Close()
	}
}

// spin answers as fast as it can, by system calls that block.
func (w *fakeWorker) spin() {
	const at = 5 + 5 + 5 // behind the header of the tuple, the kind, and the header of the claim
	answer := wire.AppendBytes(wire.AppendInt(wire.AppendTuple(nil, 5), int64(wire.ReplyResponse)), make([]byte, wire.ClaimSize))
	answer = appendHead(answer, "200 OK", []header{{"Content-Type", "text/plain"}})
	answer = wire.AppendBytes(answer, []byte("Hello, world!\n"))
	buf := make([]byte, 1<<17)
	queue, slot := int(w.g.receive.Fd()), int(w.slots[0].Fd())
	ready := []unix.PollFd{{Fd: int32(queue), Events: unix.POLLIN}}
	for {
		select {
		case <-w.closed:
			return
		default:
		}
		unix.Poll(ready, 20)
		n := receiveNow(queue, buf)
		if n < 0 {
			continue
		}
		_, count := wire.RequestIDs(buf[:n])
		for rest := buf[wire.ListHeader:n]; count > 0; count-- {
			const idAt = wire.RequestIDOffset - wire.ListHeader
			const claimAt = wire.RequestClaimOffset - wire.ListHeader
			id, claim := binary.LittleEndian.Uint32(rest[idAt:]), rest[claimAt:claimAt+wire.ClaimSize]
			w.setWord(slotWord(0, wordToken), binary.NativeEndian.Uint64(claim))
			w.setWord(slotWord(0, wordClaimed), uint64(id))
			copy(answer[at:], claim)
			if _, err := unix.Write(slot, answer); err != nil {
				return
			}
			rest = skipValue(rest)
		}
	}
}

// receiveNow is recv(2) without waiting, and without the allocation of [unix.Recvfrom]. It
// returns −1 if nothing is there.
func receiveNow(fd int, buf []byte) int {
	n, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return -1
	}
	return int(n)
}

// skipValue returns what follows the first value of b, which is in the format of marshal.
func skipValue(b []byte) []byte {
	items := 0
	switch b[0] {
	case 'N':
		return b[1:]
	case 'l':
		digits := int(int32(binary.LittleEndian.Uint32(b[1:])))
		return b[5+2*max(digits, -digits):]
	case 'i':
		return b[5:]
	case 'z', 'Z':
		return b[2+int(b[1]):]
	case 'a', 'A', 'u', 't', 's':
		return b[5+binary.LittleEndian.Uint32(b[1:]):]
	case '(', '[':
		items = int(binary.LittleEndian.Uint32(b[1:]))
	}
	for b = b[5:]; items > 0; items-- {
		b = skipValue(b)
	}
	return b
}

// BenchmarkObserve is what a response costs while there are metrics.
func BenchmarkObserve(b *testing.B) {
	s := newServer(errlog.New(io.Discard), 0, func(wire.FromFront) {})
	ex := &exchange{s: s, info: &connInfo{}, req: &http1.Request{Method: []byte("GET")}}
	ex.Start = time.Now()
	ex.status, ex.sent, ex.heard, ex.replied = 200, 14, ex.Start.Add(200*time.Microsecond), ex.Start.Add(200*time.Microsecond)
	for b.Loop() {
		ex.observe(s.recorder)
	}
}
