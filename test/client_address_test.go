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
)

// variables are what the app showenviron saw.
type variables map[string]any

func variablesOf(t testing.TB, r *response) variables {
	t.Helper()
	e := variables{}
	if r.status != 200 || json.Unmarshal([]byte(r.body), &e) != nil {
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
func (c *client) peer() (addr, port string) {
	a := c.LocalAddr().(*net.TCPAddr)
	return a.IP.String(), strconv.Itoa(a.Port)
}

// onPort is an address to bind that has a port of its own.
func onPort(t testing.TB, host string) (bind string, port int) {
	port = freePort(t)
	return net.JoinHostPort(host, strconv.Itoa(port)), port
}

func TestClientOfTCP(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"127.0.0.1", "0.0.0.0", "::1", "::"} {
		t.Run(host, func(t *testing.T) {
			bind, port := onPort(t, host)
			s := start(t, options{app: "showenviron:app", bind: []string{bind}})
			for _, to := range []string{"127.0.0.1", "::1"} {
				if host != to && (host == "127.0.0.1" || host == "::1" || host == "0.0.0.0" && to == "::1") {
					continue
				}
				c, err := dial("tcp", net.JoinHostPort(to, strconv.Itoa(port)))
				must(t, err)
				defer c.Close()
				addr, from := c.peer()
				for range 2 {
					variablesOf(t, c.do(t, "GET", "/", "", "X-Forwarded-For: 192.0.2.7", "X-Real-Ip: 192.0.2.7")).expect(t, variables{
						"REMOTE_ADDR": addr, "REMOTE_PORT": from, "SERVER_NAME": host, "SERVER_PORT": strconv.Itoa(port),
						"wsgi.url_scheme": "http", "HTTP_HOST": "test", "HTTP_X_FORWARDED_FOR": "192.0.2.7",
						"PROXY_PROTOCOL": nil, "PROXY_ADDR": nil, "PROXY_PORT": nil, "HTTPS": nil,
					})
				}
			}
			s.terminate()
		})
	}
}

func TestClientOfUnixSocket(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "showenviron:app", bind: []string{"unix:DIR/web.sock"}, args: []string{"--permit-missing-host"}})
	for fields, want := range map[string]variables{
		"Host: example.org":                               {"SERVER_NAME": "example.org", "SERVER_PORT": "80", "wsgi.url_scheme": "http"},
		"Host: example.org:8080":                          {"SERVER_NAME": "example.org", "SERVER_PORT": "8080", "wsgi.url_scheme": "http"},
		"Host: example.org\r\nX-Forwarded-Proto: https":   {"SERVER_NAME": "example.org", "SERVER_PORT": "443", "wsgi.url_scheme": "https"},
		"Host: example.org:1\r\nX-Forwarded-Proto: https": {"SERVER_NAME": "example.org", "SERVER_PORT": "1", "wsgi.url_scheme": "https"},
		"X-Nothing: x":                                    {"SERVER_NAME": s.path("web.sock"), "SERVER_PORT": "", "HTTP_HOST": nil},
	} {
		c := s.client()
		for range 2 {
			c.send(t, "GET / HTTP/1.1\r\n"+fields+"\r\n\r\n")
			e := variablesOf(t, c.receive(t, "GET"))
			e.expect(t, want)
			e.expect(t, variables{"REMOTE_ADDR": "", "REMOTE_PORT": nil})
		}
	}
	s.terminate()
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
	servers := map[string]*server{}
	for _, mode := range []string{"v1", "v2", "auto"} {
		servers[mode] = start(t, options{app: "showenviron:app", args: []string{"--proxy-protocol=" + mode, "--access-logfile", "DIR/access.log", "--access-logformat", "%(h)s %(U)s"}})
	}
	request := format("GET", "/", "", "X-Forwarded-For: 192.0.2.9")
	for _, h := range proxyHeaders() {
		for _, mode := range []string{h.version, "auto"} {
			t.Run(h.name+" in mode "+mode, func(t *testing.T) {
				s := servers[mode]
				for name, begin := range map[string]func(*client){
					"alone":           func(c *client) { c.send(t, h.text); c.send(t, request) },
					"with a request":  func(c *client) { c.send(t, h.text+request) },
					"in two pieces":   func(c *client) { c.send(t, h.text[:7]); c.send(t, h.text[7:]+request) },
					"with two of it":  func(c *client) { c.send(t, h.text+request+request); c.receive(t, "GET") },
					"byte by byte":    func(c *client) { sendBytes(t, c, h.text+request) },
					"before a body":   func(c *client) { c.send(t, h.text+format("POST", "/", strings.Repeat("b", 100<<10))) },
					"a request later": func(c *client) { c.send(t, h.text+request); c.receive(t, "GET"); c.send(t, request) },
				} {
					c, err := s.connect()
					must(t, err)
					want := h.want
					if want == nil {
						addr, port := c.peer()
						want = variables{"REMOTE_ADDR": addr, "REMOTE_PORT": port, "PROXY_PROTOCOL": nil, "PROXY_ADDR": nil, "PROXY_PORT": nil}
					}
					begin(c)
					for i := range 3 {
						e := variablesOf(t, c.receive(t, "GET"))
						e.expect(t, want)
						e.expect(t, variables{"SERVER_NAME": "127.0.0.1", "SERVER_PORT": strconv.Itoa(s.port), "wsgi.url_scheme": "http"})
						if t.Failed() {
							t.Fatalf("%s, request %d", name, i+1)
						}
						if i < 2 {
							c.send(t, request)
						}
					}
					c.Close()
				}
			})
		}
	}
	for _, s := range servers {
		s.terminate()
		log := s.read("access.log")
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
func sendBytes(t testing.TB, c *client, text string) {
	t.Helper()
	for i := range len(text) {
		c.send(t, text[i:i+1])
	}
}

func TestProxyProtocolAbsent(t *testing.T) {
	t.Parallel()
	// The header may be left out, as in Gunicorn; and it can come only once.
	s := start(t, options{app: "showenviron:app", args: []string{"--proxy-protocol=auto"}})
	c := s.client()
	addr, port := c.peer()
	for range 3 {
		variablesOf(t, c.do(t, "GET", "/", "")).expect(t, variables{"REMOTE_ADDR": addr, "REMOTE_PORT": port, "PROXY_PROTOCOL": nil})
	}
	for _, method := range []string{"PRO", "PROXYING"} { // begin as the header does
		if r := s.client().do(t, method, "/", ""); r.status != 200 {
			t.Errorf("method %s: %v", method, r)
		}
	}
	for _, h := range proxyHeaders() {
		c.send(t, h.text)
		if r := c.receive(t, "GET"); r.status != 400 || !r.closes() {
			t.Errorf("%s after a request: %v", h.name, r)
		}
		c.expectEOF(t)
		c = s.client()
		c.send(t, h.text+h.text)
		if r := c.receive(t, "GET"); r.status != 400 || !r.closes() {
			t.Errorf("%s twice: %v", h.name, r)
		}
		c.expectEOF(t)
		c = s.client()
		c.do(t, "GET", "/", "")
	}
	s.terminate()
}

func TestProxyProtocolOfAnotherVersion(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"off", "v1", "v2"} {
		s := start(t, options{app: "showenviron:app", args: []string{"--proxy-protocol=" + mode}})
		for _, h := range proxyHeaders() {
			if h.version == mode {
				continue
			}
			c := s.client()
			c.send(t, h.text+format("GET", "/", ""))
			if r := c.receive(t, "GET"); r.status != 400 || !r.closes() {
				t.Errorf("%s in mode %s: %v", h.name, mode, r)
			}
			c.expectEOF(t)
		}
		s.terminate()
	}
}

