package http2

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"indrik/internal/http1"
	"indrik/internal/http2/http2test"
)

// maxScript is how many frames of a script are sent.
const maxScript = 60

// differences are where this package and golang.org/x/net/http2 read the same frames in
// different ways, and which section says that this package may; those of RFC 9113 without its
// number. An entry holds if both say what it names of their reasons, or the start of them: this
// package in its error, x/net in what it counts; "*" is any. what is a part of the difference.
var differences = []struct{ ours, theirs, what, why string }{
	{"a value with a line break, or with whitespace around it", "", "refused\n", "8.2.1: whitespace around a value is malformed"},
	{"a content-length without a body", "", "refused\n", "8.1.1: it has to be the length of the body"},
	{"Invalid HTTP request line: ", "", "refused\n", "8.3.1: :path is a path and a query"},
	{"", "stream_PROTOCOL_ERROR_bad_path", "\nrefused", "an invalid escape is the app's to judge, as with HTTP/1"},
	{"", "stream_PROTOCOL_ERROR_bad_path_method", "\nrefused", "8.3.1: :scheme is not restricted to http and https"},
	{"", "conn_PROTOCOL_ERROR_ack_mystery", "", "6.5.3: an answer to no SETTINGS is no error"},
	{"", "frame_priority_bad_length", "", "6.3: that is an error of the stream"},
	{"PRIORITY_UPDATE for stream ", "", "", "RFC 9218 section 7.1: it is for streams of requests, and there is no push"},
	{"HEADERS with more padding than payload", "frame_headers_pad_too_big", "", "6.2: that is an error of the connection"},
	{"HEADERS without the priority that they announce", "frame_headers_prio_", "", "4.2: FRAME_SIZE_ERROR, where x/net says nothing"},
	{"HEADERS without the length of their padding", "frame_headers_pad_short", "", "the same"},
	{"HEADERS of stream ", "*", "", "5.1: STREAM_CLOSED, where x/net says PROTOCOL_ERROR"},
	{"", "conn_PROTOCOL_ERROR_settings_big_or_dups", "", "6.5.3: settings are applied in their order, also twice the same one"},
	{"Invalid HTTP method: ", "", "refused\n", "8.3.1: :method is a token (RFC 9110 section 9.1)"},
	{"a field te that is not trailers", "", "refused\n", "8.2.2: it says trailers"},
	{"WINDOW_UPDATE of a stream that was never opened", "frame_windowupdate_zero_inc_stream", "", "two errors in one frame"},
	{"PING of a stream", "frame_ping_length", "", "two errors in one frame"},
	{"SETTINGS of a stream", "frame_settings_ack_with_length", "", "two errors in one frame"},
	{"setting ", "frame_settings_window_size_too_big", "", "two errors in one frame"},
	{"MAX_FRAME_SIZE is ", "frame_settings_window_size_too_big", "", "two errors in one frame"},
	{"INITIAL_WINDOW_SIZE is ", "conn_PROTOCOL_ERROR_settings_big_or_dups", "", "two errors in one frame"},
	{late, "*", "", "5.1: what was on its way when the server reset the stream is ignored"},
	{"*", "", `with "", they with "1"`, "8.1.1: what is malformed ends the stream; for x/net also the connection, at the CONTINUATION behind it"},
	{"fields that cannot be decoded", "", `with "9", they with "1"`, "the same, and then what cannot be decoded"},
	{"", "conn_PROTOCOL_ERROR_reset_idle_stream", "", "5.1.1: a malformed request has opened its stream"},
	{"", "conn_PROTOCOL_ERROR_stream_idle", "", "the same"},
	{"Invalid HTTP Header: 'CONTENT-LENGTH'", "", "refused\n", "RFC 9110 section 8.6: it is a number"},
	{"Unable to comply with expectation: ", "", "refused\n", "RFC 9110 section 10.1.1: 417"},
	{"", "stream_PROTOCOL_ERROR_authority_host_mismatch", "\nrefused", "8.3.1: names of hosts are the same in any case"},
	{"a CONNECT without :authority, or with :scheme or :path", "", "refused\n", "8.5: they are left out, not empty"},
	{"", "frame_windowupdate_zero_inc_stream", "", "5.1: the stream is over"},
	{"the window of the connection grew beyond 2^31-1", "", `with "3", they with ""`, "6.9.1: x/net finds it later"},
	{"a window grew beyond 2^31-1", "", `with "3", they with ""`, "6.9.2: the same"},
	{"", "", `"te=`, "RFC 9110 sections 5.3 and 10.1.4: a list may say trailers twice, and in any case"},
	{"Invalid HTTP Header: 'CONTENT-TYPE'", "", "refused\n", "RFC 9110 section 8.3: one value, as with HTTP/1"},
	{"", "stream_PROTOCOL_ERROR_over_max_streams", "reset 7\nrefused", "8.7: REFUSED_STREAM, after which the client may try again"},
	{"PRIORITY of stream ", "stream_PROTOCOL_ERROR_priority", "", "6.4: for a stream that is idle there is no RST_STREAM"},
	{short, "", "reset 1\n", "8.1.1: such a request is malformed; x/net tells the app"},
	{"fields that cannot be decoded", "", `with "9", they with ""`, "4.3: x/net decodes nothing behind what is malformed"},
	{"DATA of a stream that was never opened", "frame_data_pad_byte_short", "", "two errors in one frame"},
	{"GOAWAY", "", `they with "0"`, "6.8: that is about streams of the server"},
}

