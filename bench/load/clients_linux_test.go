package load

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func secureServer(t *testing.T, answer string) netip.AddrPort {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wrong" {
			io.WriteString(w, "another")
			return
		}
		io.WriteString(w, answer)
	}))
	s.StartTLS()
	t.Cleanup(s.Close)
	return netip.MustParseAddrPort(s.Listener.Addr().String())
}

func runClients(t *testing.T, newClient func(int) (Client, error)) *Tally {
	t.Helper()
	r, err := RunClients(t.Context(), ClientPlan{
		Clients: 4, New: newClient, Warm: 50 * time.Millisecond, Measure: measure, Timeout: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &r.Groups[0]
}

func TestTLS(t *testing.T) {
	server := secureServer(t, "hello")
	tally := runClients(t, TLS(Target{Server: server, Request: []byte(get), Want: []byte("hello")}))
	if len(tally.Latencies) == 0 || tally.Failed() > 0 || tally.Connections != 4 {
		t.Errorf("%+v", tally)
	}
	wrong := strings.Replace(get, "/ ", "/wrong ", 1)
	tally = runClients(t, TLS(Target{Server: server, Request: []byte(wrong), Want: []byte("hello")}))
	if tally.Answers > 0 || tally.Errors[Wrong] == 0 || tally.Starved != 4 {
		t.Errorf("%+v", tally)
	}
}

// echo is a WebSocket server that pings once.
func echo(t *testing.T, change func(payload []byte) []byte) netip.AddrPort {
	t.Helper()
	return listen(t, func(c net.Conn, in *bufio.Reader) {
		if _, err := http.ReadRequest(in); err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		c.Write([]byte{0x89, 0})
		for {
			var head [4]byte
			if _, err := io.ReadFull(in, head[:]); err != nil {
				return
			}
			payload := make([]byte, binary.BigEndian.Uint16(head[2:]))
			io.ReadFull(in, make([]byte, 4)) // the mask, which is 0
			if _, err := io.ReadFull(in, payload); err != nil {
				return
			}
			payload = change(payload)
			c.Write(append(binary.BigEndian.AppendUint16([]byte{0x82, 126}, uint16(len(payload))), payload...))
		}
	})
}

func TestWebSocket(t *testing.T) {
	message := []byte(strings.Repeat("0123456789", 20))
	target := Target{Server: echo(t, func(p []byte) []byte { return p }), Path: "/", Request: message, Want: message}
	if tally := runClients(t, WebSocket(target)); len(tally.Latencies) == 0 || tally.Failed() > 0 {
		t.Errorf("%+v", tally)
	}
	target.Server = echo(t, func(p []byte) []byte { return p[1:] })
	if tally := runClients(t, WebSocket(target)); tally.Answers > 0 || tally.Errors[Wrong] == 0 {
		t.Errorf("%+v", tally)
	}
}

// In an open loop the rate is the clients', and a request that is sent late has
// waited since it was due.
func TestOpenLoop(t *testing.T) {
	var slow atomic.Bool
	slow.Store(true)
	server := serve(t, func(c net.Conn, _ *http.Request, _ []byte) bool {
		if slow.Swap(false) {
			time.Sleep(100 * time.Millisecond)
		}
		return sayHello(c)
	})
	r, err := Run(t.Context(), Plan{
		Server: server, Measure: 400 * time.Millisecond, Timeout: time.Minute,
		Groups: []Group{{Clients: 1, Request: []byte(get), Want: []byte("hello"), Every: 10 * time.Millisecond}},
	})
	if err != nil {
		t.Fatal(err)
	}
	tally := &r.Groups[0]
	if tally.Failed() > 0 || len(tally.Latencies) < 30 {
		t.Errorf("%d answers, %d errors in 400 ms at 100/s", len(tally.Latencies), tally.Failed())
	}
	late := 0
	for _, d := range tally.Latencies {
		if d > 20*time.Millisecond {
			late++
		}
	}
	if late < 7 {
		t.Errorf("%d requests were late, behind one of 100 ms: %v", late, tally.Latencies)
	}
}

// What was due while a server stood still counts, also when that was the end of the measurement.
func TestOpenLoopEnd(t *testing.T) {
	const stall = 400 * time.Millisecond
	var requests atomic.Int32
	server := serve(t, func(c net.Conn, _ *http.Request, _ []byte) bool {
		if requests.Add(1) == 10 {
			time.Sleep(stall)
		}
		return sayHello(c)
	})
	r, err := Run(t.Context(), Plan{
		Server: server, Measure: 300 * time.Millisecond, Timeout: time.Minute,
		Groups: []Group{{Clients: 1, Request: []byte(get), Want: []byte("hello"), Every: 10 * time.Millisecond}},
	})
	if err != nil {
		t.Fatal(err)
	}
	tally := &r.Groups[0]
	if n := len(tally.Latencies); n < 30 || tally.Failed() > 0 {
		t.Fatalf("%d requests have a time, and there are %d errors; 30 were due", n, tally.Failed())
	}
	if late := tally.Latencies[len(tally.Latencies)-15]; late < stall/2 {
		t.Errorf("of 20 requests that waited, the 15 slowest took from %v on", late)
	}
}

func TestTrickle(t *testing.T) {
	r := run(t, serveHello(t), Group{
		Clients: 2, Request: []byte(get), Want: []byte("hello"), Trickle: 2 * time.Millisecond,
	})
	tally := &r.Groups[0]
	least := time.Duration(len(get)-1) * 2 * time.Millisecond
	if tally.Failed() > 0 || len(tally.Latencies) == 0 || tally.Latencies[0] < least {
		t.Errorf("%+v, want no answer before %v", tally, least)
	}
}

// Clients that rest keep their connections to the end.
func TestHeld(t *testing.T) {
	r, err := Run(t.Context(), Plan{
		Server: serveHello(t), Measure: time.Second, Ramp: 100 * time.Millisecond, Timeout: time.Minute,
		Groups: []Group{{Clients: 50, Request: []byte(get), Want: []byte("hello"), Pause: time.Hour}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if held := r.Groups[0].Held; held != 50 || len(r.Groups[0].Latencies) != 50 {
		t.Errorf("%d of 50 connections held, %d answers", held, r.Groups[0].Answers)
	}
}
