package front

import (
	"errors"
	"io"
	"net"
	"testing"

	"indrik/internal/errlog"
	"indrik/internal/http1"
	"indrik/internal/wire"
)

// readAllParts reads a body in parts, as readToSpool does.
func readAllParts(c *conn, size int) (string, error) {
	reader := c.bodyReader()
	defer reader.done()
	var body []byte
	for {
		var space []byte
		if reader.expectsData() {
			space = make([]byte, size)
		}
		n, err := c.readPart(reader, space, nil)
		body = append(body, space[:n]...)
		if err != nil {
			return string(body), err
		}
	}
}

// However a body comes, and in parts of whatever size it is read, it is the same, and the
// bytes after it are those of the next request.
func TestBodyReader(t *testing.T) {
	const next = "GET /next HTTP/1.1\r\n"
	cfg, err := newConfig(testConfig())
	must(t, err)
	s := newServer(errlog.New(io.Discard), 0, func(wire.FromFront) {})
	for name, b := range map[string]struct {
		head, sent, body string
		err              error
	}{
		"length":               {"Content-Length: 11\r\n", "hello world", "hello world", io.EOF},
		"chunked":              {"Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nX-Sum: x\r\n\r\n", "hello world", io.EOF},
		"empty":                {"Transfer-Encoding: chunked\r\n", "0\r\n\r\n", "", io.EOF},
		"length, cut short":    {"Content-Length: 12\r\n", "hello world", "hello world", io.ErrUnexpectedEOF},
		"chunked, cut short":   {"Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n6\r\n wor", "hello wor", io.ErrUnexpectedEOF},
		"chunked, without end": {"Transfer-Encoding: chunked\r\n", "b\r\nhello world\r\n", "hello world", io.ErrUnexpectedEOF},
	} {
		head := "POST / HTTP/1.1\r\nHost: h\r\n" + b.head + "\r\n"
		sent := b.sent
		if errors.Is(b.err, io.EOF) {
			sent += next
		}
		for buffered := range len(sent) + 1 {
			for size := 1; size <= 16; size *= 4 {
				ours, theirs := net.Pipe()
				c := &conn{s: s, nc: ours, sock: ours, buf: append([]byte(head), sent[:buffered]...)}
				c.w = len(c.buf)
				c.r, err = http1.ParseRequest(&cfg.http, c.buf, &c.req)
				must(t, err)
				c.ex.s, c.ex.info, c.ex.req = s, &c.info, &c.req
				c.ex.begin(cfg)
				go func() {
					for i := buffered; i < len(sent); i++ {
						if _, err := theirs.Write([]byte{sent[i]}); err != nil {
							return
						}
					}
					theirs.Close()
				}()
				body, err := readAllParts(c, size)
				rest := string(c.buf[c.r:c.w])
				if body != b.body || !errors.Is(err, b.err) {
					t.Fatalf("%s, %d bytes buffered, parts of %d: %q, %v", name, buffered, size, body, err)
				}
				if errors.Is(err, io.EOF) && rest != next[:min(len(next), max(0, buffered-len(b.sent)))] {
					t.Fatalf("%s, %d bytes buffered, parts of %d: then %q", name, buffered, size, rest)
				}
				ours.Close()
			}
		}
	}
}