func TestProxyProtocolRefused(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "showenviron:app", args: []string{"--proxy-protocol=auto"}})
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
		mark := s.log.mark()
		c := s.client()
		c.send(t, test.text+format("GET", "/", ""))
		r := c.receive(t, "GET")
		if r.status != 400 || !r.closes() || !strings.Contains(r.body, test.log) || strings.Contains(r.body, "<script>") || strings.Count(r.body, "Invalid PROXY") != 1 {
			t.Errorf("%q: %v", test.text, r)
		}
		c.expectEOF(t)
		s.log.expectFrom(t, mark, `\[WARNING\] Invalid request from ip=127\.0\.0\.1: `+test.log)
	}
	s.terminate()
}

func TestProxyProtocolFromUntrusted(t *testing.T) {
	t.Parallel()
	for _, from := range []string{"192.0.2.1", "127.0.0.2,192.0.2.0/24", "::1"} {
		s := start(t, options{app: "showenviron:app", args: []string{"--proxy-protocol=auto", "--proxy-allow-from", from}})
		for _, h := range proxyHeaders() {
			mark := s.log.mark()
			c := s.client()
			c.send(t, h.text+format("GET", "/", ""))
			if r := c.receive(t, "GET"); r.status != 403 || r.reason != "Forbidden" || !r.closes() || !strings.Contains(r.body, "Request forbidden") {
				t.Errorf("%s: %v", h.name, r)
			}
			c.expectEOF(t)
			s.log.expectFrom(t, mark, `\[WARNING\] Invalid request from ip=127\.0\.0\.1: Request forbidden`)
		}
		// Without a header the client is who is there.
		variablesOf(t, s.client().do(t, "GET", "/", "")).expect(t, variables{"REMOTE_ADDR": "127.0.0.1"})
		s.terminate()
	}
}

