package wire

import "time"

// An Event is the kind of what a front tells a worker that does not read the queue: the first
// item of a tuple. A message is a list of such tuples; the functions here make lists of one.
type Event int

// The kinds of events; docs/protocol.md has their shapes.
const (
	EventRequest Event = iota
	EventUpload
	EventBody
	EventGone
	EventCredit
	EventPing
	EventReset
	EventMessage
	EventClosed
	EventLate
	EventBufferFree
	EventTrace
)

var eventNames = [...]string{
	EventRequest: "REQUEST", EventUpload: "UPLOAD", EventBody: "BODY", EventGone: "GONE",
	EventCredit: "CREDIT", EventPing: "PING", EventReset: "RESET",
	EventMessage: "MESSAGE", EventClosed: "CLOSED", EventLate: "LATE",
	EventBufferFree: "BUFFER_FREE", EventTrace: "TRACE",
}

// String returns the name that the kind has in docs/protocol.md.
func (e Event) String() string { return eventNames[e] }

// EventIDOffset is the offset of the id in a message of one event, in bytes: the header of the
// list, that of the tuple, the kind and the type code of an int precede it.
const EventIDOffset = ListHeader + 5 + 5 + 1

// AppendEvent begins a message of one event, whose two other items follow.
func AppendEvent(dst []byte, e Event, id uint32) []byte {
	return AppendInt(AppendInt(AppendTuple(AppendList(dst, 1), 4), int64(e)), int64(id))
}

// BodyAt is the offset of the data in a message of one [EventBody], and BodyFrame the number of
// its bytes that are not data.
const (
	BodyAt    = EventIDOffset + 4 + 5
	BodyFrame = BodyAt + 5
)

// FrameBody makes an [EventBody] of n bytes of data that stand at BodyAt in b, which
// has room for the rest.
func FrameBody(b []byte, id uint32, n int, more bool) []byte {
	head := AppendBytesHeader(AppendEvent(b[:0], EventBody, id), n)
	return appendFlag(head[:BodyAt+n], more)
}

func appendFlag(dst []byte, set bool) []byte {
	if set {
		return AppendInt(dst, 1)
	}
	return AppendInt(dst, 0)
}

// AppendGone appends an [EventGone].
func AppendGone(dst []byte, id uint32) []byte {
	return AppendNone(AppendNone(AppendEvent(dst, EventGone, id)))
}

// AppendLate appends an [EventLate].
func AppendLate(dst []byte, id uint32) []byte {
	return AppendNone(AppendNone(AppendEvent(dst, EventLate, id)))
}

// AppendBufferFree appends an [EventBufferFree].
func AppendBufferFree(dst []byte, id uint32) []byte {
	return AppendNone(AppendNone(AppendEvent(dst, EventBufferFree, id)))
}

// AppendCredit appends an [EventCredit].
func AppendCredit(dst []byte, id uint32, bytes int64) []byte {
	return AppendNone(AppendInt(AppendEvent(dst, EventCredit, id), bytes))
}

// AppendPing appends an [EventPing] with the time t at which it is sent.
func AppendPing(dst []byte, number uint32, t time.Time) []byte {
	return AppendNone(AppendInt(AppendEvent(dst, EventPing, number), int64(monotonic(t))))
}

// AppendTrace appends an [EventTrace] with the number of the trace.
func AppendTrace(dst []byte, number int) []byte {
	return AppendNone(AppendInt(AppendEvent(dst, EventTrace, 0), int64(number)))
}

// AppendReset appends an [EventReset].
func AppendReset(dst []byte, front int) []byte {
	return AppendNone(AppendNone(AppendEvent(dst, EventReset, uint32(front))))
}

// AppendMessage appends an [EventMessage]; text must be valid UTF-8.
func AppendMessage(dst []byte, id uint32, text bool, data []byte, more bool) []byte {
	dst = AppendEvent(dst, EventMessage, id)
	if text {
		dst = AppendUTF8(dst, data)
	} else {
		dst = AppendBytes(dst, data)
	}
	return appendFlag(dst, more)
}

// AppendClosed appends an [EventClosed]; reason must be valid UTF-8.
func AppendClosed(dst []byte, id uint32, code int, reason []byte) []byte {
	return AppendUTF8(AppendInt(AppendEvent(dst, EventClosed, id), int64(code)), reason)
}
