package front

import "sync"

// This file has the memory that connections share: most of them are idle most of the time.

const (
	// readBuffer is the size of the usual buffer of a connection.
	readBuffer = 8 << 10
	// roomyBuffer is the size of the buffer of a connection whose last request was larger
	// than that: the next one may come in one read, too.
	roomyBuffer = 32 << 10
	// copyBuffer is how many bytes are copied at a time between a client and a file, and
	// how many of a chunked body are read at a time.
	copyBuffer = 32 << 10
	// maxPooled is the size up to which a buffer that has grown is kept for others.
	maxPooled = 128 << 10
)

var (
	buffers      = sync.Pool{New: func() any { b := make([]byte, readBuffer); return &b }}
	roomyBuffers = sync.Pool{New: func() any { b := make([]byte, roomyBuffer); return &b }}
	copyBuffers  = sync.Pool{New: func() any { b := make([]byte, copyBuffer); return &b }}
	messages     = sync.Pool{New: func() any { b := make([]byte, 0, 4096); return &b }}
)
