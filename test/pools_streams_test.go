//go:build linux

package test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"indrik/test/harness"
)

// This file streams from pools to HTTP clients.

// beginStream asks for a stream, and reads the head of the response.
func beginStream(t *testing.T, s *harness.Server, c poolCall) *harness.Client {
	t.Helper()
	client := s.Client()
	client.Send(t, harness.FormatRequest("POST", "/stream", c.String()))
	client.ExpectHead(t, 200)
	return client
}

func TestPoolStreams(t *testing.T) {
	t.Parallel()
	forEachCaller(t, poolArgs(1, 1), func(t *testing.T, s *harness.Server) {
		for _, action := range []string{"parts", "parts_async"} {
			for _, shape := range [][2]int{{0, 1}, {1, 1}, {1000, 8}, {20, 100_000}} {
				r, err := s.Request("POST", "/stream", poolCall{Action: action, Args: []any{shape[0], shape[1]}}.String())
				if err != nil || r.Body != strings.Repeat("x", shape[0]*shape[1]) {
					t.Errorf("%s%v: %v, %v", action, shape, r, err)
				}
			}
		}
		r, err := s.Request("POST", "/stream", poolCall{Action: "fail"}.String())
		if err == nil && r.Status == 200 {
			t.Errorf("a call that fails at its beginning was answered: %v", r)
		}
		// An error in the middle cuts the response off.
		c := beginStream(t, s, poolCall{Action: "parts_failing"})
		c.ExpectChunks(t, "first")
		c.ExpectCut(t)
	})
}

// madeParts is how many parts the pool has made.
func madeParts(s *harness.Server) int {
	text, err := os.ReadFile(s.Path("made"))
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(string(text))
	return n
}

// A client that reads slowly holds the pool up. For workers of threads the front keeps what
// it does not read yet, so that they are free for others.
func TestPoolStreamsWaitForTheClient(t *testing.T) {
	t.Parallel()
	const parts, size = 20_000, 64 << 10 // more than a gigabyte
	for _, action := range []string{"parts", "parts_async"} {
		t.Run(action, func(t *testing.T) {
			forCallers(t, []string{"gevent", "asgi"}, poolArgs(1, 1), func(t *testing.T, s *harness.Server) {
				c := beginStream(t, s, poolCall{Action: action, Args: []any{parts, size}})
				before, since := 0, time.Now()
				harness.Eventually(t, "the pool makes no more", func() bool {
					if n := madeParts(s); n != before {
						before, since = n, time.Now()
					}
					return before > 0 && time.Since(since) > 500*time.Millisecond
				})
				if before >= parts {
					t.Fatal("it has made everything")
				}
				// It goes on when somebody reads.
				harness.Must(t, c.SetDeadline(time.Now().Add(harness.Patience)))
				if _, err := c.Reader.Discard(before * size); err != nil {
					t.Fatal(err)
				}
				harness.Eventually(t, "the pool goes on", func() bool { return madeParts(s) > before })
				c.Close()
				s.Log.Expect(t, `parts ended after \d+`)
			})
		})
	}
}

// A stream whose client leaves ends, and its worker takes the next call.
func TestPoolStreamsEndWithTheClient(t *testing.T) {
	t.Parallel()
	const endless = 1 << 40
	forEachCaller(t, poolArgs(1, 1), func(t *testing.T, s *harness.Server) {
		for _, action := range []string{"parts", "parts_async"} {
			mark := s.Log.Mark()
			c := beginStream(t, s, poolCall{Action: action, Args: []any{endless, 1000}})
			c.ExpectChunks(t, strings.Repeat("x", 1000))
			c.Close()
			s.Log.ExpectFrom(t, mark, `parts ended after \d+`)
			if a := callPool(t, s, poolCall{Action: "echo"}); a.Error != "" {
				t.Errorf("the next call: %v", a)
			}
		}
	})
}

// A stream that waits ends as well, where the app hears that the client has left.
func TestPoolStreamThatWaits(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "pooled:asgi", Args: poolArgs(1, 1)})
	c := beginStream(t, s, poolCall{Action: "pause"})
	c.ExpectChunks(t, "first")
	c.Close()
	s.Log.Expect(t, "pause ended")
	s.Terminate()
}
