package http2

import (
	"encoding/binary"
	"math"

	"golang.org/x/net/http2/hpack"
)

// Settings are what the server announces. Each has its bounds in RFC 9113 section 6.5.2.
type Settings struct {
	MaxStreams    int // that a client may have open at a time
	Window        int // bytes of a stream's body that may be on their way
	ConnWindow    int // of all streams together, at least 65 535
	MaxFrame      int // bytes of the payload of a frame
	MaxHeaderList int // bytes of the fields of a head, each with 32 more

	// Connect says that extended CONNECT is served (RFC 8441).
	Connect bool

	// Open is called when a client opens a stream. It returns its owner, and what the head
	// of the request is to be read into.
	Open func() (owner any, head *Head)
}

const (
	defaultWindow = 65535
	// tableSize is the size of the tables of fields, both ways.
	tableSize = 4096
	// keptResets is how many streams that were reset here are remembered: frames for them
	// may be on their way.
	keptResets = 128
)

// A Conn is the state of a connection.
type Conn struct {
	settings Settings
	began    int // bytes of the preface that have come

	streams    map[uint32]*Stream
	lastStream uint32 // the highest that the client has opened
	refusing   bool   // streams that are opened from now on are ignored
	goAwaySent bool
	resets     [keptResets]uint32
	nextReset  int

	settled     bool  // the client's SETTINGS have come
	recvWindow  int64 // what the client may still send
	recvPending int64 // bytes taken by the owner, and not announced to the client yet

	sendWindow    int64
	initialWindow int64 // of streams, the client's setting
	maxFrame      int   // the client's
	encoder       *hpack.Encoder
	encoded       byteWriter
	sent          []sentField
	nextSent      int

	decoder   *hpack.Decoder
	head      headReader
	block     *Stream // whose fields are being read; nil: nobody's
	blockID   uint32  // the stream that they say; 0: none are being read
	dependent uint32  // a stream that depends on itself
	updates   []update

	data frame   // a DATA frame of which some bytes are still to come
	left int     // these bytes, with padding
	pad  int     // of them
	sink *Stream // whose bytes they are; nil: nobody's

	out []byte
}

// A byteWriter appends what is written to it.
type byteWriter struct{ b []byte }

