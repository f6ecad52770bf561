//go:build linux

package test

import (
	"context"
	"io"
	"testing"
)

// What was begun is done to the end when its client leaves, and no error comes of it.
func TestASGIDisconnectLosesNothing(t *testing.T) {
	t.Parallel()
	eachLine(t, options{app: "asgiapps:leaving"}, func(t *testing.T, s *server) {
		g := s.gate("order")
		c := s.client()
		c.send(t, "POST /order HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok")
		s.log.expect(t, `^ordering$`)
		g.entered()
		c.Close()
		// The next one comes after the news of that.
		s.get("/")
		g.release()
		s.log.expect(t, `^order: committed$`)
		if n := s.log.count(`ERROR|Traceback|cancelled|ClientGone`); n > 0 {
			t.Errorf("%d lines of that in the log", n)
		}
		s.terminate()
	})
}

// An app hears of a client that has gone in each of the ways that ASGI has, where that
// is asked for.
func TestASGIDisconnect(t *testing.T) {
	t.Parallel()
	eachLine(t, options{app: "asgiapps:leaving", args: []string{"--asgi-disconnect-grace-period", "1", "--asgi-send-after-disconnect", "raise"}}, func(t *testing.T, s *server) {
		for _, test := range []struct{ path, log string }{
			{"/receive", `^receive http\.disconnect$`},
			{"/send", `^send: ClientGone$`},
			{"/wrapped", ""},
			{"/sleep", `^sleep: cancelled$`},
			{"/stubborn", `^cancelled, and going on$`},
			{"/silent", `^silent: cancelled$`},
		} {
			from := s.log.mark()
			c := s.client()
			c.send(t, "GET "+test.path+" HTTP/1.1\r\nHost: x\r\n\r\n")
			switch test.path {
			case "/receive":
				s.log.expectFrom(t, from, `^receive http\.request$`)
			case "/silent":
				s.log.expectFrom(t, from, `^silent$`)
			default:
				if r, err := readHead(c.r); err != nil || r.status != 200 {
					t.Fatalf("%s: %v, %v", test.path, r, err)
				}
			}
			c.Close()
			if test.log != "" {
				s.log.expectFrom(t, from, test.log)
			}
		}
		s.log.expect(t, `^receive again$`)
		s.log.expect(t, `^receive: ClientGone$`)
		s.get("/")
		if n := s.log.count(`INFO\] GET /sleep is cancelled: its client has gone, and asgi_disconnect_grace_period is 1 s$`); n != 1 {
			t.Errorf("%d lines about the one that was cancelled", n)
		}
		if n := s.log.count(`ERROR|Traceback`); n > 0 {
			t.Errorf("%d errors in the log", n)
		}
		s.terminate()
	})
}

func TestASGIDisconnectAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "asgiapps:leaving", args: []string{"--asgi-disconnect-grace-period", "0"}})
	c := s.client()
	c.send(t, "GET /sleep HTTP/1.1\r\nHost: x\r\n\r\n")
	c.expectHead(t, 200)
	c.Close()
	s.log.expect(t, `^sleep: cancelled$`)
	s.terminate()
}

func TestASGIDisconnectOverHTTP2(t *testing.T) {
	t.Parallel()
	overHTTP2(t, options{app: "asgiapps:leaving", args: []string{"--asgi-send-after-disconnect", "raise"}}, func(t *testing.T, s *server, w *web) {
		ctx, cancel := context.WithCancel(context.Background())
		resp, err := w.Do(w.request(ctx, "GET", "/send", nil))
		must(t, err)
		if _, err := io.ReadFull(resp.Body, make([]byte, 5)); err != nil {
			t.Error(err)
		}
		cancel()
		resp.Body.Close()
		s.log.expect(t, `^send: ClientGone$`)
		if p := w.do("GET", "/", ""); p.body != "ok" {
			t.Errorf("%v", p)
		}
		s.terminate()
	})
}

// A client that has only finished sending gets its response.
func TestASGIHalfClosed(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "asgiapps:gated"})
	g := s.gate("wait")
	c := s.client()
	c.send(t, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
	g.entered()
	must(t, c.Conn.(interface{ CloseWrite() error }).CloseWrite())
	for range 20 {
		s.get("/")
	}
	g.release()
	if r := c.receive(t, "GET"); r.status != 200 {
		t.Errorf("%v", r)
	}
	s.terminate()
}
