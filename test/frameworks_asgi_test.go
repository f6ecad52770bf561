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

	"indrik/test/harness"
)

// eachLoop runs a test with each event loop, and each way.
func eachLoop(t *testing.T, app string, files map[string]string, test func(t *testing.T, s *harness.Server, w *harness.Web)) {
	harness.Venv(t)
	for _, loop := range []string{"asyncio", "uvloop"} {
		t.Run(loop, func(t *testing.T) {
			harness.EachWay(t, harness.Options{App: app, Args: []string{"-k", "asgi", "--asgi-loop", loop, "--timeout", "300"}, Files: files}, test)
		})
	}
}

func TestDjangoASGI(t *testing.T) {
	t.Parallel()
	eachLoop(t, "frameworks.djangosite.asgi", harness.DjangoFiles(t), func(t *testing.T, s *harness.Server, w *harness.Web) {
		harness.CheckFramework(t, s, w)
		testDjangoAdmin(t, w)
		testWhiteNoise(t, w)
		w.UploadLarge("/hash")
		if p := w.Fetch("GET", "/slow", ""); p.Text != "slow" {
			t.Errorf("an asynchronous view: %v", p)
		}
	})
}

func TestStarlette(t *testing.T) {
	t.Parallel()
	eachLoop(t, "frameworks.starletteapp:app", nil, func(t *testing.T, s *harness.Server, w *harness.Web) {
		harness.CheckFramework(t, s, w)
		testLifespanState(t, s, w)
		testBackground(t, s, w)
		testEvents(t, s, w)
		if strings.HasSuffix(t.Name(), harness.WebH1) { // a WebSocket takes one anyway
			testChat(t, s)
		}
		body := strings.Repeat("raw bytes\n", 100_000)
		hash := sha256.Sum256([]byte(body))
		if p := w.Fetch("POST", "/raw", body); p.Text != fmt.Sprint(len(body), " ", hex.EncodeToString(hash[:])) {
			t.Errorf("the hash of a body: %v", p)
		}
		source, err := os.ReadFile("apps/frameworks/starletteapp.py")
		harness.Must(t, err)
		for _, target := range []string{"/source", "/files/starletteapp.py"} {
			p := w.Fetch("GET", target, "")
			if p.StatusCode != 200 || p.Text != string(source) {
				t.Errorf("%s: %v", target, p)
			}
			if p := w.Fetch("GET", target, "", "Range", "bytes=7-9"); p.StatusCode != 206 || p.Text != string(source[7:10]) {
				t.Errorf("a part of %s: %v", target, p)
			}
		}
		if p := w.Fetch("GET", "/long", "", "Accept-Encoding", "gzip"); p.Header.Get("Content-Encoding") != "gzip" || len(p.Text) > 1000 {
			t.Errorf("a long text with gzip: %v", p)
		}
	})
}

func TestFastAPI(t *testing.T) {
	t.Parallel()
	eachLoop(t, "frameworks.fastapiapp:app", nil, func(t *testing.T, s *harness.Server, w *harness.Web) {
		harness.CheckFramework(t, s, w)
		testLifespanState(t, s, w)
		testBackground(t, s, w)
		p := w.Fetch("PUT", "/items/7?q=x", `{"name": "é", "price": 1.5, "tags": ["a"]}`, "Content-Type", "application/json")
		if p.StatusCode != 201 || p.Text != `{"number":7,"item":{"name":"é","price":1.5,"tags":["a"]},"q":"x"}` {
			t.Errorf("PUT: %v", p)
		}
		if p := w.Fetch("PUT", "/items/x", `{}`, "Content-Type", "application/json"); p.StatusCode != 422 {
			t.Errorf("what is no item: %v", p)
		}
		if p := w.Fetch("GET", "/openapi.json", ""); p.StatusCode != 200 || !strings.Contains(p.Text, `"/items/{number}"`) {
			t.Errorf("the description: %v", p)
		}
		name := strings.ReplaceAll(t.Name(), "/", "-")
		if p := w.Fetch("GET", "/resource?name="+name, ""); p.Text != "resource "+name {
			t.Errorf("a dependency: %v", p)
		}
		expectDone(w, "closed "+name)
		testEcho(t, s)
		expectDone(w, "left")
	})
}

func TestLitestar(t *testing.T) {
	t.Parallel()
	eachLoop(t, "frameworks.litestarapp:app", nil, func(t *testing.T, s *harness.Server, w *harness.Web) {
		harness.CheckFramework(t, s, w)
		p := w.Fetch("PUT", "/items/7?q=x", `{"name": "é"}`, "Content-Type", "application/json")
		if p.StatusCode != 200 || p.Text != `{"number":7,"item":{"name":"é"},"q":"x"}` {
			t.Errorf("PUT: %v", p)
		}
		if p := w.Fetch("GET", "/events", ""); !strings.Contains(p.Text, "data: event 2") {
			t.Errorf("events: %v", p)
		}
	})
}

