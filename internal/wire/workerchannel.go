package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// MaxWorkerMessage is the size of the largest message that a worker may send to
// the master, in bytes.
const MaxWorkerMessage = 64 << 10

// maxPath is the length of the longest path that the kernel takes (PATH_MAX).
const maxPath = 4096

// The names of Gunicorn's modules, and of uvicorn's with its worker, that are found in our
// package, and how many there may be in a message: the log shows them.
var moduleName = regexp.MustCompile(`^(gunicorn|uvicorn)[a-z_.]{0,60}$`)

const maxModules = 64

// packageVersion is what the version of indrik-speed looks like: the log shows it.
var packageVersion = regexp.MustCompile(`^[0-9][0-9A-Za-z.+]{0,31}$`)

// FromWorker is a message from a worker to the master. There is no number and no pid
// in it: the channel says whose it is.
type FromWorker struct {
	Type    string   `json:"type"`
	Kind    Kind     `json:"kind,omitempty"`
	StandIn bool     `json:"stand_in,omitempty"` // the app is one that shows why the real app cannot be loaded
	Modules []string `json:"modules,omitempty"`  // those of Gunicorn's for which the app was given ours
	Speed   string   `json:"speed,omitempty"`    // the version of indrik-speed, if the worker uses it
	Files   []string `json:"files,omitempty"`    // of modules that were imported
	Since   float64  `json:"since,omitempty"`    // when that was, at the earliest: seconds since 1970
	Reason  string   `json:"reason,omitempty"`   // why it is no template, or has not forked
	Age     int      `json:"age,omitempty"`      // of the worker that it was to fork
	Errno   int      `json:"errno,omitempty"`    // of an error of the system
}

// fromWorkerFields are the fields of each message that a worker may send.
var fromWorkerFields = map[string][]string{
	TypeReady:   {"type", "kind", "stand_in", "modules", "speed"},
	TypeRecycle: {"type"},
	TypeFiles:   {"type", "files", "since"},
	TypeWarm:    {"type"},
	TypeBorn:    {"type"},

	TypePromoted: {"type"},
	TypeRefused:  {"type", "reason"},
	TypeForked:   {"type", "age"},
	TypeFailed:   {"type", "age", "reason", "errno"},
}

// ToWorker is a message from the master to a worker: that it is to become a template, or
// what a template is to fork.
type ToWorker struct {
	Type      string  `json:"type"`
	Age       int     `json:"age,omitempty"` // of the new worker
	Server    *Server `json:"server,omitempty"`
	Calls     bool    `json:"calls,omitempty"`      // see ToSpawner
	WarmAfter int     `json:"warm_after,omitempty"` // see ToSpawner
}

// maxReason is how long a text of a worker may be that reaches the log, in bytes.
const maxReason = 4 << 10

// A BreachError describes a message that no worker which keeps to the protocol sends.
type BreachError struct{ What string }

func (e *BreachError) Error() string { return e.What }

func breach(format string, args ...any) error { return &BreachError{fmt.Sprintf(format, args...)} }

// DecodeFromWorker decodes a message of a worker and checks every field, since a worker may be
// hostile. The error is a [*BreachError].
func DecodeFromWorker(data []byte) (FromWorker, error) {
	var msg FromWorker
	var fields map[string]json.RawMessage
	if len(data) == 0 {
		return msg, breach("an empty message")
	}
	if json.Unmarshal(data, &fields) != nil || unmarshal(data, &msg) != nil || fields == nil {
		return msg, breach("what is no message: %s", Excerpt(data))
	}
	allowed := fromWorkerFields[msg.Type]
	if allowed == nil {
		return msg, breach("a message of type %s, which is not for workers to send", Excerpt([]byte(msg.Type)))
	}
	for name := range fields {
		if !slices.Contains(allowed, name) {
			return msg, breach("%q with %s, which is no field of it", msg.Type, Excerpt([]byte(name)))
		}
	}
	switch msg.Kind {
	case KindSync, KindASGI, KindGevent:
	default:
		return msg, breach("%q of a kind that there is not: %s", msg.Type, Excerpt([]byte(msg.Kind)))
	}
	// The time is turned into microseconds.
	if math.IsNaN(msg.Since) || msg.Since < 0 || msg.Since > 1e11 {
		return msg, breach("%q with a time that there is not: %v", msg.Type, msg.Since)
	}
	if len(msg.Reason) > maxReason || msg.Age < 0 || msg.Errno < 0 || msg.Errno > maxErrno {
		return msg, breach("%q with what is out of bounds", msg.Type)
	}
	for _, name := range msg.Modules {
		if len(msg.Modules) > maxModules || !moduleName.MatchString(name) {
			return msg, breach("%q with what is no module of Gunicorn's: %s", msg.Type, Excerpt([]byte(name)))
		}
	}
	if msg.Speed != "" && !packageVersion.MatchString(msg.Speed) {
		return msg, breach("%q with what is no version: %s", msg.Type, Excerpt([]byte(msg.Speed)))
	}
	for _, path := range msg.Files {
		if len(path) > maxPath || !filepath.IsAbs(path) || strings.ContainsRune(path, 0) {
			return msg, breach("%q with what is no path: %s", msg.Type, Excerpt([]byte(path)))
		}
	}
	return msg, nil
}

