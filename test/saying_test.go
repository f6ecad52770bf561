//go:build linux

package test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"indrik/test/harness"
)

// Whatever an app says, only the client that it says it to has to bear that: it gets
// a 500, or the code 1011, and the log has a line with what was wrong. The worker
// and its other requests go on.

// A saying is what an app says, as an expression of test/apps/saying.py.
type saying struct {
	says string
	want any    // the status, or the close code; cut: the response ends early
	log  string // in the log; not looked for if empty
}

const cut = "cut"

var httpSayings = []saying{
	{`[HEAD, BODY]`, 200, ""},

	// statuses
	{`[head(status=42), BODY]`, 500, `ValueError: 42 is not a status`},
	{`[head(status=1e5), BODY]`, 500, `ValueError: 100000\.0 is not a status`},
	{`[head(status=10**30), BODY]`, 500, `is not a status`},
	{`[head(status=None), BODY]`, 500, `TypeError`},
	{`[head(status=True), BODY]`, 500, `ValueError: True is not a status`},
	{`[head(status='200'), BODY]`, 500, `ValueError: '200' is not a status`},
	{`[head(status=200.5), BODY]`, 500, `ValueError: 200\.5 is not a status`},
	{`[head(status=float('nan')), BODY]`, 500, `ValueError`},
	{`[head(status=[200]), BODY]`, 500, `TypeError`},
	{`[{'type': 'http.response.start'}, BODY]`, 500, `KeyError: 'status'`},
	{`[head(status=http.HTTPStatus.FORBIDDEN), BODY]`, 403, ""},
	{`[head(status=200.0), BODY]`, 200, ""},
	{`[head(status=100), BODY]`, 500, `Error handling request GET \S*: status 100 cannot be that of a response`},
	{`[head(status=101), BODY]`, 500, `status 101 cannot be that of a response`},
	{`[head(status=103), body(more_body=True), BODY]`, 500, `status 103 cannot be that of a response`},
	{`[head(status=199), body(body=bytes(3 << 20))]`, 500, `status 199 cannot be that of a response`},
	{`[head(status=999), BODY]`, 999, ""},

	// headers
	{`[head(headers=None), BODY]`, 500, `TypeError`},
	{`[head(headers=5), BODY]`, 500, `TypeError`},
	{`[head(headers={'a': 'b'}), BODY]`, 500, `Error in ASGI application`},
	{`[head(headers=['ab']), BODY]`, 500, `TypeError: the header \('a', 'b'\) is not made of bytes`},
	{`[head(headers=[b'ab']), BODY]`, 500, `TypeError: the header \(97, 98\) is not made of bytes`},
	{`[head(headers=[(b'a',)]), BODY]`, 500, `ValueError`},
	{`[head(headers=[(b'a', b'b', b'c')]), BODY]`, 500, `ValueError`},
	{`[head(headers=[None]), BODY]`, 500, `TypeError`},
	{`[head(headers=[('a', b'b')]), BODY]`, 500, `TypeError: the header \('a', b'b'\)`},
	{`[head(headers=[(b'a', 1)]), BODY]`, 500, `TypeError`},
	{`[head(headers=[(b'a', None)]), BODY]`, 500, `TypeError`},
	{`[head(headers=[(b'a', bytearray(b'b'))]), BODY]`, 200, ""},
	{`[head(headers=[(b'a', memoryview(b'b'))]), BODY]`, 500, `TypeError`},
	{`[head(headers=[[b'a', b'b']]), BODY]`, 200, ""},
	{`[head(headers=((b'a', b'b') for i in range(3))), BODY]`, 200, ""},
	{`[head(headers=[(b'', b'b')]), BODY]`, 500, `invalid header name of the response: ''`},
	{`[head(headers=[(b'a b', b'c')]), BODY]`, 500, `invalid header name of the response: 'a b'`},
	{`[head(headers=[(b'a', b'b\r\nc: d')]), BODY]`, 500, `invalid value of the response's header a: byte 1 of it is 0x0d`},
	{`[head(headers=[(b'a', b'\0')]), body(more_body=True), BODY]`, 500, `invalid value of the response's header a`},
	{`[head(headers=[(b'a', b'\n')]), body(body=bytes(3 << 20), more_body=True), body(body=bytes(1 << 20))]`, 500, `invalid value`},
	{`[head(headers=[(b'a', b'b' * 140000)]), BODY]`, 500, `ValueError: response head of \d+ bytes is too large`},
	{`[head(headers=[(b'a', b'b')] * 20000), body(more_body=True), BODY]`, 500, `ValueError: response head of \d+ bytes is too large`},
	{`[head(headers=[(b'content-length', b'x')]), BODY]`, 500, `invalid content-length of the response: 'x'`},
	{`[head(headers=[(b'content-length', b'1'), (b'content-length', b'2')]), BODY]`, 500, `two values for content-length`},

	// bodies
	{`[HEAD, body(body='text')]`, 500, `TypeError: 'text' is not made of bytes`},
	{`[HEAD, body(body=None)]`, 500, `TypeError: None is not made of bytes`},
	{`[HEAD, body(body=5)]`, 500, `TypeError: 5 is not made of bytes`},
	{`[HEAD, body(body=[b'a'])]`, 500, `TypeError`},
	{`[HEAD, body(body=memoryview(b'abcdef')[::2])]`, 200, ""},
	{`[HEAD, body(more_body=True), body(body=10**12)]`, cut, `TypeError: 1000000000000 is not made of bytes`},
	{`[HEAD, body(more_body='yes'), BODY]`, 200, ""},

	// the order, and what is no message
	{`[]`, 500, `it returned without a response`},
	{`[HEAD]`, 500, `it returned without the body of its response`},
	{`[BODY]`, 500, `RuntimeError: 'http\.response\.body' is not expected before http\.response\.start`},
	{`[HEAD, HEAD]`, 500, `'http\.response\.start' is not expected after http\.response\.start`},
	{`[HEAD, body(more_body=True), HEAD]`, cut, `'http\.response\.start' is not expected while the body is sent`},
	{`[HEAD, body(more_body=True)]`, cut, `it returned without the end of its response`},
	{`[HEAD, BODY, BODY, HEAD, says('nonsense')]`, 200, ""},
	{`[None]`, 500, `TypeError`},
	{`[5]`, 500, `TypeError`},
	{`[{}]`, 500, `KeyError: 'type'`},
	{`[{'type': None}]`, 500, `RuntimeError: None is not expected before http\.response\.start`},
	{`[says('http.response.begin')]`, 500, `RuntimeError: 'http\.response\.begin' is not expected`},
	{`[ACCEPT]`, 500, `RuntimeError: 'websocket\.accept' is not expected`},
	{`[HEAD, DENIED]`, 500, `RuntimeError: 'websocket\.http\.response\.body' is not expected`},
	{`[says('lifespan.startup.complete')]`, 500, `RuntimeError`},

	// extensions
	{`[says('http.response.early_hint', links=[5]), HEAD, BODY]`, 500, `TypeError: the header \(b'link', 5\)`},
	{`[says('http.response.early_hint', links=['x']), HEAD, BODY]`, 500, `TypeError`},
	{`[says('http.response.early_hint', links=None), HEAD, BODY]`, 500, `TypeError`},
	{`[says('http.response.early_hint', links=[b'x' * 140000]), HEAD, BODY]`, 500, `is too large`},
	{`[says('http.response.early_hint', links=[b'\n']), HEAD, BODY]`, 200, `Early hints dropped: invalid value of the response's header link`},
	{`[HEAD, BODY, says('http.response.early_hint', links=[b'x'])]`, 200, ""},
	{`[HEAD, says('http.response.pathsend', path='/nowhere')]`, 500, `FileNotFoundError`},
	{`[HEAD, says('http.response.pathsend', path='/')]`, 500, `ValueError: '/' is not a regular file`},
	{`[HEAD, says('http.response.pathsend', path=None)]`, 500, `TypeError`},
	{`[HEAD, says('http.response.pathsend', path='a\0b')]`, 500, `ValueError`},
	{`[HEAD, says('http.response.pathsend')]`, 500, `KeyError: 'path'`},
	{`[HEAD, says('http.response.zerocopysend', file=file(), offset=1.5)]`, 500, `TypeError`},
	{`[HEAD, says('http.response.zerocopysend', file=file(), count=2.0)]`, 500, `TypeError`},
	{`[HEAD, says('http.response.zerocopysend', file=file(), offset=-1)]`, 500, `ValueError: -1 bytes are no part of a file`},
	{`[HEAD, says('http.response.zerocopysend', file=file(), count=-2)]`, 500, `ValueError: -2 bytes are no part of a file`},
	{`[HEAD, says('http.response.zerocopysend', file=file(), count=1 << 62)]`, 500, `ValueError`},
	{`[HEAD, says('http.response.zerocopysend', file=file(), offset=10**9, count=10**9)]`, 200, ""},
	{`[HEAD, says('http.response.zerocopysend', file=file(), offset=True, count=True)]`, 200, ""},
	{`[HEAD, says('http.response.zerocopysend', file=io.BytesIO(b'x'))]`, 500, `UnsupportedOperation`},
	{`[HEAD, says('http.response.zerocopysend', file=10**6)]`, 500, `OSError`},
	{`[head(trailers=True), BODY, says('http.response.trailers', headers=[(b'a', 5)])]`, cut, `TypeError`},
	{`[head(trailers=True), BODY, says('http.response.trailers', headers=[(b'a', b'b' * 140000)])]`, cut, `is too large`},
	{`[head(trailers=True), BODY, says('http.response.trailers', headers=[(b'a', b'\n')])]`, 200, `Trailers of GET \S* dropped: invalid value`},
	{`[head(trailers=True), BODY, says('http.response.trailers', headers=[(b'host', b'a')])]`, 200, `Trailers of GET \S* dropped: host cannot be a trailer`},
}

