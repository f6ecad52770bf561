//go:build linux

package test

import (
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"indrik/test/harness"
)

// madeID is an id that the server has made.
var madeID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// withIDs is a config of a server whose requests have ids. What follows is more of it.
const withIDs = "request_id_header = 'X-Request-Id'\naccesslog = '-'\naccess_log_format = 'ID %({x-request-id}i)s %(U)s %(s)s'\n"

// TestRequestIDs: each request has an id, the same for the app, the client and the log. That
// of a trusted peer is kept if it is one; nobody else's is.
func TestRequestIDs(t *testing.T) {
	t.Parallel()
	kinds := map[string]harness.Options{
		"sync":    {App: "showenviron:app"},
		"gthread": {App: "showenviron:app", Args: []string{"--threads", "2"}},
		"asgi":    {App: "asgiapps:scope", Args: []string{"-k", "asgi"}},
	}
	for name, o := range kinds {
		t.Run(name, func(t *testing.T) {
			o.Conf = withIDs
			s := harness.Start(t, o)
			c := s.Client()
			seen := map[string]bool{}
			check := func(sent []string, kept string) {
				t.Helper()
				r := c.Do(t, "GET", "/x", "", sent...)
				id := r.Get("X-Request-Id")
				if kept == "" && !madeID.MatchString(id) || kept != "" && id != kept || seen[id] {
					t.Errorf("%q: the client gets the id %q", sent, id)
				}
				seen[id] = true
				if n := strings.Count(r.Body, id); n != 1 || strings.Contains(r.Body, "wrong") {
					t.Errorf("%q: the app gets the id %s %d times: %s", sent, id, n, r.Body)
				}
				s.Log.Expect(t, "^ID "+regexp.QuoteMeta(id)+" /x 200$")
			}
			long := strings.Repeat("a", 128)
			check(nil, "")
			check([]string{"X-Request-Id: 7f-Good_id:/+="}, "7f-Good_id:/+=")
			check([]string{"x-request-ID: other"}, "other")
			check([]string{"X-Request-Id: " + long}, long)
			check([]string{"X-Request-Id: wrong" + long}, "")
			check([]string{"X-Request-Id: wrong id"}, "")
			check([]string{"X-Request-Id: wrong\xc3\xa9"}, "")
			check([]string{"X-Request-Id:"}, "")
			check([]string{"X-Request-Id: wrong", "X-Request-Id: wrong2"}, "")
			check([]string{"X_Request_Id: wrong"}, "")
			s.Terminate()

			o.Conf += "forwarded_allow_ips = '192.0.2.1'\nheader_map = 'dangerous'\n"
			s = harness.Start(t, o)
			c = s.Client()
			check(nil, "")
			check([]string{"X-Request-Id: wrong"}, "")
			check([]string{"X_Request_Id: wrong"}, "")
			s.Terminate()
		})
	}
}

// TestRequestIDsOverHTTP2 is the same over HTTP/2, also of a request that is refused.
func TestRequestIDsOverHTTP2(t *testing.T) {
	t.Parallel()
	harness.OverHTTP2(t, harness.Options{App: "showenviron:app", Conf: withIDs, Args: []string{"--limit-request-body", "10"}}, func(t *testing.T, s *harness.Server, w *harness.Web) {
		p := w.Fetch("GET", "/x", "")
		if id := p.Header.Get("X-Request-Id"); !madeID.MatchString(id) || strings.Count(p.Text, id) != 1 {
			t.Errorf("the client gets %q, the app %s", id, p.Text)
		}
		if p := w.Fetch("GET", "/x", "", "X-Request-Id", "theirs"); p.Header.Get("X-Request-Id") != "theirs" || strings.Count(p.Text, `"theirs"`) != 1 {
			t.Errorf("the id of a trusted peer: %v, %s", p.Header, p.Text)
		}
		p = w.Fetch("POST", "/x", "more than ten bytes", "X-Request-Id", "large")
		if p.StatusCode != 413 || p.Header.Get("X-Request-Id") != "large" {
			t.Errorf("a request that is refused: %d, %v", p.StatusCode, p.Header)
		}
		s.Log.Expect(t, `Invalid request from ip=127.0.0.1: .* \(request large\)$`)
		s.Terminate()
	})
}

