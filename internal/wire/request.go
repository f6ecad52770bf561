package wire

import "encoding/binary"

// A message of the queue is a list of requests, each a tuple of RequestItems. These are
// the places of a request's id and claim in a list of one: the id stands behind the
// headers of the list and of the tuple, and the type code of an int; the claim behind the
// id, the type code of bytes and their length.
const (
	RequestIDOffset    = ListHeader + 6
	RequestClaimOffset = RequestIDOffset + 4 + 5

	// RequestItems is how many items a request has.
	RequestItems = 11
)

// AppendRequest appends the start of a list of one request, up to its claim; both id and
// claim are to be filled in.
func AppendRequest(dst []byte) []byte {
	dst = AppendInt(AppendTuple(AppendList(dst, 1), RequestItems), 1)
	return append(AppendBytesHeader(dst, ClaimSize), make([]byte, ClaimSize)...)
}

// RequestIDs reads from a message of the queue how many requests it has, and the id of
// the first. The start of the message is enough.
func RequestIDs(b []byte) (first uint32, count int) {
	if len(b) < RequestIDOffset+4 {
		return 0, 0
	}
	return binary.LittleEndian.Uint32(b[RequestIDOffset:]), int(binary.LittleEndian.Uint32(b[1:]))
}
