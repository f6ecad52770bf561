package pools

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"indrik/internal/wire"
)

func (l line) stash(op uint8, table, key, value string) {
	l.t.Helper()
	m := wire.PoolMessage{Kind: wire.PoolStash, Op: op, Table: []byte(table), Key: []byte(key), Payload: []byte(value)}
	if err := l.send(m.Append(nil), nil, time.Now().Add(limit)); err != nil {
		l.t.Fatal(err)
	}
}

func text(s string) string { return string(tlvString(nil, s)) }

func TestStash(t *testing.T) {
	r := newRig(t)
	l, other := r.client(1).dial(), r.client(2).dial()
	yes, no := string(tlvBool(true)), string(tlvBool(false))
	ask := func(l line, op uint8, table, key, value, want string) {
		t.Helper()
		l.stash(op, table, key, value)
		l.expect(wire.PoolResult, want)
	}
	ask(l, stashExists, "t", "", "", no)
	ask(l, stashPut, "t", text("b"), text("1"), yes)
	ask(other, stashGet, "t", text("b"), "", text("1"))
	ask(other, stashPut, "t", text("a"), text("2"), yes)
	ask(l, stashPut, "t", text("b"), text("three"), yes)
	ask(l, stashGet, "t", text("b"), "", text("three"))
	list := func(names ...string) string {
		b := tlvList(len(names))
		for _, n := range names {
			b = tlvString(b, n)
		}
		return string(b)
	}
	ask(l, stashKeys, "t", "", "", list("b", "a")) // in the order in which they came
	ask(l, stashKeys, "none", "", "", list())
	ask(l, stashExists, "t", "", "", yes)
	ask(l, stashExists, "t", text("a"), "", yes)
	ask(l, stashExists, "t", text("c"), "", no)
	ask(l, stashDelete, "t", text("a"), "", yes)
	ask(l, stashDelete, "t", text("a"), "", no)
	ask(l, stashEnsure, "u", "", "", yes)
	ask(l, stashTables, "", "", "", list("t", "u"))
	l.stash(stashInfo, "t", "", "")
	if info := l.read(wire.PoolResult); !bytes.HasPrefix(info, tlvDict(nil, 2)) || !bytes.Contains(info, tlvInt(nil, 1)) {
		t.Errorf("%q", info)
	}
	l.stash(stashInfo, "none", "", "")
	l.readError("StashTableNotFoundError")
	l.stash(stashGet, "t", text("a"), "")
	l.readError("StashKeyNotFoundError")
	l.stash(99, "t", "", "")
	l.readError("DirtyError")
	ask(l, stashClear, "t", "", "", yes)
	ask(l, stashKeys, "t", "", "", list())
	ask(l, stashDeleteTable, "t", "", "", yes)
	ask(l, stashDeleteTable, "t", "", "", no)
	ask(l, stashDeleteTable, "u", "", "", yes)
	if st := r.set.Stash(); st.Bytes != 0 || st.Keys != 0 || st.Tables != 0 {
		t.Errorf("the stash is empty, and not: %+v", st)
	}
}

func TestStashIsBounded(t *testing.T) {
	r := newRig(t)
	l := r.client(1).dial()
	full := 0
	for i := range 5000 {
		l.stash(stashPut, "t", text(strings.Repeat("k", i%1000)+"x"), text(strings.Repeat("v", 500)))
		m, _, _, err := read(t, l.socket)
		if err != nil {
			t.Fatal(err)
		}
		if m.Kind == wire.PoolError {
			full++
		}
		if st := r.set.Stash(); st.Bytes > st.Limit {
			t.Fatalf("%+v", st)
		}
	}
	for i := range 2000 {
		l.stash(stashEnsure, strings.Repeat("n", i/2), "", "")
		if m, _, _, err := read(t, l.socket); err != nil || m.Kind == wire.PoolError {
			full++
			break
		}
	}
	if full == 0 {
		t.Error("it was never full")
	}
	l.stash(stashDeleteTable, "t", "", "")
	l.read(wire.PoolResult)
	l.stash(stashPut, "t", text("k"), text("v"))
	l.read(wire.PoolResult)
}

// Values and lists that are too large for a message go in files.
func TestStashOfLargeValues(t *testing.T) {
	r := newRig(t)
	l := r.client(1).dial()
	value := tlvString(nil, strings.Repeat("v", 100_000))
	file, err := wire.ConstantFile("indrik-payload", value)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	put := func(size int64) {
		m := wire.PoolMessage{Kind: wire.PoolStash, Op: stashPut, Table: []byte("t"), Key: []byte(text("k")), InFile: true, Size: size}
		if err := l.send(m.Append(nil), file, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	put(int64(len(value)))
	l.read(wire.PoolResult)
	l.stash(stashGet, "t", text("k"), "")
	l.expect(wire.PoolResult, string(value))
	r.set.stash.setLimit(1000) // what is there stays
	put(int64(len(value)))
	l.readError("StashFullError")
	l.stash(stashGet, "t", text("k"), "")
	l.expect(wire.PoolResult, string(value))
}
