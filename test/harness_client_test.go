//go:build linux

package test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A response is everything that the server sent for one request.
type response struct {
	proto   string
	status  int
	reason  string
	fields  [][2]string
	body    string
	framing string // none, length, chunked or close
	chunks  []string
}

// get returns the first field with a name, and "" if there is none.
func (r *response) get(name string) string {
	for _, f := range r.fields {
		if strings.EqualFold(f[0], name) {
			return f[1]
		}
	}
	return ""
}

func (r *response) has(name string) bool {
	for _, f := range r.fields {
		if strings.EqualFold(f[0], name) {
			return true
		}
	}
	return false
}

// closes says whether the server announced that it closes the connection.
func (r *response) closes() bool {
	return strings.EqualFold(r.get("Connection"), "close") || r.framing == "close"
}

func (r *response) String() string {
	if r == nil {
		return "no response"
	}
	body := r.body
	if len(body) > 200 {
		body = fmt.Sprintf("%s... (%d bytes)", body[:200], len(body))
	}
	return fmt.Sprintf("%s %d %s %q %q", r.proto, r.status, r.reason, r.fields, body)
}

// A client is one connection, on which the test writes and reads bytes.
type client struct {
	net.Conn
	r *bufio.Reader
}

// connect makes a connection, with TLS if the server was started with it.
func (s *server) connect() (*client, error) {
	c, err := s.connectPlain()
	if err != nil || s.o.tls == nil {
		return c, err
	}
	return secure(c, s.o.tls)
}

func (s *server) connectPlain() (*client, error) {
	if s.port == 0 {
		bind := strings.ReplaceAll(s.o.bind[0], "DIR", s.dir)
		if path, ok := strings.CutPrefix(bind, "unix:"); ok {
			return dial("unix", path)
		}
		return dial("tcp", bind)
	}
	return dial("tcp", s.addr())
}

func dial(network, addr string) (*client, error) {
	d := net.Dialer{Timeout: patience, KeepAlive: -1}
	c, err := d.Dial(network, addr)
	if err != nil {
		return nil, err
	}
	return newClient(c, patience), nil
}

// newClient is a client on a connection, on which everything has to happen within a limit.
func newClient(c net.Conn, limit time.Duration) *client {
	c.SetDeadline(time.Now().Add(limit))
	return &client{c, bufio.NewReader(c)}
}

// client connects and closes the connection at the end of the test.
func (s *server) client() *client {
	s.t.Helper()
	c, err := s.connect()
	must(s.t, err)
	s.t.Cleanup(func() { c.Close() })
	return c
}

// crowd makes n connections and sends the same on each.
func (s *server) crowd(n int, text string) []*client {
	s.t.Helper()
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = s.client()
		clients[i].send(s.t, text)
	}
	return clients
}

// send writes text as it is.
func (c *client) send(t testing.TB, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatalf("send %.60q: %v", text, err)
	}
}

// do sends a request and reads its response.
func (c *client) do(t testing.TB, method, target, body string, fields ...string) *response {
	t.Helper()
	c.send(t, format(method, target, body, fields...))
	return c.receive(t, method)
}

// receive reads the response to a request with a method.
func (c *client) receive(t testing.TB, method string) *response {
	t.Helper()
	r, err := readResponse(c.r, method)
	if err != nil {
		t.Fatalf("%s: %v (so far: %v)", method, err, r)
	}
	return r
}

// expectHead reads the head of a response, or an interim one, with a status.
func (c *client) expectHead(t testing.TB, status int) *response {
	t.Helper()
	r, err := readHead(c.r)
	if err != nil || r.status != status {
		t.Fatalf("%v, %v, want status %d", r, err, status)
	}
	return r
}

// expectChunks reads chunks, of which "" is the last one.
func (c *client) expectChunks(t testing.TB, chunks ...string) {
	t.Helper()
	for _, want := range chunks {
		if chunk, err := readChunk(c.r); err != nil || chunk != want {
			t.Fatalf("chunk %q, %v, want %q", chunk, err, want)
		}
	}
}

// expectCut checks that a chunked response ends before its last chunk.
func (c *client) expectCut(t testing.TB) {
	t.Helper()
	if chunk, err := readChunk(c.r); err == nil {
		t.Errorf("the response goes on with %q", chunk)
	}
}

// expectEOF checks that the server closes the connection without another byte.
func (c *client) expectEOF(t testing.TB) {
	t.Helper()
	if b, err := c.r.ReadByte(); err != io.EOF {
		t.Errorf("the connection was not closed: read %q, %v", b, err)
	}
}

// request makes one request on a connection of its own.
func (s *server) request(method, target, body string, fields ...string) (*response, error) {
	c, err := s.connect()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if _, err := io.WriteString(c, format(method, target, body, append(fields, "Connection: close")...)); err != nil {
		return nil, err
	}
	return readResponse(c.r, method)
}

// get makes a GET request that must be answered with 200, and returns the body.
func (s *server) get(target string) string {
	s.t.Helper()
	r, err := s.request("GET", target, "")
	if err != nil || r.status != 200 {
		s.t.Fatalf("GET %s: %v, %v", target, r, err)
	}
	return r.body
}

