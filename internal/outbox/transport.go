package outbox

import "os"

// A Transport carries the bytes of responses to a client.
type Transport interface {
	// Try sends as much of head, and then of p, as it can without waiting for the client,
	// and returns the rest of both. It sends them together where that saves something.
	Try(head, p []byte) (restOfHead, rest []byte, err error)
	// Pending reports whether something that Try took still waits for the client.
	Pending() bool
	// Send sends all of p and all that is pending, however long it takes.
	Send(p []byte) error
	// SendFile sends all of head, and then some of a part of a file, and returns how much of
	// the file. It sends both together where that saves something. The position of the file's
	// descriptor, which it may share with the app, does not change.
	SendFile(head []byte, p FilePart) (int, error)
	// Flush passes on what Send kept to be sent with more. It is called when
	// there is nothing else to send yet.
	Flush() error
}

// A FilePart is bytes of a file that are to be sent.
type FilePart struct {
	File   *os.File
	Offset int64
	Size   int64

	// Encode says that what the transport puts around a response it puts around these
	// bytes, too. All other bytes have it already.
	Encode bool
}
