//go:build linux

package test

import (
	"fmt"
	"strings"
	"testing"

	"indrik/test/harness"
)

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "digest:app", Args: []string{"--limit-request-body", "1000"}})
	chunked := func(n int) string {
		return fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", n, strings.Repeat("b", n))
	}
	length := func(n int) string {
		return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", n, strings.Repeat("b", n))
	}
	for name, test := range map[string]struct {
		rest   string
		status int
	}{
		"none":                         {"\r\n", 200},
		"as large as may be":           {length(1000), 200},
		"as large, in a chunk":         {chunked(1000), 200},
		"as large, in many chunks":     {"Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\nb\r\n", 1000) + "0\r\n\r\n", 200},
		"larger":                       {length(1001), 413},
		"larger, nothing of it sent":   {"Content-Length: 1001\r\n\r\n", 413},
		"huge, nothing of it sent":     {"Content-Length: 9223372036854775807\r\n\r\n", 413},
		"larger, with Expect":          {"Expect: 100-continue\r\nContent-Length: 1001\r\n\r\n", 413},
		"larger, in a chunk":           {chunked(1001), 413},
		"larger, in many chunks":       {"Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\nb\r\n", 1001) + "0\r\n\r\n", 413},
		"larger, in chunks that go on": {"Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("100\r\n"+strings.Repeat("b", 256)+"\r\n", 5), 413},
	} {
		t.Run(name, func(t *testing.T) {
			c := s.Client()
			c.Send(t, "POST /read HTTP/1.1\r\nHost: test\r\n"+test.rest)
			r, err := harness.ReadHead(c.Reader) // no 100 before a 413
			if err == nil {
				err = harness.ReadBody(c.Reader, r, "POST")
			}
			if err != nil || r.Status != test.status || r.Closes() != (test.status == 413) {
				t.Errorf("%v, %v, want status %d", r, err, test.status)
			}
			if test.status == 413 {
				c.ExpectEOF(t)
			} else if r := c.Do(t, "GET", "/read", ""); r.Status != 200 {
				t.Errorf("after it: %v", r)
			}
		})
	}
	s.Terminate()

	s = harness.Start(t, harness.Options{App: "digest:app", Args: []string{"--limit-request-body", "0"}})
	if r, err := s.Request("POST", "/read", strings.Repeat("b", 3<<20)); err != nil || r.Status != 200 {
		t.Errorf("without a limit: %v, %v", r, err)
	}
	s.Terminate()
}

func TestAnswerWhileTheClientSends(t *testing.T) {
	t.Parallel()
	// A client that writes all of its body before it reads gets the answer that
	// was given long before: the connection is not reset meanwhile.
	s := harness.Start(t, harness.Options{App: "digest:app", Args: []string{"--limit-request-body", "1000"}})
	body := strings.Repeat("b", 16<<20)
	for name, text := range map[string]string{
		"Content-Length": fmt.Sprintf("POST /read HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%s", len(body), body),
		"chunked":        fmt.Sprintf("POST /read HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body),
	} {
		c := s.Client()
		c.Send(t, text)
		if r := c.Receive(t, "POST"); r.Status != 413 || !r.Closes() {
			t.Errorf("%s: %v", name, r)
		}
		c.ExpectEOF(t)
	}
	for name, text := range map[string]string{
		"a bad head":  "GET / HTTP/1.1\r\nBad Name: x\r\n\r\n" + body,
		"a bad chunk": "POST /read HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\n" + body,
	} {
		c := s.Client()
		c.Send(t, text)
		if r := c.Receive(t, "POST"); r.Status != 400 || !r.Closes() {
			t.Errorf("%s: %v", name, r)
		}
		c.ExpectEOF(t)
	}
	s.Terminate()
}