// late is the reason for passing over a frame, and short that of an error at the end of a body.
const (
	late  = "the stream was reset"
	short = "a body that is not as long as it was said"
)

// FuzzDifferential has this package and the server of golang.org/x/net/http2 read the same
// frames. Both see the same requests with the same bodies, refuse the same ones, reset the same
// streams with the same codes, and end the connection with the same code, but for the listed
// differences.
func FuzzDifferential(f *testing.F) {
	random := rand.NewChaCha8([32]byte{1})
	for n := range 200 {
		b := make([]byte, 20+3*n)
		random.Read(b)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		runDifferential(t, b)
	})
}

func runDifferential(t testing.TB, b []byte) {
	s := http2test.New(b)
	ours, theirs := newOurSide(t), newTheirSide()
	defer theirs.close()
	for range maxScript {
		frame := s.Frame()
		if frame == nil {
			break
		}
		ours.send(frame)
		theirs.send(frame)
		if !ours.synchronous() {
			continue
		}
		theirs.await(ours)
		if difference := compare(ours, theirs); difference != "" {
			checkListed(t, difference, ours.reason, theirs.why())
			return
		}
		if ours.end != "" {
			return
		}
		ours.reason = ""
		theirs.forget()
	}
}

func checkListed(t testing.TB, difference, ours, theirs string) {
	t.Helper()
	for _, d := range differences {
		if matches(d.ours, ours) && matches(d.theirs, theirs) && strings.Contains(difference, d.what) {
			return
		}
	}
	t.Errorf("%s (ours because of %q, theirs because of %q)", difference, ours, theirs)
}

// matches reports whether a reason begins as an entry has it; an empty one is no reason at all.
func matches(entry, reason string) bool {
	return entry == reason || entry == "*" || entry != "" && strings.HasPrefix(reason, entry)
}

// A fate is what became of a stream.
type fate struct {
	request string // what the app sees; "": nothing
	body    string
	whole   bool   // body is
	status  string // of the response
	reset   string // why the server has reset it
}

func (f *fate) String() string {
	switch {
	case f == nil:
		return "nothing"
	case f.request == "" && (f.reset == "1" || strings.HasPrefix(f.status, "4")):
		return "refused" // RFC 9113 section 8.1.1 lets a server choose
	}
	return fmt.Sprintf("%s, body %q %v, status %s, reset %s", f.request, f.body, f.whole, f.status, f.reset)
}

// A side is what can be seen of one of the two servers.
type side struct {
	fates  map[uint32]*fate
	end    string // why the connection ends; "": it does not
	reason string // of the last error
	pongs  int
}

func (s *side) fate(id uint32) *fate {
	if s.fates[id] == nil {
		s.fates[id] = &fate{}
	}
	return s.fates[id]
}

// note takes a frame of the server.
func (s *side) note(frame http2.Frame) {
	switch f := frame.(type) {
	case *http2.RSTStreamFrame:
		if fate := s.fate(f.StreamID); f.ErrCode != http2.ErrCodeNo && fate.reset == "" {
			fate.reset = fmt.Sprint(uint32(f.ErrCode))
		}
	case *http2.GoAwayFrame:
		s.end = fmt.Sprint(uint32(f.ErrCode))
	case *http2.MetaHeadersFrame:
		if status := f.PseudoValue("status"); status != "100" {
			s.fate(f.StreamID).status = status
		}
	case *http2.PingFrame:
		if f.IsAck() && f.Data == syncPing {
			s.pongs++
		}
	}
}

// compare tells where the sides differ.
func compare(ours *ourSide, theirs *theirSide) string {
	theirs.mu.Lock()
	defer theirs.mu.Unlock()
	if ours.end != theirs.end {
		return fmt.Sprintf("we end the connection with %q, they with %q", ours.end, theirs.end)
	}
	ids := slices.AppendSeq(slices.Collect(maps.Keys(ours.fates)), maps.Keys(theirs.fates))
	slices.Sort(ids)
	for _, id := range ids {
		if a, b := ours.fates[id].String(), theirs.fates[id].String(); a != b {
			return fmt.Sprintf("stream %d:\n%s\n%s", id, a, b)
		}
	}
	return ""
}

