//go:build linux

package test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
)

// eachLoop runs a test with each event loop, and each way.
func eachLoop(t *testing.T, app string, files map[string]string, test func(t *testing.T, s *server, w *web)) {
	venv(t)
	for _, loop := range []string{"asyncio", "uvloop"} {
		t.Run(loop, func(t *testing.T) {
			eachWay(t, options{app: app, args: []string{"-k", "asgi", "--asgi-loop", loop, "--timeout", "300"}, files: files}, test)
		})
	}
}

func TestDjangoASGI(t *testing.T) {
	t.Parallel()
	eachLoop(t, "frameworks.djangosite.asgi", djangoFiles(t), func(t *testing.T, s *server, w *web) {
		testFramework(t, s, w)
		testDjangoAdmin(t, w)
		testWhiteNoise(t, w)
		w.uploadLarge("/hash")
		if p := w.do("GET", "/slow", ""); p.body != "slow" {
			t.Errorf("an asynchronous view: %v", p)
		}
	})
}

func TestStarlette(t *testing.T) {
	t.Parallel()
	eachLoop(t, "frameworks.starletteapp:app", nil, func(t *testing.T, s *server, w *web) {
		testFramework(t, s, w)
		testLifespanState(t, s, w)
		testBackground(t, s, w)
		testEvents(t, s, w)
		if strings.HasSuffix(t.Name(), webH1) { // a WebSocket takes one anyway
			testChat(t, s)
		}
		body := strings.Repeat("raw bytes\n", 100_000)
		hash := sha256.Sum256([]byte(body))
		if p := w.do("POST", "/raw", body); p.body != fmt.Sprint(len(body), " ", hex.EncodeToString(hash[:])) {
			t.Errorf("the hash of a body: %v", p)
		}
		source, err := os.ReadFile("apps/frameworks/starletteapp.py")
		must(t, err)
		for _, target := range []string{"/source", "/files/starletteapp.py"} {
			p := w.do("GET", target, "")
			if p.StatusCode != 200 || p.body != string(source) {
				t.Errorf("%s: %v", target, p)
			}
			if p := w.do("GET", target, "", "Range", "bytes=7-9"); p.StatusCode != 206 || p.body != string(source[7:10]) {
				t.Errorf("a part of %s: %v", target, p)
			}
		}
		if p := w.do("GET", "/long", "", "Accept-Encoding", "gzip"); p.Header.Get("Content-Encoding") != "gzip" || len(p.body) > 1000 {
			t.Errorf("a long text with gzip: %v", p)
		}
	})
}

func TestFastAPI(t *testing.T) {
	t.Parallel()
	eachLoop(t, "frameworks.fastapiapp:app", nil, func(t *testing.T, s *server, w *web) {
		testFramework(t, s, w)
		testLifespanState(t, s, w)
		testBackground(t, s, w)
		p := w.do("PUT", "/items/7?q=x", `{"name": "é", "price": 1.5, "tags": ["a"]}`, "Content-Type", "application/json")
		if p.StatusCode != 201 || p.body != `{"number":7,"item":{"name":"é","price":1.5,"tags":["a"]},"q":"x"}` {
			t.Errorf("PUT: %v", p)
		}
		if p := w.do("PUT", "/items/x", `{}`, "Content-Type", "application/json"); p.StatusCode != 422 {
			t.Errorf("what is no item: %v", p)
		}
		if p := w.do("GET", "/openapi.json", ""); p.StatusCode != 200 || !strings.Contains(p.body, `"/items/{number}"`) {
			t.Errorf("the description: %v", p)
		}
		name := strings.ReplaceAll(t.Name(), "/", "-")
		if p := w.do("GET", "/resource?name="+name, ""); p.body != "resource "+name {
			t.Errorf("a dependency: %v", p)
		}
		w.expectDone("closed " + name)
		testEcho(t, s)
		w.expectDone("left")
	})
}

