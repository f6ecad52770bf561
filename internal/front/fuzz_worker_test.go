package front

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"indrik/internal/wire"
)

// FuzzWorker has a worker say and write what it likes, in any order: well-formed messages,
// messages in the wrong place, for other workers' requests, mutated ones, and words of its
// scoreboard. Beside it is an honest worker. The front lives, each client gets its own answer or an
// error, and an answer of that worker only if that worker has taken its request.
func FuzzWorker(f *testing.F) {
	source := rand.NewChaCha8([32]byte{})
	random := rand.New(source)
	for kind := range byte(3) {
		for range 12 {
			script := make([]byte, 40+random.IntN(200))
			source.Read(script)
			script[0] = kind
			f.Add(script)
		}
	}
	rigs := map[byte]*fuzzRig{}
	f.Cleanup(func() {
		for _, r := range rigs {
			r.close()
		}
	})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) == 0 {
			return
		}
		kind := script[0] % 3
		if rigs[kind] == nil {
			rigs[kind] = newFuzzRig(f, kind)
		}
		if rigs[kind].run(t, script[1:]) {
			rigs[kind].close()
			delete(rigs, kind)
		}
	})
}

// A fuzzTB takes the place of a test for what outlives one.
type fuzzTB struct {
	testing.TB
	cleanups []func()
}

func (tb *fuzzTB) Cleanup(f func())                { tb.cleanups = append(tb.cleanups, f) }
func (tb *fuzzTB) Helper()                         {}
func (tb *fuzzTB) Failed() bool                    { return false }
func (tb *fuzzTB) Logf(string, ...any)             {}
func (tb *fuzzTB) Error(args ...any)               { panic(fmt.Sprint(args...)) }
func (tb *fuzzTB) Errorf(text string, args ...any) { panic(fmt.Sprintf(text, args...)) }
func (tb *fuzzTB) Fatal(args ...any)               { panic(fmt.Sprint(args...)) }
func (tb *fuzzTB) Fatalf(text string, args ...any) { panic(fmt.Sprintf(text, args...)) }

// A fuzzRig is a front with an honest worker.
type fuzzRig struct {
	*rig
	tb   *fuzzTB
	kind wire.Kind
	g    *fakeGeneration
	n    int // of the last request
}

func newFuzzRig(f *testing.F, kind byte) *fuzzRig {
	tb := &fuzzTB{TB: f}
	r := &fuzzRig{tb: tb, kind: []wire.Kind{wire.KindSync, wire.KindASGI, wire.KindGevent}[kind]}
	r.rig = newRig(tb, 0)
	r.listen()
	cfg := testConfig()
	allowHTTP2(cfg)
	cfg.HTTP1 = true
	cfg.Kind, cfg.Timeout, cfg.QueueTimeout, cfg.WebSocketMaxMessageSize = r.kind, 10, 20, 1<<20
	r.g = r.generation(1, cfg)
	honest := r.quietWorker(r.g, 2)
	r.tell(wire.ToFront{Type: wire.TypeActivate, Age: honest.age, Pid: 1, Kind: r.kind})
	if r.kind == wire.KindSync {
		honest.serve(echo)
	} else {
		honest.loops.Go(honest.serveEvents)
	}
	return r
}

func (r *fuzzRig) close() {
	for i := len(r.tb.cleanups) - 1; i >= 0; i-- {
		r.tb.cleanups[i]()
	}
}

// serveEvents answers requests that come by the worker's own socket.
func (w *fakeWorker) serveEvents() {
	for {
		select {
		case <-w.closed:
			return
		default:
		}
		kind, id, a, _, ok := w.try(100 * time.Millisecond)
		if !ok {
			continue
		}
		switch kind {
		case wire.EventPing:
			w.setWord(wordPing, uint64(id))
		case wire.EventRequest, wire.EventUpload:
			w.setWord(slotWord(0, wordClaimed), uint64(id))
			path := ""
			switch a := a.(type) {
			case []any:
				path = a[2].(string)
			case map[string]string:
				path = a["PATH_INFO"]
			}
			msg := response(id, "200 OK", nil, "GET "+path+" ")
			if unix.Sendmsg(int(w.slots[0].Fd()), msg, nil, nil, unix.MSG_NOSIGNAL) != nil {
				return
			}
		}
	}
}

// An intruder is the worker that does what it likes.
type intruder struct {
	r      *fuzzRig
	w      *fakeWorker
	script []byte
	ids    []uint32        // of requests that it took
	paths  map[string]bool // theirs
	tokens map[uint32]uint64
}

// next is the next byte of the script, 0 at its end.
func (in *intruder) next() byte {
	if len(in.script) == 0 {
		return 0
	}
	b := in.script[0]
	in.script = in.script[1:]
	return b
}

