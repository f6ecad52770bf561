//go:build linux

package test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"indrik/test/harness"
)

// A gatewayClient passes requests on by uwsgi, SCGI or FastCGI as a web server does.
type gatewayClient struct {
	t        testing.TB
	protocol string
	conn     net.Conn
	in       *bufio.Reader
}

func dialGateway(t testing.TB, protocol, network, address string) *gatewayClient {
	t.Helper()
	conn, err := net.Dial(network, address)
	harness.Must(t, err)
	harness.Must(t, conn.SetDeadline(time.Now().Add(harness.Patience)))
	t.Cleanup(func() { conn.Close() })
	return &gatewayClient{t, protocol, conn, bufio.NewReader(conn)}
}

// encode returns the start of a request, up to its body.
func (c *gatewayClient) encode(vars []string) []byte {
	var block []byte
	for _, v := range vars {
		name, value, _ := strings.Cut(v, "=")
		switch c.protocol {
		case "uwsgi":
			for _, s := range []string{name, value} {
				block = append(binary.LittleEndian.AppendUint16(block, uint16(len(s))), s...)
			}
		case "scgi":
			block = append(block, name+"\x00"+value+"\x00"...)
		case "fastcgi":
			for _, s := range []string{name, value} {
				block = binary.BigEndian.AppendUint32(block, uint32(len(s))|1<<31)
			}
			block = append(block, name+value...)
		}
	}
	switch c.protocol {
	case "uwsgi":
		return append(append(binary.LittleEndian.AppendUint16([]byte{0}, uint16(len(block))), 0), block...)
	case "scgi":
		return fmt.Appendf(nil, "%d:%s,", len(block), block)
	}
	begin := fastCGIRecord(1, []byte{0, 1, 1, 0, 0, 0, 0, 0})
	return append(append(begin, fastCGIRecord(4, block)...), fastCGIRecord(4, nil)...)
}

func fastCGIRecord(kind byte, content []byte) []byte {
	header := []byte{1, kind, 0, 1, byte(len(content) >> 8), byte(len(content)), 0, 0}
	return append(header, content...)
}

// send sends a request. vars are added to those that every web server sends.
func (c *gatewayClient) send(method, path, body string, vars ...string) {
	c.t.Helper()
	all := []string{
		fmt.Sprintf("CONTENT_LENGTH=%d", len(body)), "SCGI=1", "REQUEST_METHOD=" + method, "REQUEST_URI=" + path, "PATH_INFO=" + path,
		"QUERY_STRING=", "SERVER_NAME=shop.example", "SERVER_PORT=443", "SERVER_PROTOCOL=HTTP/1.1", "REMOTE_ADDR=203.0.113.9",
		"REMOTE_PORT=4711", "HTTPS=on", "HTTP_HOST=shop.example",
	}
	message := c.encode(append(all, vars...))
	if c.protocol == "fastcgi" {
		for rest := body; rest != ""; {
			n := min(len(rest), 50_000)
			message = append(message, fastCGIRecord(5, []byte(rest[:n]))...)
			rest = rest[n:]
		}
		message = append(message, fastCGIRecord(5, nil)...)
	} else {
		message = append(message, body...)
	}
	go c.conn.Write(message) // the server may answer before it has read all
}

// receive returns a response in the form of HTTP.
func (c *gatewayClient) receive(method string) *harness.Response {
	c.t.Helper()
	var text []byte
	switch c.protocol {
	case "fastcgi":
		var ended bool
		for !ended {
			var header [8]byte
			_, err := io.ReadFull(c.in, header[:])
			harness.Must(c.t, err)
			content := make([]byte, binary.BigEndian.Uint16(header[4:]))
			_, err = io.ReadFull(c.in, content)
			harness.Must(c.t, err)
			_, err = c.in.Discard(int(header[6]))
			harness.Must(c.t, err)
			switch header[1] {
			case 6:
				text = append(text, content...)
			case 3:
				ended = true
			default:
				c.t.Fatalf("a record of type %d in a response", header[1])
			}
		}
	default:
		var err error
		text, err = io.ReadAll(c.in)
		harness.Must(c.t, err)
	}
	if c.protocol != "uwsgi" {
		rest, ok := bytes.CutPrefix(text, []byte("Status: "))
		if !ok {
			c.t.Fatalf("the response begins with %.100q, not with its Status", text)
		}
		text = append([]byte("HTTP/1.1 "), rest...)
	}
	r, err := harness.ReadResponse(bufio.NewReader(bytes.NewReader(text)), method)
	harness.Must(c.t, err)
	for _, field := range []string{"Connection", "Transfer-Encoding"} {
		if r.Has(field) {
			c.t.Errorf("the response has a field %s", field)
		}
	}
	return r
}