var socketSayings = []saying{
	{`[ACCEPT, says('websocket.close')]`, 1000, ""},

	// the answer to the handshake
	{`[]`, 403, `returned without accepting or closing`},
	{`[says('websocket.close')]`, 403, ""},
	{`[DENY, DENIED]`, 401, ""},
	{`[deny(status=42), DENIED]`, 500, `ValueError: 42 is not a status`},
	{`[deny(status=1e5), DENIED]`, 500, `is not a status`},
	{`[deny(status=None), DENIED]`, 500, `TypeError`},
	{`[deny(status=True), DENIED]`, 500, `ValueError: True is not a status`},
	{`[deny(status='401'), DENIED]`, 500, `ValueError`},
	{`[deny(status=http.HTTPStatus.FORBIDDEN), DENIED]`, 403, ""},
	{`[deny(status=101), DENIED]`, 500, `status 101 cannot be that of a response`},
	{`[deny(headers=[(b'a', 1)]), DENIED]`, 500, `TypeError: the header \(b'a', 1\) is not made of bytes`},
	{`[deny(headers=[(5, 5)]), DENIED]`, 500, `TypeError`},
	{`[deny(headers=['ab']), DENIED]`, 500, `TypeError`},
	{`[deny(headers=[(b'a', b'\r\n')]), DENIED]`, 500, `invalid value of the response's header a`},
	{`[deny(headers=[(b'a', b'b' * 140000)]), DENIED]`, 500, `is too large`},
	{`[{'type': 'websocket.http.response.start'}, DENIED]`, 500, `KeyError: 'status'`},
	{`[DENY]`, cut, `returned before the end of its response`},
	{`[DENY, says('websocket.http.response.body', body='text')]`, cut, `TypeError: 'text' is not made of bytes`},
	{`[DENY, says('websocket.http.response.body', body=5)]`, cut, `TypeError: 5 is not made of bytes`},
	{`[DENY, DENY]`, cut, `the WebSocket connection is being denied`},
	{`[DENY, ACCEPT]`, cut, `the WebSocket connection is being denied`},
	{`[DENIED]`, 500, `the WebSocket connection is not accepted yet`},
	{`[says('websocket.send', text='early')]`, 500, `the WebSocket connection is not accepted yet`},
	{`[HEAD, BODY]`, 500, `Unexpected ASGI message 'http\.response\.start'`},
	{`[None]`, 500, `TypeError`},
	{`[{'type': None}]`, 500, `Error in ASGI application`},
	{`[accept(subprotocol='other')]`, 500, `ValueError: subprotocol 'other' is not among those that the client offers`},
	{`[accept(subprotocol=b'chat')]`, 500, `ValueError: subprotocol b'chat' is not among`},
	{`[accept(subprotocol=5)]`, 500, `ValueError: subprotocol 5 is not among`},
	{`[accept(subprotocol=Text('chat')), says('websocket.close')]`, 1000, ""},
	{`[accept(headers=5)]`, 500, `TypeError`},
	{`[accept(headers=[('a', 'b')])]`, 500, `TypeError: the header \('a', 'b'\) is not made of bytes`},
	{`[accept(headers=[(b'a', 10**12)])]`, 500, `TypeError`},
	{`[accept(headers=[(b'a', b'b\r\nc: d')])]`, 500, `invalid value of the response's header a`},
	{`[accept(headers=[(b'a', b'\n')]), says('websocket.send', text='x'), says('websocket.close')]`, 500, `invalid value`},
	{`[accept(headers=[(b'sec-websocket-protocol', b'a\r\nb')])]`, 500, `invalid value`},
	{`[accept(headers=[(b'a b', b'c')])]`, 500, `invalid header name of the response: 'a b'`},
	{`[accept(headers=[(b'a', b'b' * 140000)])]`, 500, `is too large`},

	// the connection
	{`[ACCEPT]`, 1000, ""},
	{`[ACCEPT, ACCEPT]`, 1011, `the WebSocket connection is open`},
	{`[ACCEPT, DENY]`, 1011, `the WebSocket connection is open`},
	{`[ACCEPT, HEAD]`, 1011, `the WebSocket connection is open`},
	{`[ACCEPT, None]`, 1011, `TypeError`},
	{`[ACCEPT, says('websocket.send')]`, 1011, `ValueError: websocket\.send has neither bytes nor text`},
	{`[ACCEPT, says('websocket.send', text=None, bytes=None)]`, 1011, `has neither bytes nor text`},
	{`[ACCEPT, says('websocket.send', text=5)]`, 1011, `TypeError: 5 is not a string`},
	{`[ACCEPT, says('websocket.send', text=b'x')]`, 1011, `TypeError: b'x' is not a string`},
	{`[ACCEPT, says('websocket.send', text='\ud800')]`, 1011, `UnicodeEncodeError`},
	{`[ACCEPT, says('websocket.send', bytes=10**12)]`, 1011, `TypeError: 1000000000000 is not made of bytes`},
	{`[ACCEPT, says('websocket.send', bytes='text')]`, 1011, `TypeError: 'text' is not made of bytes`},
	{`[ACCEPT, says('websocket.send', bytes=[1])]`, 1011, `TypeError`},
	{`[ACCEPT, says('websocket.close', code=42)]`, 1011, `ValueError: 42 is no code`},
	{`[ACCEPT, says('websocket.close', code=10**20)]`, 1011, `ValueError`},
	{`[ACCEPT, says('websocket.close', code=1005)]`, 1011, `ValueError: 1005 is no code`},
	{`[ACCEPT, says('websocket.close', code=1000.0)]`, 1011, `ValueError`},
	{`[ACCEPT, says('websocket.close', code='1000')]`, 1011, `ValueError`},
	{`[ACCEPT, says('websocket.close', code=True)]`, 1011, `ValueError`},
	{`[ACCEPT, says('websocket.close', reason='\ud800')]`, 1011, `UnicodeEncodeError`},
	{`[ACCEPT, says('websocket.close', code=4999, reason='x' * 5000)]`, 4999, ""},
	{`[ACCEPT, says('websocket.close', code=None, reason=5)]`, 1000, ""},
	{`[ACCEPT, says('websocket.close'), says('websocket.send', text='late')]`, 1000, `Unexpected ASGI message 'websocket\.send'`},
}