// run has a new worker act on a script. It reports whether the front is of no use for another
// one.
func (r *fuzzRig) run(t *testing.T, script []byte) (spent bool) {
	in := &intruder{r: r, w: r.quietWorker(r.g, 2), script: script, paths: map[string]bool{}, tokens: map[uint32]uint64{}}
	r.tell(wire.ToFront{Type: wire.TypeActivate, Age: in.w.age, Pid: 2, Kind: r.kind})
	workers := r.s.queue.Load().Workers
	answers := make(chan string)
	asked := 0
	ask := func() {
		r.n++
		asked++
		socket := r.kind == wire.KindASGI && r.n%4 == 0
		go func(path string) { answers <- r.ask(in, path, socket) }(fmt.Sprintf("/request-%d", r.n))
	}
	for range 3 {
		ask()
	}
	for steps := 0; len(in.script) > 0 && steps < 80; steps++ {
		if op := in.next() % 20; op == 19 && asked < 8 {
			ask()
		} else {
			in.act(op)
		}
	}
	in.w.kill()
	r.tell(wire.ToFront{Type: wire.TypeGone, Age: in.w.age})
	for range asked {
		select {
		case wrong := <-answers:
			if wrong != "" {
				t.Error(wrong)
			}
		case <-time.After(2 * clientPatience):
			t.Fatalf("a client got no answer; the log has\n%s", r.log)
		}
	}
	eventually(t, "the worker is forgotten", func() bool { return r.s.queue.Load().Workers < workers })
	unix.Munmap(in.w.mem)
	in.w.board.Close()
	r.sync() // what the front has told the master is in r.said
	for drained := false; !drained; {
		select {
		case m := <-r.said:
			spent = spent || m.Generation != 0
		default:
			drained = true
		}
	}
	if spent {
		return true
	}
	// The front serves.
	if wrong := r.ask(nil, "/after", false); wrong != "" {
		t.Error(wrong)
	}
	return false
}

// ask is a client; it returns what is wrong with its answer.
func (r *fuzzRig) ask(in *intruder, path string, socket bool) string {
	nc, err := net.Dial("tcp", r.addr)
	if err != nil {
		return err.Error()
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(clientPatience))
	upgrade := ""
	if socket {
		upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
	}
	fmt.Fprintf(nc, "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n", path, upgrade)
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	var body []byte
	if err == nil && resp.StatusCode != 101 {
		body, err = io.ReadAll(resp.Body)
	}
	if os.IsTimeout(err) {
		return path + " got no answer"
	}
	if in != nil {
		in.w.mu.Lock()
		taken := in.paths[path]
		in.w.mu.Unlock()
		if taken {
			return "" // it may have had any answer
		}
	}
	switch {
	case err != nil && in != nil:
		return "" // closed: the worker may have had it
	case err != nil:
		return fmt.Sprintf("%s: %s", path, err)
	case resp.StatusCode == 200 && string(body) == "GET "+path+" ":
	case in != nil && resp.StatusCode >= 500:
	default:
		return fmt.Sprintf("%s got %d %q", path, resp.StatusCode, body)
	}
	return ""
}

// act takes one step.
func (in *intruder) act(op byte) {
	w := in.w
	slot := int(in.next()) % 2
	switch op {
	case 0, 1, 2:
		in.take()
	case 3:
		in.claim(slot, in.id())
	case 4:
		w.setWord(slotWord(slot, wordToken), uint64(in.next()))
		w.setWord(slotWord(slot, wordClaimed), uint64(in.id())+uint64(in.next()))
	case 5, 6, 7, 8:
		in.say(slot, in.message(in.id()), nil)
	case 9: // of others' requests
		in.say(slot, in.message(in.id()+uint32(int8(in.next()))), nil)
	case 10: // mutated
		msg := in.message(in.id())
		msg[int(in.next())%len(msg)] = in.next()
		in.say(slot, msg, nil)
	case 11:
		n := min(int(in.next()), len(in.script))
		in.say(slot, in.script[:n], nil)
	case 12: // several
		in.say(slot, append(in.message(in.id()), in.message(in.id())...), nil)
	case 13:
		b := in.message(in.id())
		copy(w.part(slot), b)
		w.setWord(slotWord(slot, wordJournaled), uint64(len(b))+uint64(in.next()%2)<<in.next()%64)
	case 14: // any word but those of the slots' ends, which are large
		w.setWord(int(in.next())%(wordSlots+16), uint64(in.next())<<(in.next()%64))
	case 15:
		id := in.id()
		copy(w.part(slot)[wire.JournalSize:], "in the buffer")
		w.setWord(slotWord(slot, wordBuffer), uint64(id))
		in.say(slot, wire.AppendInt(in.named(wire.ReplyChunk, 3, id), int64(in.next())), nil)
		place := in.w.putInArena(slot, id, int(in.next())<<(in.next()%13), "in the arena")
		if in.next()%2 == 0 { // any place
			place = wire.AppendInt(wire.AppendTuple(nil, 2), int64(in.next())<<(in.next()%24))
			place = wire.AppendInt(place, int64(in.next())<<(in.next()%24))
		}
		in.say(slot, append(in.named(wire.ReplyChunk, 3, id), place...), nil)
	case 16:
		in.sayFile(slot)
	case 17:
		if in.next() < 8 {
			unix.Shutdown(int(w.slots[slot].Fd()), int(in.next())%3)
		}
	case 18:
		time.Sleep(time.Duration(in.next()%8) * time.Millisecond)
	}
}

