package front

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"indrik/internal/wire"
)

// affineRig has two workers, with requests kept as the setting says.
func affineRig(t *testing.T, affinity string) (*rig, []*fakeWorker) {
	r, g := asgiRig(t, func(cfg *wire.FrontConfig) {
		cfg.WorkerAffinity, cfg.AffinityKey = affinity, []byte("0123456789abcdef")
		cfg.WorkerConnections, cfg.ForwardedAllowIPs = 2, "127.0.0.1"
	})
	return r, []*fakeWorker{r.asgiWorker(g), r.asgiWorker(g)}
}

// arrived begins a request that one of the workers got.
func arrived(t *testing.T, workers []*fakeWorker) (worker int, id uint32) {
	t.Helper()
	eventually(t, "a worker gets it", func() bool {
		for i, w := range workers {
			if kind, number, _, _, ok := w.try(10 * time.Millisecond); ok && kind == wire.EventRequest {
				w.setWord(slotWord(0, wordClaimed), uint64(number))
				worker, id = i, number
				return true
			}
		}
		return false
	})
	return worker, id
}

// served sends a request, answers it, and returns which worker had it.
func served(t *testing.T, c *client, workers []*fakeWorker, fields ...string) (int, *http.Response) {
	t.Helper()
	c.send("GET / HTTP/1.1\nHost: h\n%s\n", strings.Join(append(fields, ""), "\n"))
	i, id := arrived(t, workers)
	workers[i].say(0, response(id, "200 OK", nil, "x"))
	return i, c.expect(200, "x")
}

func TestConnectionStaysWithItsWorker(t *testing.T) {
	r, workers := affineRig(t, "connection")
	first := map[int]bool{}
	for range 2 {
		c := r.dial()
		home, resp := served(t, c, workers)
		for range 4 {
			if got, _ := served(t, c, workers); got != home {
				t.Errorf("worker %d, and then %d", home, got)
			}
		}
		if resp.Header.Get("Set-Cookie") != "" {
			t.Error("there is a cookie")
		}
		first[home] = true
	}
	if len(first) != 2 {
		t.Error("both connections are with one worker")
	}
}

func TestCookieLeadsToItsWorker(t *testing.T) {
	r, workers := affineRig(t, "cookie")
	cookies := map[int]string{}
	for len(cookies) < 2 {
		home, resp := served(t, r.dial(), workers)
		cookie, attributes, _ := strings.Cut(resp.Header.Get("Set-Cookie"), ";")
		if attributes != " Path=/; HttpOnly; SameSite=Lax" {
			t.Fatalf("attributes %q", attributes)
		}
		if known, ok := cookies[home]; ok && known != cookie {
			t.Errorf("worker %d has %s and %s", home, known, cookie)
		}
		cookies[home] = cookie
	}
	for home, cookie := range cookies {
		for range 3 {
			got, resp := served(t, r.dial(), workers, "Cookie: a=b; "+cookie, "Cookie: c=d")
			if got != home || resp.Header.Get("Set-Cookie") != "" {
				t.Errorf("%s is of worker %d, worker %d got it, and set %q", cookie, home, got, resp.Header.Get("Set-Cookie"))
			}
		}
	}
	// What cannot be a cookie of the server's is none.
	for _, forged := range []string{"indrik-worker=1", "indrik-worker=", "indrik-worker"} {
		if _, resp := served(t, r.dial(), workers, "Cookie: "+forged); resp.Header.Get("Set-Cookie") == "" {
			t.Errorf("%q was taken", forged)
		}
	}
	if _, resp := served(t, r.dial(), workers, "X-Forwarded-Proto: https"); !strings.HasSuffix(resp.Header.Get("Set-Cookie"), "; Secure; SameSite=None") {
		t.Errorf("over TLS: %q", resp.Header.Get("Set-Cookie"))
	}
	// When a worker is gone its clients go to another one, and stay there.
	r.tell(wire.ToFront{Type: wire.TypeRetire, Age: workers[0].age})
	r.sync()
	got, resp := served(t, r.dial(), workers, "Cookie: "+cookies[0])
	if cookie, _, _ := strings.Cut(resp.Header.Get("Set-Cookie"), ";"); got != 1 || cookie != cookies[1] {
		t.Errorf("worker %d, %q, want %q", got, cookie, cookies[1])
	}
}

func TestAddressStaysWithItsWorker(t *testing.T) {
	r, workers := affineRig(t, "address")
	homes := map[string]int{}
	for i := range 12 {
		addr := fmt.Sprintf("X-Forwarded-For: 203.0.113.%d", i%4)
		home, _ := served(t, r.dial(), workers, addr)
		if known, ok := homes[addr]; ok && known != home {
			t.Errorf("%s: worker %d, and then %d", addr, known, home)
		}
		homes[addr] = home
	}
	// A client of IPv6 has many addresses.
	a, _ := served(t, r.dial(), workers, "X-Forwarded-For: 2001:db8::1")
	for i := range 3 {
		if b, _ := served(t, r.dial(), workers, fmt.Sprintf("X-Forwarded-For: 2001:db8::beef:%d", i)); a != b {
			t.Errorf("worker %d, and then %d", a, b)
		}
	}
}

// Who waits for a worker that has no room holds up nobody else.
func TestFullWorkerHoldsUpItsOwnOnly(t *testing.T) {
	r, workers := affineRig(t, "cookie")
	home, resp := served(t, r.dial(), workers)
	cookie, _, _ := strings.Cut(resp.Header.Get("Set-Cookie"), ";")
	var ids []uint32
	for range 2 {
		r.dial().send("GET / HTTP/1.1\nHost: h\nCookie: %s\n\n", cookie)
		id, _, _ := workers[home].begin()
		ids = append(ids, id)
	}
	waits := r.dial()
	waits.send("GET / HTTP/1.1\nHost: h\nCookie: %s\n\n", cookie)
	eventually(t, "it waits", func() bool { return r.waiting() == 1 })
	for range 3 {
		if got, _ := served(t, r.dial(), workers); got == home {
			t.Error("the worker has no room")
		}
	}
	workers[home].say(0, response(ids[0], "200 OK", nil, "x"))
	id, _, _ := workers[home].begin()
	workers[home].say(0, response(id, "200 OK", nil, "mine"))
	waits.expect(200, "mine")
}