var wsgiSayings = []saying{
	{`start('200 OK', []) and [b'fine']`, 200, ""},
	{`start('200', []) and [b'fine']`, 200, ""},
	{`start(200, [])`, 500, `TypeError: 200 is not a string`},
	{`start(None, [])`, 500, `TypeError`},
	{`start(b'200 OK', [])`, 500, `TypeError`},
	{`start('42 X', []) and []`, 500, `invalid status of the response: '42 X'`},
	{`start('', []) and []`, 500, `invalid status of the response: ''`},
	{`start('200OK', []) and []`, 500, `invalid status`},
	{`start('200 OK\r\nA: b', []) and []`, 500, `invalid status`},
	{`start('200 \u20ac', []) and []`, 500, `UnicodeEncodeError`},
	{`start('100 Continue', []) and [b'x']`, 500, `status 100 cannot be that of a response`},
	{`start('101 Switching Protocols', [('Upgrade', 'x')]) and [b'x']`, 500, `status 101 cannot be`},
	{`start('103 Early Hints', []) and iter([b'x', b'y'])`, 500, `status 103 cannot be`},
	{`start('200 ' + 'x' * 140000, []) and []`, 500, `is too large`},
	{`start('200 OK', None)`, 500, `TypeError`},
	{`start('200 OK', {'a': 'b'})`, 500, `Error handling request`},
	{`start('200 OK', ['ab']) and []`, 200, ""},
	{`start('200 OK', [('a',)])`, 500, `ValueError`},
	{`start('200 OK', [('a', 'b', 'c')])`, 500, `ValueError`},
	{`start('200 OK', [('a', None)])`, 500, `TypeError: None is not a string`},
	{`start('200 OK', [(b'a', 'b')])`, 500, `TypeError`},
	{`start('200 OK', [('a', '\u20ac')])`, 500, `UnicodeEncodeError`},
	{`start('200 OK', [('a', '\ud800')])`, 500, `UnicodeEncodeError`},
	{`start('200 OK', [('a', 'b\r\nc: d')]) and []`, 500, `invalid value of the response's header a`},
	{`start('200 OK', [('a b', 'c')]) and []`, 500, `invalid header name`},
	{`start('200 OK', [('a', '\n')]) and iter([b'x'] * 50)`, 500, `invalid value`},
	{`start('200 OK', [('a', 'b' * 140000)]) and []`, 500, `is too large`},
	{`start('200 OK', [('Content-Length', 'x')]) and [b'x']`, 500, `invalid content-length`},
	{`[b'x']`, 500, `start_response\(\) was not called`},
	{`start('200 OK', []) and None`, 500, `TypeError`},
	{`start('200 OK', []) and 5`, 500, `TypeError`},
	{`start('200 OK', []) and ['text']`, 500, `TypeError: 'text' is not a byte`},
	{`start('200 OK', []) and 'text'`, 500, `TypeError`},
	{`start('200 OK', []) and [bytearray(b'x')]`, 500, `TypeError`},
	{`start('200 OK', []) and iter([b'x', None])`, cut, `TypeError`},
	{`start('200 OK', [])(b'x') or start('200 OK', [])`, cut, `Response headers already set`},
	{`start('200 OK', []) and start('200 OK', [])`, 500, `Response headers already set`},
	{`e['wsgi.early_hints']([('a', 5)])`, 500, `TypeError`},
	{`e['wsgi.early_hints']([('a', 'b' * 140000)])`, 500, `is too large`},
	{`[e['wsgi.early_hints']([('Link', '\n')])] and start('200 OK', []) and []`, 200, `Early hints dropped`},
	{`e['indrik.extend_deadline'](float('nan'))`, 500, `ValueError`},
	{`e['indrik.extend_deadline'](None)`, 500, `TypeError`},
	{`e['indrik.extend_deadline'](float('inf')) and start('200 OK', []) and []`, 200, ""},
	{`start('200 OK', []) and e['wsgi.file_wrapper'](5)`, 500, `AttributeError`},
	{`start('200 OK', []) and e['wsgi.file_wrapper'](io.StringIO('x'))`, 500, `TypeError`},
	{`exec('raise SystemExit(3)')`, 500, `SystemExit: 3`},
	{`exec('raise KeyboardInterrupt')`, 500, `KeyboardInterrupt`},
	{`exec('raise GeneratorExit')`, 500, `GeneratorExit`},
	{`exec('raise BrokenPipeError')`, 500, `BrokenPipeError`},
}

