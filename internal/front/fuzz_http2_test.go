package front

import (
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"indrik/internal/http2/http2test"
)

// maxHTTP2Script is how many frames of a script a client sends.
const maxHTTP2Script = 100

// FuzzHTTP2 has a client send frames, valid ones and others, and then leave, or read until the
// server ends the connection. The front lives, serves others, and what it held for the client is
// free: the connection, its requests, and every byte.
func FuzzHTTP2(f *testing.F) {
	source := rand.NewChaCha8([32]byte{2})
	for n := range byte(120) {
		b := make([]byte, 2+5*int(n))
		source.Read(b)
		b[0] = n
		f.Add(b)
	}
	rigs := map[byte]*fuzzRig{}
	f.Cleanup(func() {
		for _, r := range rigs {
			r.close()
		}
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		kind := b[0] % 2
		if rigs[kind] == nil {
			rigs[kind] = newFuzzRig(f, kind)
		}
		rigs[kind].attack(t, b[0]>>1, b[1:])
	})
}

// attack has a client send a script.
func (r *fuzzRig) attack(t *testing.T, way byte, b []byte) {
	nc, err := net.Dial("tcp", r.addr)
	must(t, err)
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(clientPatience))
	read := make(chan struct{})
	go func() {
		defer close(read)
		if way%4 != 0 { // else it is deaf
			io.Copy(io.Discard, nc) //nolint:errcheck // it ends as it does
		}
	}()
	out := append([]byte(http2.ClientPreface), http2test.Frame(http2.FrameSettings, 0, 0)...)
	s := http2test.New(b)
	for range maxHTTP2Script {
		frame := s.Frame()
		if frame == nil {
			break
		}
		out = append(out, frame...)
	}
	piece := len(out)
	if way%8 == 1 {
		piece = 1 + int(way)
	}
	for len(out) > 0 {
		n, err := nc.Write(out[:min(piece, len(out))])
		if err != nil {
			break // the server has had enough
		}
		out = out[n:]
	}
	if way%2 == 0 {
		nc.(*net.TCPConn).SetLinger(0) //nolint:errcheck // it is closed anyway
	} else {
		nc.(*net.TCPConn).CloseWrite() //nolint:errcheck // as above
		<-read
	}
	nc.Close()
	<-read
	eventually(t, "the connection is gone", func() bool { return len(r.s.all()) == 0 })
	eventually(t, "its requests are", func() bool { return r.inFlight()+r.waiting() == 0 })
	eventually(t, "nothing is held for it", func() bool { return r.s.account.Held() == 0 })
	if wrong := r.ask(nil, "/after", false); wrong != "" {
		t.Error(wrong)
	}
	if log := r.log.String(); strings.Contains(log, "panic") {
		t.Fatal(log)
	}
	eventually(t, "the one who asked is gone", func() bool { return len(r.s.all()) == 0 })
}
