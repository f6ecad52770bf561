// Package notify tells the service manager how the service is doing
// (sd_notify(3)): one datagram a message to $NOTIFY_SOCKET.
//
// No method blocks: if the manager does not read, the message is lost and the
// error says so, which is worth a line at debug level and nothing else. Without
// a service manager [New] returns nil, and all methods of a nil Notifier do
// nothing. Try it with systemd-run --property=Type=notify.
package notify

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// A Notifier sends messages to the service manager. It may be used by several
// goroutines.
type Notifier struct {
	path     string
	interval time.Duration
}

// New returns a notifier for the environment given by getenv, nil if it names no
// socket. A master that starts its successor has to set WATCHDOG_PID to the
// successor's pid, or to leave it out, so that the successor knows that it is to
// call [Notifier.Ping] after its promotion.
func New(getenv func(string) string) *Notifier {
	path := getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	n := &Notifier{path: path}
	if pid := getenv("WATCHDOG_PID"); pid == "" || pid == strconv.Itoa(os.Getpid()) {
		if usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64); err == nil && usec > 0 {
			// Half of the limit, as sd_watchdog_enabled(3) advises.
			n.interval = time.Duration(usec) * time.Microsecond / 2
		}
	}
	return n
}

// Interval is how often [Notifier.Ping] must be called; 0: there is no watchdog.
func (n *Notifier) Interval() time.Duration {
	if n == nil {
		return 0
	}
	return n.interval
}

// Ready says that the service has started, or has ended a reload.
func (n *Notifier) Ready(status string) error {
	return n.send("READY=1\nSTATUS=" + oneLine(status))
}

// Reloading says that a reload has begun; it ends with [Notifier.Ready].
// Type=notify-reload wants the time at which it began, on the monotonic clock.
func (n *Notifier) Reloading() error {
	if n == nil {
		return nil
	}
	usec, err := monotonic()
	if err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	return n.send("RELOADING=1\nMONOTONIC_USEC=" + strconv.FormatInt(usec, 10))
}

// Stopping says that the service has begun to stop.
func (n *Notifier) Stopping() error { return n.send("STOPPING=1") }

// MainPID says which process is the service from now on. The manager takes it
// from the present main process only (NotifyAccess=main), and stops everything
// when that ends: so a master says it before it leaves the service to its
// successor.
func (n *Notifier) MainPID(pid int) error { return n.send("MAINPID=" + strconv.Itoa(pid)) }

// Ping keeps the watchdog quiet.
func (n *Notifier) Ping() error { return n.send("WATCHDOG=1") }

func (n *Notifier) send(message string) error {
	if n == nil {
		return nil
	}
	if err := n.sendto([]byte(message)); err != nil {
		return fmt.Errorf("notify the service manager at %s: %w", n.path, err)
	}
	return nil
}

// oneLine keeps a status from being read as further assignments.
func oneLine(s string) string { return strings.ReplaceAll(s, "\n", " ") }
