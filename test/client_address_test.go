//go:build linux

package test

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"indrik/test/harness"
)

// variables are what the app showenviron saw.
type variables map[string]any

func variablesOf(t testing.TB, r *harness.Response) variables {
	t.Helper()
	e := variables{}
	if r.Status != 200 || json.Unmarshal([]byte(r.Body), &e) != nil {
		t.Fatalf("no environ: %v", r)
	}
	return e
}

// expect compares some variables; one that must not be there is given as nil.
func (e variables) expect(t testing.TB, want variables) {
	t.Helper()
	for name, v := range want {
		if got := e[name]; got != v {
			t.Errorf("%s is %#v, want %#v", name, got, v)
		}
	}
}

// peer is the client's side of its connection as REMOTE_ADDR and REMOTE_PORT.
func peer(c *harness.Client) (addr, port string) {
	a := c.LocalAddr().(*net.TCPAddr)
	return a.IP.String(), strconv.Itoa(a.Port)
}

// onPort is an address to bind that has a port of its own.
func onPort(t testing.TB, host string) (bind string, port int) {
	port = harness.FreePort(t)
	return net.JoinHostPort(host, strconv.Itoa(port)), port
}

func TestClientOfTCP(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"127.0.0.1", "0.0.0.0", "::1", "::"} {
		t.Run(host, func(t *testing.T) {
			bind, port := onPort(t, host)
			s := harness.Start(t, harness.Options{App: "showenviron:app", Bind: []string{bind}})
			for _, to := range []string{"127.0.0.1", "::1"} {
				if host != to && (host == "127.0.0.1" || host == "::1" || host == "0.0.0.0" && to == "::1") {
					continue
				}
				c, err := harness.Dial("tcp", net.JoinHostPort(to, strconv.Itoa(port)))
				harness.Must(t, err)
				defer c.Close()
				addr, from := peer(c)
				for range 2 {
					variablesOf(t, c.Do(t, "GET", "/", "", "X-Forwarded-For: 192.0.2.7", "X-Real-Ip: 192.0.2.7")).expect(t, variables{
						"REMOTE_ADDR": addr, "REMOTE_PORT": from, "SERVER_NAME": host, "SERVER_PORT": strconv.Itoa(port),
						"wsgi.url_scheme": "http", "HTTP_HOST": "test", "HTTP_X_FORWARDED_FOR": "192.0.2.7",
						"PROXY_PROTOCOL": nil, "PROXY_ADDR": nil, "PROXY_PORT": nil, "HTTPS": nil,
					})
				}
			}
			s.Terminate()
		})
	}
}

func TestClientOfUnixSocket(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "showenviron:app", Bind: []string{"unix:DIR/web.sock"}, Args: []string{"--permit-missing-host"}})
	for fields, want := range map[string]variables{
		"Host: example.org":                               {"SERVER_NAME": "example.org", "SERVER_PORT": "80", "wsgi.url_scheme": "http"},
		"Host: example.org:8080":                          {"SERVER_NAME": "example.org", "SERVER_PORT": "8080", "wsgi.url_scheme": "http"},
		"Host: example.org\r\nX-Forwarded-Proto: https":   {"SERVER_NAME": "example.org", "SERVER_PORT": "443", "wsgi.url_scheme": "https"},
		"Host: example.org:1\r\nX-Forwarded-Proto: https": {"SERVER_NAME": "example.org", "SERVER_PORT": "1", "wsgi.url_scheme": "https"},
		"X-Nothing: x":                                    {"SERVER_NAME": s.Path("web.sock"), "SERVER_PORT": "", "HTTP_HOST": nil},
	} {
		c := s.Client()
		for range 2 {
			c.Send(t, "GET / HTTP/1.1\r\n"+fields+"\r\n\r\n")
			e := variablesOf(t, c.Receive(t, "GET"))
			e.expect(t, want)
			e.expect(t, variables{"REMOTE_ADDR": "", "REMOTE_PORT": nil})
		}
	}
	s.Terminate()
}

