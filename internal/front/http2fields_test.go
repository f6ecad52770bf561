package front

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Requests with fields that belong to a connection of HTTP/1 are malformed; all
// others, also those after one, reach the reader as they were sent.
func TestFieldWatch(t *testing.T) {
	type fields [][2]string
	get := fields{{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "test"}, {"x-again", "and again"}}
	for name, c := range map[string]struct {
		more fields
		bad  bool
	}{
		"nothing more":      {nil, false},
		"trailers are fine": {fields{{"te", "trailers"}}, false},
		"another te":        {fields{{"te", "trailers, deflate"}}, true},
		"connection":        {fields{{"connection", "keep-alive"}}, true},
		"keep-alive":        {fields{{"keep-alive", "1"}}, true},
		"proxy-connection":  {fields{{"proxy-connection", "x"}}, true},
		"transfer-encoding": {fields{{"transfer-encoding", "chunked"}}, true},
		"upgrade":           {fields{{"upgrade", "h2c"}}, true},
		"space before":      {fields{{"x", " y"}}, true},
		"tab behind":        {fields{{"x", "y\t"}}, true},
		"nothing but space": {fields{{"x", " "}}, true},
		"space within":      {fields{{"x", "y z"}, {"x", ""}}, false},
		"length of nothing": {fields{{"content-length", "0"}}, false},
		"length of a body":  {fields{{"content-length", "5"}}, true},
		"two lengths":       {fields{{"content-length", "0"}, {"content-length", "05"}}, true},
	} {
		// The first stream fills the table, the second has the fields, in three
		// frames with padding and a priority, the third uses the table.
		var block bytes.Buffer
		encoder := hpack.NewEncoder(&block)
		encoded := func(f fields) []byte {
			block.Reset()
			for _, f := range f {
				encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
			}
			return bytes.Clone(block.Bytes())
		}
		input := written(func(f *http2.Framer) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: encoded(get), EndStream: true, EndHeaders: true})
			b := encoded(append(get, c.more...))
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: b[:1], EndStream: true, PadLength: 7,
				Priority: http2.PriorityParam{StreamDep: 1, Weight: 4}})
			f.WriteContinuation(3, false, b[1:2])
			f.WriteContinuation(3, true, b[2:])
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: 5, BlockFragment: encoded(get), EndHeaders: true, PadLength: 3})
		})
		for _, most := range []int{1, 5, len(input)} {
			got, err := filtered(input, most)
			must(t, err)
			if !c.bad && !bytes.Equal(got, input) {
				t.Errorf("%s: %q became %q", name, input, got)
			}
			reader := http2.NewFramer(nil, bytes.NewReader(got[len(http2Preface):]))
			reader.ReadMetaHeaders = hpack.NewDecoder(fieldTable, nil)
			for _, id := range []uint32{1, 3, 5} {
				f, err := reader.ReadFrame()
				if c.bad && id == 3 {
					if e := (http2.StreamError{}); !errors.As(err, &e) || e.Code != http2.ErrCodeProtocol || e.StreamID != id {
						t.Errorf("%s: stream %d: %v, %v", name, id, f, err)
					}
				} else if h, ok := f.(*http2.MetaHeadersFrame); !ok || h.StreamID != id || h.RegularFields()[0].Value != "and again" {
					t.Errorf("%s: stream %d: %v, %v", name, id, f, err)
				}
			}
		}
	}
}

// What cannot be read passes, for net/http to find the mistake.
func TestFieldWatchOfGarbage(t *testing.T) {
	input := written(func(f *http2.Framer) {
		f.WriteRawFrame(http2.FrameHeaders, http2.FlagHeadersPadded, 1, nil)
		f.WriteRawFrame(http2.FrameHeaders, http2.FlagHeadersPriority, 1, []byte{1, 2})
		f.WriteRawFrame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 1, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
		f.WriteRawFrame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 3, make([]byte, maxWatched+1))
		f.WriteRawFrame(http2.FrameContinuation, 0, 3, nil)
	})
	for _, most := range []int{1, 1000, len(input)} {
		if got, err := filtered(input, most); err != nil || !bytes.Equal(got, input) {
			t.Errorf("%d bytes became %d, %v", len(input), len(got), err)
		}
	}
}
