//go:build linux

package test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestTLSHello(t *testing.T) {
	t.Parallel()
	s := start(t, withTLS(t, options{args: []string{"--workers", "2"}}))
	c := s.client()
	for range 20 {
		if r := c.do(t, "GET", "/", ""); r.proto != "HTTP/1.1" || r.status != 200 || r.body != "Hello, World!\n" || r.closes() {
			t.Fatalf("%v", r)
		}
	}
	if got := c.Conn.(*tls.Conn).ConnectionState(); got.Version != tls.VersionTLS13 {
		t.Errorf("the version is %s", tls.VersionName(got.Version))
	}
	if r := c.do(t, "GET", "/", "", "Connection: close"); !r.closes() {
		t.Errorf("Connection: close is answered with %v", r)
	}
	c.expectEOF(t) // a close_notify: without it the error would be another one
	s.log.expect(t, `\[INFO\] Listening at: https://`+s.addr()+` \(\d+\)$`)
	if got := s.curl("--http1.1", fmt.Sprintf("https://localhost:%d/", s.port)); got != "Hello, World!\n" {
		t.Errorf("curl got %q", got)
	}
	s.terminate()
}

func TestTLSOnUnixSocket(t *testing.T) {
	t.Parallel()
	s := start(t, withTLS(t, options{bind: []string{"unix:DIR/web.sock"}}))
	if r := s.client().do(t, "GET", "/", ""); r.body != "Hello, World!\n" {
		t.Errorf("%v", r)
	}
	s.terminate()
}

func TestTLSBodies(t *testing.T) {
	t.Parallel()
	s := start(t, withTLS(t, options{app: "digest:app"}))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c, err := s.handshake(s.config(func(c *tls.Config) { c.MaxVersion = version }))
		must(t, err)
		for _, size := range []int{0, 1, 16<<10 - 1, 16 << 10, 16<<10 + 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1 << 20, 5 << 20} {
			data := noise(size)
			if r := c.do(t, "POST", "/read", string(data)); r.body != digest(data) {
				t.Errorf("%s, %d bytes: %v", tls.VersionName(version), size, r)
			}
			c.send(t, "POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"+chunked(data, 10000)+"0\r\n\r\n")
			if r := c.receive(t, "POST"); r.body != digest(data) {
				t.Errorf("%s, %d bytes in chunks: %v", tls.VersionName(version), size, r)
			}
		}
		c.Close()
	}
	s.terminate()
}

func TestTLSByteByByte(t *testing.T) {
	t.Parallel()
	// A record for each byte, and the records in pieces.
	s := start(t, withTLS(t, options{app: "echo:app"}))
	c := s.client()
	for _, b := range []byte(format("POST", "/slow", "body")) {
		c.send(t, string(b))
	}
	if r := c.receive(t, "POST"); r.body != "/slow\nbody" {
		t.Errorf("%v", r)
	}
	raw, err := s.connectPlain()
	must(t, err)
	defer raw.Close()
	tc := tls.Client(dribble{raw.Conn}, s.o.tls)
	must(t, tc.Handshake())
	c = &client{tc, bufio.NewReader(tc)}
	if r := c.do(t, "POST", "/pieces", strings.Repeat("x", 500)); len(r.body) != len("/pieces\n")+500 {
		t.Errorf("%v", r)
	}
	s.terminate()
}

// A dribble is a connection whose bytes leave one by one.
type dribble struct{ net.Conn }

func (d dribble) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := d.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

func TestTLSPipelining(t *testing.T) {
	t.Parallel()
	s := start(t, withTLS(t, options{app: "echo:app", args: []string{"--workers", "2"}}))
	c := s.client()
	var all strings.Builder
	for i := range 40 {
		if i%3 == 2 {
			all.WriteString(format("POST", fmt.Sprint("/", i), strings.Repeat("b", 1000*i)))
		} else {
			all.WriteString(format("GET", fmt.Sprint("/", i), ""))
		}
	}
	go io.WriteString(c, all.String())
	for i := range 40 {
		want := fmt.Sprintf("/%d\n", i)
		if i%3 == 2 {
			want += strings.Repeat("b", 1000*i)
		}
		if r := c.receive(t, "GET"); r.body != want {
			t.Fatalf("response %d: %v", i, r)
		}
	}
	s.terminate()
}

func TestTLSSlowReader(t *testing.T) {
	t.Parallel()
	// The only worker is free as soon as it has given the response away.
	s := start(t, withTLS(t, options{app: "large:app"}))
	const size = 50 << 20
	want := sha256.Sum256(bytes.Repeat([]byte("0123456789abcdef"), size/16))
	for _, target := range []string{fmt.Sprintf("/%d", size), fmt.Sprintf("/%d?pieces", size)} {
		slow := s.client()
		slow.send(t, format("GET", target, ""))
		for range 20 {
			if got := s.get("/32"); len(got) != 32 {
				t.Fatalf("%d bytes", len(got))
			}
		}
		if r := slow.receive(t, "GET"); sha256.Sum256([]byte(r.body)) != want {
			t.Errorf("%s: %v", target, r)
		}
		slow.Close()
	}
	for _, p := range s.role("front") {
		if kib := residentKiB(p.pid); kib > 200<<10 {
			t.Errorf("the front has %d KiB", kib)
		}
	}
	s.terminate()
}

