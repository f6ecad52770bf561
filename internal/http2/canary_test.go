package http2

import (
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// TestCanaryHpack holds what this package counts on in hpack: fields come out one by one while
// they are written, a table of 4096 bytes remembers them, and a string beyond the limit is an
// error.
func TestCanaryHpack(t *testing.T) {
	const maxText = 1000
	var fields []string
	d := hpack.NewDecoder(tableSize, func(f hpack.HeaderField) { fields = append(fields, f.Name+"="+f.Value) })
	d.SetMaxStringLength(maxText)
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
	must(t, enc.WriteField(hpack.HeaderField{Name: "x-long", Value: strings.Repeat("~", maxText+1), Sensitive: true}))
	if _, err := d.Write([]byte(b.String())); err == nil {
		t.Error("a string beyond the limit is no error")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