func TestProxyProtocolFromTrusted(t *testing.T) {
	t.Parallel()
	h := proxyHeaders()[0]
	for _, from := range []string{"127.0.0.1", "*", "192.0.2.1,127.0.0.0/8"} {
		s := start(t, options{app: "showenviron:app", args: []string{"--proxy-protocol=auto", "--proxy-allow-from", from}})
		c := s.client()
		c.send(t, h.text)
		variablesOf(t, c.do(t, "GET", "/", "")).expect(t, h.want)
		s.terminate()
	}
	// Who can open a unix socket is trusted.
	s := start(t, options{app: "showenviron:app", bind: []string{"unix:DIR/web.sock"}, args: []string{"--proxy-protocol=auto", "--proxy-allow-from", "192.0.2.1"}})
	c := s.client()
	c.send(t, h.text)
	for range 2 {
		e := variablesOf(t, c.do(t, "GET", "/", ""))
		e.expect(t, h.want)
		e.expect(t, variables{"SERVER_NAME": "test", "SERVER_PORT": "80"})
	}
	s.terminate()
}

func TestProxyHeaderThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	s := start(t, options{app: "showenviron:app", args: []string{"--proxy-protocol=auto", "--handshake-timeout", "2"}})
	for _, text := range []string{"PROXY TCP4 192.0.2.1 ", "P", "\r\n\r\n", proxyHeaders()[3].text[:20]} {
		c := s.client()
		began := time.Now()
		c.send(t, text)
		expectEnd(t, c, 408)
		if took := time.Since(began); took < 1500*time.Millisecond || took > 10*time.Second {
			t.Errorf("%q and silence is ended after %v, want 2 s", text, took)
		}
	}
	// One that trickles has no more time than one that is silent.
	c := s.client()
	began := time.Now()
	for _, b := range []byte(proxyHeaders()[0].text) {
		if _, err := c.Write([]byte{b}); err != nil || closedByPeer(c) || answered(c) {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	if took := time.Since(began); took > 7*time.Second {
		t.Errorf("a trickling header is ended after %v, want 2 s", took)
	}
	s.terminate()

	// One whose client has stopped sending will not get longer.
	s = start(t, options{app: "showenviron:app", args: []string{"--proxy-protocol=auto", "--handshake-timeout", "60"}})
	c = s.client()
	began = time.Now()
	c.send(t, "PROXY TCP4 192.0.2.1 ")
	must(t, c.Conn.(*net.TCPConn).CloseWrite())
	expectEnd(t, c, 400)
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("half a header and the end of input is ended after %v, want at once", took)
	}
	s.terminate()
}

// expectEnd waits until the server closes a connection, without a word or
// after a response with a status.
func expectEnd(t testing.TB, c *client, status int) {
	t.Helper()
	r, err := readResponse(c.r, "GET")
	switch {
	case err == nil && r.status == status && r.closes():
		c.expectEOF(t)
	case err == nil || reason(err) != "closed without an answer" && reason(err) != "reset":
		t.Errorf("%v, %v, want status %d or the end of the connection", r, err, status)
	}
}

func TestProxyProtocolBeforeTLS(t *testing.T) {
	t.Parallel()
	s := start(t, withTLS(t, options{app: "showenviron:app", args: []string{"--proxy-protocol=auto"}}))
	for _, h := range proxyHeaders() {
		for _, pieces := range []bool{false, true} {
			c, err := s.connectPlain()
			must(t, err)
			want := h.want
			if want == nil {
				addr, port := c.peer()
				want = variables{"REMOTE_ADDR": addr, "REMOTE_PORT": port, "PROXY_PROTOCOL": nil}
			}
			if pieces {
				sendBytes(t, c, h.text)
			} else {
				// In one packet with the client's first TLS record.
				c = &client{&prefixed{Conn: c.Conn, prefix: h.text}, bufio.NewReader(c)}
			}
			c, err = secure(c, s.o.tls)
			must(t, err)
			for range 2 {
				e := variablesOf(t, c.do(t, "GET", "/", ""))
				e.expect(t, want)
				e.expect(t, variables{"wsgi.url_scheme": "https", "SERVER_NAME": "127.0.0.1", "SERVER_PORT": strconv.Itoa(s.port)})
			}
			c.Close()
		}
	}
	variablesOf(t, s.client().do(t, "GET", "/", "")).expect(t, variables{"REMOTE_ADDR": "127.0.0.1", "wsgi.url_scheme": "https"})

	// Within TLS it is no header any more.
	c := s.client()
	c.send(t, proxyHeaders()[0].text+format("GET", "/", ""))
	if r := c.receive(t, "GET"); r.status != 400 || !r.closes() {
		t.Errorf("within TLS: %v", r)
	}
	c.expectEOF(t)
	s.terminate()
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