var gatewayProtocols = []string{"uwsgi", "scgi", "fastcgi"}

// gatewayServer runs an app behind each protocol, and behind HTTP as usual.
func gatewayServer(t *testing.T, o harness.Options) *harness.Server {
	o.Bind = []string{fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t))}
	for _, p := range gatewayProtocols {
		o.Bind = append(o.Bind, p+"://unix:DIR/"+p+".sock")
	}
	return harness.Start(t, o)
}

func eachGateway(t *testing.T, s *harness.Server, test func(t *testing.T, dial func() *gatewayClient)) {
	for _, protocol := range gatewayProtocols {
		t.Run(protocol, func(t *testing.T) {
			test(t, func() *gatewayClient { return dialGateway(t, protocol, "unix", s.Path(protocol+".sock")) })
		})
	}
}

// TestGatewayEnviron: an app sees what the web server says of its client, and its other
// variables; HTTP beside it is as ever.
func TestGatewayEnviron(t *testing.T) {
	t.Parallel()
	admin := harness.FreePort(t)
	s := gatewayServer(t, harness.Options{App: "showenviron:app", Args: []string{"--admin-bind", fmt.Sprintf("127.0.0.1:%d", admin), "--access-logfile", "DIR/access.log", "--access-logformat", `%(h)s "%(r)s" %(s)s %({REMOTE_USER}e)s`}})
	eachGateway(t, s, func(t *testing.T, dial func() *gatewayClient) {
		c := dial()
		c.send("GET", "/x%20y", "", "PATH_INFO=/x y", "QUERY_STRING=a=1&b=%20", "REQUEST_URI=/shop/x%20y?a=1&b=%20", "SCRIPT_NAME=/shop",
			"REMOTE_USER=ann", "SSL_CLIENT_S_DN=CN=ann", "HTTP_X_ONE=1", "HTTP_CONNECTION=upgrade", "HTTP_TRANSFER_ENCODING=chunked", "UWSGI_SCRIPT=other:app")
		r := c.receive("GET")
		environ := map[string]any{}
		harness.Must(t, json.Unmarshal([]byte(r.Body), &environ))
		for name, want := range map[string]any{
			"REQUEST_METHOD": "GET", "SCRIPT_NAME": "/shop", "PATH_INFO": "/x y", "QUERY_STRING": "a=1&b=%20", "RAW_URI": "/shop/x%20y?a=1&b=%20",
			"REMOTE_ADDR": "203.0.113.9", "REMOTE_PORT": "4711", "wsgi.url_scheme": "https", "SERVER_NAME": "shop.example", "SERVER_PORT": "443",
			"SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "shop.example", "REMOTE_USER": "ann", "SSL_CLIENT_S_DN": "CN=ann", "HTTP_X_ONE": "1",
			"HTTP_CONNECTION": nil, "HTTP_TRANSFER_ENCODING": nil, "UWSGI_SCRIPT": nil,
		} {
			if environ[name] != want {
				t.Errorf("%s is %v, want %v", name, environ[name], want)
			}
		}
	})
	harness.Eventually(t, "the access log has three lines of the client", func() bool {
		return strings.Count(s.ReadFile("access.log"), `203.0.113.9 "GET /shop/x%20y?a=1&b=%20 HTTP/1.1" 200 ann`) == 3
	})
	metrics := harness.EndpointAt(t, admin).Get("/metrics")
	for _, p := range gatewayProtocols {
		if want := fmt.Sprintf(`indrik_http_requests_total{kind="%s",method="GET",status="200"} 1`, p); !strings.Contains(metrics, want) {
			t.Errorf("the metrics have no %s", want)
		}
	}
	if body := s.Get("/"); !strings.Contains(body, `"REMOTE_ADDR": "127.0.0.1"`) {
		t.Errorf("by HTTP: %s", body)
	}
	s.Log.Expect(t, `Listening at: http://127\.0\.0\.1:\d+,uwsgi://unix:\S+,scgi://unix:\S+,fastcgi://unix:`)
	s.Terminate()
}

