package front

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"indrik/internal/account"
	"indrik/internal/wire"
)

const handshake = "GET / HTTP/1.1\nHost: a\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\n" +
	"Sec-WebSocket-Extensions: permessage-deflate\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\n\n"

// dialSocket opens a WebSocket connection.
func (r *rig) dialSocket(w *fakeWorker) *client {
	r.t.Helper()
	c := r.dial()
	c.send(handshake)
	id, _, _ := w.beginNext()
	w.say(0, accepted(id))
	w.say(0, withCount(wire.ReplyCredit, id, 1<<16))
	for line := ""; line != "\r\n"; {
		var err error
		line, err = c.br.ReadString('\n')
		must(r.t, err)
	}
	return c
}

// unfinished is so many bytes of a compressed message that has no end.
func unfinished(t testing.TB, size int) []byte {
	var b bytes.Buffer
	deflate, err := flate.NewWriter(&b, flate.NoCompression)
	must(t, err)
	_, err = deflate.Write(bytes.Repeat([]byte("x"), size))
	must(t, err)
	must(t, deflate.Flush())
	payload := b.Bytes()
	frame := []byte{0xc2, 0xff, 0, 0, 0, 0, 1, 0, 0, 0} // 16 MiB
	return append(append(frame, 0, 0, 0, 0), payload...)
}

// holding is a front on which every kind of request can be made.
func holding(t *testing.T, change func(*wire.FrontConfig)) (*rig, *fakeWorker) {
	r, g := asgiRig(t, func(cfg *wire.FrontConfig) {
		allowHTTP2(cfg)
		cfg.HTTP1, cfg.WebSocketCompression, cfg.WebSocketMaxMessageSize = true, true, 16<<20
		cfg.WorkerConnections = 1000
		if change != nil {
			change(cfg)
		}
	})
	return r, r.asgiWorker(g)
}

