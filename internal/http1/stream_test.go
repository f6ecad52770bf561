package http1

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// A stream reads what comes on one connection, as a server does: heads with
// their bodies, until one asks for the end, or is refused.
type stream struct {
	cfg     *Config
	req     Request
	chunked Chunked
	buf     []byte // unread
	inBody  bool
	left    int64  // of a body with a length
	body    []byte // so far
	room    int    // for decoded bytes, at a time

	got  []string // the requests, each as one line
	over bool     // nothing more is looked at
	err  *Error   // why the last one was refused
}

func newStream(cfg *Config, room int) *stream { return &stream{cfg: cfg, room: room} }

// feed gives s more bytes, in memory of their own.
func (s *stream) feed(p []byte) {
	s.buf = append(slices.Clone(s.buf), p...)
	for !s.over && s.step() {
	}
}

// step reports whether it got on.
func (s *stream) step() bool {
	if !s.inBody {
		n, err := ParseRequest(s.cfg, s.buf, &s.req)
		if err != nil {
			s.over, s.err = true, asError(err)
		}
		if n == 0 {
			return false
		}
		// Its slices are parts of this buffer, which stays as it is.
		s.buf = slices.Clone(s.buf[n:])
		s.inBody, s.left, s.body = true, max(s.req.ContentLength, 0), nil
		s.chunked.Reset(s.cfg)
	}
	if s.req.Chunked {
		dst := make([]byte, s.room)
		for {
			nd, ns, done, err := s.chunked.Decode(dst, s.buf)
			s.body = append(s.body, dst[:nd]...)
			s.buf = s.buf[ns:]
			if err != nil {
				s.over, s.err = true, asError(err)
				return false
			}
			if done {
				break
			}
			if nd+ns == 0 {
				return false
			}
		}
	} else {
		n := min(int64(len(s.buf)), s.left)
		s.body = append(s.body, s.buf[:n]...)
		s.buf, s.left = s.buf[n:], s.left-n
		if s.left > 0 {
			return false
		}
	}
	s.inBody = false
	r := &s.req
	line := fmt.Sprintf("%s %s %d.%d", r.Method, r.Target, r.Major, r.Minor)
	for _, f := range r.Fields {
		line += fmt.Sprintf(" [%s: %s]", f.Name, f.Value)
	}
	if r.Chunked || r.ContentLength >= 0 {
		line += " " + string(s.body)
	}
	s.got = append(s.got, line)
	s.over = !r.KeepAlive || r.ForceClose
	return true
}

// outcome is all that an onlooker can tell. incomplete: the client could go on.
func (s *stream) outcome() string {
	end := "idle"
	switch {
	case s.err != nil:
		end = fmt.Sprintf("%d %s", s.err.Status, kindNames[s.err.Kind])
	case s.over:
		end = "close"
	case s.inBody || len(s.buf) > 0:
		end = "incomplete"
	}
	return strings.Join(append(s.got, end), "\n")
}

var kindNames = map[Kind]string{
	InvalidRequestLine: "InvalidRequestLine", InvalidRequestMethod: "InvalidRequestMethod", InvalidHTTPVersion: "InvalidHTTPVersion",
	InvalidHeader: "InvalidHeader", InvalidHeaderName: "InvalidHeaderName", ObsoleteFolding: "ObsoleteFolding",
	LimitRequestLine: "LimitRequestLine", LimitRequestHeaders: "LimitRequestHeaders", UnsupportedTransferCoding: "UnsupportedTransferCoding",
	ExpectationFailed: "ExpectationFailed", InvalidChunkSize: "InvalidChunkSize", InvalidChunkExtension: "InvalidChunkExtension",
	ChunkMissingTerminator: "ChunkMissingTerminator",
}

// readAll reads input whole, byte by byte, and cut in random places, and fails
// the test if the outcomes differ.
func readAll(t *testing.T, cfg *Config, input string) *stream {
	t.Helper()
	whole := newStream(cfg, len(input)+1)
	whole.feed([]byte(input))
	rnd := rand.New(rand.NewPCG(uint64(len(input)), 2))
	for _, most := range []int{1, 5, 50, 1 + len(input)/2} {
		s := newStream(cfg, 1+rnd.IntN(10))
		for rest := input; rest != "" && !s.over; {
			n := min(len(rest), 1+rnd.IntN(most))
			s.feed([]byte(rest[:n]))
			rest = rest[n:]
		}
		if a, b := whole.outcome(), s.outcome(); a != b {
			t.Fatalf("at once:\n%s\nin pieces of up to %d bytes:\n%s", a, most, b)
		}
	}
	return whole
}
