package pools

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/wire"
)

func message(kind wire.PoolKind, payload string) []byte {
	m := wire.PoolMessage{Kind: kind, Payload: []byte(payload)}
	return m.Append(nil)
}

// What a caller may not do ends it, and nobody else.
func TestHostileCaller(t *testing.T) {
	growing, err := wire.GrowingFile("growing")
	if err != nil {
		t.Fatal(err)
	}
	defer growing.Close()
	if err := growing.Truncate(wire.MaxPoolInline + 1); err != nil {
		t.Fatal(err)
	}
	large := wire.PoolMessage{Kind: wire.PoolCall, App: []byte("m:A"), InFile: true, Size: wire.MaxPoolInline + 1}
	for name, attack := range map[string]func(client, line){
		"what is no message":         func(_ client, l line) { l.sendNow([]byte("GET / HTTP/1.1"), nil) },
		"a result":                   func(_ client, l line) { l.sendNow(message(wire.PoolResult, ""), nil) },
		"a hello":                    func(_ client, l line) { l.sendNow(message(wire.PoolHello, "1234"), nil) },
		"a message too long":         func(_ client, l line) { l.sendNow(make([]byte, wire.MaxPoolMessage+1), nil) },
		"two calls":                  func(_ client, l line) { l.call("m:A", "1", "", 0); l.call("m:A", "2", "", 0) },
		"a file that changes":        func(_ client, l line) { l.sendNow(large.Append(nil), growing) },
		"a file that is not":         func(_ client, l line) { l.sendNow(large.Append(nil), nil) },
		"a file too many":            func(_ client, l line) { l.sendNow(message(wire.PoolResult, ""), growing) },
		"no call connection":         func(c client, _ line) { c.channel.sendNow([]byte{0}, growing) },
		"nothing":                    func(c client, _ line) { c.channel.sendNow(nil, nil) },
		"nothing, and a file":        func(c client, _ line) { c.channel.sendNow([]byte{}, growing) },
		"a message that is too long": func(c client, _ line) { c.channel.sendNow([]byte("hello"), nil) },
		"a call on the channel": func(c client, _ line) {
			m := wire.PoolMessage{Kind: wire.PoolCall, App: []byte("m:A")}
			c.channel.sendNow(m.Append(nil), nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			th := r.worker(1, 1, "m:A")[0]
			bad, good := r.client(1), r.client(2)
			l := bad.dial()
			attack(bad, l)
			if m := r.host.await(t, wire.TypeBroken); m.Age != 1 || m.Reason == "" {
				t.Errorf("%+v", m)
			}
			r.set.CallerGone(1, false) // the master has ended it
			l.File.Close()
			ok := good.dial()
			go func() {
				for { // a call of the hostile caller may have come before
					m, _, _, err := read(t, th.socket)
					if err != nil {
						return
					}
					if m.Kind == wire.PoolCall {
						th.say(wire.PoolResult, nil, nil)
					}
				}
			}()
			ok.call("m:A", "go", "", 0)
			ok.expect(wire.PoolResult, "")
		})
	}
}

// Calls that a caller makes after it has broken a rule, until the master has ended it, fail at once.
func TestChannelIsClosedAfterABreach(t *testing.T) {
	r := newRig(t)
	c := r.client(1)
	c.channel.sendNow([]byte("hello"), nil)
	r.host.await(t, wire.TypeBroken)
	eventually(t, "the channel stays open", func() bool { return c.channel.sendNow([]byte{0}, nil) != nil })
}

