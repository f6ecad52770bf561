package front

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"indrik/internal/wire"
	"indrik/internal/wire/wiretest"
)

// A fakeWorker is a worker as the front sees it.
type fakeWorker struct {
	t      testing.TB
	r      *rig
	g      *fakeGeneration
	age    int
	board  *os.File
	mem    []byte
	slots  []*os.File
	closed chan struct{}
	once   sync.Once
	loops  sync.WaitGroup

	mu   sync.Mutex
	held []request // came in one message with others

	events []any // of ASGI, likewise
}

// worker makes a worker with a number of slots, which counts at once.
func (r *rig) worker(g *fakeGeneration, slots int) *fakeWorker {
	r.t.Helper()
	w := r.quietWorker(g, slots)
	r.tell(wire.ToFront{Type: wire.TypeActivate, Age: w.age})
	return w
}

func (r *rig) quietWorker(g *fakeGeneration, slots int) *fakeWorker {
	r.t.Helper()
	r.lastAge++
	board, err := wire.NewScoreboardFile(slots)
	must(r.t, err)
	st, err := board.Stat()
	must(r.t, err)
	mem, err := unix.Mmap(int(board.Fd()), 0, int(st.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(r.t, err)
	w := &fakeWorker{t: r.t, r: r, g: g, age: r.lastAge, board: board, mem: mem, closed: make(chan struct{})}
	files := []*os.File{dup(r.t, board)}
	for range slots {
		ours, theirs, err := wire.Pair()
		must(r.t, err)
		files = append(files, ours)
		w.slots = append(w.slots, theirs)
	}
	r.tell(wire.ToFront{Type: wire.TypeWorker, Generation: g.number, Age: w.age}, files...)
	// The master announces a worker before it is forked.
	r.sync()
	r.t.Cleanup(w.kill)
	return w
}

// kill ends the worker as SIGKILL does: its sockets close.
func (w *fakeWorker) kill() {
	w.once.Do(func() {
		close(w.closed)
		w.loops.Wait()
		wire.CloseAll(w.slots)
	})
}

// A request is what a worker gets.
type request struct {
	id      uint32
	environ map[string]string
	body    []byte
	file    bool // the body came as a file
	inArena bool // the body was in the arena
	socket  bool // it is a handshake of WebSocket
}

// receive takes a request without claiming it; ok is false when the worker is
// gone or nothing comes in time.
func (w *fakeWorker) receive(wait time.Duration) (q request, ok bool) {
	w.mu.Lock()
	if len(w.held) > 0 {
		q, w.held = w.held[0], w.held[1:]
		w.mu.Unlock()
		return q, true
	}
	w.mu.Unlock()
	qs := w.receiveAll(wait)
	if len(qs) == 0 {
		return q, false
	}
	w.mu.Lock()
	w.held = append(w.held, qs[1:]...)
	w.mu.Unlock()
	return qs[0], true
}

// receiveAll takes the requests of one message without claiming them; nil when the
// worker is gone or nothing comes in time.
func (w *fakeWorker) receiveAll(wait time.Duration) []request {
	buf := make([]byte, wire.MaxMessage)
	oob := make([]byte, 128)
	for end := time.Now().Add(wait); time.Now().Before(end); {
		select {
		case <-w.closed:
			return nil
		default:
		}
		n, oobn, _, _, err := unix.Recvmsg(int(w.g.receive.Fd()), buf, oob, unix.MSG_DONTWAIT)
		if err == nil {
			if qs := w.r.decodeRequests(buf[:n], oob[:oobn]); len(qs) > 0 {
				return qs
			}
			continue
		}
		unix.Poll([]unix.PollFd{{Fd: int32(w.g.receive.Fd()), Events: unix.POLLIN}}, 20)
	}
	return nil
}

// part is what a slot has at the end of the scoreboard: its reply journal, then its response
// buffer, then its response arena.
func (w *fakeWorker) part(slot int) []byte {
	const size = wire.JournalSize + wire.ResponseBufferSize + wire.ResponseArenaSize
	return w.mem[len(w.mem)-(slot+1)*size:][:size]
}

// putInBuffer puts bytes into the response buffer of a slot.
func (w *fakeWorker) putInBuffer(slot int, id uint32, b string) {
	copy(w.part(slot)[wire.JournalSize:], b)
	w.setWord(slotWord(slot, wordBuffer), uint64(id))
}

// putInArena puts bytes into the response arena of a slot, and returns the item of a message that
// stands for them.
func (w *fakeWorker) putInArena(slot int, id uint32, at int, b string) []byte {
	copy(w.part(slot)[wire.JournalSize+wire.ResponseBufferSize+at:], b)
	w.setWord(slotWord(slot, wordArena), uint64(id)<<32|uint64(at+len(b)))
	return wire.AppendInt(wire.AppendInt(wire.AppendTuple(nil, 2), int64(at)), int64(len(b)))
}

// awaitArenaFree waits until all that is in a response arena has been read.
func (w *fakeWorker) awaitArenaFree(slot int) {
	w.t.Helper()
	eventually(w.t, "the response arena is free", func() bool { return w.word(slotWord(slot, wordArena)) == 0 })
}

// awaitBufferFree waits until a response buffer has been read.
func (w *fakeWorker) awaitBufferFree(slot int) {
	w.t.Helper()
	eventually(w.t, "the response buffer is free", func() bool { return w.word(slotWord(slot, wordBuffer)) == 0 })
}

// named puts the claims of requests of the queue in the place of their ids, in messages of a
// slot. What is no message stays as it is.
func (r *rig) named(b []byte) []byte {
	var m wire.Reply
	var named []byte
	for len(b) > 0 {
		rest, err := wire.DecodeReply(b, &m)
		if err != nil {
			return append(named, b...)
		}
		const at = 5 + 5 // behind the header of the tuple, and the kind
		if token, ok := r.tokens.Load(m.ID); ok && !m.Claimed {
			claim := make([]byte, wire.ClaimSize)
			wire.PutClaim(claim, m.ID, token.(uint64))
			named = wire.AppendBytes(append(named, b[:at]...), claim)
			named = append(named, b[at+5:len(b)-len(rest)]...)
		} else {
			named = append(named, b[:len(b)-len(rest)]...)
		}
		b = rest
	}
	return named
}

// claim writes the id and the token into the cells of a slot, and reports whether the request
// may be run.
func (w *fakeWorker) claim(slot int, id uint32) bool {
	if token, ok := w.r.tokens.Load(id); ok {
		w.setWord(slotWord(slot, wordToken), token.(uint64))
	}
	w.setWord(slotWord(slot, wordClaimed), uint64(id))
	for i := range wire.MaxRevoked {
		if w.word(wordRing+i) == uint64(id) {
			return false
		}
	}
	return true
}

// deadline is the request whose deadline a slot was told last.
func (w *fakeWorker) deadline(slot int) uint32 {
	return uint32(w.word(slotWord(slot, wordDeadline)) >> 32)
}

// Words of the scoreboard, and of each slot on it: see docs/protocol.md.
const (
	wordFront   = wiretest.WordFront
	wordPing    = wiretest.WordPing
	wordRevoked = wiretest.WordRevoked
	wordRing    = wiretest.WordRing

	wordToken     = wiretest.WordToken
	wordClaimed   = wiretest.WordClaimed
	wordGone      = wiretest.WordGone
	wordDeadline  = wiretest.WordDeadline
	wordJournaled = wiretest.WordJournaled
	wordBuffer    = wiretest.WordBuffer
	wordArena     = wiretest.WordArena
)

var (
	slotWord  = wiretest.SlotWord
	wordSlots = slotWord(0, 0)
)

// word is a word of the scoreboard.
func (w *fakeWorker) word(i int) uint64 { return w.at(i).Load() }

// setWord writes a word of the scoreboard.
func (w *fakeWorker) setWord(i int, v uint64) { w.at(i).Store(v) }

func (w *fakeWorker) at(i int) *atomic.Uint64 { return (*atomic.Uint64)(unsafe.Pointer(&w.mem[8*i])) }

// take receives and claims a request, which must come.
func (w *fakeWorker) take(slot int) request {
	w.t.Helper()
	for {
		q, ok := w.receive(patience)
		if !ok {
			w.t.Fatal("no request came")
		}
		if w.claim(slot, q.id) {
			return q
		}
		w.say(slot, refused(q.id))
	}
}

// say sends a message from a slot, in which ids stand for claims.
func (w *fakeWorker) say(slot int, msg []byte, files ...*os.File) {
	w.t.Helper()
	w.sayExactly(slot, w.r.named(msg), files...)
}

// sayExactly sends a message from a slot as it is.
func (w *fakeWorker) sayExactly(slot int, msg []byte, files ...*os.File) {
	var oob []byte
	for _, f := range files {
		oob = unix.UnixRights(int(f.Fd()))
	}
	if err := unix.Sendmsg(int(w.slots[slot].Fd()), msg, oob, nil, unix.MSG_NOSIGNAL); err != nil {
		w.t.Errorf("slot %d: %s", slot, err)
	}
}

// serve answers requests in every slot until the worker is gone.
func (w *fakeWorker) serve(answer func(q request) []byte) {
	for i := range w.slots {
		w.loops.Go(func() {
			for {
				q, ok := w.receive(time.Hour)
				if !ok {
					return
				}
				msg := refused(q.id)
				if w.claim(i, q.id) {
					msg = answer(q)
				}
				if unix.Sendmsg(int(w.slots[i].Fd()), w.r.named(msg), nil, nil, unix.MSG_NOSIGNAL) != nil {
					return
				}
			}
		})
	}
}

// echo answers with the method, the path and the body.
func echo(q request) []byte {
	return response(q.id, "200 OK", nil, q.environ["REQUEST_METHOD"]+" "+q.environ["PATH_INFO"]+" "+string(q.body))
}

// Messages from slots.

type header [2]string

func message(kind wire.ReplyKind, items int, id uint32) []byte {
	b := wire.AppendTuple(nil, items)
	b = wire.AppendInt(b, int64(kind))
	return wire.AppendInt(b, int64(id))
}

func appendHead(b []byte, status string, headers []header) []byte {
	b = wire.AppendLatin1(b, []byte(status))
	b = append(b, '[')
	b = binary.LittleEndian.AppendUint32(b, uint32(len(headers)))
	for _, h := range headers {
		b = wire.AppendTuple(b, 2)
		b = wire.AppendLatin1(b, []byte(h[0]))
		b = wire.AppendLatin1(b, []byte(h[1]))
	}
	return b
}

func response(id uint32, status string, headers []header, body string) []byte {
	return wire.AppendBytes(appendHead(message(wire.ReplyResponse, 5, id), status, headers), []byte(body))
}

func start(id uint32, status string, headers []header, body string) []byte {
	return wire.AppendBytes(appendHead(message(wire.ReplyStart, 5, id), status, headers), []byte(body))
}

func chunk(id uint32, body string) []byte {
	return wire.AppendBytes(message(wire.ReplyChunk, 3, id), []byte(body))
}

func end(id uint32) []byte     { return message(wire.ReplyEnd, 2, id) }
func failed(id uint32) []byte  { return message(wire.ReplyError, 2, id) }
func refused(id uint32) []byte { return message(wire.ReplyRefused, 2, id) }

func acceptSocket(id uint32, protocol string) []byte {
	b := wire.AppendLatin1(message(wire.ReplyAccept, 4, id), []byte(protocol))
	return binary.LittleEndian.AppendUint32(append(b, '['), 0)
}

func closeSocket(id uint32, code int) []byte {
	return wire.AppendBytes(wire.AppendInt(message(wire.ReplyClose, 4, id), int64(code)), nil)
}

func leave(id uint32) []byte { return message(wire.ReplyLeave, 2, id) }

func extend(id uint32, milliseconds int64) []byte {
	return wire.AppendInt(message(wire.ReplyExtend, 3, id), milliseconds)
}

func fromFile(id uint32, status string, headers []header, offset, count int64) []byte {
	b := appendHead(message(wire.ReplyFile, 6, id), status, headers)
	return wire.AppendInt(wire.AppendInt(b, offset), count)
}

func hints(id uint32, headers []header) []byte {
	b := message(wire.ReplyHints, 3, id)
	b = append(b, '[')
	b = binary.LittleEndian.AppendUint32(b, uint32(len(headers)))
	for _, h := range headers {
		b = wire.AppendTuple(b, 2)
		b = wire.AppendLatin1(b, []byte(h[0]))
		b = wire.AppendLatin1(b, []byte(h[1]))
	}
	return b
}

// decodeRequests reads a message of the queue as Python's marshal does.
func (r *rig) decodeRequests(msg, oob []byte) (qs []request) {
	t := r.t
	v, _ := unmarshal(t, msg)
	for _, v := range v.([]any) {
		items := v.([]any)
		if len(items) != wire.RequestItems {
			t.Fatalf("a request of %d items", len(items))
		}
		claim := items[1].([]byte)
		if id := binary.NativeEndian.Uint64(claim[8:]); id != uint64(items[0].(int64)) {
			t.Errorf("request %d has a claim of %d", items[0], id)
		}
		r.tokens.Store(uint32(items[0].(int64)), binary.NativeEndian.Uint64(claim))
		qs = append(qs, requestOf(t, items[0], wholeEnviron(t, items[1:]), items[wire.RequestItems-1], oob))
	}
	return qs
}

// requestOf makes a request of the parts of a message, of which some may be in
// files.
func requestOf(t testing.TB, id any, environ map[string]string, body any, oob []byte) request {
	var files []*os.File
	if cmsgs, err := unix.ParseSocketControlMessage(oob); err == nil {
		for i := range cmsgs {
			fds, _ := unix.ParseUnixRights(&cmsgs[i])
			for _, fd := range fds {
				files = append(files, os.NewFile(uintptr(fd), "body"))
			}
		}
	}
	defer func() { wire.CloseAll(files) }()
	q := request{id: uint32(id.(int64))}
	if environ == nil {
		content, err := io.ReadAll(io.NewSectionReader(files[0], 0, 1<<30))
		must(t, err)
		files[0].Close()
		files = files[1:]
		v, _ := unmarshal(t, content)
		environ, body = v.([]any)[0].(map[string]string), v.([]any)[1]
	}
	q.environ = environ
	switch body := body.(type) {
	case nil:
		content, err := io.ReadAll(io.NewSectionReader(files[0], 0, 1<<40))
		must(t, err)
		q.body, q.file = content, true
	case int64:
		q.socket = true
	case []any:
		q.body, q.inArena = readArena(t, files[0], q.id, body), true
	default:
		q.body = body.([]byte)
	}
	return q
}

// readArena reads a body of so many bytes from blocks, or nothing if they are not of
// that request.
func readArena(t testing.TB, f *os.File, id uint32, item []any) []byte {
	body := make([]byte, item[0].(int64))
	rest := body
	for _, block := range item[1:] {
		n, err := f.ReadAt(rest[:min(len(rest), wire.ArenaBlock)], 4096+block.(int64)*wire.ArenaBlock)
		must(t, err)
		rest = rest[n:]
	}
	owner := make([]byte, 8)
	_, err := f.ReadAt(owner, 8*item[1].(int64))
	must(t, err)
	if len(rest) > 0 || binary.NativeEndian.Uint64(owner) != uint64(id) {
		return nil
	}
	return body
}

// wholeEnviron puts the environ together, as a worker does; nil if it is in a file.
func wholeEnviron(t testing.TB, items []any) map[string]string {
	if items[1] == nil {
		return nil
	}
	v, rest := unmarshal(t, items[1].([]byte))
	environ := v.(map[string]string)
	if len(rest) > 0 {
		t.Errorf("%d bytes behind the environ", len(rest))
	}
	if items[4] == nil {
		items[4] = items[3]
	}
	for i, key := range []string{
		"REQUEST_METHOD", "RAW_URI", "PATH_INFO", "QUERY_STRING", "REMOTE_ADDR", "REMOTE_PORT", "CONTENT_LENGTH",
	} {
		if items[2+i] == nil && i < 5 {
			t.Errorf("there is no %s", key)
		}
		if _, twice := environ[key]; twice {
			t.Errorf("the environ has %q twice", key)
		}
		if items[2+i] != nil {
			environ[key] = items[2+i].(string)
		}
	}
	return environ
}

func unmarshal(t testing.TB, b []byte) (any, []byte) {
	code := b[0]
	b = b[1:]
	size := func() int {
		n := int(binary.LittleEndian.Uint32(b))
		b = b[4:]
		return n
	}
	switch code {
	case 'N':
		return nil, b
	case 'i':
		return int64(int32(size())), b
	case 'l':
		v := int64(0)
		for i := range size() {
			v |= int64(binary.LittleEndian.Uint16(b)) << (15 * i)
			b = b[2:]
		}
		return v, b
	case 's':
		n := size()
		return bytes.Clone(b[:n]), b[n:]
	case 'z', 'Z':
		n := int(b[0])
		return string(b[1 : 1+n]), b[1+n:]
	case 'a', 'A', 'u', 't':
		n := size()
		return string(b[:n]), b[n:]
	case '(', '[':
		var items []any
		for range size() {
			var v any
			v, b = unmarshal(t, b)
			items = append(items, v)
		}
		return items, b
	case '{':
		d := map[string]string{}
		for b[0] != '0' {
			var k, v any
			k, b = unmarshal(t, b)
			v, b = unmarshal(t, b)
			if _, twice := d[k.(string)]; twice {
				t.Errorf("the environ has %q twice", k)
			}
			d[k.(string)] = v.(string)
		}
		return d, b[1:]
	}
	t.Errorf("marshal: type %q", code)
	return nil, nil
}
