package http2

import "encoding/binary"

// The types of frames (RFC 9113 section 6, RFC 9218 section 7.1).
const (
	FrameData           = 0x0
	FrameHeaders        = 0x1
	FramePriority       = 0x2
	FrameReset          = 0x3
	FrameSettings       = 0x4
	FramePushPromise    = 0x5
	FramePing           = 0x6
	FrameGoAway         = 0x7
	FrameWindowUpdate   = 0x8
	FrameContinuation   = 0x9
	FramePriorityUpdate = 0x10
)

const (
	flagEndStream  = 0x01 // of DATA and HEADERS
	flagAck        = 0x01 // of SETTINGS and PING
	flagEndHeaders = 0x04 // of HEADERS and CONTINUATION
	flagPadded     = 0x08 // of DATA and HEADERS
	flagPriority   = 0x20 // of HEADERS

	frameHeader = 9
	// minMaxFrame and maxMaxFrame bound SETTINGS_MAX_FRAME_SIZE.
	minMaxFrame = 1 << 14
	maxMaxFrame = 1<<24 - 1
	maxWindow   = 1<<31 - 1
)

// Preface is what a client sends first (RFC 9113 section 3.4).
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// A frame is the header of one.
type frame struct {
	length      int // of the payload
	kind, flags byte
	stream      uint32
}

func parseFrame(b []byte) frame {
	return frame{
		length: int(b[0])<<16 | int(b[1])<<8 | int(b[2]), kind: b[3], flags: b[4],
		stream: binary.BigEndian.Uint32(b[5:]) &^ (1 << 31),
	}
}

func (f *frame) has(flag byte) bool { return f.flags&flag != 0 }

func appendFrame(b []byte, length int, kind, flags byte, stream uint32) []byte {
	b = append(b, byte(length>>16), byte(length>>8), byte(length), kind, flags)
	return binary.BigEndian.AppendUint32(b, stream)
}

// unpad returns a payload without its padding. It reports false if there is more padding
// than payload.
func (f *frame) unpad(payload []byte) ([]byte, bool) {
	if !f.has(flagPadded) {
		return payload, true
	}
	if len(payload) == 0 || int(payload[0]) >= len(payload) {
		return nil, false
	}
	return payload[1 : len(payload)-int(payload[0])], true
}

// The settings (RFC 9113 section 6.5.2, RFC 8441, RFC 9218).
const (
	settingHeaderTableSize   = 0x1
	settingEnablePush        = 0x2
	settingMaxStreams        = 0x3
	settingInitialWindow     = 0x4
	settingMaxFrameSize      = 0x5
	settingMaxHeaderListSize = 0x6
	settingConnectProtocol   = 0x8
	settingNoRFC7540         = 0x9
)

func appendSetting(b []byte, id uint16, value uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(b, id), value)
}
