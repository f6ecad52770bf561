//go:build linux

package test

import (
	"context"
	"io"
	"testing"

	"indrik/test/harness"
)

// What was begun is done to the end when its client leaves, and no error comes of it.
func TestASGIDisconnectLosesNothing(t *testing.T) {
	t.Parallel()
	eachLine(t, harness.Options{App: "asgiapps:leaving"}, func(t *testing.T, s *harness.Server) {
		g := s.Gate("order")
		c := s.Client()
		c.Send(t, "POST /order HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok")
		s.Log.Expect(t, `^ordering$`)
		g.Entered()
		c.Close()
		// The next one comes after the news of that.
		s.Get("/")
		g.Release()
		s.Log.Expect(t, `^order: committed$`)
		if n := s.Log.Count(`ERROR|Traceback|cancelled|ClientGone`); n > 0 {
			t.Errorf("%d lines of that in the log", n)
		}
		s.Terminate()
	})
}

// An app hears of a client that has gone in each of the ways that ASGI has, where that
// is asked for.
func TestASGIDisconnect(t *testing.T) {
	t.Parallel()
	eachLine(t, harness.Options{App: "asgiapps:leaving", Args: []string{"--asgi-disconnect-grace-period", "1", "--asgi-send-after-disconnect", "raise"}}, func(t *testing.T, s *harness.Server) {
		for _, test := range []struct{ path, log string }{
			{"/receive", `^receive http\.disconnect$`},
			{"/send", `^send: ClientGone$`},
			{"/wrapped", ""},
			{"/sleep", `^sleep: cancelled$`},
			{"/stubborn", `^cancelled, and going on$`},
			{"/silent", `^silent: cancelled$`},
		} {
			from := s.Log.Mark()
			c := s.Client()
			c.Send(t, "GET "+test.path+" HTTP/1.1\r\nHost: x\r\n\r\n")
			switch test.path {
			case "/receive":
				s.Log.ExpectFrom(t, from, `^receive http\.request$`)
			case "/silent":
				s.Log.ExpectFrom(t, from, `^silent$`)
			default:
				if r, err := harness.ReadHead(c.Reader); err != nil || r.Status != 200 {
					t.Fatalf("%s: %v, %v", test.path, r, err)
				}
			}
			c.Close()
			if test.log != "" {
				s.Log.ExpectFrom(t, from, test.log)
			}
		}
		s.Log.Expect(t, `^receive again$`)
		s.Log.Expect(t, `^receive: ClientGone$`)
		s.Get("/")
		if n := s.Log.Count(`INFO\] GET /sleep is cancelled: its client has gone, and asgi_disconnect_grace_period is 1 s$`); n != 1 {
			t.Errorf("%d lines about the one that was cancelled", n)
		}
		if n := s.Log.Count(`ERROR|Traceback`); n > 0 {
			t.Errorf("%d errors in the log", n)
		}
		s.Terminate()
	})
}

func TestASGIDisconnectAtOnce(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "asgiapps:leaving", Args: []string{"--asgi-disconnect-grace-period", "0"}})
	c := s.Client()
	c.Send(t, "GET /sleep HTTP/1.1\r\nHost: x\r\n\r\n")
	c.ExpectHead(t, 200)
	c.Close()
	s.Log.Expect(t, `^sleep: cancelled$`)
	s.Terminate()
}

func TestASGIDisconnectOverHTTP2(t *testing.T) {
	t.Parallel()
	harness.OverHTTP2(t, harness.Options{App: "asgiapps:leaving", Args: []string{"--asgi-send-after-disconnect", "raise"}}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		ctx, cancel := context.WithCancel(context.Background())
		resp, err := w.Do(w.Request(ctx, "GET", "/send", nil))
		harness.Must(t, err)
		if _, err := io.ReadFull(resp.Body, make([]byte, 5)); err != nil {
			t.Error(err)
		}
		cancel()
		resp.Body.Close()
		s.Log.Expect(t, `^send: ClientGone$`)
		if p := w.Fetch("GET", "/", ""); p.Text != "ok" {
			t.Errorf("%v", p)
		}
		s.Terminate()
	})
}

// A client that has only finished sending gets its response.
func TestASGIHalfClosed(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "asgiapps:gated"})
	g := s.Gate("wait")
	c := s.Client()
	c.Send(t, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
	g.Entered()
	harness.Must(t, c.Conn.(interface{ CloseWrite() error }).CloseWrite())
	for range 20 {
		s.Get("/")
	}
	g.Release()
	if r := c.Receive(t, "GET"); r.Status != 200 {
		t.Errorf("%v", r)
	}
	s.Terminate()
}
