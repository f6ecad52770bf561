package websocket

import (
	"fmt"
	"unicode/utf8"
)

// Close codes (RFC 6455 section 7.4.1, and the registry of IANA).
const (
	CloseNormal         = 1000
	CloseGoingAway      = 1001
	CloseProtocolError  = 1002
	CloseNoStatus       = 1005 // never sent: the close frame had no code
	CloseAbnormal       = 1006 // never sent: there was no close frame
	CloseInvalidPayload = 1007
	CloseTooBig         = 1009
	CloseInternalError  = 1011
	CloseServiceRestart = 1012
	CloseTryAgainLater  = 1013
)

// An Error is what a client did wrong, and the code to close with.
type Error struct {
	Code int
	Text string
}

func (e *Error) Error() string { return e.Text }

func violation(format string, args ...any) *Error {
	return &Error{CloseProtocolError, fmt.Sprintf(format, args...)}
}

var (
	errUTF8    = &Error{CloseInvalidPayload, "a text that is not valid UTF-8"}
	errTooBig  = &Error{CloseTooBig, "a message that is too large"}
	errDeflate = &Error{CloseInvalidPayload, "a message that cannot be decompressed"}
)

// MayClose reports whether a close frame may have the code: it is registered, or
// for libraries and apps to define, and not one of those that stand for the
// lack of one (RFC 6455 section 7.4.2).
func MayClose(code int) bool {
	switch {
	case code >= 3000 && code <= 4999:
		return true
	case code < CloseNormal || code > 1014:
		return false
	}
	return code != 1004 && code != CloseNoStatus && code != CloseAbnormal
}

// closeOf reads the payload of a close frame.
func closeOf(payload []byte) (int, []byte, error) {
	switch len(payload) {
	case 0:
		return CloseNoStatus, nil, nil
	case 1:
		return 0, nil, violation("a close frame with half a code")
	}
	code := int(payload[0])<<8 | int(payload[1])
	if !MayClose(code) {
		return 0, nil, violation("close code %d", code)
	}
	if !utf8.Valid(payload[2:]) {
		return 0, nil, errUTF8
	}
	return code, payload[2:], nil
}
