//go:build linux

package test

import (
	"fmt"
	"strings"
	"testing"

	"indrik/test/harness"
)

// chromiumSockets opens several WebSockets at once, has the app echo messages of every size on
// each, and returns what came of them, a line for each.
const chromiumSockets = `Promise.all(Array.from({length: 8}, () => new Promise(done => {
	const ws = new WebSocket("wss://" + location.host + "/echo", ["one", "two"]);
	ws.binaryType = "arraybuffer";
	const sent = ["", "hello", "héllo €", "x".repeat(70000), new Uint8Array(300000).fill(7), "0123456789abcdef".repeat(40000)];
	let good = 0;
	ws.onopen = () => sent.forEach(m => ws.send(m));
	ws.onmessage = e => {
		const want = sent[good];
		const same = typeof want === "string" ? e.data === want : e.data.byteLength === want.length && new Uint8Array(e.data).every(b => b === 7);
		if (!same) return done("message " + good + " is another one");
		if (++good === sent.length) ws.close(4321, "bye");
	};
	ws.onclose = e => done([ws.protocol, ws.extensions.split(";")[0], good, e.code, e.reason, e.wasClean].join(" "));
}))).then(lines => lines.join("\n"))`

// TestAllChromium: Chromium speaks HTTP/2 with the server, and opens its WebSockets as streams of
// the connection that it has (RFC 8441).
func TestAllChromium(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.WithHTTP2(t, harness.WebH2, sockets("--access-logfile", "-", "--access-logformat", "LINE %(r)s %(s)s")))
	b := harness.StartBrowser(t, "en-US", "--ignore-certificate-errors")
	b.Open(fmt.Sprintf("https://127.0.0.1:%d/", s.Port))
	b.Await("performance.getEntriesByType('navigation')[0]?.nextHopProtocol === 'h2'")
	want := strings.TrimSuffix(strings.Repeat("two permessage-deflate 6 4321 bye true\n", 8), "\n")
	if got := b.Eval(chromiumSockets); got != want {
		t.Errorf("the WebSockets:\n%s", got)
	}
	for range 8 {
		s.Log.Expect(t, `LINE GET /echo HTTP/2\.0 (101|200)$`)
	}
	if n := s.Log.Count(`LINE GET /echo HTTP/1`); n > 0 {
		t.Errorf("%d of them came over HTTP/1", n)
	}
	s.Terminate()
}

// TestAllNodeSockets: node:http2 opens a WebSocket by extended CONNECT.
func TestAllNodeSockets(t *testing.T) {
	t.Parallel()
	node := harness.NeedsProgram(t, "node")
	harness.OverHTTP2(t, sockets(), func(t *testing.T, s *harness.Server, _ *harness.Web) {
		url := "http://" + s.Address
		if s.TLS != nil {
			url = fmt.Sprintf("https://localhost:%d", s.Port)
		}
		if got := harness.Output(t, ".", nil, node, "clients/sockets_node.mjs", url); got != "200 hello 70000 1000\n" {
			t.Errorf("%s", got)
		}
		s.Terminate()
	})
}