// TestRequestIDsOfWebSockets: the handshake has one, if it is accepted and if it is not.
func TestRequestIDsOfWebSockets(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "sockets:app", Args: []string{"-k", "asgi"}, Conf: withIDs})
	for target, want := range map[string]int{"/echo": 101, "/reject": 403, "/deny": 401} {
		ws, err := s.TryWebSocket(target, "X-Request-Id: ws")
		harness.Must(t, err)
		if ws.Head.Status != want || ws.Head.Get("X-Request-Id") != "ws" {
			t.Errorf("%s: %v", target, ws.Head)
		}
		s.Log.Expect(t, fmt.Sprintf(`^ID ws %s %d$`, target, want))
		ws.Close()
	}
	r, err := s.Request("GET", "/echo", "", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 8", "X-Request-Id: old")
	harness.Must(t, err)
	if r.Status != 426 || r.Get("X-Request-Id") != "old" {
		t.Errorf("a handshake that is not valid: %v", r)
	}
	s.Log.Expect(t, `Invalid request from ip=127.0.0.1: WebSocket handshake: .* \(request old\)$`)
	s.Terminate()
}

// TestRequestIDsOfFailures: the page that the server answers with has the id, and so has the
// line of the log that says why.
func TestRequestIDsOfFailures(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "stuck:app", Conf: withIDs, Args: []string{"--timeout", "3", "--queue-limit", "1"}})
	page := func(r *harness.Response, err error, status int, id string) {
		t.Helper()
		if err != nil || r.Status != status || r.Get("X-Request-Id") != id {
			t.Errorf("want %d with the id %s: %v, %v", status, id, r, err)
		}
	}
	// It runs for too long.
	r, err := s.Request("GET", "/stuck", "", "X-Request-Id: late")
	page(r, err, 504, "late")
	s.Log.Expect(t, `WORKER TIMEOUT \(pid:\d+\): GET /stuck after \d+\.\d s \(request late\)$`)
	// What is not HTTP gets an id here.
	c := s.Client()
	c.Send(t, "GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: unread\r\nbroken\r\n\r\n")
	r = c.Receive(t, "GET")
	if id := r.Get("X-Request-Id"); r.Status != 400 || !madeID.MatchString(id) {
		t.Errorf("a head that cannot be read: %v", r)
	} else {
		s.Log.Expect(t, `Invalid request from ip=127.0.0.1: .* \(request `+id+`\)$`)
	}
	// Its scheme is contradictory: it is refused after its head was read.
	r, err = s.Request("GET", "/", "", "X-Request-Id: torn", "X-Forwarded-Proto: https", "X-Forwarded-Ssl: off")
	page(r, err, 400, "torn")
	s.Log.Expect(t, `Contradictory scheme headers.* \(request torn\)$`)
	s.Log.Expect(t, `^ID torn / 400$`)
	s.Terminate()

	// The queue is full.
	s, g, busy := occupied(t, harness.Options{App: "gated:app", Conf: withIDs, Args: []string{"--queue-limit", "1", "--control-socket", "srv.ctl"}})
	var queued []*harness.Client
	for range 1 + waitingInKernel {
		c := s.Client()
		c.Send(t, harness.FormatRequest("GET", "/", ""))
		queued = append(queued, c)
		settled(s, queued)
	}
	harness.Eventually(t, "the queue is full", func() bool {
		st := statusOf(t, s)
		return st.Front != nil && st.Front.Queue.Length == 1+waitingInKernel
	})
	r, err = s.Request("GET", "/", "", "X-Request-Id: refused")
	page(r, err, 503, "refused")
	s.Log.Expect(t, `^ID refused / 503$`)
	g.Release()
	busy.Expect(200)
	s.Terminate()

	// Its worker dies.
	s = harness.Start(t, harness.Options{App: "gated:app", Conf: withIDs})
	g = s.Gate("busy")
	c = s.Client()
	c.Send(t, harness.FormatRequest("GET", "/busy", "", "X-Request-Id: lost"))
	g.Entered()
	harness.Kill(t, s.Workers(1)[0], syscall.SIGKILL)
	page(c.Receive(t, "GET"), nil, 502, "lost")
	s.Log.Expect(t, `was sent SIGKILL after .*, while it ran GET /busy \(\d+\.\d s, request lost\)\.`)
	s.Terminate()
}