// proxyV2 builds a header of version 2 of the PROXY protocol.
func proxyV2(command, family byte, block string) string {
	b := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x20|command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(block)))
	return string(b) + block
}

// proxyBlock is the addresses in a header of version 2.
func proxyBlock(source, dest string) string {
	s, d := netip.MustParseAddrPort(source), netip.MustParseAddrPort(dest)
	b := append(s.Addr().AsSlice(), d.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, s.Port())
	b = binary.BigEndian.AppendUint16(b, d.Port())
	return string(b)
}

// A proxyHeader is a header with what the app is to see; nil: the connection's own addresses.
type proxyHeader struct {
	name, text, version string
	want                variables
}

func proxyHeaders() []proxyHeader {
	four := variables{"REMOTE_ADDR": "192.0.2.1", "REMOTE_PORT": "56324", "PROXY_PROTOCOL": "TCP4", "PROXY_ADDR": "198.51.100.2", "PROXY_PORT": "443"}
	six := variables{"REMOTE_ADDR": "2001:db8::1", "REMOTE_PORT": "1", "PROXY_PROTOCOL": "TCP6", "PROXY_ADDR": "2001:db8::2", "PROXY_PORT": "65535"}
	block4 := proxyBlock("192.0.2.1:56324", "198.51.100.2:443")
	block6 := proxyBlock("[2001:db8::1]:1", "[2001:db8::2]:65535")
	return []proxyHeader{
		{"v1 TCP4", "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", "v1", four},
		{"v1 TCP6", "PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", "v1", six},
		{"v1 UNKNOWN", "PROXY UNKNOWN\r\n", "v1", nil},
		{"v2 INET", proxyV2(1, 0x11, block4), "v2", four},
		{"v2 INET6", proxyV2(1, 0x21, block6), "v2", six},
		{"v2 vectors", proxyV2(1, 0x11, block4+"\x02\x00\x03sni\xe0\x00\x00"), "v2", four},
		{"v2 LOCAL", proxyV2(0, 0x00, ""), "v2", nil},
		{"v2 UNSPEC", proxyV2(1, 0x00, ""), "v2", nil},
	}
}

func TestProxyProtocol(t *testing.T) {
	t.Parallel()
	servers := map[string]*harness.Server{}
	for _, mode := range []string{"v1", "v2", "auto"} {
		servers[mode] = harness.Start(t, harness.Options{App: "showenviron:app", Args: []string{"--proxy-protocol=" + mode, "--access-logfile", "DIR/access.log", "--access-logformat", "%(h)s %(U)s"}})
	}
	request := harness.FormatRequest("GET", "/", "", "X-Forwarded-For: 192.0.2.9")
	for _, h := range proxyHeaders() {
		for _, mode := range []string{h.version, "auto"} {
			t.Run(h.name+" in mode "+mode, func(t *testing.T) {
				s := servers[mode]
				for name, begin := range map[string]func(*harness.Client){
					"alone":          func(c *harness.Client) { c.Send(t, h.text); c.Send(t, request) },
					"with a request": func(c *harness.Client) { c.Send(t, h.text+request) },
					"in two pieces":  func(c *harness.Client) { c.Send(t, h.text[:7]); c.Send(t, h.text[7:]+request) },
					"with two of it": func(c *harness.Client) { c.Send(t, h.text+request+request); c.Receive(t, "GET") },
					"byte by byte":   func(c *harness.Client) { sendBytes(t, c, h.text+request) },
					"before a body": func(c *harness.Client) {
						c.Send(t, h.text+harness.FormatRequest("POST", "/", strings.Repeat("b", 100<<10)))
					},
					"a request later": func(c *harness.Client) { c.Send(t, h.text+request); c.Receive(t, "GET"); c.Send(t, request) },
				} {
					c, err := s.Connect()
					harness.Must(t, err)
					want := h.want
					if want == nil {
						addr, port := peer(c)
						want = variables{"REMOTE_ADDR": addr, "REMOTE_PORT": port, "PROXY_PROTOCOL": nil, "PROXY_ADDR": nil, "PROXY_PORT": nil}
					}
					begin(c)
					for i := range 3 {
						e := variablesOf(t, c.Receive(t, "GET"))
						e.expect(t, want)
						e.expect(t, variables{"SERVER_NAME": "127.0.0.1", "SERVER_PORT": strconv.Itoa(s.Port), "wsgi.url_scheme": "http"})
						if t.Failed() {
							t.Fatalf("%s, request %d", name, i+1)
						}
						if i < 2 {
							c.Send(t, request)
						}
					}
					c.Close()
				}
			})
		}
	}
	for _, s := range servers {
		s.Terminate()
		log := s.ReadFile("access.log")
		for line := range strings.Lines(log) {
			switch strings.TrimSuffix(line, " /\n") {
			case "192.0.2.1", "2001:db8::1", "127.0.0.1":
			default:
				t.Errorf("in the access log: %q", line)
			}
		}
		if s != servers["v2"] && !strings.Contains(log, "192.0.2.1 /\n") || s != servers["v1"] && !strings.Contains(log, "2001:db8::1 /\n") {
			t.Error("the access log has not the clients' addresses")
		}
	}
}

