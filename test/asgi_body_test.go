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
)

func TestASGIBodies(t *testing.T) {
	t.Parallel()
	eachLine(t, options{app: "asgiapps:uploads"}, func(t *testing.T, s *server) {
		c := s.client()
		// What is small comes whole, also if it was not sent so.
		c.send(t, "POST /parts HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234")
		c.send(t, "56789")
		if r := c.receive(t, "POST"); r.body != "10 bytes in 1 parts" {
			t.Errorf("%v", r)
		}
		if r := c.do(t, "POST", "/parts", strings.Repeat("x", 64<<10)); r.body != "65536 bytes in 1 parts" {
			t.Errorf("%v", r)
		}
		c.send(t, "POST /parts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n0\r\n\r\n")
		if r := c.receive(t, "POST"); r.body != "5 bytes in 1 parts" {
			t.Errorf("%v", r)
		}
		if r := c.do(t, "GET", "/parts", ""); r.body != "0 bytes in 1 parts" {
			t.Errorf("%v", r)
		}
		// What is not comes as it is sent, and what follows it is the next request.
		c.send(t, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n")
		r := c.expectHead(t, 200)
		c.expectChunks(t, "01234")
		c.send(t, "3\r\n567\r\n")
		c.expectChunks(t, "567")
		c.send(t, "2\r\n89\r\n0\r\nX-Trailer: y\r\n\r\nGET /parts HTTP/1.1\r\nHost: x\r\n\r\n")
		if err := readBody(c.r, r, "POST"); err != nil || r.body != "89" {
			t.Fatalf("%v, %v", r, err)
		}
		if !r.closes() {
			t.Errorf("%v: the end of the body was not in sight", r)
		}
		c = s.client()
		large := strings.Repeat("0123456789", 300_000)
		c.send(t, format("POST", "/echo", large)) // all of it comes back meanwhile
		r = c.expectHead(t, 200)
		if err := readBody(c.r, r, "POST"); err != nil || r.body != large {
			t.Errorf("%d bytes, %v", len(r.body), err)
		}
		s.terminate()
	})
}

func TestASGIBodiesOverHTTP2(t *testing.T) {
	t.Parallel()
	overHTTP2(t, options{app: "asgiapps:uploads"}, func(t *testing.T, s *server, w *web) {
		large := bytes.Repeat([]byte("0123456789"), 300_000)
		p, err := w.try(context.Background(), "POST", "/echo", bytes.NewReader(large))
		if err != nil || p.body != string(large) {
			t.Errorf("%v, %v", p, err)
		}
		if p := w.do("POST", "/parts", "small"); p.body != "5 bytes in 1 parts" {
			t.Errorf("%v", p)
		}
		// Both directions at once.
		r, feed := io.Pipe()
		req := w.request(context.Background(), "POST", "/echo", r)
		go io.WriteString(feed, "ping")
		resp, err := w.Do(req)
		must(t, err)
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
		if p, err := w.try(context.Background(), "POST", "/none", bytes.NewReader(large)); err == nil && p.StatusCode != 401 {
			t.Errorf("%v", p)
		}
		s.terminate()
	})
}

// An app that does not read holds the client back, and nobody else.
func TestASGIUploadBackPressure(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "asgiapps:uploads"})
	g := s.gate("slowly")
	const size = 60_000_000
	c := s.client()
	c.send(t, fmt.Sprintf("POST /slowly HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", size))
	g.entered()
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(make([]byte, size))
		sent <- err
	}()
	for range 100 {
		s.request("GET", "/", "")
	}
	select {
	case err := <-sent:
		t.Errorf("all was taken from the client: %v", err)
	default:
	}
	if files := openTemporaries(s.role("front")[0].pid); len(files) > 0 {
		t.Errorf("the front keeps %q", files)
	}
	g.release()
	must(t, <-sent)
	if r := c.receive(t, "POST"); r.body != fmt.Sprint(size, " bytes") {
		t.Errorf("%v", r)
	}
	s.terminate()
}

