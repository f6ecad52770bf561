package wire

// The numbers that a front and a worker count requests, bodies and messages by; see
// docs/protocol.md.
const (
	// IDBits is how many bits of an id count requests; the others tell which front it is from.
	IDBits = 24
	// ResponseWindow is how many bytes of a response a multiplexed worker may have on their
	// way to the client before it must wait.
	ResponseWindow = 256 << 10
	// BodyWindow is how many bytes of a body such a worker may have asked for that it has
	// not got.
	BodyWindow = 256 << 10
	// PartCost is what a part of a WebSocket message counts besides its bytes.
	PartCost = 64
)
