package http2

import (
	"fmt"
	"strings"
	"testing"
)

// TestMalformed: what RFC 9113 calls malformed ends the stream, and nothing else.
func TestMalformed(t *testing.T) {
	base := []string{":method=GET", ":scheme=http", ":path=/"}
	with := func(more ...string) []string { return append(append([]string(nil), base...), more...) }
	for name, list := range map[string][]string{
		"upper case":         with("X=1"),
		"no name":            with("=1"),
		"space in a name":    with("a b=1"),
		"connection":         with("connection=close"),
		"transfer-encoding":  with("transfer-encoding=chunked"),
		"te":                 with("te=gzip"),
		"blank before":       with("x= 1"),
		"blank behind":       with("x=1\t"),
		"line feed":          with("x=1\n2"),
		"NUL":                with("x=\x00"),
		"late pseudo-field":  {":method=GET", ":scheme=http", "x=1", ":path=/"},
		"unknown":            with(":unknown=1"),
		":status":            with(":status=200"),
		"two paths":          with(":path=/"),
		"no path":            {":method=GET", ":scheme=http"},
		"empty path":         {":method=GET", ":scheme=http", ":path="},
		"no scheme":          {":method=GET", ":path=/"},
		"no scheme at all":   {":method=GET", ":scheme=h ttp", ":path=/"},
		"no method":          {":scheme=http", ":path=/"},
		"CONNECT with path":  {":method=CONNECT", ":authority=a:1", ":path=/", ":scheme=http"},
		"CONNECT to nobody":  {":method=CONNECT"},
		"protocol":           {":method=CONNECT", ":authority=a", ":path=/", ":scheme=http", ":protocol=websocket"},
		"length without end": with("content-length=5"),
	} {
		p := newPeer(t, nil)
		p.frame(FrameHeaders, endAll, 1, p.fields(list...))
		p.frame(FrameHeaders, endAll, 3, p.get())
		if events, out := p.events(), p.output(); events != "reset 1 1, request 3 GET / end" || out != "RST_STREAM 1 1" {
			t.Errorf("%s: %s; output %s", name, events, out)
		}
	}
}

