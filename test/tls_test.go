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

	"indrik/test/harness"
)

func TestTLSHello(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.WithTLS(t, harness.Options{Args: []string{"--workers", "2"}}))
	c := s.Client()
	for range 20 {
		if r := c.Do(t, "GET", "/", ""); r.Proto != "HTTP/1.1" || r.Status != 200 || r.Body != "Hello, World!\n" || r.Closes() {
			t.Fatalf("%v", r)
		}
	}
	if got := c.Conn.(*tls.Conn).ConnectionState(); got.Version != tls.VersionTLS13 {
		t.Errorf("the version is %s", tls.VersionName(got.Version))
	}
	if r := c.Do(t, "GET", "/", "", "Connection: close"); !r.Closes() {
		t.Errorf("Connection: close is answered with %v", r)
	}
	c.ExpectEOF(t) // a close_notify: without it the error would be another one
	s.Log.Expect(t, `\[INFO\] Listening at: https://`+s.Address+` \(\d+\)$`)
	if got := s.Curl("--http1.1", fmt.Sprintf("https://localhost:%d/", s.Port)); got != "Hello, World!\n" {
		t.Errorf("curl got %q", got)
	}
	s.Terminate()
}

func TestTLSOnUnixSocket(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.WithTLS(t, harness.Options{Bind: []string{"unix:DIR/web.sock"}}))
	if r := s.Client().Do(t, "GET", "/", ""); r.Body != "Hello, World!\n" {
		t.Errorf("%v", r)
	}
	s.Terminate()
}

func TestTLSBodies(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.WithTLS(t, harness.Options{App: "digest:app"}))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c, err := s.Handshake(s.TLSConfig(func(c *tls.Config) { c.MaxVersion = version }))
		harness.Must(t, err)
		for _, size := range []int{0, 1, 16<<10 - 1, 16 << 10, 16<<10 + 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1 << 20, 5 << 20} {
			data := noise(size)
			if r := c.Do(t, "POST", "/read", string(data)); r.Body != digest(data) {
				t.Errorf("%s, %d bytes: %v", tls.VersionName(version), size, r)
			}
			c.Send(t, "POST /read HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"+chunked(data, 10000)+"0\r\n\r\n")
			if r := c.Receive(t, "POST"); r.Body != digest(data) {
				t.Errorf("%s, %d bytes in chunks: %v", tls.VersionName(version), size, r)
			}
		}
		c.Close()
	}
	s.Terminate()
}

func TestTLSByteByByte(t *testing.T) {
	t.Parallel()
	// A record for each byte, and the records in pieces.
	s := harness.Start(t, harness.WithTLS(t, harness.Options{App: "echo:app"}))
	c := s.Client()
	for _, b := range []byte(harness.FormatRequest("POST", "/slow", "body")) {
		c.Send(t, string(b))
	}
	if r := c.Receive(t, "POST"); r.Body != "/slow\nbody" {
		t.Errorf("%v", r)
	}
	raw, err := s.ConnectPlain()
	harness.Must(t, err)
	defer raw.Close()
	tc := tls.Client(dribble{raw.Conn}, s.TLS)
	harness.Must(t, tc.Handshake())
	c = &harness.Client{Conn: tc, Reader: bufio.NewReader(tc)}
	if r := c.Do(t, "POST", "/pieces", strings.Repeat("x", 500)); len(r.Body) != len("/pieces\n")+500 {
		t.Errorf("%v", r)
	}
	s.Terminate()
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
	s := harness.Start(t, harness.WithTLS(t, harness.Options{App: "echo:app", Args: []string{"--workers", "2"}}))
	c := s.Client()
	var all strings.Builder
	for i := range 40 {
		if i%3 == 2 {
			all.WriteString(harness.FormatRequest("POST", fmt.Sprint("/", i), strings.Repeat("b", 1000*i)))
		} else {
			all.WriteString(harness.FormatRequest("GET", fmt.Sprint("/", i), ""))
		}
	}
	go io.WriteString(c, all.String())
	for i := range 40 {
		want := fmt.Sprintf("/%d\n", i)
		if i%3 == 2 {
			want += strings.Repeat("b", 1000*i)
		}
		if r := c.Receive(t, "GET"); r.Body != want {
			t.Fatalf("response %d: %v", i, r)
		}
	}
	s.Terminate()
}