// sendBytes sends each byte in a packet of its own.
func sendBytes(t testing.TB, c *harness.Client, text string) {
	t.Helper()
	for i := range len(text) {
		c.Send(t, text[i:i+1])
	}
}

func TestProxyProtocolAbsent(t *testing.T) {
	t.Parallel()
	// The header may be left out, as in Gunicorn; and it can come only once.
	s := harness.Start(t, harness.Options{App: "showenviron:app", Args: []string{"--proxy-protocol=auto"}})
	c := s.Client()
	addr, port := peer(c)
	for range 3 {
		variablesOf(t, c.Do(t, "GET", "/", "")).expect(t, variables{"REMOTE_ADDR": addr, "REMOTE_PORT": port, "PROXY_PROTOCOL": nil})
	}
	for _, method := range []string{"PRO", "PROXYING"} { // begin as the header does
		if r := s.Client().Do(t, method, "/", ""); r.Status != 200 {
			t.Errorf("method %s: %v", method, r)
		}
	}
	for _, h := range proxyHeaders() {
		c.Send(t, h.text)
		if r := c.Receive(t, "GET"); r.Status != 400 || !r.Closes() {
			t.Errorf("%s after a request: %v", h.name, r)
		}
		c.ExpectEOF(t)
		c = s.Client()
		c.Send(t, h.text+h.text)
		if r := c.Receive(t, "GET"); r.Status != 400 || !r.Closes() {
			t.Errorf("%s twice: %v", h.name, r)
		}
		c.ExpectEOF(t)
		c = s.Client()
		c.Do(t, "GET", "/", "")
	}
	s.Terminate()
}

func TestProxyProtocolOfAnotherVersion(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"off", "v1", "v2"} {
		s := harness.Start(t, harness.Options{App: "showenviron:app", Args: []string{"--proxy-protocol=" + mode}})
		for _, h := range proxyHeaders() {
			if h.version == mode {
				continue
			}
			c := s.Client()
			c.Send(t, h.text+harness.FormatRequest("GET", "/", ""))
			if r := c.Receive(t, "GET"); r.Status != 400 || !r.Closes() {
				t.Errorf("%s in mode %s: %v", h.name, mode, r)
			}
			c.ExpectEOF(t)
		}
		s.Terminate()
	}
}

