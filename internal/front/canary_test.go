package front

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestCanaryNetHTTP holds what the front counts on in the HTTP/2 of net/http, and what no
// documentation promises: it announces no other size of the table of fields, and it resets
// a stream with a field in upper case instead of answering it.
func TestCanaryNetHTTP(t *testing.T) {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Protocols: &protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.URL.Path)
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	go server.Serve(l)
	defer server.Close()
	nc, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	defer nc.Close()
	_, err = io.WriteString(nc, http2Preface)
	must(t, err)
	f := http2.NewFramer(nc, nc)
	must(t, f.WriteSettings())
	var head strings.Builder
	enc := hpack.NewEncoder(&head)
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":path", "/canary"}, {":authority", "a"}} {
		must(t, enc.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}))
	}
	good := []byte(head.String())
	must(t, f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: append(good[:len(good):len(good)], noSuchField...), EndStream: true, EndHeaders: true}))
	reset := false
	for !reset {
		frame, err := f.ReadFrame()
		must(t, err)
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if n, ok := frame.Value(http2.SettingHeaderTableSize); ok && n != fieldTable {
				t.Errorf("net/http announces a table of %d bytes, and the front looks at fields with one of %d", n, fieldTable)
			}
		case *http2.RSTStreamFrame:
			if reset = true; frame.StreamID != 1 || frame.ErrCode != http2.ErrCodeProtocol {
				t.Errorf("stream %d ends with %s", frame.StreamID, frame.ErrCode)
			}
		case *http2.HeadersFrame:
			t.Fatal("a request with a field in upper case is answered")
		}
	}
}

// TestCanaryHpack holds what the front counts on in hpack: fields come out one by one while
// they are written, a table of 4096 bytes remembers them, and a string beyond the limit is an
// error.
func TestCanaryHpack(t *testing.T) {
	var fields []string
	d := hpack.NewDecoder(fieldTable, func(f hpack.HeaderField) { fields = append(fields, f.Name+"="+f.Value) })
	d.SetMaxStringLength(maxWatched)
	var b strings.Builder
	enc := hpack.NewEncoder(&b)
	must(t, enc.WriteField(hpack.HeaderField{Name: "x-one", Value: "1"}))
	first := b.Len()
	must(t, enc.WriteField(hpack.HeaderField{Name: "x-one", Value: "1"}))
	if again := b.Len() - first; again != 1 {
		t.Errorf("a field that the table has takes %d bytes", again)
	}
	_, err := d.Write([]byte(b.String()[:first]))
	must(t, err)
	if len(fields) != 1 {
		t.Errorf("after one field: %q", fields)
	}
	_, err = d.Write([]byte(b.String()[first:]))
	must(t, err)
	must(t, d.Close())
	if got := strings.Join(fields, " "); got != "x-one=1 x-one=1" {
		t.Errorf("fields %q", got)
	}
	b.Reset()
	must(t, enc.WriteField(hpack.HeaderField{Name: "x-long", Value: strings.Repeat("~", maxWatched+1), Sensitive: true}))
	if _, err := d.Write([]byte(b.String())); err == nil {
		t.Error("a string beyond the limit is no error")
	}
}