// TestGatewayBodies: bodies of any size reach apps of both kinds whole, and so do responses.
func TestGatewayBodies(t *testing.T) {
	t.Parallel()
	for _, app := range []string{"echo:app", "asgiapps:echo"} {
		t.Run(app, func(t *testing.T) {
			t.Parallel()
			s := gatewayServer(t, harness.Options{App: app})
			eachGateway(t, s, func(t *testing.T, dial func() *gatewayClient) {
				for _, size := range []int{0, 5, 70_000, 3_000_000} {
					c := dial()
					body := strings.Repeat("0123456789", size/10) + strings.Repeat("x", size%10)
					c.send("POST", "/echo", body)
					if r := c.receive("POST"); r.Status != 200 || !strings.HasSuffix(r.Body, body) || len(r.Body) > size+6 {
						t.Errorf("%d bytes came back as %v", size, r)
					}
				}
				c := dial()
				c.send("HEAD", "/", "")
				if r := c.receive("HEAD"); r.Status != 200 || r.Body != "" {
					t.Errorf("HEAD: %v", r)
				}
			})
			s.Terminate()
		})
	}
}

// TestGatewayStreams: a response without a length has its end where the web server sees it.
func TestGatewayStreams(t *testing.T) {
	t.Parallel()
	s := gatewayServer(t, harness.Options{App: "many:app", Files: map[string]string{"many.py": `
def app(environ, start_response):
    if environ["PATH_INFO"] == "/file":
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](open("large", "rb"))
    start_response("200 OK", [])
    return (b"%06d" % i * 1000 for i in range(100))
`, "large": strings.Repeat("content ", 50_000)}})
	eachGateway(t, s, func(t *testing.T, dial func() *gatewayClient) {
		c := dial()
		c.send("GET", "/parts", "")
		var want strings.Builder
		for i := range 100 {
			want.WriteString(strings.Repeat(fmt.Sprintf("%06d", i), 1000))
		}
		if r := c.receive("GET"); r.Body != want.String() {
			t.Errorf("the stream came as %v", r)
		}
		c = dial()
		c.send("GET", "/file", "")
		if r := c.receive("GET"); r.Body != strings.Repeat("content ", 50_000) {
			t.Errorf("the file came as %v", r)
		}
	})
	s.Terminate()
}

// TestGatewaySlowServers: what a web server does not take yet is kept, in memory and in a file,
// and comes whole.
func TestGatewaySlowServers(t *testing.T) {
	t.Parallel()
	s := gatewayServer(t, harness.Options{App: "echo:app", Args: []string{"--access-logfile", "DIR/access.log"}})
	eachGateway(t, s, func(t *testing.T, dial func() *gatewayClient) {
		c := dial()
		body := strings.Repeat("0123456789", 600_000)
		c.send("POST", "/slow-"+c.protocol, body)
		harness.Eventually(t, "the app has answered", func() bool { return strings.Contains(s.ReadFile("access.log"), "/slow-"+c.protocol) })
		if r := c.receive("POST"); !strings.HasSuffix(r.Body, body) {
			t.Errorf("%v", r)
		}
	})
	s.Terminate()
}

// TestFastCGIKeepsConnections: a connection serves one request after the other, across a
// reload, also where the app does not say how long its response is.
func TestFastCGIKeepsConnections(t *testing.T) {
	t.Parallel()
	for _, app := range []string{"echo", "seen"} {
		t.Run(app, func(t *testing.T) {
			t.Parallel()
			s := gatewayServer(t, harness.Options{App: app + ":app", Files: gatewayEcho})
			c := dialGateway(t, "fastcgi", "unix", s.Path("fastcgi.sock"))
			for i := range 20 {
				if i == 10 {
					s.Reload(1)
				}
				body := fmt.Sprint("body ", i)
				c.send("POST", "/keep", body)
				if r := c.receive("POST"); r.Status != 200 || !strings.HasSuffix(r.Body, body) {
					t.Fatalf("request %d: %v", i, r)
				}
			}
			s.Terminate()
		})
	}
}

