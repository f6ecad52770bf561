//go:build linux

package harness

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

// A Response is everything that the server sent for one request.
type Response struct {
	Proto   string
	Status  int
	Reason  string
	Fields  [][2]string
	Body    string
	Framing string // none, length, chunked or close
	chunks  []string
}

// Get returns the first field with a name, and "" if there is none.
func (r *Response) Get(name string) string {
	for _, f := range r.Fields {
		if strings.EqualFold(f[0], name) {
			return f[1]
		}
	}
	return ""
}

// Has reports whether there is a field with a name.
func (r *Response) Has(name string) bool {
	for _, f := range r.Fields {
		if strings.EqualFold(f[0], name) {
			return true
		}
	}
	return false
}

// Closes says whether the server announced that it closes the connection.
func (r *Response) Closes() bool {
	return strings.EqualFold(r.Get("Connection"), "close") || r.Framing == "close"
}

func (r *Response) String() string {
	if r == nil {
		return "no response"
	}
	body := r.Body
	if len(body) > 200 {
		body = fmt.Sprintf("%s... (%d bytes)", body[:200], len(body))
	}
	return fmt.Sprintf("%s %d %s %q %q", r.Proto, r.Status, r.Reason, r.Fields, body)
}

// A Client is one connection, on which the test writes and reads bytes.
type Client struct {
	net.Conn
	Reader *bufio.Reader
}

// Dial connects to an address of a network, as net.Dial has them.
func Dial(network, addr string) (*Client, error) {
	d := net.Dialer{Timeout: Patience, KeepAlive: -1}
	c, err := d.Dial(network, addr)
	if err != nil {
		return nil, err
	}
	return newClient(c, connectionLife), nil
}

// connectionLife is how long a client may use a connection: for several events, each of which
// may take its time on a busy machine.
const connectionLife = 4 * Patience

// newClient is a client on a connection, on which everything has to happen within a limit.
func newClient(c net.Conn, limit time.Duration) *Client {
	c.SetDeadline(time.Now().Add(limit))
	return &Client{c, bufio.NewReader(c)}
}

// Send writes text as it is.
func (c *Client) Send(t testing.TB, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatalf("send %.60q: %v", text, err)
	}
}

// Do sends a request and reads its response.
func (c *Client) Do(t testing.TB, method, target, body string, fields ...string) *Response {
	t.Helper()
	c.Send(t, FormatRequest(method, target, body, fields...))
	return c.Receive(t, method)
}

// Receive reads the response to a request with a method.
func (c *Client) Receive(t testing.TB, method string) *Response {
	t.Helper()
	r, err := ReadResponse(c.Reader, method)
	if err != nil {
		t.Fatalf("%s: %v (so far: %v)", method, err, r)
	}
	return r
}

// ExpectHead reads the head of a response, or an interim one, with a status.
func (c *Client) ExpectHead(t testing.TB, status int) *Response {
	t.Helper()
	r, err := ReadHead(c.Reader)
	if err != nil || r.Status != status {
		t.Fatalf("%v, %v, want status %d", r, err, status)
	}
	return r
}

// ExpectChunks reads chunks, of which "" is the last one.
func (c *Client) ExpectChunks(t testing.TB, chunks ...string) {
	t.Helper()
	for _, want := range chunks {
		if chunk, err := ReadChunk(c.Reader); err != nil || chunk != want {
			t.Fatalf("chunk %q, %v, want %q", chunk, err, want)
		}
	}
}

// ExpectCut checks that a chunked response ends before its last chunk.
func (c *Client) ExpectCut(t testing.TB) {
	t.Helper()
	if chunk, err := ReadChunk(c.Reader); err == nil {
		t.Errorf("the response goes on with %q", chunk)
	}
}

// ExpectEOF checks that the server closes the connection without another byte.
func (c *Client) ExpectEOF(t testing.TB) {
	t.Helper()
	if b, err := c.Reader.ReadByte(); err != io.EOF {
		t.Errorf("the connection was not closed: read %q, %v", b, err)
	}
}