func TestLitestar(t *testing.T) {
	t.Parallel()
	eachLoop(t, "frameworks.litestarapp:app", nil, func(t *testing.T, s *server, w *web) {
		testFramework(t, s, w)
		p := w.do("PUT", "/items/7?q=x", `{"name": "é"}`, "Content-Type", "application/json")
		if p.StatusCode != 200 || p.body != `{"number":7,"item":{"name":"é"},"q":"x"}` {
			t.Errorf("PUT: %v", p)
		}
		if p := w.do("GET", "/events", ""); !strings.Contains(p.body, "data: event 2") {
			t.Errorf("events: %v", p)
		}
	})
}

func TestQuart(t *testing.T) {
	t.Parallel()
	eachLoop(t, "frameworks.quartapp:app", nil, func(t *testing.T, s *server, w *web) {
		testFramework(t, s, w)
		if n := s.log.count(`^serving begins`); n != 1 {
			t.Errorf("before_serving ran %d times", n)
		}
		testEcho(t, s)
	})
}

// chat says hello over two WebSocket connections, and hears what the app says of it.
func testChat(t *testing.T, s *server) {
	t.Helper()
	ada := s.socket("/chat")
	ada.sendFrame(fin|opText, `"alone"`)
	ada.expectMessage(opText, `{"said": "alone", "members": 1}`)
	bob := s.socket("/chat")
	bob.sendFrame(fin|opText, `"here"`)
	for _, member := range []*socket{ada, bob} {
		member.expectMessage(opText, `{"said": "here", "members": 2}`)
	}
	ada.sendFrame(fin|opText, `{"text": "hello"}`)
	for _, member := range []*socket{ada, bob} {
		member.expectMessage(opText, `{"said": {"text": "hello"}, "members": 2}`)
	}
	for _, member := range []*socket{ada, bob} {
		member.sendFrame(fin|opClose, "\x03\xe8")
		member.expect(closeFrame(1000, ""))
	}
}

// testEcho has an app say again what it hears over a WebSocket connection.
func testEcho(t *testing.T, s *server) {
	t.Helper()
	ws := s.socket("/echo")
	for _, text := range []string{"one", strings.Repeat("two ", 50_000)} {
		ws.sendFrame(fin|opText, text)
		ws.expectMessage(opText, "echo: "+text)
	}
	ws.sendFrame(fin|opClose, "\x03\xe8")
	ws.expect(closeFrame(1000, ""))
}

// testLifespanState gets what the lifespan left for the requests.
func testLifespanState(t *testing.T, s *server, w *web) {
	t.Helper()
	if p := w.do("GET", "/state", ""); p.body != "hello from the lifespan" {
		t.Errorf("the state: %v", p)
	}
	if n := s.log.count(`^lifespan begins`); n != 1 {
		t.Errorf("the lifespan began %d times", n)
	}
}

// testBackground has work done after a response.
func testBackground(t *testing.T, s *server, w *web) {
	t.Helper()
	name := strings.ReplaceAll(t.Name(), "/", "-")
	working := s.gate("background")
	if p := w.do("POST", "/background?name="+name, ""); p.StatusCode != 202 || p.body != "accepted" {
		t.Errorf("background: %v", p)
	}
	working.entered()
	if p := w.do("GET", "/done", ""); strings.Contains(p.body, name) {
		t.Errorf("done too early: %v", p)
	}
	working.release()
	w.expectDone(name)
}

func (w *web) expectDone(name string) {
	w.t.Helper()
	eventually(w.t, name+" is done", func() bool { return strings.Contains(w.do("GET", "/done", "").body, `"`+name+`"`) })
}

// testEvents reads server-sent events, each of them as soon as it was sent.
func testEvents(t *testing.T, s *server, w *web) {
	t.Helper()
	gates := []*gate{s.gate("event0"), s.gate("event1"), s.gate("event2")}
	r, err := w.Get(w.url + "/events")
	must(t, err)
	defer r.Body.Close()
	lines := bufio.NewScanner(r.Body)
	for n, g := range gates {
		want := []string{fmt.Sprint("id: ", n), fmt.Sprint("data: event ", n), ""}
		for _, line := range want {
			if !lines.Scan() || lines.Text() != line {
				t.Fatalf("event %d: %q, %v, want %q", n, lines.Text(), lines.Err(), line)
			}
		}
		g.release()
	}
	if lines.Scan() || lines.Err() != nil {
		t.Errorf("after the last event: %q, %v", lines.Text(), lines.Err())
	}
}