func TestQuart(t *testing.T) {
	t.Parallel()
	eachLoop(t, "frameworks.quartapp:app", nil, func(t *testing.T, s *harness.Server, w *harness.Web) {
		harness.CheckFramework(t, s, w)
		if n := s.Log.Count(`^serving begins`); n != 1 {
			t.Errorf("before_serving ran %d times", n)
		}
		testEcho(t, s)
	})
}

// chat says hello over two WebSocket connections, and hears what the app says of it.
func testChat(t *testing.T, s *harness.Server) {
	t.Helper()
	ada := s.WebSocket("/chat")
	ada.SendFrame(harness.Fin|harness.OpText, `"alone"`)
	ada.ExpectMessage(harness.OpText, `{"said": "alone", "members": 1}`)
	bob := s.WebSocket("/chat")
	bob.SendFrame(harness.Fin|harness.OpText, `"here"`)
	for _, member := range []*harness.WebSocket{ada, bob} {
		member.ExpectMessage(harness.OpText, `{"said": "here", "members": 2}`)
	}
	ada.SendFrame(harness.Fin|harness.OpText, `{"text": "hello"}`)
	for _, member := range []*harness.WebSocket{ada, bob} {
		member.ExpectMessage(harness.OpText, `{"said": {"text": "hello"}, "members": 2}`)
	}
	for _, member := range []*harness.WebSocket{ada, bob} {
		member.SendFrame(harness.Fin|harness.OpClose, "\x03\xe8")
		member.Expect(harness.CloseFrame(1000, ""))
	}
}

// testEcho has an app say again what it hears over a WebSocket connection.
func testEcho(t *testing.T, s *harness.Server) {
	t.Helper()
	ws := s.WebSocket("/echo")
	for _, text := range []string{"one", strings.Repeat("two ", 50_000)} {
		ws.SendFrame(harness.Fin|harness.OpText, text)
		ws.ExpectMessage(harness.OpText, "echo: "+text)
	}
	ws.SendFrame(harness.Fin|harness.OpClose, "\x03\xe8")
	ws.Expect(harness.CloseFrame(1000, ""))
}

// testLifespanState gets what the lifespan left for the requests.
func testLifespanState(t *testing.T, s *harness.Server, w *harness.Web) {
	t.Helper()
	if p := w.Fetch("GET", "/state", ""); p.Text != "hello from the lifespan" {
		t.Errorf("the state: %v", p)
	}
	if n := s.Log.Count(`^lifespan begins`); n != 1 {
		t.Errorf("the lifespan began %d times", n)
	}
}

// testBackground has work done after a response.
func testBackground(t *testing.T, s *harness.Server, w *harness.Web) {
	t.Helper()
	name := strings.ReplaceAll(t.Name(), "/", "-")
	working := s.Gate("background")
	if p := w.Fetch("POST", "/background?name="+name, ""); p.StatusCode != 202 || p.Text != "accepted" {
		t.Errorf("background: %v", p)
	}
	working.Entered()
	if p := w.Fetch("GET", "/done", ""); strings.Contains(p.Text, name) {
		t.Errorf("done too early: %v", p)
	}
	working.Release()
	expectDone(w, name)
}

func expectDone(w *harness.Web, name string) {
	w.T.Helper()
	harness.Eventually(w.T, name+" is done", func() bool { return strings.Contains(w.Fetch("GET", "/done", "").Text, `"`+name+`"`) })
}

// testEvents reads server-sent events, each of them as soon as it was sent.
func testEvents(t *testing.T, s *harness.Server, w *harness.Web) {
	t.Helper()
	gates := []*harness.Gate{s.Gate("event0"), s.Gate("event1"), s.Gate("event2")}
	r, err := w.Get(w.URL + "/events")
	harness.Must(t, err)
	defer r.Body.Close()
	lines := bufio.NewScanner(r.Body)
	for n, g := range gates {
		want := []string{fmt.Sprint("id: ", n), fmt.Sprint("data: event ", n), ""}
		for _, line := range want {
			if !lines.Scan() || lines.Text() != line {
				t.Fatalf("event %d: %q, %v, want %q", n, lines.Text(), lines.Err(), line)
			}
		}
		g.Release()
	}
	if lines.Scan() || lines.Err() != nil {
		t.Errorf("after the last event: %q, %v", lines.Text(), lines.Err())
	}
}
