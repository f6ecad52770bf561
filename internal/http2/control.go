package http2

import "encoding/binary"

// This file reads the frames that are about streams and about the connection, and sends those
// that the owner asks for.

func (c *Conn) priority(f frame, payload []byte, ev *Event) *ConnError {
	if f.stream == 0 {
		return connError(ProtocolError, "PRIORITY of no stream")
	}
	var code Code
	switch {
	case f.length != 5:
		code = FrameSizeError
	case binary.BigEndian.Uint32(payload)&^(1<<31) == f.stream:
		code = ProtocolError // it depends on itself
	default:
		return nil
	}
	if f.stream > c.lastStream || f.stream%2 == 0 { // idle: section 6.4 allows no RST_STREAM
		return connError(code, "PRIORITY of stream %d, which is wrong", f.stream)
	}
	c.streamError(f.stream, code, ev)
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
		case settingEnablePush, settingConnectProtocol, settingNoRFC7540: // RFC 8441 section 3, RFC 9218 section 2.1
			if value > 1 {
				return connError(ProtocolError, "setting %d is %d, not 0 or 1", id, value)
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
