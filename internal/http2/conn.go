package http2

import (
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

	// Open is called when a client opens a stream. It returns the memory for its state, of
	// which Owner counts, and what the head of the request is to be read into. Both may
	// have been used for a stream before whose end the owner has seen.
	Open func() (*Stream, *Head)
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
	resets     []uint32
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
	blockCopy []byte  // what the decoder has got last
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