// A Pending request is one whose response is awaited in the background.
type Pending struct {
	t testing.TB
	c chan outcome
}

type outcome struct {
	r   *Response
	err error
}

// Wait returns the response to a pending request, or why there is none.
func (p *Pending) Wait() (*Response, error) {
	p.t.Helper()
	select {
	case o := <-p.c:
		return o.r, o.err
	case <-time.After(Patience):
		p.t.Fatalf("no response after %v", Patience)
		return nil, nil
	}
}

// Expect waits for a response with a status.
func (p *Pending) Expect(status int) *Response {
	p.t.Helper()
	r, err := p.Wait()
	if err != nil || r.Status != status {
		p.t.Errorf("the response is %v, %v, want status %d", r, err, status)
	}
	return r
}

// FormatRequest is the text of a request. Each of fields is a whole line, such as "Accept: */*".
func FormatRequest(method, target, body string, fields ...string) string {
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

// ErrNoResponse says that the server closed the connection instead of an answer.
var ErrNoResponse = errors.New("closed before a byte of the response")

// ReadResponse reads one final response; interim ones are dropped.
func ReadResponse(r *bufio.Reader, method string) (*Response, error) {
	for {
		resp, err := ReadHead(r)
		if err != nil {
			return resp, err
		}
		if resp.Status >= 200 {
			return resp, ReadBody(r, resp, method)
		}
	}
}

// ReadHead reads the head of a response.
func ReadHead(r *bufio.Reader) (*Response, error) {
	if _, err := r.Peek(1); err != nil {
		if err == io.EOF {
			return nil, ErrNoResponse
		}
		return nil, err
	}
	line, err := readLine(r)
	if err != nil {
		return nil, fmt.Errorf("in the status line: %w", err)
	}
	resp := &Response{}
	proto, rest, _ := strings.Cut(line, " ")
	code, reason, _ := strings.Cut(rest, " ")
	resp.Proto, resp.Reason = proto, reason
	if resp.Status, err = strconv.Atoi(code); err != nil || !strings.HasPrefix(proto, "HTTP/1.") {
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
		resp.Fields = append(resp.Fields, [2]string{k, strings.TrimSpace(v)})
	}
}

// ReadBody reads the body of a response to a request with a method.
func ReadBody(r *bufio.Reader, resp *Response, method string) error {
	length := resp.Get("Content-Length")
	switch {
	case method == "HEAD" || resp.Status == 204 || resp.Status == 304:
		resp.Framing = "none"
		return nil
	case strings.EqualFold(resp.Get("Transfer-Encoding"), "chunked"):
		resp.Framing = "chunked"
		if length != "" {
			return errors.New("both Content-Length and Transfer-Encoding")
		}
		var b strings.Builder
		for {
			chunk, err := ReadChunk(r)
			b.WriteString(chunk)
			resp.Body = b.String()
			if err != nil {
				return err
			}
			if chunk == "" {
				return nil
			}
			resp.chunks = append(resp.chunks, chunk)
		}
	case length != "":
		resp.Framing = "length"
		n, err := strconv.Atoi(length)
		if err != nil || n < 0 {
			return fmt.Errorf("bad Content-Length %q", length)
		}
		buf := make([]byte, n)
		got, err := io.ReadFull(r, buf)
		resp.Body = string(buf[:got])
		if err != nil {
			return fmt.Errorf("after %d of %d bytes of the body: %w", got, n, err)
		}
		return nil
	default:
		resp.Framing = "close"
		b, err := io.ReadAll(r)
		resp.Body = string(b)
		return err
	}
}

// ReadChunk reads one chunk, "" for the last one with its trailers.
func ReadChunk(r *bufio.Reader) (string, error) {
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

// DialFrom connects to a port from another loopback address.
func DialFrom(t testing.TB, addr string, port int) *Client {
	t.Helper()
	d := net.Dialer{Timeout: Patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}
	nc, err := d.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	Must(t, err)
	nc.SetDeadline(time.Now().Add(connectionLife))
	t.Cleanup(func() { nc.Close() })
	return &Client{nc, bufio.NewReader(nc)}
}
