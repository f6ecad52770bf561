package wiretest

import "indrik/internal/wire"

// A Header is a field of a response: its name and its value.
type Header [2]string

// Reply begins a message of a slot, of a number of items.
func Reply(kind wire.ReplyKind, items int, id uint32) []byte {
	return wire.AppendInt(wire.AppendInt(wire.AppendTuple(nil, items), int64(kind)), int64(id))
}

// AppendHeaders appends fields.
func AppendHeaders(b []byte, headers []Header) []byte {
	b = wire.AppendList(b, len(headers))
	for _, h := range headers {
		b = wire.AppendTuple(b, 2)
		b = wire.AppendLatin1(b, []byte(h[0]))
		b = wire.AppendLatin1(b, []byte(h[1]))
	}
	return b
}

// AppendHead appends the status and the fields of a response.
func AppendHead(b []byte, status string, headers []Header) []byte {
	return AppendHeaders(wire.AppendLatin1(b, []byte(status)), headers)
}

// Response is a whole response.
func Response(id uint32, status string, headers []Header, body string) []byte {
	return wire.AppendBytes(AppendHead(Reply(wire.ReplyResponse, 5, id), status, headers), []byte(body))
}

// Start is the head and the first part of a response.
func Start(id uint32, status string, headers []Header, body string) []byte {
	return wire.AppendBytes(AppendHead(Reply(wire.ReplyStart, 5, id), status, headers), []byte(body))
}

// Chunk is another part.
func Chunk(id uint32, body string) []byte {
	return wire.AppendBytes(Reply(wire.ReplyChunk, 3, id), []byte(body))
}

// End is the end of a response in parts.
func End(id uint32) []byte { return Reply(wire.ReplyEnd, 2, id) }

// Failed says that the app has failed.
func Failed(id uint32) []byte { return Reply(wire.ReplyError, 2, id) }

// Refused says that a request was revoked, and is not run.
func Refused(id uint32) []byte { return Reply(wire.ReplyRefused, 2, id) }

// Hints is an interim response.
func Hints(id uint32, headers []Header) []byte {
	return AppendHeaders(Reply(wire.ReplyHints, 3, id), headers)
}

// Extend asks for a later deadline.
func Extend(id uint32, milliseconds int64) []byte {
	return wire.AppendInt(Reply(wire.ReplyExtend, 3, id), milliseconds)
}

// FromFile is a whole response whose body is a part of the file that comes along.
func FromFile(id uint32, status string, headers []Header, offset, count int64) []byte {
	b := AppendHead(Reply(wire.ReplyFile, 6, id), status, headers)
	return wire.AppendInt(wire.AppendInt(b, offset), count)
}
