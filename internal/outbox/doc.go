// Package outbox writes responses to one client without making the worker wait for it.
//
// What the transport does not take at once is kept: up to 256 KiB in memory, then up to
// 1 GiB in a temporary file. Only beyond that, or where no file can be written, the
// caller of [Outbox.Write] waits. Another goroutine, which the [Owner] provides, writes
// what is kept by calling [Outbox.Run].
//
// An outbox has one mutex. The owner's methods StartWriting, StopWriting, Abort and
// CannotSpool are called with it held, and so are TmpFile and the transport's Try and
// Pending where they are called by Write: they must not call the outbox. ResponseDone,
// Send, SendFile and Flush, and the functions given to [Outbox.Push] and
// [Outbox.WhenLow], are called without it.
package outbox
