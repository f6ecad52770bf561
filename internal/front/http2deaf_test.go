package front

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// most is how many heads the clients of these tests ask for at most: more than sockets hold.
const most = 20_000

// deaf is a front whose answers are heads of 8 KiB, and a client of it that reads nothing and
// asks for as many as the server listens to, up to most.
func deaf(t *testing.T) (r *rig, h *rawHTTP2, asked int) {
	r = newRig(t, 0)
	r.listen()
	cfg := testConfig()
	allowHTTP2(cfg)
	value := strings.Repeat("v", 8<<10)
	var answered atomic.Int64
	r.worker(r.generation(1, cfg), 2).serve(func(q request) []byte {
		answered.Add(1)
		return response(q.id, "204 No Content", []header{{"X-Large", value}}, "")
	})
	h = r.dialHTTP2()
	eventually(t, "the server speaks HTTP/2", func() bool { return len(r.s.all()) == 1 && r.s.all()[0].h2.Load() != nil })
	server := r.s.all()[0].h2.Load()
	const batch = 50 // streams, fewer than may be open
	for asked < most {
		for range batch {
			h.request("HEAD", true)
		}
		asked += batch
		ignored := false
		eventually(t, "the server answers, or does not listen", func() bool {
			server.mu.Lock()
			defer server.mu.Unlock()
			ignored = server.isDeafLocked()
			return ignored || answered.Load() == int64(asked) && server.live == 0
		})
		if ignored {
			break
		}
	}
	return r, h, asked
}

// A client that asks for heads and takes none of them is not listened to any more: no window
// bounds what there is for it. Once it reads it gets all of them.
func TestDeafClientIsNotListenedTo(t *testing.T) {
	r, h, asked := deaf(t)
	if asked == most {
		t.Error("the server listens to all of it")
	}
	if held := r.s.account.Held(); held > 2<<20 {
		t.Errorf("%d bytes are held for the client", held)
	}
	h.nc.SetDeadline(time.Now().Add(clientPatience))
	frames := http2.NewFramer(io.Discard, h.br)
	for got := 0; got < asked; {
		f, err := frames.ReadFrame()
		if err != nil {
			t.Fatalf("after %d of %d heads: %s", got, asked, err)
		}
		if f.Header().Type == http2.FrameHeaders {
			got++
		}
	}
	eventually(t, "what was held is given back", func() bool { return r.s.account.Held() <= connHeld+http2Held })
}

// The connection of a client that is not listened to can be ended, by the client and by the
// server.
func TestDeafClientEnds(t *testing.T) {
	for name, end := range map[string]func(r *rig, h *rawHTTP2){
		"by the client": func(_ *rig, h *rawHTTP2) {
			must(h.t, h.nc.(*net.TCPConn).SetLinger(0))
			h.nc.Close()
		},
		"for what it holds": func(r *rig, _ *rawHTTP2) { r.s.all()[0].cutOff() },
		"for write_timeout": func(r *rig, _ *rawHTTP2) { r.s.all()[0].out.Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, h, _ := deaf(t)
			end(r, h)
			eventually(t, "the connection has ended", func() bool { return len(r.s.all()) == 0 && r.s.account.Held() == 0 })
			eventually(t, "no request is left", func() bool { return r.inFlight()+r.waiting() == 0 })
		})
	}
}