// TestRequestIDOfTheApp: the app may answer with an id of its own.
func TestRequestIDOfTheApp(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "own:app", Conf: withIDs, Files: map[string]string{"own.py": `
def app(environ, start_response):
    if environ["PATH_INFO"] == "/broken":
        start_response("200 OK", [("Bad name", "x")])
    else:
        start_response("200 OK", [("x-request-id", "own")])
    return [b""]
`}})
	r, err := s.Request("GET", "/", "")
	harness.Must(t, err)
	ids := 0
	for _, f := range r.Fields {
		if strings.EqualFold(f[0], "X-Request-Id") {
			ids++
		}
	}
	if ids != 1 || r.Get("X-Request-Id") != "own" {
		t.Errorf("%v", r.Fields)
	}
	// A head of the app's that cannot be sent is a line with the id.
	r, err = s.Request("GET", "/broken", "", "X-Request-Id: broken")
	if err != nil || r.Status != 500 || r.Get("X-Request-Id") != "broken" {
		t.Errorf("%v, %v", r, err)
	}
	s.Log.Expect(t, `Error handling request .*\(request broken\)$`)
	s.Terminate()
}

// TestWithoutRequestIDs: unless it is asked for, the field is one as others.
func TestWithoutRequestIDs(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "showenviron:app", Args: []string{"--forwarded-allow-ips", "192.0.2.1"}})
	c := s.Client()
	r := c.Do(t, "GET", "/", "", "X-Request-Id: theirs", "X-Request-Id: other")
	variablesOf(t, r).expect(t, variables{"HTTP_X_REQUEST_ID": "theirs,other"})
	if r.Has("X-Request-Id") {
		t.Errorf("%v", r.Fields)
	}
	variablesOf(t, c.Do(t, "GET", "/", "")).expect(t, variables{"HTTP_X_REQUEST_ID": nil})
	s.Terminate()
}

// TestRequestIDsOfAProxy: behind a PROXY header the head is the client's, whom nobody trusts.
func TestRequestIDsOfAProxy(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{App: "showenviron:app", Conf: withIDs, Args: []string{"--proxy-protocol", "v1"}, NoProbe: true})
	s.Log.Expect(t, "Booting worker")
	for from, kept := range map[string]bool{"203.0.113.5": false, "127.0.0.1": true} {
		c := s.Client()
		c.Send(t, "PROXY TCP4 "+from+" 127.0.0.1 1234 80\r\n")
		r := c.Do(t, "GET", "/", "", "X-Request-Id: theirs")
		if id := r.Get("X-Request-Id"); kept != (id == "theirs") || !kept && !madeID.MatchString(id) {
			t.Errorf("from %s: %q", from, id)
		}
	}
	s.Terminate()
}

// TestRequestIDHeaderIsChecked: a name that cannot be meant is an error that says so.
func TestRequestIDHeaderIsChecked(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"X_Request_Id", "X-Request-Id:", "x id", "Host", "content-length", "Cookie", "Connection", "traceparent", "Sec-WebSocket-Key", "-x", "é"} {
		s := harness.Launch(t, harness.Options{Conf: fmt.Sprintf("request_id_header = %q\n", name), NoProbe: true})
		s.ExpectExit(1)
		s.Log.Expect(t, "^Invalid value for request_id_header: "+regexp.QuoteMeta(name))
		s.Log.Expect(t, "^Error: not a name for this, such as X-Request-Id")
	}
}