// A call connection that its sender has made block, and reads itself, holds nothing up.
func TestConnectionThatBlocks(t *testing.T) {
	r := newRig(t)
	th := r.worker(1, 1, "m:A")[0]
	c := r.client(1)
	theirs, ours := r.pair()
	if err := c.channel.send([]byte{0}, theirs, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(int(theirs.Fd()), false); err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	l := line{t, ours}
	for range 3 {
		l.call("m:A", "go", "", 0)
		th.read(wire.PoolCall)
		th.say(wire.PoolResult, nil, nil)
		l.expect(wire.PoolResult, "")
	}
	ours.File.Close() // the sender still has a duplicate of the front's end
	eventually(t, "the connection stays", func() bool {
		r.set.mu.Lock()
		defer r.set.mu.Unlock()
		return r.set.callers[callerID{1, false}].connections.Load() == 0
	})
}

func TestConnectionsAreBounded(t *testing.T) {
	r := newRig(t)
	c := r.client(1)
	lines := make([]line, 0, maxConnections)
	for range maxConnections {
		lines = append(lines, c.dial())
	}
	one := c.dial()
	one.readError("DirtyConnectionError")
	for _, l := range lines {
		l.File.Close()
	}
	eventually(t, "connections stay", func() bool {
		r.set.mu.Lock()
		defer r.set.mu.Unlock()
		return r.set.callers[callerID{1, false}].connections.Load() == 0
	})
	th := r.worker(1, 1, "m:A")[0]
	l := c.dial()
	l.call("m:A", "go", "", 0)
	th.read(wire.PoolCall)
	th.say(wire.PoolEnd, nil, nil)
	l.expect(wire.PoolEnd, "")
}

// What a pool's worker may not do ends it, its call fails, and other calls go on.
func TestHostilePoolWorker(t *testing.T) {
	pipe, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	defer w.Close()
	large := wire.PoolMessage{Kind: wire.PoolResult, InFile: true, Size: wire.MaxPoolInline + 1}
	for name, attack := range map[string]func(thread){
		"what is no message": func(th thread) { th.sendNow([]byte("x"), nil) },
		"a call": func(th thread) {
			m := wire.PoolMessage{Kind: wire.PoolCall, App: []byte("m:A")}
			th.sendNow(m.Append(nil), nil)
		},
		"ready again":         func(th thread) { th.sendNow(message(wire.PoolReady, "\x00\x00\x00\x01"), nil) },
		"a cancel":            func(th thread) { th.sendNow(message(wire.PoolCancel, ""), nil) },
		"a payload in a pipe": func(th thread) { th.sendNow(large.Append(nil), pipe) },
		"a payload nowhere":   func(th thread) { th.sendNow(large.Append(nil), nil) },
		"too much":            func(th thread) { th.sendNow(make([]byte, wire.MaxPoolMessage+1), nil) },
	} {
		for _, cancelled := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				r := newRig(t)
				bad := r.worker(1, 1, "m:A")[0]
				c := r.client(1)
				l, other := c.dial(), c.dial()
				l.call("m:A", "1", "", 0)
				bad.read(wire.PoolCall)
				other.call("m:A", "2", "", 0)
				eventually(t, "the call does not wait", func() bool { return r.waiting() == 1 })
				if cancelled {
					l.File.Close()
					bad.read(wire.PoolCancel)
					if large := name == "a payload in a pipe" || name == "a payload nowhere"; large {
						return // it is not looked at
					}
				}
				attack(bad)
				if m := r.host.await(t, wire.TypePoolBroken); m.Age != 1 || m.Reason == "" {
					t.Errorf("%+v", m)
				}
				if !cancelled {
					l.readError("DirtyWorkerError")
				}
				r.set.WorkerGone(1, "")
				good := r.worker(2, 1, "m:A")[0]
				good.read(wire.PoolCall)
				good.say(wire.PoolResult, nil, nil)
				other.expect(wire.PoolResult, "")
			})
		}
	}
}

// A second answer to a call is none to the next one.
func TestAnswerBeforeTheCall(t *testing.T) {
	r := newRig(t)
	th := r.worker(1, 1, "m:A")[0]
	l := r.client(1).dial()
	l.call("m:A", "1", "", 0)
	th.read(wire.PoolCall)
	th.say(wire.PoolResult, []byte("one"), nil)
	l.expect(wire.PoolResult, "one")
	th.say(wire.PoolResult, []byte("two"), nil)
	l.call("m:A", "2", "", 0)
	if m := r.host.await(t, wire.TypePoolBroken); m.Age != 1 {
		t.Errorf("%+v", m)
	}
}

// A worker that does not read what it is sent is ended.
func TestPoolWorkerThatDoesNotRead(t *testing.T) {
	r := newRig(t, wire.PoolConfig{Name: "dirty", Apps: []string{"m:A"}, Timeout: 1, QueueLimit: 4})
	r.worker(1, 1, "m:A")
	l := r.client(1).dial()
	l.call("m:A", "1", "", 0)
	l.readError("DirtyTimeoutError")
	r.host.await(t, wire.TypePoolTimeout)
}