// A pending request is one whose response is awaited in the background.
type pending struct {
	t testing.TB
	c chan outcome
}

type outcome struct {
	r   *response
	err error
}

// begin makes a GET request in the background.
func (s *server) begin(target string) *pending {
	p := &pending{s.t, make(chan outcome, 1)}
	go func() {
		r, err := s.request("GET", target, "")
		p.c <- outcome{r, err}
	}()
	return p
}

// wait returns the response to a pending request, or why there is none.
func (p *pending) wait() (*response, error) {
	p.t.Helper()
	select {
	case o := <-p.c:
		return o.r, o.err
	case <-time.After(patience):
		p.t.Fatalf("no response after %v", patience)
		return nil, nil
	}
}

// expect waits for a response with a status.
func (p *pending) expect(status int) *response {
	p.t.Helper()
	r, err := p.wait()
	if err != nil || r.status != status {
		p.t.Errorf("the response is %v, %v, want status %d", r, err, status)
	}
	return r
}

func format(method, target, body string, fields ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: test\r\n", method, target)
	for _, f := range fields {
		b.WriteString(f + "\r\n")
	}
	if body != "" || method == "POST" || method == "PUT" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	return b.String()
}

var errNoResponse = errors.New("closed before a byte of the response")

// readResponse reads one final response; interim ones are dropped.
func readResponse(r *bufio.Reader, method string) (*response, error) {
	for {
		resp, err := readHead(r)
		if err != nil {
			return resp, err
		}
		if resp.status >= 200 {
			return resp, readBody(r, resp, method)
		}
	}
}

func readHead(r *bufio.Reader) (*response, error) {
	if _, err := r.Peek(1); err != nil {
		if err == io.EOF {
			return nil, errNoResponse
		}
		return nil, err
	}
	line, err := readLine(r)
	if err != nil {
		return nil, fmt.Errorf("in the status line: %w", err)
	}
	resp := &response{}
	proto, rest, _ := strings.Cut(line, " ")
	code, reason, _ := strings.Cut(rest, " ")
	resp.proto, resp.reason = proto, reason
	if resp.status, err = strconv.Atoi(code); err != nil || !strings.HasPrefix(proto, "HTTP/1.") {
		return resp, fmt.Errorf("bad status line %q", line)
	}
	for {
		line, err := readLine(r)
		if err != nil {
			return resp, fmt.Errorf("in the header: %w", err)
		}
		if line == "" {
			return resp, nil
		}
		k, v, ok := strings.Cut(line, ":")
		if !ok || k == "" || strings.TrimSpace(k) != k {
			return resp, fmt.Errorf("bad header line %q", line)
		}
		resp.fields = append(resp.fields, [2]string{k, strings.TrimSpace(v)})
	}
}

func readBody(r *bufio.Reader, resp *response, method string) error {
	length := resp.get("Content-Length")
	switch {
	case method == "HEAD" || resp.status == 204 || resp.status == 304:
		resp.framing = "none"
		return nil
	case strings.EqualFold(resp.get("Transfer-Encoding"), "chunked"):
		resp.framing = "chunked"
		if length != "" {
			return errors.New("both Content-Length and Transfer-Encoding")
		}
		var b strings.Builder
		for {
			chunk, err := readChunk(r)
			b.WriteString(chunk)
			resp.body = b.String()
			if err != nil {
				return err
			}
			if chunk == "" {
				return nil
			}
			resp.chunks = append(resp.chunks, chunk)
		}
	case length != "":
		resp.framing = "length"
		n, err := strconv.Atoi(length)
		if err != nil || n < 0 {
			return fmt.Errorf("bad Content-Length %q", length)
		}
		buf := make([]byte, n)
		got, err := io.ReadFull(r, buf)
		resp.body = string(buf[:got])
		if err != nil {
			return fmt.Errorf("after %d of %d bytes of the body: %w", got, n, err)
		}
		return nil
	default:
		resp.framing = "close"
		b, err := io.ReadAll(r)
		resp.body = string(b)
		return err
	}
}

// readChunk reads one chunk, "" for the last one with its trailers.
func readChunk(r *bufio.Reader) (string, error) {
	line, err := readLine(r)
	if err != nil {
		return "", fmt.Errorf("in a chunk size: %w", err)
	}
	n, err := strconv.ParseUint(line, 16, 32)
	if err != nil {
		return "", fmt.Errorf("bad chunk size %q", line)
	}
	if n == 0 {
		for {
			line, err := readLine(r)
			if err != nil {
				return "", fmt.Errorf("in the trailers: %w", err)
			}
			if line == "" {
				return "", nil
			}
		}
	}
	buf := make([]byte, n+2)
	if _, err := io.ReadFull(r, buf); err != nil {
		return "", fmt.Errorf("in a chunk: %w", err)
	}
	if string(buf[n:]) != "\r\n" {
		return "", fmt.Errorf("a chunk ends with %q", buf[n:])
	}
	return string(buf[:n]), nil
}

// readLine reads a line that must end with CR LF.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return "", err
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok {
		return "", fmt.Errorf("line %q does not end with CR LF", line)
	}
	return text, nil
}
