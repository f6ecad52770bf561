package wire

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"strings"
	"testing"
	"time"
)

func poolMessages() []PoolMessage {
	return []PoolMessage{
		{Kind: PoolCall, Timeout: 1500 * time.Millisecond, App: []byte("ml:Model"), Action: []byte("predict"), Payload: []byte("xyz")},
		{Kind: PoolCall, App: []byte("é:A"), Action: []byte{}, InFile: true, Size: MaxPoolInline + 1, Payload: []byte{}},
		{Kind: PoolStash, Op: 3, Table: []byte("sessions"), Key: []byte{1, 2}, Payload: []byte{0}},
		{Kind: PoolResult, Payload: bytes.Repeat([]byte("a"), MaxPoolInline)},
		{Kind: PoolError, Payload: []byte{}},
		{Kind: PoolChunk, InFile: true, Size: MaxPoolPayload, Payload: []byte{}},
		{Kind: PoolEnd, Payload: []byte{}},
		{Kind: PoolHello, Payload: []byte{0, 0, 0, 7}},
		{Kind: PoolReady, Payload: []byte{0, 0, 0, 7}},
		{Kind: PoolCancel, Payload: []byte{}},
	}
}

func TestPoolMessages(t *testing.T) {
	for _, m := range poolMessages() {
		data := m.Append(nil)
		if len(data) > MaxPoolMessage {
			t.Errorf("%v has %d bytes", m.Kind, len(data))
		}
		got, err := DecodePoolMessage(data)
		if err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%v, %v instead of %v", got, err, m)
		}
		for n := range min(len(data), 64) {
			if _, err := DecodePoolMessage(data[:n]); err == nil {
				t.Errorf("kind %d: the first %d bytes are taken for a message", m.Kind, n)
			}
		}
	}
}

func TestHostilePoolMessages(t *testing.T) {
	head := func(kind PoolKind, flags byte, size uint64, rest ...byte) []byte {
		return append(binary.BigEndian.AppendUint64([]byte{byte(kind), flags}, size), rest...)
	}
	for name, data := range map[string][]byte{
		"nothing":                  {},
		"a kind that there is not": head(99, 0, 0),
		"another flag":             head(PoolResult, 2, 0),
		"more than there is":       head(PoolResult, 0, 2, 'a'),
		"less than there is":       head(PoolResult, 0, 1, 'a', 'b'),
		"a size without bounds":    head(PoolResult, 1, 1<<63),
		"a small file":             head(PoolResult, 1, 10),
		"too large for a message":  head(PoolResult, 0, MaxPoolInline+1, bytes.Repeat([]byte{0}, MaxPoolInline+1)...),
		"a file and bytes":         head(PoolResult, 1, MaxPoolInline+1, 'a'),
		"an end with a payload":    head(PoolEnd, 0, 1, 'a'),
		"a hello without a number": head(PoolHello, 0, 0),
		"a call without names":     head(PoolCall, 0, 0),
		"a name that is not there": head(PoolCall, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0),
		"a name that is no text":   head(PoolCall, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0xff),
		"a key that is not there":  head(PoolStash, 0, 0, 1, 0, 0, 0xff, 0xff),
		"a long name":              head(PoolCall, 0, 0, append([]byte{0, 0, 0, 0, 8, 0, 0, 0}, strings.Repeat("a", 2048)...)...),
	} {
		if m, err := DecodePoolMessage(data); err == nil {
			t.Errorf("%s: is taken for %+v", name, m)
		}
	}
}

func FuzzPoolMessage(f *testing.F) {
	for _, m := range poolMessages() {
		f.Add(m.Append(nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := DecodePoolMessage(data)
		if err != nil {
			return
		}
		if again := m.Append(nil); !bytes.Equal(again, data) {
			t.Errorf("%q is decoded as %+v, which is %q", data, m, again)
		}
	})
}