func TestTLSSlowReader(t *testing.T) {
	t.Parallel()
	// The only worker is free as soon as it has given the response away.
	s := harness.Start(t, harness.WithTLS(t, harness.Options{App: "large:app"}))
	const size = 50 << 20
	want := sha256.Sum256(bytes.Repeat([]byte("0123456789abcdef"), size/16))
	for _, target := range []string{fmt.Sprintf("/%d", size), fmt.Sprintf("/%d?pieces", size)} {
		slow := s.Client()
		slow.Send(t, harness.FormatRequest("GET", target, ""))
		for range 20 {
			if got := s.Get("/32"); len(got) != 32 {
				t.Fatalf("%d bytes", len(got))
			}
		}
		if r := slow.Receive(t, "GET"); sha256.Sum256([]byte(r.Body)) != want {
			t.Errorf("%s: %v", target, r)
		}
		slow.Close()
	}
	for _, p := range s.Role("front") {
		if kib := harness.ResidentKiB(p.PID); kib > 200<<10 {
			t.Errorf("the front has %d KiB", kib)
		}
	}
	s.Terminate()
}

func TestTLSFileWrapper(t *testing.T) {
	t.Parallel()
	data := noise(3 << 20)
	s := harness.Start(t, harness.WithTLS(t, harness.Options{App: "files:app", Files: map[string]string{"data.bin": string(data), "empty.bin": ""}}))
	c := s.Client()
	for path, want := range map[string][]byte{
		"/whole": data, "/rest": data[1000:], "/part": data[:5000], "/memory": data, "/unsized": data, "/empty": nil,
	} {
		if r := c.Do(t, "GET", path, ""); r.Body != string(want) {
			t.Errorf("%s: %d bytes, want %d: %v", path, len(r.Body), len(want), r)
		}
	}
	s.Terminate()
}

func TestTLSHalfClose(t *testing.T) {
	t.Parallel()
	// A client that says that it sends no more gets its answer.
	s := harness.Start(t, harness.WithTLS(t, harness.Options{App: "gated:app"}))
	g := s.Gate("half")
	c := s.Client()
	c.Send(t, harness.FormatRequest("GET", "/half", ""))
	harness.Must(t, c.Conn.(*tls.Conn).CloseWrite())
	g.Entered()
	g.Release()
	if r := c.Receive(t, "GET"); r.Status != 200 {
		t.Errorf("%v", r)
	}
	c.ExpectEOF(t)
	s.Terminate()
}

// Without a length or chunks only the missing close_notify tells a body that was cut off from one
// that is complete.
func TestTLSCutOffWithoutFraming(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.WithTLS(t, harness.Options{App: "failing:app"}))
	for range 20 {
		c := s.Client()
		c.Send(t, "GET /after HTTP/1.0\r\n\r\n")
		if got, err := io.ReadAll(c.Reader); err == nil {
			t.Fatalf("it looks complete: %q", got)
		}
		c.Close()
	}
	s.Terminate()
}

func TestPlainHTTPToTLS(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.WithTLS(t, harness.Options{}))
	for _, request := range []string{harness.FormatRequest("GET", "/", ""), harness.FormatRequest("POST", "/", "body"), "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"} {
		c, err := s.ConnectPlain()
		harness.Must(t, err)
		defer c.Close()
		c.Send(t, request)
		r, err := harness.ReadResponse(c.Reader, "GET")
		if err != nil || r.Status != 400 || !strings.Contains(r.Body, "HTTPS") {
			t.Errorf("%.20q: %v, %v", request, r, err)
			continue
		}
		c.ExpectEOF(t)
	}
	// What is neither gets no answer.
	c, err := s.ConnectPlain()
	harness.Must(t, err)
	defer c.Close()
	c.Send(t, strings.Repeat("\x00nonsense", 100))
	if b, err := io.ReadAll(c.Reader); strings.Contains(string(b), "HTTP/") {
		t.Errorf("nonsense is answered with %q, %v", b, err)
	}
	s.Get("/")
	s.Terminate()
}

