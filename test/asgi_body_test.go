//go:build linux

package test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"indrik/test/harness"
)

func TestASGIBodies(t *testing.T) {
	t.Parallel()
	eachLine(t, harness.Options{App: "asgiapps:uploads"}, func(t *testing.T, s *harness.Server) {
		c := s.Client()
		// What is small comes whole, also if it was not sent so.
		c.Send(t, "POST /parts HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234")
		c.Send(t, "56789")
		if r := c.Receive(t, "POST"); r.Body != "10 bytes in 1 parts" {
			t.Errorf("%v", r)
		}
		if r := c.Do(t, "POST", "/parts", strings.Repeat("x", 64<<10)); r.Body != "65536 bytes in 1 parts" {
			t.Errorf("%v", r)
		}
		c.Send(t, "POST /parts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n0\r\n\r\n")
		if r := c.Receive(t, "POST"); r.Body != "5 bytes in 1 parts" {
			t.Errorf("%v", r)
		}
		if r := c.Do(t, "GET", "/parts", ""); r.Body != "0 bytes in 1 parts" {
			t.Errorf("%v", r)
		}
		// What is not comes as it is sent, and what follows it is the next request.
		c.Send(t, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n")
		r := c.ExpectHead(t, 200)
		c.ExpectChunks(t, "01234")
		c.Send(t, "3\r\n567\r\n")
		c.ExpectChunks(t, "567")
		c.Send(t, "2\r\n89\r\n0\r\nX-Trailer: y\r\n\r\nGET /parts HTTP/1.1\r\nHost: x\r\n\r\n")
		if err := harness.ReadBody(c.Reader, r, "POST"); err != nil || r.Body != "89" {
			t.Fatalf("%v, %v", r, err)
		}
		if !r.Closes() {
			t.Errorf("%v: the end of the body was not in sight", r)
		}
		c = s.Client()
		large := strings.Repeat("0123456789", 300_000)
		sent := make(chan error, 1)
		go func() {
			_, err := io.WriteString(c, harness.FormatRequest("POST", "/echo", large))
			sent <- err
		}()
		r = c.ExpectHead(t, 200) // all of it comes back meanwhile
		if err := harness.ReadBody(c.Reader, r, "POST"); err != nil || r.Body != large {
			t.Errorf("%d bytes, %v", len(r.Body), err)
		}
		harness.Must(t, <-sent)
		s.Terminate()
	})
}

func TestASGIBodiesOverHTTP2(t *testing.T) {
	t.Parallel()
	harness.OverHTTP2(t, harness.Options{App: "asgiapps:uploads"}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		large := bytes.Repeat([]byte("0123456789"), 300_000)
		p, err := w.Try(context.Background(), "POST", "/echo", bytes.NewReader(large))
		if err != nil || p.Text != string(large) {
			t.Errorf("%v, %v", p, err)
		}
		if p := w.Fetch("POST", "/parts", "small"); p.Text != "5 bytes in 1 parts" {
			t.Errorf("%v", p)
		}
		// Both directions at once.
		r, feed := io.Pipe()
		req := w.Request(context.Background(), "POST", "/echo", r)
		go io.WriteString(feed, "ping")
		resp, err := w.Do(req)
		harness.Must(t, err)
		defer resp.Body.Close()
		buf := make([]byte, 4)
		if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != "ping" {
			t.Errorf("%q, %v", buf, err)
		}
		io.WriteString(feed, "pong")
		if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != "pong" {
			t.Errorf("%q, %v", buf, err)
		}
		feed.Close()
		if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
			t.Errorf("%q, %v", rest, err)
		}
		if p, err := w.Try(context.Background(), "POST", "/none", bytes.NewReader(large)); err == nil && p.StatusCode != 401 {
			t.Errorf("%v", p)
		}
		s.Terminate()
	})
}

// An app that does not read holds the client back, and nobody else.
func TestASGIUploadBackPressure(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "asgiapps:uploads"})
	g := s.Gate("slowly")
	const size = 60_000_000
	c := s.Client()
	c.Send(t, fmt.Sprintf("POST /slowly HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", size))
	g.Entered()
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(make([]byte, size))
		sent <- err
	}()
	for range 100 {
		s.Request("GET", "/", "")
	}
	select {
	case err := <-sent:
		t.Errorf("all was taken from the client: %v", err)
	default:
	}
	if files := openTemporaries(s.Role("front")[0].PID); len(files) > 0 {
		t.Errorf("the front keeps %q", files)
	}
	g.Release()
	harness.Must(t, <-sent)
	if r := c.Receive(t, "POST"); r.Body != fmt.Sprint(size, " bytes") {
		t.Errorf("%v", r)
	}
	s.Terminate()
}