// hears checks what the client and the log get of one of them.
func hears(s *harness.Server, say saying, upgrades bool) error {
	mark := s.Log.Mark()
	target := "/?" + url.PathEscape(say.says)
	got, err := any(cut), error(nil)
	if upgrades {
		var ws *harness.WebSocket
		if ws, err = s.TryWebSocket(target, "Sec-WebSocket-Protocol: chat"); err == nil {
			defer ws.Close()
			got, err = outcome(ws)
		}
	} else {
		var r *harness.Response
		if r, err = s.Request("GET", target, "", "TE: trailers"); err == nil {
			got = r.Status
		} else if r != nil && r.Status == 200 {
			err = nil
		}
	}
	if err != nil || got != say.want {
		return fmt.Errorf("%s: %v, %w, want %v", say.says, got, err, say.want)
	}
	if say.log != "" {
		if _, _, ok := s.Log.Wait(mark, say.log, harness.Patience); !ok {
			return fmt.Errorf("%s: the log has no %s", say.says, say.log)
		}
	}
	return nil
}

// outcome is the close code, or the status of the response in its place.
func outcome(ws *harness.WebSocket) (any, error) {
	if ws.Head.Status != 101 {
		if err := harness.ReadBody(ws.Reader, ws.Head, "GET"); err != nil {
			return cut, nil //nolint:nilerr // that is the outcome
		}
		return ws.Head.Status, nil
	}
	for {
		f, err := ws.ReadFrame()
		if err != nil {
			return nil, err
		}
		if f.First&0x0f == harness.OpClose && len(f.Payload) >= 2 {
			return int(f.Payload[0])<<8 | int(f.Payload[1]), nil
		}
	}
}