func TestTLSVersions(t *testing.T) {
	t.Parallel()
	at := func(version uint16) func(*tls.Config) {
		return func(c *tls.Config) { c.MinVersion, c.MaxVersion = version, version }
	}
	s := harness.Start(t, harness.WithTLS(t, harness.Options{}))
	if _, err := s.Handshake(s.TLSConfig(at(tls.VersionTLS11))); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	if c, err := s.Handshake(s.TLSConfig(at(tls.VersionTLS12))); err != nil {
		t.Errorf("TLS 1.2: %v", err)
	} else if r := c.Do(t, "GET", "/", "", "Connection: close"); r.Status != 200 {
		t.Errorf("TLS 1.2: %v", r)
	}
	s.Terminate()

	s = harness.Start(t, harness.WithTLS(t, harness.Options{Args: []string{"--tls-min-version", "1.3"}}))
	if _, err := s.Handshake(s.TLSConfig(at(tls.VersionTLS12))); err == nil {
		t.Error("tls_min_version 1.3: TLS 1.2 is spoken")
	}
	s.Get("/")
	s.Terminate()
}

func TestTLSCiphers(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.WithTLS(t, harness.Options{Args: []string{"--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"}}))
	with := func(suite uint16) func(*tls.Config) {
		return func(c *tls.Config) { c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{suite} }
	}
	if _, err := s.Handshake(s.TLSConfig(with(tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256))); err == nil {
		t.Error("a cipher that is not in the list is spoken")
	}
	c, err := s.Handshake(s.TLSConfig(with(tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384)))
	if err != nil {
		t.Errorf("the one in the list: %v", err)
	} else {
		c.Close()
	}
	s.Terminate()
}

// recordHeader is the beginning of a TLS handshake: the header of a record, and
// nothing of it.
const recordHeader = "\x16\x03\x01\x02\x00"

func TestHandshakeTimeout(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.WithTLS(t, harness.Options{Args: []string{"--handshake-timeout", "2"}}))
	for _, sent := range []string{"", "\x16", recordHeader + "\x01\x00"} {
		began := time.Now()
		c, err := s.ConnectPlain()
		harness.Must(t, err)
		c.Send(t, sent)
		if _, err := io.ReadAll(c.Reader); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("after %q: %v", sent, err)
		}
		if took := time.Since(began); took < 1700*time.Millisecond || took > 20*time.Second {
			t.Errorf("after %q the connection was closed in %v, want 2 s", sent, took)
		}
		c.Close()
	}
	s.Get("/")
	s.Terminate()
}

func TestStalledHandshakesHoldNobodyUp(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.WithTLS(t, harness.Options{}))
	for i := range 200 {
		c, err := s.ConnectPlain()
		harness.Must(t, err)
		defer c.Close()
		c.Send(t, recordHeader[:i%len(recordHeader)])
	}
	for range 20 {
		s.Get("/")
	}
	// Nor an orderly end.
	s.Terminate()
}

func TestTLSAbort(t *testing.T) {
	t.Parallel()
	// Clients that vanish at each point disturb nobody and leave no traceback.
	s := harness.Start(t, harness.WithTLS(t, harness.Options{App: "large:app"}))
	for _, text := range []string{"", "GET / HT", harness.FormatRequest("GET", "/1048576", ""), "POST /16 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"} {
		for range 5 {
			c := s.Client()
			c.Send(t, text)
			harness.Must(t, c.Conn.(*tls.Conn).NetConn().(*net.TCPConn).SetLinger(0))
			c.Conn.(*tls.Conn).NetConn().Close()
		}
	}
	s.Get("/16")
	s.Terminate()
	if s.Log.Count("Traceback") > 0 {
		t.Error("a client that leaves is no error")
	}
}
