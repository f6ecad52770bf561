package front

import (
	"testing"
	"time"
)

// The forms of X-Request-Start that proxies write, and what is none of them.
func TestRequestStart(t *testing.T) {
	want := time.UnixMilli(1_700_000_000_123)
	for _, text := range []string{
		"t=1700000000.123", "1700000000.123", "1700000000123", "t=1700000000123", "t=1700000000123000", "1700000000123000000",
		"D=45 t=1700000000123000", "t=1700000000123000 D=45", "t=1700000000.123, other", "1700000000123.000",
	} {
		if got, ok := parseRequestStart([]byte(text)); !ok || !got.Equal(want) {
			t.Errorf("%q: %v, %v", text, got, ok)
		}
	}
	for _, text := range []string{
		"", "t=", "now", "-1700000000", "t=-1700000000", "+1700000000", "17", "0", "946684799", "9000000000", "1e9", "1700000000.12x",
		"99999999999999999999", "1700000000.1234567890", "1700000000..1", "t=t=1700000000", "１７００００００００",
	} {
		if got, ok := parseRequestStart([]byte(text)); ok {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

func FuzzRequestStart(f *testing.F) {
	for _, text := range []string{"t=1700000000.123", "1700000000123", "D=45 t=1700000000123000", "1700000000123000000", "x"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if at, ok := parseRequestStart(text); ok && (at.Unix() < earliestStart || at.Unix() > latestStart) {
			t.Errorf("%q: %v", text, at)
		}
	})
}