func TestTLSFileWrapper(t *testing.T) {
	t.Parallel()
	data := noise(3 << 20)
	s := start(t, withTLS(t, options{app: "files:app", files: map[string]string{"data.bin": string(data), "empty.bin": ""}}))
	c := s.client()
	for path, want := range map[string][]byte{
		"/whole": data, "/rest": data[1000:], "/part": data[:5000], "/memory": data, "/unsized": data, "/empty": nil,
	} {
		if r := c.do(t, "GET", path, ""); r.body != string(want) {
			t.Errorf("%s: %d bytes, want %d: %v", path, len(r.body), len(want), r)
		}
	}
	s.terminate()
}

func TestTLSHalfClose(t *testing.T) {
	t.Parallel()
	// A client that says that it sends no more gets its answer.
	s := start(t, withTLS(t, options{app: "gated:app"}))
	g := s.gate("half")
	c := s.client()
	c.send(t, format("GET", "/half", ""))
	must(t, c.Conn.(*tls.Conn).CloseWrite())
	g.entered()
	g.release()
	if r := c.receive(t, "GET"); r.status != 200 {
		t.Errorf("%v", r)
	}
	c.expectEOF(t)
	s.terminate()
}

func TestPlainHTTPToTLS(t *testing.T) {
	t.Parallel()
	s := start(t, withTLS(t, options{}))
	for _, request := range []string{format("GET", "/", ""), format("POST", "/", "body"), "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"} {
		c, err := s.connectPlain()
		must(t, err)
		defer c.Close()
		c.send(t, request)
		r, err := readResponse(c.r, "GET")
		if err != nil || r.status != 400 || !strings.Contains(r.body, "HTTPS") {
			t.Errorf("%.20q: %v, %v", request, r, err)
			continue
		}
		c.expectEOF(t)
	}
	// What is neither gets no answer.
	c, err := s.connectPlain()
	must(t, err)
	defer c.Close()
	c.send(t, strings.Repeat("\x00nonsense", 100))
	if b, err := io.ReadAll(c.r); strings.Contains(string(b), "HTTP/") {
		t.Errorf("nonsense is answered with %q, %v", b, err)
	}
	s.get("/")
	s.terminate()
}

func TestTLSVersions(t *testing.T) {
	t.Parallel()
	at := func(version uint16) func(*tls.Config) {
		return func(c *tls.Config) { c.MinVersion, c.MaxVersion = version, version }
	}
	s := start(t, withTLS(t, options{}))
	if _, err := s.handshake(s.config(at(tls.VersionTLS11))); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	if c, err := s.handshake(s.config(at(tls.VersionTLS12))); err != nil {
		t.Errorf("TLS 1.2: %v", err)
	} else if r := c.do(t, "GET", "/", "", "Connection: close"); r.status != 200 {
		t.Errorf("TLS 1.2: %v", r)
	}
	s.terminate()

	s = start(t, withTLS(t, options{args: []string{"--tls-min-version", "1.3"}}))
	if _, err := s.handshake(s.config(at(tls.VersionTLS12))); err == nil {
		t.Error("tls_min_version 1.3: TLS 1.2 is spoken")
	}
	s.get("/")
	s.terminate()
}

func TestTLSCiphers(t *testing.T) {
	t.Parallel()
	s := start(t, withTLS(t, options{args: []string{"--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"}}))
	with := func(suite uint16) func(*tls.Config) {
		return func(c *tls.Config) { c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{suite} }
	}
	if _, err := s.handshake(s.config(with(tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256))); err == nil {
		t.Error("a cipher that is not in the list is spoken")
	}
	c, err := s.handshake(s.config(with(tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384)))
	if err != nil {
		t.Errorf("the one in the list: %v", err)
	} else {
		c.Close()
	}
	s.terminate()
}

// recordHeader is the beginning of a TLS handshake: the header of a record, and
// nothing of it.
const recordHeader = "\x16\x03\x01\x02\x00"

func TestHandshakeTimeout(t *testing.T) {
	t.Parallel()
	s := start(t, withTLS(t, options{args: []string{"--handshake-timeout", "1"}}))
	for _, sent := range []string{"", "\x16", recordHeader + "\x01\x00"} {
		c, err := s.connectPlain()
		must(t, err)
		c.send(t, sent)
		began := time.Now()
		if _, err := io.ReadAll(c.r); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("after %q: %v", sent, err)
		}
		if took := time.Since(began); took < 700*time.Millisecond || took > 10*time.Second {
			t.Errorf("after %q the connection was closed in %v, want 1 s", sent, took)
		}
		c.Close()
	}
	s.get("/")
	s.terminate()
}

func TestStalledHandshakesHoldNobodyUp(t *testing.T) {
	t.Parallel()
	s := start(t, withTLS(t, options{}))
	for i := range 200 {
		c, err := s.connectPlain()
		must(t, err)
		defer c.Close()
		c.send(t, recordHeader[:i%len(recordHeader)])
	}
	for range 20 {
		s.get("/")
	}
	// Nor an orderly end.
	s.terminate()
}

func TestTLSAbort(t *testing.T) {
	t.Parallel()
	// Clients that vanish at each point disturb nobody and leave no traceback.
	s := start(t, withTLS(t, options{app: "large:app"}))
	for _, text := range []string{"", "GET / HT", format("GET", "/1048576", ""), "POST /16 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"} {
		for range 5 {
			c := s.client()
			c.send(t, text)
			must(t, c.Conn.(*tls.Conn).NetConn().(*net.TCPConn).SetLinger(0))
			c.Conn.(*tls.Conn).NetConn().Close()
		}
	}
	s.get("/16")
	s.terminate()
	if s.log.count("Traceback") > 0 {
		t.Error("a client that leaves is no error")
	}
}