func TestASGIEarlyAnswers(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "asgiapps:uploads"})
	// A client that asks first is told no by the app.
	for _, head := range []string{"Content-Length: 5", "Content-Length: 500000", "Transfer-Encoding: chunked"} {
		c := s.client()
		c.send(t, "POST /none HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"+head+"\r\n\r\n")
		if r, err := readHead(c.r); err != nil || r.status != 401 || !r.closes() {
			t.Errorf("%s: %v, %v", head, r, err)
		}
		c = s.client()
		c.send(t, "POST /some HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"+head+"\r\n\r\n")
		if r, err := readHead(c.r); err != nil || r.status != 100 {
			t.Errorf("%s: %v, %v", head, r, err)
		}
		c.send(t, map[bool]string{true: "5\r\nabcde\r\n", false: "abcde"}[strings.Contains(head, "chunked")])
		if r, err := readHead(c.r); err != nil || r.status != 413 {
			t.Errorf("%s: %v, %v", head, r, err)
		}
	}
	// The answer arrives although the body goes on.
	c := s.client()
	c.send(t, "POST /none HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n")
	if r := c.receive(t, "POST"); r.status != 401 || !r.closes() {
		t.Errorf("%v", r)
	}
	// If little of it is left the connection stays.
	c = s.client()
	c.send(t, "POST /none HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"+strings.Repeat("x", 90000))
	r := c.receive(t, "POST")
	if r.status != 401 {
		t.Errorf("%v", r)
	}
	if !r.closes() {
		c.send(t, strings.Repeat("x", 10000))
		if r := c.do(t, "GET", "/parts", ""); r.body != "0 bytes in 1 parts" {
			t.Errorf("%v", r)
		}
	}
	s.terminate()
}

func TestASGIBodyLimits(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "asgiapps:uploads", args: []string{"--limit-request-body", "200000", "--body-timeout", "2"}})
	c := s.client()
	c.send(t, "POST /parts HTTP/1.1\r\nHost: x\r\nContent-Length: 200001\r\n\r\n")
	if r := c.receive(t, "POST"); r.status != 413 {
		t.Errorf("%v", r)
	}
	chunk := fmt.Sprintf("%x\r\n%s\r\n", 50000, strings.Repeat("x", 50000))
	c = s.client()
	c.send(t, "POST /parts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"+strings.Repeat(chunk, 5))
	if r := c.receive(t, "POST"); r.status != 413 {
		t.Errorf("%v", r)
	}
	// In the middle of a response there is no other answer.
	c = s.client()
	c.send(t, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"+strings.Repeat(chunk, 5))
	if r, err := readResponse(c.r, "POST"); err == nil {
		t.Errorf("%v", r)
	}
	c = s.client()
	c.send(t, "POST /parts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n")
	if r := c.receive(t, "POST"); r.status != 400 {
		t.Errorf("%v", r)
	}
	c = s.client()
	c.send(t, "POST /parts HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n")
	began := time.Now()
	if r := c.receive(t, "POST"); r.status != 408 {
		t.Errorf("%v", r)
	}
	if took := time.Since(began); took < 1900*time.Millisecond {
		t.Errorf("after %v", took)
	}
	s.get("/parts")
	s.terminate()
}

// A client that leaves in the middle of its body is not waited for.
func TestASGIUploadLeft(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "asgiapps:uploads"})
	c := s.client()
	c.send(t, "POST /slowly HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n"+strings.Repeat("x", 1000))
	s.get("/parts")
	c.Close()
	s.log.expect(t, `^the client has gone after 1000 bytes$`)
	s.terminate()
}

// A thousand clients that begin a body and send no more of it keep nobody from the
// workers.
func TestASGIStandingUploads(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "asgiapps:uploads", args: []string{"--worker-connections", "100", "--queue-limit", "2000"}})
	crowd := s.crowd(1000, "POST /slowly HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx")
	for range 5 {
		began := time.Now()
		s.get("/parts")
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("another client was served after %v", took)
		}
	}
	for _, c := range crowd {
		c.Close()
	}
	eventually(t, "the app knows that they have gone", func() bool { return s.log.count(`^the client has gone after 1 bytes$`) == len(crowd) })
	s.terminate()
}
