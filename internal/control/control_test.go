package control

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A testHandler does what a test wants.
type testHandler struct {
	admit func(Peer) error
	do    func(ctx context.Context, peer Peer, words []string) (any, error)
}

func (h *testHandler) Admit(p Peer) error {
	if h.admit == nil {
		return nil
	}
	return h.admit(p)
}

func (h *testHandler) Do(ctx context.Context, p Peer, words []string) (any, error) {
	return h.do(ctx, p, words)
}

// startServer returns the path of the socket of a server that ends with the test.
func startServer(t *testing.T, h Handler) (path string, s *Server) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "test.ctl")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	defer f.Close()
	if s, err = Serve(f, h); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return path, s
}

func dial(t *testing.T, path string) *Client {
	t.Helper()
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestCommands(t *testing.T) {
	t.Parallel()
	path, _ := startServer(t, &testHandler{do: func(_ context.Context, p Peer, words []string) (any, error) {
		if words[0] == "fail" {
			return nil, errors.New("it failed")
		}
		return map[string]any{"words": words, "uid": p.UID, "pid": p.Pid}, nil
	}})
	c := dial(t, path)
	for _, words := range [][]string{{"show workers"}, {"worker", "add", "2"}, {"say 'two words'", "a b"}} {
		var data struct {
			Words    []string
			UID, Pid int
		}
		if err := c.Call(t.Context(), &data, words...); err != nil {
			t.Fatal(err)
		}
		want := map[int]string{0: "show|workers", 1: "worker|add|2", 2: "say|two words|a b"}[c.id-1]
		if got := strings.Join(data.Words, "|"); got != want {
			t.Errorf("%q: the words are %s", words, got)
		}
		if data.UID != os.Getuid() || data.Pid != os.Getpid() {
			t.Errorf("the peer has uid %d and pid %d", data.UID, data.Pid)
		}
	}
	var refused *Error
	if err := c.Call(t.Context(), nil, "fail"); !errors.As(err, &refused) || refused.Text != "it failed" {
		t.Errorf("a command that fails: %v", err)
	}
	for command, want := range map[string]string{"": "Empty command", "  ": "Empty command", "a 'b": "Invalid argument: No closing quotation"} {
		if err := c.Call(t.Context(), nil, command); err == nil || err.Error() != want {
			t.Errorf("%q: %v, not %s", command, err, want)
		}
	}
	if err := c.Call(t.Context(), nil, "show"); err != nil {
		t.Errorf("after errors: %v", err)
	}
}

// A client that is not admitted learns why, and no command of it is carried out.
func TestAdmit(t *testing.T) {
	t.Parallel()
	path, _ := startServer(t, &testHandler{
		admit: func(p Peer) error { return fmt.Errorf("uid %d is not allowed", p.UID) },
		do: func(context.Context, Peer, []string) (any, error) {
			t.Error("a command was carried out")
			return nil, nil
		},
	})
	err := dial(t, path).Call(t.Context(), nil, "reload")
	if want := fmt.Sprintf("uid %d is not allowed", os.Getuid()); err == nil || err.Error() != want {
		t.Errorf("%v, not %s", err, want)
	}
}

// A command that waits ends when its client leaves, when the client's patience does, and when
// the server is closed.
func TestCommandsThatWait(t *testing.T) {
	t.Parallel()
	begun, ended := make(chan bool, 1), make(chan error, 1)
	path, s := startServer(t, &testHandler{do: func(ctx context.Context, _ Peer, words []string) (any, error) {
		if words[0] == "wait" {
			begun <- true
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		}
		return nil, nil
	}})
	for name, leave := range map[string]func(c *Client, cancel func()){
		"the client closes": func(c *Client, _ func()) { c.Close() },
		"its context ends":  func(_ *Client, cancel func()) { cancel() },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		c := dial(t, path)
		answer := make(chan error, 1)
		go func() { answer <- c.Call(ctx, nil, "wait") }()
		<-begun
		leave(c, cancel)
		if err := <-answer; err == nil {
			t.Errorf("%s: the command succeeded", name)
		}
		<-ended
		cancel()
	}
	c := dial(t, path)
	answer := make(chan error, 1)
	go func() { answer <- c.Call(t.Context(), nil, "wait") }()
	<-begun
	s.Close()
	<-ended
	if err := <-answer; err == nil {
		t.Error("a command of a server that was closed succeeded")
	}
	if c, err := Dial(t.Context(), path); err == nil {
		c.Close()
		t.Error("a server that was closed accepts")
	}
}

// Requests that are sent ahead are answered in their order.
func TestRequestsAhead(t *testing.T) {
	t.Parallel()
	path, _ := startServer(t, &testHandler{do: func(ctx context.Context, _ Peer, words []string) (any, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Millisecond):
			return words, nil
		}
	}})
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const n = 20
	for i := range n {
		if err := writeMessage(conn, Request{ID: json.RawMessage(fmt.Sprint(i)), Command: "go"}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		var r Response
		if err := readMessage(conn, MaxMessage, &r); err != nil || string(r.ID) != fmt.Sprint(i) || r.Status != StatusOK {
			t.Fatalf("response %d: %+v, %v", i, r, err)
		}
	}
}

