package http2

import "fmt"

// A Code is why a stream or a connection ends (RFC 9113 section 7).
type Code uint32

// The codes.
const (
	NoError            Code = 0x0
	ProtocolError      Code = 0x1
	InternalError      Code = 0x2
	FlowControlError   Code = 0x3
	SettingsTimeout    Code = 0x4
	StreamClosed       Code = 0x5
	FrameSizeError     Code = 0x6
	RefusedStream      Code = 0x7
	Cancel             Code = 0x8
	CompressionError   Code = 0x9
	ConnectError       Code = 0xa
	EnhanceYourCalm    Code = 0xb
	InadequateSecurity Code = 0xc
	HTTP11Required     Code = 0xd
)

// A ConnError is an error of the client that ends the connection.
type ConnError struct {
	Code Code
	Text string // for the log
}

func (e *ConnError) Error() string { return e.Text }

func connError(code Code, format string, args ...any) *ConnError {
	return &ConnError{code, fmt.Sprintf(format, args...)}
}
