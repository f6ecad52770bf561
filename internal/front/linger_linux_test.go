package front

import (
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A client that closes in the packet of its request is found to have gone, also if
// it is not the first one of its connection: the read of that request leaves
// nothing that would make the poller speak again.
func TestGoneInOnePacket(t *testing.T) {
	r := newRig(t, 0)
	r.listen()
	w := r.worker(r.generation(1, testConfig()), 1)
	c := r.dial()
	c.get("/first")
	w.say(0, echo(w.take(0)))
	c.expect(200, "GET /first ")

	raw, err := c.nc.(*net.TCPConn).SyscallConn()
	must(t, err)
	must(t, raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, 1)
	}))
	must(t, err)
	c.get("/second")
	c.nc.Close() // sends what was held back, and the end with it
	q := w.take(0)
	eventually(t, "the slot is told", func() bool {
		return w.word(slotWord(0, wordGone)) == uint64(q.id)
	})
}

// The head of a file goes out with the start of the file: a small one is in one packet with it.
func TestFileComesWithItsHead(t *testing.T) {
	r, w := answering(t)
	f, content := tempFile(t, 10<<10)
	c := r.dial()
	raw, err := c.nc.(*net.TCPConn).SyscallConn()
	must(t, err)
	for range 3 {
		before := tcpInfo(t, raw).Data_segs_in
		c.get("/")
		w.say(0, fromFile(w.take(0).id, "200 OK", nil, 0, -1), f)
		c.expect(200, string(content))
		if n := tcpInfo(t, raw).Data_segs_in - before; n != 1 {
			t.Errorf("it came in %d packets", n)
		}
	}
}

func tcpInfo(t *testing.T, raw syscall.RawConn) (info *unix.TCPInfo) {
	t.Helper()
	var err error
	must(t, raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }))
	must(t, err)
	return info
}