// take takes a request, if there is one.
func (in *intruder) take() {
	w := in.w
	if in.r.kind == wire.KindSync {
		for _, q := range w.receiveAll(3 * time.Millisecond) {
			token, _ := in.r.tokens.Load(q.id)
			in.took(q.id, token.(uint64), q.environ["PATH_INFO"])
		}
		return
	}
	kind, id, a, _, ok := w.try(3 * time.Millisecond)
	if !ok || kind != wire.EventRequest && kind != wire.EventUpload {
		return
	}
	switch a := a.(type) {
	case []any:
		in.took(id, 0, a[2].(string))
	case map[string]string:
		in.took(id, 0, a["PATH_INFO"])
	}
}

func (in *intruder) took(id uint32, token uint64, path string) {
	in.w.mu.Lock()
	defer in.w.mu.Unlock()
	in.ids = append(in.ids, id)
	in.tokens[id] = token
	in.paths[path] = true
}

// id is one of those that it took, or may have taken.
func (in *intruder) id() uint32 {
	if len(in.ids) == 0 {
		return 1 + uint32(in.next())
	}
	return in.ids[int(in.next())%len(in.ids)]
}

func (in *intruder) claim(slot int, id uint32) {
	in.w.setWord(slotWord(slot, wordToken), in.tokens[id])
	in.w.setWord(slotWord(slot, wordClaimed), uint64(id))
}

// named begins a message about a request.
func (in *intruder) named(kind wire.ReplyKind, items int, id uint32) []byte {
	b := wire.AppendInt(wire.AppendTuple(nil, items), int64(kind))
	if in.r.kind != "" && in.tokens[id] == 0 {
		return wire.AppendInt(b, int64(id&0x7fffffff))
	}
	claim := make([]byte, wire.ClaimSize)
	wire.PutClaim(claim, id, in.tokens[id])
	return wire.AppendBytes(b, claim)
}

// message is a well-formed message about a request.
func (in *intruder) message(id uint32) []byte {
	id = max(id&0x7fffffff, 1)
	part := strings.Repeat("x", int(in.next())*100)
	switch kind := wire.ReplyKind(in.next() % 17); kind {
	case wire.ReplyResponse, wire.ReplyStart:
		b := appendHead(in.named(kind, 5, id), []string{"200 OK", "204 No Content", "no status", "500 X"}[in.next()%4],
			[]header{{"X-A", "b"}, {"Content-Length", fmt.Sprint(in.next())}}[:in.next()%3])
		return wire.AppendBytes(b, []byte(part))
	case wire.ReplyChunk:
		return wire.AppendBytes(in.named(kind, 3, id), []byte(part))
	case wire.ReplyEnd, wire.ReplyError, wire.ReplyRefused, wire.ReplyLeave:
		return in.named(kind, 2, id)
	case wire.ReplyHints, wire.ReplyTrailers:
		b := append(in.named(kind, 3, id), '[')
		return binary.LittleEndian.AppendUint32(b, 0)
	case wire.ReplyExtend, wire.ReplyCredit:
		return wire.AppendInt(in.named(kind, 3, id), int64(in.next())<<(in.next()%56))
	case wire.ReplyFail:
		return wire.AppendInt(in.named(kind, 3, id), 400+int64(in.next()))
	case wire.ReplyAccept:
		b := append(wire.AppendLatin1(in.named(kind, 4, id), []byte("p")), '[')
		return binary.LittleEndian.AppendUint32(b, 0)
	case wire.ReplyMessage:
		b := wire.AppendBytes(wire.AppendInt(in.named(kind, 5, id), int64(in.next()%2)), []byte(part))
		return wire.AppendInt(b, int64(in.next()%2))
	case wire.ReplyClose:
		return wire.AppendBytes(wire.AppendInt(in.named(kind, 4, id), 1000+int64(in.next())), []byte("bye"))
	case wire.ReplyFile:
		b := appendHead(in.named(kind, 6, id), "200 OK", nil)
		return wire.AppendInt(wire.AppendInt(b, int64(in.next())), int64(in.next())-1)
	default:
		return wire.AppendInt(wire.AppendInt(in.named(wire.ReplyPart, 4, id), int64(in.next())), int64(in.next())-1)
	}
}

// sayFile sends a message with a descriptor.
func (in *intruder) sayFile(slot int) {
	path := []string{os.Args[0], "/dev/zero", "/", "/proc/self/maps"}[in.next()%4]
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	in.say(slot, in.message(in.id()), f)
}

func (in *intruder) say(slot int, msg []byte, file *os.File) {
	var oob []byte
	if file != nil {
		oob = unix.UnixRights(int(file.Fd()))
	}
	_ = unix.Sendmsg(int(in.w.slots[slot].Fd()), msg, oob, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
}