// TestConnErrors: errors that end the connection.
func TestConnErrors(t *testing.T) {
	for name, c := range map[string]struct {
		send func(p *peer)
		code Code
	}{
		"DATA of no stream":         {func(p *peer) { p.frame(FrameData, 0, 0, "x") }, ProtocolError},
		"DATA of an idle stream":    {func(p *peer) { p.frame(FrameData, 0, 9, "x") }, ProtocolError},
		"HEADERS of an even stream": {func(p *peer) { p.frame(FrameHeaders, endAll, 2, p.get()) }, ProtocolError},
		"HEADERS of the past": {func(p *peer) {
			p.frame(FrameHeaders, endAll, 3, p.get())
			p.frame(FrameReset, 0, 3, "\x00\x00\x00\x08")
			p.frame(FrameHeaders, endAll, 3, p.get())
		}, StreamClosed},
		"padding":                     {func(p *peer) { p.frame(FrameHeaders, flagPadded|endAll, 1, "\x09x") }, ProtocolError},
		"no padding":                  {func(p *peer) { p.frame(FrameHeaders, flagPadded|endAll, 1, "") }, FrameSizeError},
		"no priority":                 {func(p *peer) { p.frame(FrameHeaders, flagPriority|endAll, 1, "1234") }, FrameSizeError},
		"CONTINUATION alone":          {func(p *peer) { p.frame(FrameContinuation, flagEndHeaders, 1, "") }, ProtocolError},
		"PING within a head":          {func(p *peer) { p.frame(FrameHeaders, 0, 1, p.get()); p.frame(FramePing, 0, 0, "12345678") }, ProtocolError},
		"garbage in a head":           {func(p *peer) { p.frame(FrameHeaders, endAll, 1, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff") }, CompressionError},
		"PRIORITY of no stream":       {func(p *peer) { p.frame(FramePriority, 0, 0, "12345") }, ProtocolError},
		"PRIORITY of its own":         {func(p *peer) { p.frame(FramePriority, 0, 3, "\x00\x00\x00\x031") }, ProtocolError},
		"a short PRIORITY":            {func(p *peer) { p.frame(FramePriority, 0, 3, "1234") }, FrameSizeError},
		"RST_STREAM of no stream":     {func(p *peer) { p.frame(FrameReset, 0, 0, "1234") }, ProtocolError},
		"RST_STREAM of an idle one":   {func(p *peer) { p.frame(FrameReset, 0, 7, "1234") }, ProtocolError},
		"a short RST_STREAM":          {func(p *peer) { p.frame(FrameReset, 0, 1, "123") }, FrameSizeError},
		"SETTINGS of a stream":        {func(p *peer) { p.frame(FrameSettings, 0, 1, "") }, ProtocolError},
		"SETTINGS of 5 bytes":         {func(p *peer) { p.frame(FrameSettings, 0, 0, "12345") }, FrameSizeError},
		"an answer with settings":     {func(p *peer) { p.frame(FrameSettings, flagAck, 0, "123456") }, FrameSizeError},
		"ENABLE_PUSH":                 {func(p *peer) { p.frame(FrameSettings, 0, 0, "\x00\x02\x00\x00\x00\x02") }, ProtocolError},
		"ENABLE_CONNECT_PROTOCOL":     {func(p *peer) { p.frame(FrameSettings, 0, 0, "\x00\x08\x00\x00\x00\x02") }, ProtocolError},
		"NO_RFC7540_PRIORITIES":       {func(p *peer) { p.frame(FrameSettings, 0, 0, "\x00\x09\x00\x00\x00\x02") }, ProtocolError},
		"INITIAL_WINDOW_SIZE":         {func(p *peer) { p.frame(FrameSettings, 0, 0, "\x00\x04\x80\x00\x00\x00") }, FlowControlError},
		"MAX_FRAME_SIZE":              {func(p *peer) { p.frame(FrameSettings, 0, 0, "\x00\x05\x00\x00\x00\x00") }, ProtocolError},
		"PUSH_PROMISE":                {func(p *peer) { p.frame(FramePushPromise, 0, 1, "12345678") }, ProtocolError},
		"PING of a stream":            {func(p *peer) { p.frame(FramePing, 0, 1, "12345678") }, ProtocolError},
		"PING of 7 bytes":             {func(p *peer) { p.frame(FramePing, 0, 0, "1234567") }, FrameSizeError},
		"GOAWAY of a stream":          {func(p *peer) { p.frame(FrameGoAway, 0, 1, "12345678") }, ProtocolError},
		"WINDOW_UPDATE of 0":          {func(p *peer) { p.frame(FrameWindowUpdate, 0, 0, "\x00\x00\x00\x00") }, ProtocolError},
		"WINDOW_UPDATE of 3 bytes":    {func(p *peer) { p.frame(FrameWindowUpdate, 0, 0, "123") }, FrameSizeError},
		"WINDOW_UPDATE of the future": {func(p *peer) { p.frame(FrameWindowUpdate, 0, 5, "1234") }, ProtocolError},
		"PRIORITY_UPDATE of a stream": {func(p *peer) { p.frame(FramePriorityUpdate, 0, 1, "1234u=1") }, ProtocolError},
		"PRIORITY_UPDATE of nothing":  {func(p *peer) { p.frame(FramePriorityUpdate, 0, 0, "123") }, FrameSizeError},
		"too large":                   {func(p *peer) { p.frame(FramePing, 0, 0, strings.Repeat("x", minMaxFrame+1)) }, FrameSizeError},
	} {
		p := newPeer(t, nil)
		c.send(p)
		got := p.events()
		if want := fmt.Sprintf("error %d", c.code); !strings.HasSuffix(got, want) {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		if out := p.output(); !strings.HasSuffix(out, fmt.Sprintf(" code %d", c.code)) {
			t.Errorf("%s: the output is %s", name, out)
		}
	}
	c := NewConn(Settings{MaxStreams: 1, Window: 1, MaxFrame: minMaxFrame, MaxHeaderList: 1})
	if _, _, err := c.Next([]byte("GET / HTTP/1.1\r\n")); err == nil {
		t.Error("HTTP/1 instead of the preface is no error")
	}
	c = NewConn(Settings{MaxStreams: 1, Window: 1, MaxFrame: minMaxFrame, MaxHeaderList: 1})
	n, _, _ := c.Next([]byte(Preface))
	if _, _, err := c.Next(appendFrame(nil, 0, FrameHeaders, endAll, 1)); n != len(Preface) || err == nil {
		t.Error("a first frame that is none of SETTINGS is no error")
	}
}

// TestHosts: a Host that says what :authority says is one with it; any other is one more, which
// package http1 refuses.
func TestHosts(t *testing.T) {
	for text, want := range map[string]string{
		":authority=shop":                     "shop",
		":authority=shop host=SHOP":           "shop",
		":authority=shop host=shop host=shop": "shop shop",
		":authority=shop host=other":          "shop other",
		":authority= host=shop":               "shop",
		":authority= host= host=shop":         " shop",
		"host= host=shop":                     " shop",
		"host=shop":                           "shop",
	} {
		p := newPeer(t, nil)
		p.frame(FrameHeaders, endAll, 1, p.fields(append([]string{":method=GET", ":scheme=http", ":path=/"}, strings.Split(text, " ")...)...))
		p.events()
		var hosts []string
		for _, f := range p.heads[0].Fields {
			hosts = append(hosts, string(f.Value))
		}
		if got := strings.Join(hosts, " "); got != want {
			t.Errorf("%s: hosts %q, want %q", text, got, want)
		}
	}
}