func TestWhatAppsSay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		app     string
		args    []string
		sayings []saying
		upgrade bool
	}{
		"http":      {"saying:app", []string{"--asgi-extensions", "all"}, httpSayings, false},
		"websocket": {"saying:app", nil, socketSayings, true},
		"sync":      {"saying:wsgi", []string{"--threads", "2"}, wsgiSayings, false},
		"gevent":    {"saying:wsgi", []string{"-k", "gevent"}, wsgiSayings, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := harness.Options{App: c.app, Args: append(c.args, "--timeout", "600")} // one request waits for as long as the others take
			if name == "gevent" {
				o.Python = harness.Venv(t)
			}
			s := harness.Start(t, o)
			held := s.Gate("held")
			other := s.Client()
			other.Send(t, harness.FormatRequest("GET", "/held", ""))
			held.Entered()
			worker := s.Workers(1)[0]
			wrong := 0
			for _, say := range c.sayings {
				if err := hears(s, say, c.upgrade); err != nil {
					t.Error(err)
					if wrong++; wrong > 2 {
						break // each may take as long as the patience of the tests
					}
				}
			}
			held.Release()
			harness.Must(t, other.SetDeadline(time.Now().Add(harness.Patience)))
			if r := other.Receive(t, "GET"); r.Status != 200 || !strings.Contains(r.Body, "fine") {
				t.Errorf("a request that ran meanwhile: %v", r)
			}
			if got := s.Workers(1)[0]; got != worker {
				t.Error("the worker was replaced")
			}
			if n := s.Log.Count(`sent what is no response|was sent SIG|exited with code`); n > 0 {
				t.Errorf("%d lines of the log are about a worker that ended", n)
			}
			s.Terminate()
		})
	}
}
