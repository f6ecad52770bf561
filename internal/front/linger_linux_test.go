package front

import (
	"net"
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