func (w *byteWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

// NewConn returns a connection whose preface is still to come. Its output begins with the
// server's preface.
func NewConn(s Settings) *Conn {
	c := &Conn{
		settings: s, streams: map[uint32]*Stream{},
		recvWindow: int64(max(defaultWindow, s.ConnWindow)), sendWindow: defaultWindow, initialWindow: defaultWindow, maxFrame: minMaxFrame,
	}
	c.head.limit, c.head.connect = s.MaxHeaderList, s.Connect
	payload := appendSetting(nil, settingMaxStreams, uint32(s.MaxStreams))
	payload = appendSetting(payload, settingInitialWindow, uint32(s.Window))
	payload = appendSetting(payload, settingMaxFrameSize, uint32(s.MaxFrame))
	payload = appendSetting(payload, settingMaxHeaderListSize, uint32(min(s.MaxHeaderList, math.MaxInt32)))
	if s.Connect {
		payload = appendSetting(payload, settingConnectProtocol, 1)
	}
	payload = appendSetting(payload, settingNoRFC7540, 1)
	c.out = append(appendFrame(c.out, len(payload), FrameSettings, 0, 0), payload...)
	if more := c.recvWindow - defaultWindow; more > 0 {
		c.appendWindowUpdate(0, more)
	}
	return c
}

// TakeOutput returns what is to be sent, and forgets it. Of buf, which may be nil, the memory
// is used for what comes next.
func (c *Conn) TakeOutput(buf []byte) []byte {
	out := c.out
	c.out = buf[:0]
	return out
}

// HasOutput reports whether there is something to be sent.
func (c *Conn) HasOutput() bool { return len(c.out) > 0 }

// Pending returns how many bytes wait to be taken.
func (c *Conn) Pending() int { return len(c.out) }

// Streams returns how many streams are open.
func (c *Conn) Streams() int { return len(c.streams) }

// IsIdle reports whether no stream is open, and no frame has come in part.
func (c *Conn) IsIdle() bool { return len(c.streams) == 0 && c.left == 0 && c.blockID == 0 }

// Each calls f for each open stream, until it returns false.
func (c *Conn) Each(f func(*Stream) bool) {
	for _, s := range c.streams {
		if !f(s) {
			return
		}
	}
}

// An EventKind says what has come from the client.
type EventKind uint8

// The kinds of events.
const (
	Nothing  EventKind = iota // more bytes are needed
	Other                     // a frame that is done with
	Request                   // the head of a request
	Data                      // bytes of a body
	Trailers                  // the end of a body, by fields that are of no interest
	Reset                     // the client has reset a stream
	Window                    // more may be sent
	PingAck                   // the client has answered a ping
	GoAway                    // the client opens no more streams
)

// An Event is what a frame means. Stream is the one it is about, nil for Other, Window of the
// connection, PingAck and GoAway.
type Event struct {
	Kind   EventKind
	Stream *Stream
	Head   *Head  // of Request; good until the next call of Next
	Data   []byte // of Data; a part of what Next was given
	End    bool   // the request ends with this event
	Code   Code   // of Reset

	Frame byte // its type
	First bool // this is the first event of the frame
	Size  int  // of DATA, at its first event: bytes of the body in the frame
	Ended bool // of DATA and HEADERS, at the first event: the frame says that the request ends
	ByUs  bool // the server has reset a stream for what the client did
}

// Next reads from the start of b, and returns how many bytes are done with. Frames other than
// DATA are read whole: b has to have room for [Settings.MaxFrame] and 9 bytes. After an
// error, which is a [*ConnError], the output ends with GOAWAY.
func (c *Conn) Next(b []byte) (n int, ev Event, err error) {
	n, ev, e := c.next(b)
	if e != nil {
		c.GoAway(e.Code, e.Text)
		return n, ev, e
	}
	return n, ev, nil
}

func (c *Conn) next(b []byte) (n int, ev Event, err *ConnError) {
	if c.began < len(Preface) {
		n = min(len(b), len(Preface)-c.began)
		if string(b[:n]) != Preface[c.began:c.began+n] {
			return n, ev, connError(ProtocolError, "the preface of HTTP/2 is wrong")
		}
		if c.began += n; c.began < len(Preface) {
			return n, ev, nil
		}
		return n, Event{Kind: Other, Frame: FrameSettings}, nil
	}
	if c.left > 0 {
		n, ev = c.restOfData(b)
		return n, ev, nil
	}
	if len(b) < frameHeader {
		return 0, ev, nil
	}
	f := parseFrame(b)
	if f.length > c.settings.MaxFrame {
		return 0, ev, connError(FrameSizeError, "a frame of %d bytes, %d are allowed", f.length, c.settings.MaxFrame)
	}
	if !c.settled && (f.kind != FrameSettings || f.has(flagAck)) {
		return 0, ev, connError(ProtocolError, "the first frame is none of SETTINGS")
	}
	if c.blockID != 0 && (f.kind != FrameContinuation || f.stream != c.blockID) {
		return 0, ev, connError(ProtocolError, "a frame of type %d stands within a head", f.kind)
	}
	if f.kind == FrameData {
		return c.startOfData(b, f)
	}
	if len(b) < frameHeader+f.length {
		return 0, ev, nil
	}
	ev = Event{Kind: Other, Frame: f.kind, First: true, Ended: f.has(flagEndStream)}
	payload := b[frameHeader : frameHeader+f.length]
	switch f.kind {
	case FrameHeaders:
		err = c.headers(f, payload, &ev)
	case FrameContinuation:
		err = c.continuation(f, payload, &ev)
	case FramePriority:
		err = c.priority(f, payload, &ev)
	case FrameReset:
		err = c.reset(f, payload, &ev)
	case FrameSettings:
		err = c.setting(f, payload, &ev)
	case FramePing:
		err = c.ping(f, payload, &ev)
	case FrameGoAway:
		if f.stream != 0 {
			err = connError(ProtocolError, "GOAWAY of a stream")
		} else if f.length < 8 {
			err = connError(FrameSizeError, "GOAWAY of %d bytes", f.length)
		}
		ev.Kind = GoAway
	case FrameWindowUpdate:
		err = c.windowUpdate(f, payload, &ev)
	case FramePushPromise:
		err = connError(ProtocolError, "a client has sent PUSH_PROMISE")
	case FramePriorityUpdate:
		err = c.priorityUpdate(f, payload)
	default: // RFC 9113 section 5.5: unknown frames are ignored
	}
	return frameHeader + f.length, ev, err
}

// startOfData reads a DATA frame up to its first byte, and as much more as there is.
func (c *Conn) startOfData(b []byte, f frame) (int, Event, *ConnError) {
	ev := Event{Kind: Other, Frame: f.kind, First: true, Ended: f.has(flagEndStream)}
	if f.stream == 0 || f.stream > c.lastStream || f.stream%2 == 0 {
		return 0, ev, connError(ProtocolError, "DATA of a stream that was never opened")
	}
	n := frameHeader
	pad := 0
	if f.has(flagPadded) {
		if f.length == 0 {
			return 0, ev, connError(FrameSizeError, "DATA without the length of its padding")
		}
		if len(b) < n+1 {
			return 0, Event{}, nil
		}
		if pad = int(b[n]); pad >= f.length {
			return 0, ev, connError(ProtocolError, "DATA with more padding than payload")
		}
		n++
	}
	ev.Size = f.length - (n - frameHeader) - pad
	if int64(f.length) > c.recvWindow {
		return 0, ev, connError(FlowControlError, "more DATA than the window of the connection allows")
	}
	c.recvWindow -= int64(f.length)
	c.data, c.left, c.pad = f, f.length-(n-frameHeader), pad
	c.sink = c.streams[f.stream]
	s := c.sink
	switch {
	case s == nil || s.remoteClosed:
		c.sink = nil
		c.consumed(int64(n - frameHeader))
		if s == nil && (c.wasReset(f.stream) || c.refusing) {
			break // it was on its way
		}
		ev.ByUs = true
		if s == nil {
			c.appendReset(f.stream, StreamClosed)
		} else {
			ev.Kind, ev.Stream, ev.Code = Reset, s, StreamClosed
			c.ResetStream(s, StreamClosed)
		}
	case int64(f.length) > s.recvWindow:
		ev.ByUs = true
		ev.Kind, ev.Stream, ev.Code = Reset, s, FlowControlError
		c.ResetStream(s, FlowControlError)
		c.sink = nil
		c.consumed(int64(n - frameHeader))
	default:
		s.recvWindow -= int64(f.length)
		s.untaken += int64(n - frameHeader)
		c.Take(s, n-frameHeader) // the length of the padding
	}
	if c.left == 0 {
		return n, c.endOfData(ev), nil
	}
	if ev.Kind == Reset {
		return n, ev, nil
	}
	more, ev2 := c.restOfData(b[n:])
	ev2.Frame, ev2.First, ev2.Size, ev2.Ended = ev.Frame, true, ev.Size, ev.Ended
	ev2.ByUs = ev.ByUs || ev2.ByUs
	if ev2.Kind == Nothing {
		ev2.Kind = Other
	}
	return n + more, ev2, nil
}

// restOfData reads more of a DATA frame.
func (c *Conn) restOfData(b []byte) (int, Event) {
	n := min(len(b), c.left)
	if n == 0 {
		return 0, Event{}
	}
	data := b[:min(n, max(0, c.left-c.pad))]
	c.left -= n
	ev := Event{Kind: Other, Frame: FrameData}
	s := c.sink
	if s != nil && c.streams[s.id] != s {
		s, c.sink = nil, nil // it was reset meanwhile
	}
	if s == nil {
		c.consumed(int64(n))
	} else {
		s.untaken += int64(n)
		c.Take(s, n-len(data)) // padding
		if s.received += int64(len(data)); s.expected >= 0 && s.received > s.expected {
			c.ResetStream(s, ProtocolError) // RFC 9113 section 8.1.1
			return n, Event{Kind: Reset, Stream: s, Code: ProtocolError, Frame: FrameData, ByUs: true}
		}
		if len(data) > 0 {
			ev.Kind, ev.Stream, ev.Data = Data, s, data
		}
	}
	if c.left == 0 {
		ev = c.endOfData(ev)
	}
	return n, ev
}

// endOfData ends the request if it ends with this frame.
func (c *Conn) endOfData(ev Event) Event {
	s := c.sink
	c.sink = nil
	if s == nil || !c.data.has(flagEndStream) {
		return ev
	}
	if s.expected >= 0 && s.received != s.expected {
		c.ResetStream(s, ProtocolError)
		return Event{Kind: Reset, Stream: s, Code: ProtocolError, Frame: ev.Frame, First: ev.First, Size: ev.Size, Ended: ev.Ended, ByUs: true}
	}
	if ev.Kind == Other {
		ev.Kind, ev.Stream = Data, s
	}
	ev.End = true
	c.closeRemote(s)
	return ev
}

func (c *Conn) priority(f frame, payload []byte, ev *Event) *ConnError {
	if f.stream == 0 {
		return connError(ProtocolError, "PRIORITY of no stream")
	}
	if f.length != 5 {
		c.streamError(f.stream, FrameSizeError, ev)
		return nil
	}
	if binary.BigEndian.Uint32(payload)&^(1<<31) == f.stream {
		c.streamError(f.stream, ProtocolError, ev) // it depends on itself
	}
	return nil
}

// streamError resets a stream, if it is not over.
func (c *Conn) streamError(id uint32, code Code, ev *Event) {
	ev.ByUs = true
	s := c.streams[id]
	if s == nil {
		c.appendReset(id, code)
		return
	}
	ev.Kind, ev.Stream, ev.Code = Reset, s, code
	c.ResetStream(s, code)
}

func (c *Conn) reset(f frame, payload []byte, ev *Event) *ConnError {
	switch {
	case f.length != 4:
		return connError(FrameSizeError, "RST_STREAM of %d bytes", f.length)
	case f.stream == 0 || f.stream%2 == 0 || f.stream > c.lastStream:
		return connError(ProtocolError, "RST_STREAM of a stream that was never opened")
	}
	if s := c.streams[f.stream]; s != nil {
		ev.Kind, ev.Stream, ev.Code = Reset, s, Code(binary.BigEndian.Uint32(payload))
		c.remove(s)
	}
	return nil
}

func (c *Conn) setting(f frame, payload []byte, ev *Event) *ConnError {
	switch {
	case f.stream != 0:
		return connError(ProtocolError, "SETTINGS of a stream")
	case f.has(flagAck) && f.length != 0, f.length%6 != 0:
		return connError(FrameSizeError, "SETTINGS of %d bytes", f.length)
	case f.has(flagAck):
		return nil
	}
	c.settled = true
	for ; len(payload) > 0; payload = payload[6:] {
		id, value := binary.BigEndian.Uint16(payload), binary.BigEndian.Uint32(payload[2:])
		switch id {
		case settingHeaderTableSize:
			c.makeEncoder().SetMaxDynamicTableSize(min(value, tableSize))
		case settingEnablePush:
			if value > 1 {
				return connError(ProtocolError, "ENABLE_PUSH is %d", value)
			}
		case settingInitialWindow:
			if value > maxWindow {
				return connError(FlowControlError, "INITIAL_WINDOW_SIZE is %d", value)
			}
			more := int64(value) - c.initialWindow
			c.initialWindow = int64(value)
			for _, s := range c.streams {
				if s.sendWindow += more; s.sendWindow > maxWindow {
					return connError(FlowControlError, "a window grew beyond 2^31-1")
				}
			}
			if more > 0 {
				ev.Kind = Window
			}
		case settingMaxFrameSize:
			if value < minMaxFrame || value > maxMaxFrame {
				return connError(ProtocolError, "MAX_FRAME_SIZE is %d", value)
			}
			c.maxFrame = int(value)
		default: // of no interest, or unknown
		}
	}
	c.out = appendFrame(c.out, 0, FrameSettings, flagAck, 0)
	return nil
}

func (c *Conn) ping(f frame, payload []byte, ev *Event) *ConnError {
	switch {
	case f.stream != 0:
		return connError(ProtocolError, "PING of a stream")
	case f.length != 8:
		return connError(FrameSizeError, "PING of %d bytes", f.length)
	case f.has(flagAck):
		ev.Kind = PingAck
		return nil
	}
	c.out = append(appendFrame(c.out, 8, FramePing, flagAck, 0), payload...)
	return nil
}

func (c *Conn) windowUpdate(f frame, payload []byte, ev *Event) *ConnError {
	if f.length != 4 {
		return connError(FrameSizeError, "WINDOW_UPDATE of %d bytes", f.length)
	}
	more := int64(binary.BigEndian.Uint32(payload) &^ (1 << 31))
	if f.stream == 0 {
		if more == 0 {
			return connError(ProtocolError, "WINDOW_UPDATE of 0")
		}
		if c.sendWindow += more; c.sendWindow > maxWindow {
			return connError(FlowControlError, "the window of the connection grew beyond 2^31-1")
		}
		ev.Kind = Window
		return nil
	}
	if f.stream%2 == 0 || f.stream > c.lastStream {
		return connError(ProtocolError, "WINDOW_UPDATE of a stream that was never opened")
	}
	s := c.streams[f.stream]
	switch {
	case s == nil: // it is over
	case more == 0:
		c.streamError(f.stream, ProtocolError, ev)
	case s.sendWindow+more > maxWindow:
		c.streamError(f.stream, FlowControlError, ev)
	default:
		s.sendWindow += more
		ev.Kind, ev.Stream = Window, s
	}
	return nil
}

// Ping adds a PING to the output.
func (c *Conn) Ping() {
	c.out = append(appendFrame(c.out, 8, FramePing, 0, 0), "indrik  "...)
}

// Retire tells the client to open no more streams, and why, while those that it opens before
// it knows are served (RFC 9113 section 6.8). [Conn.GoAway] follows when it can know.
func (c *Conn) Retire() { c.appendGoAway(maxWindow, NoError, "") }

// GoAway adds GOAWAY to the output: streams that are opened later are ignored.
func (c *Conn) GoAway(code Code, text string) {
	if c.goAwaySent && code == NoError {
		return
	}
	c.goAwaySent, c.refusing = true, true
	c.appendGoAway(c.lastStream, code, text)
}

func (c *Conn) appendGoAway(last uint32, code Code, text string) {
	c.out = appendFrame(c.out, 8+len(text), FrameGoAway, 0, 0)
	c.out = binary.BigEndian.AppendUint32(c.out, last)
	c.out = binary.BigEndian.AppendUint32(c.out, uint32(code))
	c.out = append(c.out, text...)
}
