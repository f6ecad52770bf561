//go:build linux

package harness

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A NetNS is a network namespace. It has no name, and is gone with the last process in it
// and this one: nothing can be left behind.
type NetNS struct {
	file *os.File
}

// NeedsNetNS skips the test where no network namespaces can be made.
func NeedsNetNS(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, to make network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip, of iproute2")
	}
}

// newNetns makes a network namespace with its loopback up.
func newNetns(t testing.TB) *NetNS {
	t.Helper()
	n := &NetNS{}
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		var err error
		n.file, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		t.Skipf("needs network namespaces: %v", err)
	}
	t.Cleanup(func() { n.file.Close() })
	n.ip(t, "link", "set", "lo", "up")
	return n
}

// onThread runs f on a thread of its own, which then goes back to the namespace it came from.
func onThread(f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer func() {
		// A thread that cannot go back stays locked, and ends with its goroutine.
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		home.Close()
	}()
	return f()
}

// inside runs f in the namespace: the processes that it starts, and the sockets that it
// opens, belong there. Goroutines that f starts do not.
func (n *NetNS) inside(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("setns: %w", err)
		}
		return f()
	})
}

// ip runs the program of that name in the namespace.
func (n *NetNS) ip(t testing.TB, args ...string) {
	t.Helper()
	err := n.inside(func() error {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("ip %q: %v", args, err)
	}
}

// path names the namespace to ip.
func (n *NetNS) path() string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.file.Fd())
}

// Dial connects from the namespace.
func (n *NetNS) Dial(addr string, limit time.Duration) (*Client, error) {
	var c net.Conn
	err := n.inside(func() error {
		var err error
		c, err = net.DialTimeout("tcp4", addr, limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	return newClient(c, limit), nil
}

// A netswitch is what connects namespaces: a bridge in a namespace of its own.
type netswitch struct {
	*NetNS
}

func newSwitch(t testing.TB) netswitch {
	t.Helper()
	s := netswitch{newNetns(t)}
	s.ip(t, "link", "add", "bridge", "type", "bridge")
	s.ip(t, "link", "set", "bridge", "up")
	return s
}

// plug makes a host with an address, such as 10.98.0.1, and connects it. The address of the
// card is made of it, so that a host that comes again is found at once.
func (s netswitch) plug(t testing.TB, name, addr string) *NetNS {
	t.Helper()
	n := newNetns(t)
	ip := net.ParseIP(addr).To4()
	mac := net.HardwareAddr{2, 0, ip[0], ip[1], ip[2], ip[3]}
	s.ip(t, "link", "add", "name", name, "type", "veth", "peer", "name", "eth0", "address", mac.String(), "netns", n.path())
	s.ip(t, "link", "set", "dev", name, "master", "bridge", "up")
	n.ip(t, "addr", "add", addr+"/24", "dev", "eth0")
	n.ip(t, "link", "set", "eth0", "up")
	return n
}

// unplug takes a host's cable away: nothing that is on its way arrives, and nobody is told.
func (s netswitch) unplug(t testing.TB, name string) {
	t.Helper()
	s.ip(t, "link", "del", "dev", name)
}