func TestProxyProtocolRefused(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "showenviron:app", Args: []string{"--proxy-protocol=auto"}})
	for _, test := range []struct{ text, log string }{
		{"PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n", "Invalid PROXY line: "},
		{"PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n", "Invalid PROXY line: "},
		{"PROXY TCP4 192.0.2.256 198.51.100.2 1 2\r\n", "Invalid PROXY line: "},
		{"PROXY TCP4 ::1 ::1 1 2\r\n", "Invalid PROXY line: "},
		{"PROXY TCP5 192.0.2.1 198.51.100.2 1 2\r\n", "Invalid PROXY line: "},
		{"PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n", "Invalid PROXY line: "},
		{"PROXY TCP4 <script> 198.51.100.2 1 2\r\n", "Invalid PROXY line: "},
		{"PROXY " + strings.Repeat("x", 110), "Invalid PROXY line: "},
		{proxyV2(1, 0x12, proxyBlock("192.0.2.1:1", "192.0.2.1:2")), "Invalid PROXY header: "},
		{proxyV2(1, 0x11, "short"), "Invalid PROXY header: "},
		{proxyV2(3, 0x11, proxyBlock("192.0.2.1:1", "192.0.2.1:2")), "Invalid PROXY header: "},
		{proxyV2(1, 0x11, proxyBlock("192.0.2.1:1", "192.0.2.1:2")+"\x03\x00\x04sum!"), "Invalid PROXY header: "},
	} {
		mark := s.Log.Mark()
		c := s.Client()
		c.Send(t, test.text+harness.FormatRequest("GET", "/", ""))
		r := c.Receive(t, "GET")
		if r.Status != 400 || !r.Closes() || !strings.Contains(r.Body, test.log) || strings.Contains(r.Body, "<script>") || strings.Count(r.Body, "Invalid PROXY") != 1 {
			t.Errorf("%q: %v", test.text, r)
		}
		c.ExpectEOF(t)
		s.Log.ExpectFrom(t, mark, `\[WARNING\] Invalid request from ip=127\.0\.0\.1: `+test.log)
	}
	s.Terminate()
}

func TestProxyProtocolFromUntrusted(t *testing.T) {
	t.Parallel()
	for _, from := range []string{"192.0.2.1", "127.0.0.2,192.0.2.0/24", "::1"} {
		s := harness.Start(t, harness.Options{App: "showenviron:app", Args: []string{"--proxy-protocol=auto", "--proxy-allow-from", from}})
		for _, h := range proxyHeaders() {
			mark := s.Log.Mark()
			c := s.Client()
			c.Send(t, h.text+harness.FormatRequest("GET", "/", ""))
			if r := c.Receive(t, "GET"); r.Status != 403 || r.Reason != "Forbidden" || !r.Closes() || !strings.Contains(r.Body, "Request forbidden") {
				t.Errorf("%s: %v", h.name, r)
			}
			c.ExpectEOF(t)
			s.Log.ExpectFrom(t, mark, `\[WARNING\] Invalid request from ip=127\.0\.0\.1: Request forbidden`)
		}
		// Without a header the client is who is there.
		variablesOf(t, s.Client().Do(t, "GET", "/", "")).expect(t, variables{"REMOTE_ADDR": "127.0.0.1"})
		s.Terminate()
	}
}

func TestProxyProtocolFromTrusted(t *testing.T) {
	t.Parallel()
	h := proxyHeaders()[0]
	for _, from := range []string{"127.0.0.1", "*", "192.0.2.1,127.0.0.0/8"} {
		s := harness.Start(t, harness.Options{App: "showenviron:app", Args: []string{"--proxy-protocol=auto", "--proxy-allow-from", from}})
		c := s.Client()
		c.Send(t, h.text)
		variablesOf(t, c.Do(t, "GET", "/", "")).expect(t, h.want)
		s.Terminate()
	}
	// Who can open a unix socket is trusted.
	s := harness.Start(t, harness.Options{App: "showenviron:app", Bind: []string{"unix:DIR/web.sock"}, Args: []string{"--proxy-protocol=auto", "--proxy-allow-from", "192.0.2.1"}})
	c := s.Client()
	c.Send(t, h.text)
	for range 2 {
		e := variablesOf(t, c.Do(t, "GET", "/", ""))
		e.expect(t, h.want)
		e.expect(t, variables{"SERVER_NAME": "test", "SERVER_PORT": "80"})
	}
	s.Terminate()
}

func TestProxyHeaderThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "showenviron:app", Args: []string{"--proxy-protocol=auto", "--handshake-timeout", "2"}})
	for _, text := range []string{"PROXY TCP4 192.0.2.1 ", "P", "\r\n\r\n", proxyHeaders()[3].text[:20]} {
		c := s.Client()
		began := time.Now()
		c.Send(t, text)
		expectEnd(t, c, 408)
		if took := time.Since(began); took < 1500*time.Millisecond || took > 25*time.Second {
			t.Errorf("%q and silence is ended after %v, want 2 s", text, took)
		}
	}
	// One that trickles has no more time than one that is silent.
	c := s.Client()
	ended := false
	for _, b := range []byte(proxyHeaders()[0].text) {
		_, err := c.Write([]byte{b})
		if ended = err != nil || harness.ClosedByPeer(c) || answered(c); ended {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	if !ended {
		t.Error("a trickling header has all the time that it takes, want 2 s")
	}
	s.Terminate()

	// One whose client has stopped sending will not get longer.
	s = harness.Start(t, harness.Options{App: "showenviron:app", Args: []string{"--proxy-protocol=auto", "--handshake-timeout", "60"}})
	c = s.Client()
	began := time.Now()
	c.Send(t, "PROXY TCP4 192.0.2.1 ")
	harness.Must(t, c.Conn.(*net.TCPConn).CloseWrite())
	expectEnd(t, c, 400)
	if took := time.Since(began); took > 25*time.Second {
		t.Errorf("half a header and the end of input is ended after %v, want at once", took)
	}
	s.Terminate()
}

// expectEnd waits until the server closes a connection, without a word or
// after a response with a status.
func expectEnd(t testing.TB, c *harness.Client, status int) {
	t.Helper()
	r, err := harness.ReadResponse(c.Reader, "GET")
	switch {
	case err == nil && r.Status == status && r.Closes():
		c.ExpectEOF(t)
	case err == nil || harness.Reason(err) != "closed without an answer" && harness.Reason(err) != "reset":
		t.Errorf("%v, %v, want status %d or the end of the connection", r, err, status)
	}
}

func TestProxyProtocolBeforeTLS(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.WithTLS(t, harness.Options{App: "showenviron:app", Args: []string{"--proxy-protocol=auto"}}))
	for _, h := range proxyHeaders() {
		for _, pieces := range []bool{false, true} {
			c, err := s.ConnectPlain()
			harness.Must(t, err)
			want := h.want
			if want == nil {
				addr, port := peer(c)
				want = variables{"REMOTE_ADDR": addr, "REMOTE_PORT": port, "PROXY_PROTOCOL": nil}
			}
			if pieces {
				sendBytes(t, c, h.text)
			} else {
				// In one packet with the client's first TLS record.
				c = &harness.Client{Conn: &prefixed{Conn: c.Conn, prefix: h.text}, Reader: bufio.NewReader(c)}
			}
			c, err = harness.HandshakeTLS(c, s.TLS)
			harness.Must(t, err)
			for range 2 {
				e := variablesOf(t, c.Do(t, "GET", "/", ""))
				e.expect(t, want)
				e.expect(t, variables{"wsgi.url_scheme": "https", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": strconv.Itoa(s.Port)})
			}
			c.Close()
		}
	}
	variablesOf(t, s.Client().Do(t, "GET", "/", "")).expect(t, variables{"REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "https"})

	// Within TLS it is no header any more.
	c := s.Client()
	c.Send(t, proxyHeaders()[0].text+harness.FormatRequest("GET", "/", ""))
	if r := c.Receive(t, "GET"); r.Status != 400 || !r.Closes() {
		t.Errorf("within TLS: %v", r)
	}
	c.ExpectEOF(t)
	s.Terminate()
}

// prefixed sends something in front of what is written first.
type prefixed struct {
	net.Conn
	prefix string
}

func (p *prefixed) Write(b []byte) (int, error) {
	prefix := p.prefix
	p.prefix = ""
	n, err := p.Conn.Write(append([]byte(prefix), b...))
	return max(0, n-len(prefix)), err
}