// Whatever is held for a client is counted, and is not when the client has gone.
func TestHeldIsCounted(t *testing.T) {
	large := strings.Repeat("x", 100<<10)
	post := func(r *rig, size int, body string) *client {
		c := r.dial()
		c.send("POST / HTTP/1.1\nHost: a\nContent-Length: %d\n\n%s", size, body)
		return c
	}
	for name, c := range map[string]struct {
		least int64
		do    func(r *rig, w *fakeWorker) (c *client, unanswered uint32)
	}{
		"nothing": {0, func(r *rig, w *fakeWorker) (*client, uint32) { return r.dial(), 0 }},
		"a head": {20 << 10, func(r *rig, w *fakeWorker) (*client, uint32) {
			c := r.dial()
			c.send("GET / HTTP/1.1\nHost: a\nA: %s\nB: %[1]s\nC: %[1]s\nD", strings.Repeat("x", 8000))
			return c, 0
		}},
		"a small body, not all of it": {firstPiece, func(r *rig, w *fakeWorker) (*client, uint32) { return post(r, 60_000, "x"), 0 }},
		"a small body, that waits for its app": {60_000, func(r *rig, w *fakeWorker) (*client, uint32) {
			c := post(r, 60_000, large[:60_000])
			id, _, _ := w.beginNext()
			return c, id
		}},
		"a large body": {1<<20 - wire.ArenaBlock, func(r *rig, w *fakeWorker) (*client, uint32) {
			c := post(r, 1<<20, strings.Repeat("x", 1<<20))
			id, _, _ := w.beginNext()
			return c, id
		}},
		"an upload": {streamPart, func(r *rig, w *fakeWorker) (*client, uint32) {
			c := post(r, 5<<20, "x")
			w.beginNext()
			return c, 0
		}},
		"a response": {100 << 10, func(r *rig, w *fakeWorker) (*client, uint32) {
			c := r.dial()
			c.get("/")
			id, _, _ := w.beginNext()
			w.sayMuch(id, large, func() bool { return r.s.account.Held() >= connHeld+100<<10 })
			return c, 0
		}},
		"a message of WebSocket": {1 << 20, func(r *rig, w *fakeWorker) (*client, uint32) {
			c := r.dialSocket(w)
			_, err := c.nc.Write(unfinished(t, 1<<20))
			must(t, err)
			return c, 0
		}},
		"a stream": {streamHeld + http2Held, func(r *rig, w *fakeWorker) (*client, uint32) {
			h := r.dialHTTP2()
			h.request("GET", true)
			w.beginNext()
			return h.client, 0
		}},
		"a body of HTTP/2 that nobody reads": {streamHeld + http2Held + 60_000, func(r *rig, w *fakeWorker) (*client, uint32) {
			h := r.dialHTTP2()
			id := h.request("POST", false)
			for range 6 {
				must(t, h.framer.WriteData(id, false, make([]byte, 10_000)))
			}
			w.beginNext()
			return h.client, 0
		}},
		"a response of HTTP/2": {wire.ResponseWindow, func(r *rig, w *fakeWorker) (*client, uint32) {
			h := r.dialHTTP2(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			h.request("GET", true)
			id, _, _ := w.beginNext()
			w.sayMuch(id, large, func() bool { return r.s.account.Held() >= connHeld+wire.ResponseWindow })
			return h.client, 0
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, w := holding(t, nil)
			client, unanswered := c.do(r, w)
			eventually(t, "it is counted", func() bool { return r.s.account.Held() >= connHeld+c.least })
			if unanswered != 0 {
				w.say(0, response(unanswered, "200 OK", nil, ""))
			}
			must(t, client.nc.(*net.TCPConn).SetLinger(0)) // it does not wait for its answer
			client.nc.Close()
			eventually(t, "nothing is held", func() bool { return r.s.account.Held() == 0 })
		})
	}
}

// A connection that is kept holds nothing of the requests that it has had.
func TestNothingIsHeldBetweenRequests(t *testing.T) {
	for _, asgi := range []bool{false, true} {
		r := newRig(t, 0)
		r.listen()
		cfg := testConfig()
		var answer func(size int)
		if asgi {
			cfg.Kind, cfg.WorkerConnections = wire.KindASGI, 10
			w := r.asgiWorker(r.generation(1, cfg))
			answer = func(size int) {
				id := w.takeBody(strings.Repeat("b", size))
				w.say(0, response(id, "200 OK", nil, "ok"))
			}
		} else {
			w := r.worker(r.generation(1, cfg), 1)
			answer = func(int) { w.say(0, response(w.take(0).id, "200 OK", nil, "ok")) }
		}
		c := r.dial()
		for _, size := range []int{0, 10, 20_000, 60_000, 300_000, 5 << 20} {
			for _, chunked := range []bool{false, true} {
				body := strings.Repeat("b", size)
				if chunked && size > 0 {
					go c.send("POST / HTTP/1.1\nHost: a\nX: %s\nTransfer-Encoding: chunked\n\n%x\n%s\n0\n\n", strings.Repeat("x", 8000), size, body)
				} else {
					go c.send("POST / HTTP/1.1\nHost: a\nX: %s\nContent-Length: %d\n\n%s", strings.Repeat("x", 8000), size, body)
				}
				answer(size)
				c.expect(200, "ok")
				what := fmt.Sprintf("asgi %t, %d bytes, chunked %t: nothing is held", asgi, size, chunked)
				eventually(t, what, func() bool {
					wake := r.s.all()
					for _, c := range wake {
						c.wake() // so that the sweep need not do it
					}
					return r.s.account.Held() == connHeld
				})
			}
		}
	}
}

// Clients that have too much are cut off, and nobody else is.
func TestGreedyClientsAreCutOff(t *testing.T) {
	for _, own := range []bool{false, true} {
		t.Run(fmt.Sprint("its own bound ", own), func(t *testing.T) {
			t.Parallel()
			r, w := holding(t, func(cfg *wire.FrontConfig) {
				cfg.LimitMemory, cfg.LimitClientMemory = 4<<20, 100<<20
				cfg.ForwardedAllowIPs = "127.0.0.1"
				if own {
					cfg.LimitMemory, cfg.LimitClientMemory = 100<<20, 4<<20
					cfg.ForwardedAllowIPs = "10.0.0.1"
				}
			})
			modest := r.dialSocket(w)
			var greedy []*client
			for range 10 {
				greedy = append(greedy, r.dialSocket(w))
			}
			message := unfinished(t, 1<<20)
			ended := make(chan error, len(greedy))
			for _, c := range greedy {
				go func() {
					_, _ = c.nc.Write(message)
					_, err := io.Copy(io.Discard, c.br)
					ended <- err
				}()
			}
			for range len(greedy) - 4 {
				<-ended
			}
			// A connection that is cut off gives back what it held a moment later.
			eventually(t, "no more is held than may be", func() bool { return r.s.account.Held() <= 4<<20 })
			setting := "limit_memory"
			if own {
				setting = "limit_client_memory"
			}
			eventually(t, "the log says who", func() bool {
				log := r.log.String()
				return strings.Contains(log, "Closing a connection of ip=127.0.0.1") && strings.Contains(log, "more than "+setting+" allows (4096 KiB)")
			})
			_, err := modest.nc.Write(clientFrame(0x89, "hi"))
			must(t, err)
			pong := make([]byte, 4)
			_, err = io.ReadFull(modest.br, pong)
			must(t, err)
			if string(pong) != "\x8a\x02hi" {
				t.Errorf("got %q", pong)
			}
		})
	}
}

// All kinds of connections can be cut off.
func TestCutOff(t *testing.T) {
	r, w := holding(t, nil)
	quiet, asking, sending, socket := r.dial(), r.dial(), r.dial(), r.dialSocket(w)
	asking.get("/")
	w.beginNext()
	sending.send("POST / HTTP/1.1\nHost: a\nContent-Length: 10\n\nx")
	h := r.dialHTTP2()
	h.request("GET", true)
	w.beginNext()
	eventually(t, "all are there", func() bool {
		n := 0
		for _, c := range r.s.all() {
			if p := phase(c.phase.Load()); p == multiplexed || p == reading || p == running || p == idle {
				n++
			}
		}
		return n == 5
	})
	for _, c := range r.s.all() {
		c.cutOff()
	}
	for _, c := range []*client{quiet, asking, sending, socket, h.client} {
		_, _ = io.Copy(io.Discard, c.br)
		c.nc.Close()
	}
	eventually(t, "all have ended", func() bool { return len(r.s.all()) == 0 && r.s.account.Held() == 0 })
}

// One client address has so many connections; peers that may be proxies have no such
// bound.
func TestClientConnections(t *testing.T) {
	cfg := testConfig()
	cfg.LimitClientConnections = 3
	r := newRig(t, 0)
	r.listen()
	r.worker(r.generation(1, cfg), 1).serve(echo)
	var all []*client
	for range 3 {
		c := r.dial()
		c.get("/")
		c.expect(200, "*")
		all = append(all, c)
	}
	c := r.dial()
	c.expect(503, "*")
	c.closed()
	eventually(t, "the log says who", func() bool {
		return strings.Contains(r.log.String(), "Refusing a connection of ip=127.0.0.1: it has 3, the most that limit_client_connections allows")
	})
	all[0].nc.Close()
	eventually(t, "there is room for another", func() bool { return len(r.s.all()) == 2 })
	c = r.dial()
	c.get("/")
	c.expect(200, "*")

	trusting := testConfig()
	trusting.LimitClientConnections, trusting.ForwardedAllowIPs = 1, "127.0.0.1"
	r = newRig(t, 0)
	r.listen()
	r.worker(r.generation(1, trusting), 1).serve(echo)
	for range 5 {
		c := r.dial()
		c.get("/")
		c.expect(200, "*")
	}
}

// Clients behind a proxy that names them by a PROXY header have bounds of their own.
func TestClientConnectionsByProxy(t *testing.T) {
	cfg := testConfig()
	cfg.LimitClientConnections, cfg.ProxyProtocol, cfg.ProxyAllowIPs = 2, "v1", "127.0.0.1"
	r := newRig(t, 0)
	r.listen()
	r.worker(r.generation(1, cfg), 1).serve(echo)
	dial := func(from string) *client {
		c := r.dial()
		c.send("PROXY TCP4 %s 10.9.9.9 1000 80\nGET / HTTP/1.1\nHost: a\n\n", from)
		return c
	}
	for range 2 {
		dial("10.1.1.1").expect(200, "*")
		dial("10.1.1.2").expect(200, "*")
	}
	dial("10.1.1.1").expect(503, "*")
	dial("10.1.1.3").expect(200, "*")
}

// One client address has so many streams, on however many connections.
func TestClientStreams(t *testing.T) {
	r, w := holding(t, func(cfg *wire.FrontConfig) { cfg.LimitClientStreams = 3 })
	a, b := r.dialHTTP2(), r.dialHTTP2()
	for _, h := range []*rawHTTP2{a, b, a} {
		h.request("GET", true)
		w.beginNext()
	}
	b.request("GET", true)
	eventually(t, "the log says who", func() bool {
		return strings.Contains(r.log.String(), "Refusing a stream of ip=127.0.0.1: it has as many as limit_client_streams allows")
	})
	a.nc.Close()
	eventually(t, "two have ended", func() bool { return len(r.s.all()) == 1 })
	eventually(t, "there is room again", func() bool {
		b.request("GET", true)
		kind, _, _, _, ok := w.try(100 * time.Millisecond)
		return ok && kind == wire.EventRequest
	})
}

func TestBounds(t *testing.T) {
	const gib = 1 << 30
	of := func(memory, client int64, connections int) *config {
		cfg, err := newConfig(&wire.FrontConfig{
			LimitMemory: memory, LimitClientMemory: client, LimitConnections: 100, LimitClientConnections: connections,
			LimitClientStreams: 7, ProxyProtocol: "off",
		})
		must(t, err)
		return cfg
	}
	for _, c := range []struct {
		cfg     *config
		machine int64
		want    account.Limits
	}{
		{of(0, 0, 0), 8 * gib, account.Limits{Memory: 2 * gib, ClientMemory: gib, ClientConnections: 50, ClientStreams: 7}},
		{of(0, 0, 0), 100 << 20, account.Limits{Memory: 64 << 20, ClientMemory: 32 << 20, ClientConnections: 50, ClientStreams: 7}},
		{of(0, 0, 0), 0, account.Limits{Memory: gib, ClientMemory: gib / 2, ClientConnections: 50, ClientStreams: 7}},
		{of(1000, 0, 3), gib, account.Limits{Memory: 1000, ClientMemory: 500, ClientConnections: 3, ClientStreams: 7}},
		{of(0, 1000, 0), 8 * gib, account.Limits{Memory: 2 * gib, ClientMemory: 1000, ClientConnections: 50, ClientStreams: 7}},
	} {
		if got := c.cfg.bounds(c.machine); got != c.want {
			t.Errorf("of %d: %+v, want %+v", c.machine, got, c.want)
		}
	}
}

// Who has no address of his own, and that one of IPv6 is a network.
func TestClientAddr(t *testing.T) {
	cfg := testConfig()
	cfg.ForwardedAllowIPs, cfg.ProxyProtocol, cfg.ProxyAllowIPs = "10.0.0.1", "auto", "10.0.0.2"
	known, err := newConfig(cfg)
	must(t, err)
	for _, c := range []struct {
		peer, proxied, want string
	}{
		{"192.0.2.1", "", "192.0.2.1"},
		{"10.0.0.1", "", ""},
		{"10.0.0.2", "", ""},
		{"10.0.0.2", "192.0.2.9", "192.0.2.9"},
		{"2001:db8:1:2:3:4:5:6", "", "2001:db8:1:2::"},
		{"", "", ""},
	} {
		var o connInfo
		if c.peer != "" {
			o.peerAddr = netip.MustParseAddr(c.peer)
			o.client = o.peerAddr
		}
		if c.proxied != "" {
			o.client, o.proxied = netip.MustParseAddr(c.proxied), true
		}
		got := (&conn{info: o}).clientAddr(known)
		if c.want == "" && got.IsValid() || c.want != "" && got.String() != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// The more is held the less garbage there may be, and a limit follows the bound, unless
// the environment says otherwise.
func TestCollector(t *testing.T) {
	for held, want := range map[int64]int{0: 400, 1 << 20: 400, 16 << 20: 400, 32 << 20: 200, 64 << 20: 100, 128 << 20: 50, 10 << 30: 50} {
		if got := garbage(held); got != want {
			t.Errorf("%d held: %d%%, want %d%%", held, got, want)
		}
	}
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	defer func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	}()
	g := newCollector(func(string) string { return "" })
	if mark := g.follow(64 << 20); mark <= 64<<20 {
		t.Errorf("it is looked at again at %d", mark)
	}
	g.limit(100 << 20)
	if got := debug.SetGCPercent(77); got != 100 {
		t.Errorf("GOGC is %d", got)
	}
	if got := debug.SetMemoryLimit(-1); got != 125<<20+ownMemory {
		t.Errorf("GOMEMLIMIT is %d", got)
	}
	g = newCollector(func(name string) string { return "1" })
	g.follow(64 << 20)
	g.limit(1 << 30)
	if got := debug.SetGCPercent(100); got != 77 {
		t.Errorf("GOGC is %d although it was set", got)
	}
	if got := debug.SetMemoryLimit(-1); got != 125<<20+ownMemory {
		t.Errorf("GOMEMLIMIT is %d although it was set", got)
	}
}