func TestASGIEarlyAnswers(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "asgiapps:uploads"})
	// A client that asks first is told no by the app.
	for _, head := range []string{"Content-Length: 5", "Content-Length: 500000", "Transfer-Encoding: chunked"} {
		c := s.Client()
		c.Send(t, "POST /none HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"+head+"\r\n\r\n")
		if r, err := harness.ReadHead(c.Reader); err != nil || r.Status != 401 || !r.Closes() {
			t.Errorf("%s: %v, %v", head, r, err)
		}
		c = s.Client()
		c.Send(t, "POST /some HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"+head+"\r\n\r\n")
		if r, err := harness.ReadHead(c.Reader); err != nil || r.Status != 100 {
			t.Errorf("%s: %v, %v", head, r, err)
		}
		c.Send(t, map[bool]string{true: "5\r\nabcde\r\n", false: "abcde"}[strings.Contains(head, "chunked")])
		if r, err := harness.ReadHead(c.Reader); err != nil || r.Status != 413 {
			t.Errorf("%s: %v, %v", head, r, err)
		}
	}
	// The answer arrives although the body goes on.
	c := s.Client()
	c.Send(t, "POST /none HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n")
	if r := c.Receive(t, "POST"); r.Status != 401 || !r.Closes() {
		t.Errorf("%v", r)
	}
	// If little of it is left the connection stays.
	c = s.Client()
	c.Send(t, "POST /none HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"+strings.Repeat("x", 90000))
	r := c.Receive(t, "POST")
	if r.Status != 401 {
		t.Errorf("%v", r)
	}
	if !r.Closes() {
		c.Send(t, strings.Repeat("x", 10000))
		if r := c.Do(t, "GET", "/parts", ""); r.Body != "0 bytes in 1 parts" {
			t.Errorf("%v", r)
		}
	}
	s.Terminate()
}

func TestASGIBodyLimits(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "asgiapps:uploads", Args: []string{"--limit-request-body", "200000", "--body-timeout", "3"}})
	c := s.Client()
	c.Send(t, "POST /parts HTTP/1.1\r\nHost: x\r\nContent-Length: 200001\r\n\r\n")
	if r := c.Receive(t, "POST"); r.Status != 413 {
		t.Errorf("%v", r)
	}
	chunk := fmt.Sprintf("%x\r\n%s\r\n", 50000, strings.Repeat("x", 50000))
	c = s.Client()
	c.Send(t, "POST /parts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"+strings.Repeat(chunk, 5))
	if r := c.Receive(t, "POST"); r.Status != 413 {
		t.Errorf("%v", r)
	}
	// In the middle of a response there is no other answer.
	c = s.Client()
	c.Send(t, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"+strings.Repeat(chunk, 5))
	if r, err := harness.ReadResponse(c.Reader, "POST"); err == nil {
		t.Errorf("%v", r)
	}
	c = s.Client()
	c.Send(t, "POST /parts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n")
	if r := c.Receive(t, "POST"); r.Status != 400 {
		t.Errorf("%v", r)
	}
	c = s.Client()
	began := time.Now()
	c.Send(t, "POST /parts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n")
	if r := c.Receive(t, "POST"); r.Status != 408 {
		t.Errorf("%v", r)
	}
	if took := time.Since(began); took < 2900*time.Millisecond {
		t.Errorf("after %v", took)
	}
	s.Get("/parts")
	s.Terminate()
}

// A client that leaves in the middle of its body is not waited for.
func TestASGIUploadLeft(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "asgiapps:uploads"})
	c := s.Client()
	c.Send(t, "POST /slowly HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n"+strings.Repeat("x", 1000))
	s.Log.Expect(t, `^1000 bytes have come$`)
	c.Close()
	s.Log.Expect(t, `^the client has gone after 1000 bytes$`)
	s.Terminate()
}

// A thousand clients that begin a body and send no more of it keep nobody from the
// workers.
func TestASGIStandingUploads(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "asgiapps:uploads", Args: []string{"--worker-connections", "100", "--queue-limit", "2000", "--body-min-rate", "0"}})
	crowd := s.Crowd(1000, "POST /slowly HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx")
	for range 5 {
		began := time.Now()
		s.Get("/parts")
		if took := time.Since(began); took > 25*time.Second {
			t.Errorf("another client was served after %v", took)
		}
	}
	// The app is not told of a client that leaves before its request has begun.
	harness.Eventually(t, "all have begun", func() bool { return s.Log.Count(`^1 bytes have come$`) == len(crowd) })
	for _, c := range crowd {
		c.Close()
	}
	harness.Eventually(t, "the app knows that they have gone", func() bool { return s.Log.Count(`^the client has gone after 1 bytes$`) == len(crowd) })
	s.Terminate()
}
