package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"
)

// This file finds out what a server leaves out. What it finds stands beside the figures.

// The names of the checks, as the tables have them.
const (
	checkClose   = "close()"
	checkChunked = "chunked"
	checkKeeps   = "keep-alive"
	checkIdle    = "idle limit"
	checkReload  = "reload" // what the workload of that name found
)

// allChecks are in the order of the table.
var allChecks = []string{checkClose, checkChunked, checkKeeps, checkIdle, checkReload}

const (
	closeRuns    = 10
	closeWait    = time.Second // for a server that calls close() when the client has its answer
	keptRequests = 1100
	keptTimeout  = 10 * time.Second
	idleTimeout  = 5 * time.Second
	// The body that comes in chunks comes in two parts, with a pause between them.
	chunks     = 64
	chunkSize  = 1000
	chunkPause = 20 * time.Millisecond
)

// runChecks makes all checks but that of the reload. A finding is "" if the server passes.
func runChecks(ctx context.Context, b *bed) (*run, error) {
	if err := os.Remove(b.e.calls); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return b.withServer(ctx, b.setup(), func(s *server) (*run, error) {
		found := make(map[string]string)
		if b.p.Interface == wsgi {
			found[checkClose] = finding(s.closes(ctx, b.e.calls))
		}
		found[checkChunked] = finding(s.takesChunks())
		found[checkKeeps] = finding(s.keeps(keptRequests))
		// The last one: a server with a worker for each connection is busy with it.
		found[checkIdle] = finding(s.endsIdle(idleTimeout))
		return &run{Findings: found}, ctx.Err()
	})
}

func finding(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection is reset"
	}
	return err.Error()
}

// closes checks that the server calls close() of responses. calls is where the app notes it.
func (s *server) closes(ctx context.Context, calls string) error {
	for range closeRuns {
		if _, err := s.get("/close"); err != nil {
			return err
		}
	}
	for deadline := time.Now().Add(closeWait); ; {
		text, err := os.ReadFile(calls)
		if err != nil {
			return err
		}
		called, closed := bytes.Count(text, []byte("a")), bytes.Count(text, []byte("c"))
		if closed == called {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("called for %d of %d responses", closed, called)
		}
		if err := sleep(ctx, pidInterval); err != nil {
			return err
		}
	}
}

// A talk is a connection on which the bench itself sends requests.
type talk struct {
	net.Conn
	in *bufio.Reader
}

func (s *server) talk(patience time.Duration) (*talk, error) {
	c, err := net.DialTimeout("tcp4", s.address.String(), time.Second)
	if err != nil {
		return nil, err
	}
	return &talk{c, bufio.NewReader(c)}, c.SetDeadline(time.Now().Add(patience))
}

// ask sends a request, and returns the body of the answer. last: the connection ends with it.
func (t *talk) ask(request []byte) (body []byte, last bool, err error) {
	if _, err := t.Write(request); err != nil {
		return nil, false, err
	}
	answer, err := http.ReadResponse(t.in, nil)
	if err != nil {
		return nil, false, err
	}
	defer answer.Body.Close()
	if body, err = io.ReadAll(answer.Body); err != nil {
		return nil, false, err
	}
	if answer.StatusCode != http.StatusOK {
		return nil, false, fmt.Errorf("answers %s", answer.Status)
	}
	return body, answer.Close, nil
}

// takesChunks checks that an app gets the whole body of a request that comes in chunks.
func (s *server) takesChunks() error {
	t, err := s.talk(timeout)
	if err != nil {
		return err
	}
	defer t.Close()
	want := tenKilobytes[:chunkSize]
	half := bytes.Repeat(fmt.Appendf(nil, "%x\r\n%s\r\n", len(want), want), chunks/2)
	head := []byte("POST /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n")
	if _, err := t.Write(append(head, half...)); err != nil {
		return err
	}
	time.Sleep(chunkPause)
	body, _, err := t.ask(append(half, "0\r\n\r\n"...))
	switch {
	case isTimeout(err):
		return fmt.Errorf("no answer in %v", timeout)
	case err != nil:
		return err
	case !bytes.Equal(body, bytes.Repeat(want, chunks)):
		return fmt.Errorf("the app gets %d of %d bytes", len(body), chunks*chunkSize)
	}
	return nil
}

// keeps checks that a connection is kept for n requests.
func (s *server) keeps(n int) error {
	t, err := s.talk(keptTimeout)
	if err != nil {
		return err
	}
	defer t.Close()
	for i := range n {
		_, last, err := t.ask(request("GET", "/", nil, false))
		if err != nil {
			return fmt.Errorf("%d requests, then: %w", i, err)
		}
		if last && i < n-1 {
			return fmt.Errorf("ends after %s", counting(i+1, "request"))
		}
	}
	return nil
}

// endsIdle checks that a connection on which nothing happens is closed. One that is closed with
// its answer passes.
func (s *server) endsIdle(patience time.Duration) error {
	t, err := s.talk(timeout)
	if err != nil {
		return err
	}
	defer t.Close()
	if _, _, err := t.ask(request("GET", "/", nil, false)); err != nil {
		return err
	}
	if err := t.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err = t.in.ReadByte(); isTimeout(err) {
		return fmt.Errorf("open after %v", patience)
	}
	return nil // closed, perhaps by a reset
}

func isTimeout(err error) bool {
	var problem net.Error
	return errors.As(err, &problem) && problem.Timeout()
}

func counting(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