// What is no request gets a clear answer or an end, and costs others nothing.
func TestGarbage(t *testing.T) {
	t.Parallel()
	path, _ := startServer(t, &testHandler{do: func(context.Context, Peer, []string) (any, error) { return nil, nil }})
	for name, test := range map[string]struct {
		send string
		want string // of the answer; empty: the connection is closed without one
	}{
		"too large": {string(binary.BigEndian.AppendUint32(nil, MaxRequest+1)), "Message too large: 65537 bytes, of at most 65536"},
		"HTTP":      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "Message too large: 1195725856 bytes, of at most 65536"},
		"not JSON":  {"\x00\x00\x00\x03{{{", ""},
		"a list":    {"\x00\x00\x00\x02[]", ""},
		"nothing":   {"\x00\x00\x00\x00", ""},
		"cut short": {"\x00\x00\x00\x09{}", ""},
	} {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, test.send); err != nil {
			t.Fatal(err)
		}
		_ = conn.(*net.UnixConn).CloseWrite()
		var r Response
		err = readMessage(conn, MaxMessage, &r)
		if test.want == "" && err == nil || test.want != "" && r.Error != test.want {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
		conn.Close()
	}
	if err := dial(t, path).Call(t.Context(), nil, "show"); err != nil {
		t.Errorf("after garbage: %v", err)
	}
}

// A response that is too large is an error, and the connection goes on.
func TestLargeResponse(t *testing.T) {
	t.Parallel()
	path, _ := startServer(t, &testHandler{do: func(_ context.Context, _ Peer, words []string) (any, error) {
		if words[0] == "much" {
			return strings.Repeat("a", MaxMessage), nil
		}
		return "little", nil
	}})
	c := dial(t, path)
	var refused *Error
	if err := c.Call(t.Context(), nil, "much"); !errors.As(err, &refused) || !strings.HasPrefix(refused.Text, "Message too large") {
		t.Errorf("too much: %v", err)
	}
	var data string
	if err := c.Call(t.Context(), &data, "little"); err != nil || data != "little" {
		t.Errorf("after it: %q, %v", data, err)
	}
}

// Connections are bounded: whoever comes when there are too many is told so, and gets one
// when another has left.
func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	var running atomic.Int32
	path, _ := startServer(t, &testHandler{do: func(context.Context, Peer, []string) (any, error) {
		running.Add(1)
		return nil, nil
	}})
	most := maxForeign
	if os.Getuid() == 0 {
		most = maxConns
	}
	var clients []*Client
	for range most {
		c := dial(t, path)
		if err := c.Call(t.Context(), nil, "show"); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	err := dial(t, path).Call(t.Context(), nil, "show")
	if err == nil || err.Error() != "Too many connections to the control socket" {
		t.Errorf("connection %d: %v", most+1, err)
	}
	clients[0].Close()
	for { // the server notices in its own time
		if err := dial(t, path).Call(t.Context(), nil, "show"); err == nil {
			break
		}
	}
}

func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		`{"id": 1, "command": "show workers", "args": []}`, `{"command": "worker add", "args": [2, "x", null]}`,
		`{"id": {"a": [1]}, "command": "a 'b"}`, `[]`, `{"command": 7}`, ``,
	} {
		f.Add([]byte(seed), uint32(len(seed)))
	}
	f.Fuzz(func(t *testing.T, data []byte, size uint32) {
		var r Request
		message := append(binary.BigEndian.AppendUint32(nil, size), data...)
		if readMessage(strings.NewReader(string(message)), MaxRequest, &r) != nil {
			return
		}
		if size > MaxRequest || int(size) > len(data) {
			t.Fatalf("a message of %d bytes that says %d was read", len(data), size)
		}
		words, err := r.Words()
		if (err == nil) != (len(words) > 0) {
			t.Fatalf("words %q, %v", words, err)
		}
		response := Response{ID: r.ID, Status: StatusOK, Data: words}
		if response.ID == nil {
			response.ID = json.RawMessage("0")
		}
		if err := writeMessage(io.Discard, response); err != nil {
			t.Fatal(err)
		}
	})
}
