package http2

// This file reads the bodies of requests.

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