// TestGatewayBadPackets: what is not as it should be is answered, and logged in one line that
// says what is wrong; others are served meanwhile.
func TestGatewayBadPackets(t *testing.T) {
	t.Parallel()
	s := gatewayServer(t, harness.Options{App: "echo:app"})
	many := make([]string, 1001)
	for i := range many {
		many[i] = "A=1"
	}
	for _, test := range []struct {
		protocol, packet string
		status           int
		line             string
	}{
		{"uwsgi", "GET / HTTP/1.1\r\n\r\n", 501, "this is HTTP, or no uwsgi"},
		{"uwsgi", "\x05\x00\x00\x00", 501, "modifier1 of the uwsgi packet is 5"},
		{"uwsgi", "\x00\x03\x00\x00\x05\x00A", 400, "the uwsgi packet ends within the name of a variable"},
		{"scgi", "GET / HTTP/1.1\r\n\r\n", 400, "this is no SCGI"},
		{"scgi", "99999:", 431, "a head that is too large"},
		{"fastcgi", "GET / HTTP/1.1\r\n\r\n", 400, "this is no FastCGI"},
	} {
		c := dialGateway(t, test.protocol, "unix", s.Path(test.protocol+".sock"))
		_, err := io.WriteString(c.conn, test.packet)
		harness.Must(t, err)
		if r := c.receive("GET"); r.Status != test.status || !strings.Contains(r.Body, strings.TrimSuffix(test.line, " of a variable")) {
			t.Errorf("%s %.20q: %v", test.protocol, test.packet, r)
		}
		s.Log.Expect(t, `\[WARNING\] Invalid request from ip=: .*`+test.line)
	}
	eachGateway(t, s, func(t *testing.T, dial func() *gatewayClient) {
		for line, vars := range map[string][]string{
			"more than 1000 variables":               many,
			"HTTP_X has a line break":                {"HTTP_X=a\r\nContent-Length: 7"},
			"REQUEST_METHOD is missing":              {"REQUEST_METHOD="},
			"it has to begin with a slash":           {"PATH_INFO=x"},
			"Invalid HTTP header name":               {"HTTP_X(Y)=1"},
			"limit request headers fields size":      {"HTTP_X=" + strings.Repeat("x", 9000)},
			"CONTENT_LENGTH is there with two value": {"CONTENT_LENGTH=7"},
		} {
			c := dial()
			c.send("POST", "/", "", vars...)
			if r := c.receive("POST"); r.Status != 400 && r.Status != 431 {
				t.Errorf("%s: %v", line, r)
			}
			s.Log.Expect(t, `Invalid request from ip=\S*: .*`+line)
		}
		c := dial()
		c.send("POST", "/", "good")
		if r := c.receive("POST"); r.Status != 200 {
			t.Errorf("after all: %v", r)
		}
	})
	s.Terminate()
}

// TestGatewayShortBodies: a request whose body is shorter than its CONTENT_LENGTH is not run.
func TestGatewayShortBodies(t *testing.T) {
	t.Parallel()
	s := gatewayServer(t, harness.Options{App: "echo:app", Args: []string{"--access-logfile", "DIR/access.log"}})
	eachGateway(t, s, func(t *testing.T, dial func() *gatewayClient) {
		c := dial()
		message := c.encode([]string{"CONTENT_LENGTH=10", "SCGI=1", "REQUEST_METHOD=POST", "PATH_INFO=/short"})
		if c.protocol == "fastcgi" {
			message = append(append(message, fastCGIRecord(5, []byte("four"))...), fastCGIRecord(5, nil)...)
		} else {
			message = append(message, "four"...)
		}
		_, err := c.conn.Write(message)
		harness.Must(t, err)
		if c.protocol == "fastcgi" {
			if r := c.receive("POST"); r.Status != 400 {
				t.Errorf("%v", r)
			}
		} else {
			harness.Must(t, c.conn.(*net.UnixConn).CloseWrite())
			if text, _ := io.ReadAll(c.in); bytes.Contains(text, []byte("200 OK")) {
				t.Errorf("answered with %q", text)
			}
		}
	})
	if log := s.ReadFile("access.log"); strings.Contains(log, `/short HTTP/1.1" 200`) {
		t.Errorf("a request with half a body was run:\n%s", log)
	}
	s.Terminate()
}

// TestGatewayAllowed: who may not say who the client is gets 403, by TCP.
func TestGatewayAllowed(t *testing.T) {
	t.Parallel()
	port := harness.FreePort(t)
	s := harness.Start(t, harness.Options{
		App:  "echo:app",
		Bind: []string{fmt.Sprintf("127.0.0.1:%d", harness.FreePort(t)), fmt.Sprintf("uwsgi://127.0.0.1:%d", port)},
		Args: []string{"--uwsgi-allow-from", "192.0.2.0/24"},
	})
	c := dialGateway(t, "uwsgi", "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	c.send("GET", "/", "")
	if r := c.receive("GET"); r.Status != 403 {
		t.Errorf("%v", r)
	}
	s.Log.Expect(t, `Invalid request from ip=127\.0\.0\.1: uwsgi_allow_ips does not name this address`)
	s.Terminate()
}

// TestProtocolOfReload: a reload changes the protocol of an address, whose socket stays open.
func TestProtocolOfReload(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "echo:app", Conf: "protocol = 'http'\n"})
	for _, protocol := range []string{"uwsgi", "fastcgi"} {
		s.WriteFile("gunicorn.conf.py", fmt.Sprintf("protocol = %q\n", protocol))
		s.Reload(1)
		c := dialGateway(t, protocol, "tcp", s.Address)
		c.send("POST", "/", "body")
		if r := c.receive("POST"); r.Body != "/\nbody" {
			t.Errorf("by %s: %v", protocol, r)
		}
	}
	s.Terminate()
}
