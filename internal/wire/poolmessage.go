package wire

import (
	"encoding/binary"
	"fmt"
	"time"
	"unicode/utf8"
)

// A PoolKind is what a message on a call connection, or on a slot of a pool's worker, says.
type PoolKind uint8

// The kinds of messages; docs/protocol.md says who sends them, and when.
const (
	PoolCall   PoolKind = 1  // a caller wants an action to be run
	PoolResult PoolKind = 2  // what the action returned: the end of the call
	PoolError  PoolKind = 3  // why there is no result: the end of the call
	PoolChunk  PoolKind = 4  // a part of what the action yields
	PoolEnd    PoolKind = 5  // the end of a call whose action yielded parts
	PoolStash  PoolKind = 16 // a caller wants something of the stash
	PoolHello  PoolKind = 32 // a front has taken over a slot: the payload is its number for that
	PoolReady  PoolKind = 33 // the slot has nothing left of the front before: with the number of the hello
	PoolCancel PoolKind = 34 // nobody waits for the result of the call any more
)

// Sizes on call connections and slots, in bytes.
const (
	// MaxPoolInline is the largest payload that goes in a message. A larger one goes in a
	// file, and no other does.
	MaxPoolInline = 64 << 10
	// MaxPoolPayload is the largest payload in a file.
	MaxPoolPayload = 1 << 30
	// MaxPoolName is the longest name of an app, an action or a table.
	MaxPoolName = 1024
	// MaxStashKey is the longest key of the stash, encoded.
	MaxStashKey = 16 << 10
	// MaxPoolMessage is the largest message.
	MaxPoolMessage = poolHead + poolCallHead + 2*MaxPoolName + MaxStashKey + MaxPoolInline

	poolHead      = 10 // kind, flags, size of the payload
	poolCallHead  = 8  // time limit, lengths of the names
	poolStashHead = 5  // operation, lengths of table and key

	poolInFile = 1 // the flag of a payload in a file
)

// A PoolMessage is one message of a call. App, Action, Table, Key and Payload alias what was
// decoded.
type PoolMessage struct {
	Kind   PoolKind
	InFile bool  // the payload is in a file that comes along
	Size   int64 // of the payload

	Timeout time.Duration // of a call: 0 is none of the caller's own
	App     []byte        // of a call, in UTF-8
	Action  []byte

	Op    uint8  // of the stash
	Table []byte // in UTF-8
	Key   []byte // encoded; empty for none

	Payload []byte // empty if it is in a file
}

// DecodePoolMessage decodes a message of a process that may be hostile. The error is a
// [*BreachError].
func DecodePoolMessage(data []byte) (PoolMessage, error) {
	var m PoolMessage
	if len(data) < poolHead {
		return m, breach("a message of %d bytes, which is none of a call", len(data))
	}
	m.Kind = PoolKind(data[0])
	size := binary.BigEndian.Uint64(data[2:])
	if data[1] > poolInFile || size > MaxPoolPayload {
		return m, breach("a message of a call with flags %d and a payload of %d bytes", data[1], size)
	}
	m.InFile, m.Size = data[1] == poolInFile, int64(size)
	if m.InFile != (m.Size > MaxPoolInline) {
		return m, breach("a payload of %d bytes that is in the wrong place", m.Size)
	}
	rest := data[poolHead:]
	ok := true
	switch m.Kind {
	case PoolCall:
		if len(rest) < poolCallHead {
			return m, breach("a call of %d bytes", len(data))
		}
		m.Timeout = time.Duration(binary.BigEndian.Uint32(rest)) * time.Millisecond
		app, action := int(binary.BigEndian.Uint16(rest[4:])), int(binary.BigEndian.Uint16(rest[6:]))
		rest = rest[poolCallHead:]
		if m.App, rest, ok = cutName(rest, app); ok {
			m.Action, rest, ok = cutName(rest, action)
		}
	case PoolStash:
		if len(rest) < poolStashHead {
			return m, breach("a request to the stash of %d bytes", len(data))
		}
		m.Op = rest[0]
		table, key := int(binary.BigEndian.Uint16(rest[1:])), int(binary.BigEndian.Uint16(rest[3:]))
		rest = rest[poolStashHead:]
		if m.Table, rest, ok = cutName(rest, table); ok {
			if ok = key <= min(MaxStashKey, len(rest)); ok {
				m.Key, rest = rest[:key:key], rest[key:]
			}
		}
	case PoolResult, PoolError, PoolChunk:
	case PoolEnd, PoolCancel:
		ok = m.Size == 0
	case PoolHello, PoolReady:
		ok = m.Size == 4
	default:
		return m, breach("a message of a call of kind %d, which there is not", m.Kind)
	}
	if !ok {
		return m, breach("a message of a call of kind %d with lengths that it does not have", m.Kind)
	}
	if m.InFile && len(rest) > 0 || !m.InFile && int64(len(rest)) != m.Size {
		return m, breach("a message of a call with %d bytes where the payload has %d", len(rest), m.Size)
	}
	m.Payload = rest
	return m, nil
}

// cutName cuts a name of n bytes off b, and reports whether there is one.
func cutName(b []byte, n int) (name, rest []byte, ok bool) {
	if n > min(MaxPoolName, len(b)) || !utf8.Valid(b[:n]) {
		return nil, nil, false
	}
	return b[:n:n], b[n:], true
}

// Append appends the message to b. It panics if the names, the key or the payload are too
// long: the sender has to see to that.
func (m *PoolMessage) Append(b []byte) []byte {
	flags := byte(0)
	if m.InFile {
		flags = poolInFile
	} else {
		m.Size = int64(len(m.Payload))
	}
	if max(len(m.App), len(m.Action), len(m.Table)) > MaxPoolName || len(m.Key) > MaxStashKey || m.InFile != (m.Size > MaxPoolInline) {
		panic(fmt.Sprintf("wire: a message of a call that is too long, with a payload of %d bytes", m.Size))
	}
	b = append(b, byte(m.Kind), flags)
	b = binary.BigEndian.AppendUint64(b, uint64(m.Size))
	switch m.Kind {
	case PoolCall:
		b = binary.BigEndian.AppendUint32(b, uint32(m.Timeout/time.Millisecond))
		b = binary.BigEndian.AppendUint16(b, uint16(len(m.App)))
		b = binary.BigEndian.AppendUint16(b, uint16(len(m.Action)))
		b = append(append(b, m.App...), m.Action...)
	case PoolStash:
		b = append(b, m.Op)
		b = binary.BigEndian.AppendUint16(b, uint16(len(m.Table)))
		b = binary.BigEndian.AppendUint16(b, uint16(len(m.Key)))
		b = append(append(b, m.Table...), m.Key...)
	default: // has nothing but a payload
	}
	return append(b, m.Payload...)
}
