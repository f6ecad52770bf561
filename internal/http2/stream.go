package http2

import (
	"encoding/binary"
	"slices"
)

// A Stream is one request and its response.
type Stream struct {
	// Owner is what the owner of the connection has for the stream. [Settings.Open] sets it.
	Owner any
	// Priority is what the client has asked for.
	Priority Priority

	id           uint32
	remoteClosed bool  // the request has ended
	localClosed  bool  // the response has
	expected     int64 // of the body, by Content-Length; −1: not known
	received     int64 // of the body
	recvWindow   int64 // what the client may still send
	recvPending  int64 // bytes taken by the owner, and not announced to the client yet
	untaken      int64 // bytes that have come, and not been taken
	sendWindow   int64
}

// ID is the stream's number.
func (s *Stream) ID() uint32 { return s.id }

// IsRequestOver reports whether all of the request has come.
func (s *Stream) IsRequestOver() bool { return s.remoteClosed }

// IsOpen reports whether a stream is neither over nor reset.
func (c *Conn) IsOpen(s *Stream) bool { return c.streams[s.id] == s }

func (c *Conn) closeRemote(s *Stream) {
	s.remoteClosed = true
	if s.localClosed {
		c.remove(s)
	}
}

func (c *Conn) closeLocal(s *Stream) {
	s.localClosed = true
	if s.remoteClosed {
		c.remove(s)
	}
}

// remove ends a stream. What has not been taken of its body concerns nobody any more.
func (c *Conn) remove(s *Stream) {
	delete(c.streams, s.id)
	c.consumed(s.untaken)
	s.untaken = 0
}

// ResetStream ends a stream with an error, unless it is over.
func (c *Conn) ResetStream(s *Stream, code Code) {
	if c.IsOpen(s) {
		c.appendReset(s.id, code)
		c.remove(s)
	}
}

func (c *Conn) appendReset(id uint32, code Code) {
	c.out = binary.BigEndian.AppendUint32(appendFrame(c.out, 4, FrameReset, 0, id), uint32(code))
	if len(c.resets) < keptResets {
		c.resets = append(c.resets, id)
		return
	}
	c.resets[c.nextReset] = id
	c.nextReset = (c.nextReset + 1) % keptResets
}

func (c *Conn) wasReset(id uint32) bool { return slices.Contains(c.resets, id) }

// Take tells that the owner is done with n bytes of a stream's body, so that the client may
// send as many more.
func (c *Conn) Take(s *Stream, n int) {
	if !c.IsOpen(s) {
		return // they were counted when it ended
	}
	s.untaken -= int64(n)
	c.consumed(int64(n))
	if s.remoteClosed {
		return
	}
	s.recvPending += int64(n)
	if s.recvPending >= int64(c.settings.Window)/2 {
		c.appendWindowUpdate(s.id, s.recvPending)
		s.recvWindow += s.recvPending
		s.recvPending = 0
	}
}

// consumed gives bytes back to the window of the connection.
func (c *Conn) consumed(n int64) {
	c.recvPending += n
	if c.recvPending >= int64(max(defaultWindow, c.settings.ConnWindow))/4 {
		c.appendWindowUpdate(0, c.recvPending)
		c.recvWindow += c.recvPending
		c.recvPending = 0
	}
}

func (c *Conn) appendWindowUpdate(id uint32, n int64) {
	c.out = binary.BigEndian.AppendUint32(appendFrame(c.out, 4, FrameWindowUpdate, 0, id), uint32(n))
}