// text is a request as an app sees it. names maps each name to its values.
func text(method, target, host string, names map[string][]string) string {
	var list []string
	for name, values := range names {
		switch name = strings.ToLower(name); name {
		case http2test.Marker, "host", "trailer", "expect": // net/http gives them to the app in other ways
		default:
			list = append(list, name+"="+strings.Join(values, "|"))
		}
	}
	slices.Sort(list)
	return fmt.Sprintf("%q %q of %q with %q", method, target, host, list)
}

// An ourSide is a Conn, and an app that answers each request when it has come whole.
type ourSide struct {
	side
	conn   *Conn
	framer *http2.Framer
	out    bytes.Buffer
	bodies map[*Stream]*strings.Builder
}

func newOurSide(t testing.TB) *ourSide {
	o := &ourSide{side: side{fates: map[uint32]*fate{}}, bodies: map[*Stream]*strings.Builder{}}
	o.framer = http2.NewFramer(nil, &o.out)
	o.framer.ReadMetaHeaders = hpack.NewDecoder(tableSize, nil)
	o.conn = NewConn(Settings{
		MaxStreams: differentialStreams, Window: differentialWindow, ConnWindow: differentialWindow, MaxFrame: minMaxFrame, MaxHeaderList: 1 << 20,
		Open: func() (*Stream, *Head) { h := new(Head); return &Stream{Owner: h}, h },
	})
	o.send([]byte(Preface))
	o.send(http2test.Frame(FrameSettings, 0, 0))
	o.send(http2test.Frame(FrameSettings, flagAck, 0))
	if o.end != "" {
		t.Fatal(o.end)
	}
	return o
}

const (
	differentialStreams = 3
	differentialWindow  = 1 << 20
)

// synchronous reports whether a client may ask the server now whether it has seen all.
func (o *ourSide) synchronous() bool { return o.conn.blockID == 0 || o.end != "" }

func (o *ourSide) send(b []byte) {
	if f := parseFrame(b); f.kind == FrameHeaders && f.stream <= o.conn.lastStream && o.conn.wasReset(f.stream) {
		o.reason = late
	}
	for o.end == "" {
		n, ev, err := o.conn.Next(b)
		b = b[n:]
		if ev.ByUs && (ev.Frame == FrameHeaders || ev.Frame == FrameContinuation) && o.conn.head.malformed != "" {
			o.reason = o.conn.head.malformed
		}
		if err != nil {
			o.reason = err.Error()
		}
		if f := o.conn.data; ev.Kind == Other && ev.Frame == FrameData && o.conn.wasReset(f.stream) {
			o.reason = late
		}
		if ev.Kind == Reset && ev.ByUs && ev.Code == ProtocolError && o.reason == "" && ev.Stream.expected >= 0 && ev.Ended {
			o.reason = short
		}
		o.act(&ev)
		o.out.Write(o.conn.TakeOutput(nil))
		for o.out.Len() > 0 {
			frame, err := o.framer.ReadFrame()
			if err != nil {
				o.end, o.reason = "unreadable output", err.Error()
				return
			}
			o.note(frame)
		}
		if ev.Kind == Nothing && n == 0 {
			return
		}
	}
}

func (o *ourSide) act(ev *Event) {
	s := ev.Stream
	switch ev.Kind {
	case Request:
		target := ev.Head.Path
		if string(ev.Head.Method) == "CONNECT" {
			target = ev.Head.Authority
		}
		var r http1.Request
		cfg := http1.Config{PermitMissingHost: true}
		if err := r.Set(&cfg, ev.Head.Method, target, ev.Head.Fields); err != nil {
			o.reason = err.Error()
			o.conn.SendHead(s, 400, nil, true)
			o.conn.ResetStream(s, NoError)
			return
		}
		names := map[string][]string{}
		for _, f := range r.Fields {
			names[string(f.Name)] = append(names[string(f.Name)], string(f.Value))
		}
		host := ""
		if h := names["host"]; len(h) > 0 {
			host = h[0]
		}
		o.fate(s.ID()).request = text(string(r.Method), string(r.Target), host, names)
		o.bodies[s] = &strings.Builder{}
	case Data:
		o.bodies[s].Write(ev.Data)
		o.conn.Take(s, len(ev.Data))
	case Trailers:
	case GoAway:
		o.reason = "GOAWAY"
		return
	default:
		return
	}
	if ev.End {
		fate := o.fate(s.ID())
		fate.body, fate.whole = o.bodies[s].String(), true
		o.conn.SendHead(s, 204, nil, true)
	}
}
