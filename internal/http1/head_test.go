package http1

import (
	"strings"
	"testing"
)

// The head as a whole has a bound, whatever its parts may be, and however it comes.
func TestLimitRequestHead(t *testing.T) {
	const limit = 1000
	field := "A: " + strings.Repeat("x", 95) + "\r\n" // 100 bytes
	line := "GET / HTTP/1.1\r\n"                      // 16
	head := func(size int) string {
		s := line + strings.Repeat(field, (size-len(line)-2)/len(field)-1)
		return s + "B: " + strings.Repeat("y", size-len(s)-len("B: \r\n\r\n")) + "\r\n\r\n"
	}
	for _, c := range []struct {
		name, input string
		size        int // 0: refused, −1: more is needed
	}{
		{"at the limit", head(limit), limit},
		{"at the limit, with a body", head(limit) + strings.Repeat("x", 3*limit), limit},
		{"beyond it", head(limit + 1), 0},
		{"far beyond it", head(3 * limit), 0},
		{"without an end", line + strings.Repeat(field, 10), 0},
		{"without an end, and not there yet", line + strings.Repeat(field, 9), -1},
		{"one line", "GET /" + strings.Repeat("x", limit), 0},
		{"small, before many others", strings.Repeat(head(300), 20), 300},
	} {
		cfg := permissive()
		cfg.LimitRequestHead = limit
		_, n, err := parseAll(t, &cfg, c.input)
		switch {
		case c.size > 0 && (n != c.size || err != nil), c.size < 0 && (n != 0 || err != nil):
			t.Errorf("%s: %d, %v", c.name, n, err)
		case c.size == 0:
			if e := asError(err); e.Status != 431 || e.Text != "limit request head size" {
				t.Errorf("%s: %d, %v", c.name, n, err)
			}
		}
		cfg.LimitRequestHead = 0
		if _, n, err := parseAll(t, &cfg, c.input); err != nil || n == 0 && c.size > 0 {
			t.Errorf("%s, no limit: %d, %v", c.name, n, err)
		}
	}
}

func TestMaxHead(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want int
	}{
		{DefaultConfig(), 32 << 10},
		{Config{LimitRequestLine: 100, LimitRequestFields: 2, LimitRequestFieldSize: 50, LimitRequestHead: 1 << 20}, 204},
		{Config{LimitRequestLine: 100, LimitRequestFields: 2, LimitRequestFieldSize: 50}, 204},
	} {
		if got := c.cfg.MaxHead(); got != c.want {
			t.Errorf("%+v: %d, want %d", c.cfg, got, c.want)
		}
	}
}
