package control

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"indrik/internal/shlex"
)

const (
	// MaxMessage is the size of the largest message of the protocol, in bytes.
	MaxMessage = 16 << 20
	// MaxRequest is the size of the largest request that a [Server] reads, in bytes.
	MaxRequest = 64 << 10
)

// A Request is what a client asks for.
type Request struct {
	ID      json.RawMessage `json:"id,omitempty"` // of the client's choice; the response has the same
	Command string          `json:"command"`
	Args    []any           `json:"args"`
}

// A Response is what a server answers to one request.
type Response struct {
	ID     json.RawMessage `json:"id"`
	Status string          `json:"status"` // StatusOK or StatusError
	Data   any             `json:"data,omitempty"`
	Error  string          `json:"error,omitempty"`
}

// What a response says.
const (
	StatusOK    = "ok"
	StatusError = "error"
)

// Words returns the words of the command: those of its text, then its arguments. Numbers
// among the arguments are words as JSON writes them.
func (r *Request) Words() ([]string, error) {
	words, err := shlex.Split(r.Command)
	if err != nil {
		return nil, fmt.Errorf("Invalid argument: %w", err)
	}
	if len(words) == 0 {
		return nil, errors.New("Empty command")
	}
	for _, arg := range r.Args {
		switch arg := arg.(type) {
		case string:
			words = append(words, arg)
		case float64:
			words = append(words, strconv.FormatFloat(arg, 'f', -1, 64))
		default:
			return nil, fmt.Errorf("Invalid argument: %v is neither a text nor a number", arg)
		}
	}
	return words, nil
}

// A TooLargeError reports a message that is larger than its reader accepts.
type TooLargeError struct{ Size, Limit int }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("Message too large: %d bytes, of at most %d", e.Size, e.Limit)
}

// readMessage reads one message of at most limit bytes and decodes it into v. The error is
// io.EOF at the end between two messages, io.ErrUnexpectedEOF within one, and a
// [*TooLargeError] if the size that precedes the message is over the limit. Memory is taken
// for what has arrived, not for what the size announces.
func readMessage(r io.Reader, limit int, v any) error {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(size[:])
	if uint64(n) > uint64(limit) {
		return &TooLargeError{int(n), limit}
	}
	data, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err != nil {
		return err
	}
	if len(data) < int(n) {
		return io.ErrUnexpectedEOF
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("Invalid JSON: %w", err)
	}
	return nil
}

// writeMessage encodes v and writes it as one message.
func writeMessage(w io.Writer, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(data) > MaxMessage {
		return &TooLargeError{len(data), MaxMessage}
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...))
	return err
}