// maxErrno is the highest number that an error of the system has (linux/err.h).
const maxErrno = 4095

// Excerpt returns the beginning of received data, quoted for the log.
func Excerpt(data []byte) string {
	const most = 60
	if len(data) > most {
		return fmt.Sprintf("%q...", data[:most])
	}
	return fmt.Sprintf("%q", data)
}

// A WorkerChannel is the master's end of the channel that one worker has to it.
type WorkerChannel struct {
	file *os.File
	raw  syscall.RawConn
	in   *Receiver // with space for credentials alone
}

// NewWorkerChannel takes over f, one end of a [Pair]. It must be called before another process
// gets the other end: then the kernel names the sender of every message.
func NewWorkerChannel(f *os.File) (*WorkerChannel, error) {
	if err := NameSenders(f); err != nil {
		f.Close()
		return nil, err
	}
	file, raw, err := Adopt(f)
	if err != nil {
		return nil, err
	}
	return &WorkerChannel{file, raw, newReceiver(credentialsSpace)}, nil
}

// buffers are for messages that are being decoded, so that an idle channel holds no buffer.
var buffers = sync.Pool{New: func() any { return new([MaxWorkerMessage]byte) }}

// Recv waits for the next message. sender is the pid of the process that sent it, as
// the kernel says, 0 where it does not say. The error is a [*BreachError] if it is no message
// that a worker may send, and io.EOF once no process holds the other end, or c was closed.
// Descriptors that come with a message are never taken out of the socket.
func (c *WorkerChannel) Recv() (msg FromWorker, sender int, err error) {
	var data *[MaxWorkerMessage]byte
	in := c.in
	rerr := c.raw.Read(func(fd uintptr) bool {
		data = buffers.Get().(*[MaxWorkerMessage]byte)
		if in.Receive(fd, data[:], 0); !errors.Is(in.Err, unix.EAGAIN) {
			return true
		}
		buffers.Put(data)
		return false
	})
	if rerr != nil {
		return msg, 0, io.EOF // closed
	}
	defer buffers.Put(data)
	if in.Err != nil {
		return msg, 0, io.EOF // the other end is gone, with messages to it unread
	}
	sender = in.sender()
	switch {
	case in.N == 0 && in.oobn == 0:
		// An empty message would come with the credentials of its sender.
		return msg, 0, io.EOF
	case in.Flags&unix.MSG_TRUNC != 0:
		return msg, sender, breach("a message of more than %d KiB", MaxWorkerMessage>>10)
	case in.Flags&unix.MSG_CTRUNC != 0:
		return msg, sender, breach("descriptors, which are not for workers to send")
	}
	msg, err = DecodeFromWorker(data[:in.N])
	return msg, sender, err
}

// Send sends a message, with files that stay the caller's. It never waits: that the kernel
// does not take the message at once is an error, since it means that the worker does not read.
func (c *WorkerChannel) Send(msg ToWorker, files ...*os.File) error {
	data, err := encodeMessage(msg)
	if err != nil {
		return err
	}
	if werr := c.raw.Write(func(fd uintptr) bool {
		err = SendNow(fd, data, files)
		return true
	}); werr != nil {
		return werr // closed
	}
	return os.NewSyscallError("sendmsg", err)
}

// Close ends the channel; a Recv that waits returns io.EOF.
func (c *WorkerChannel) Close() { c.file.Close() }
