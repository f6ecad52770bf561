package appmetrics

import (
	"fmt"
	"strconv"
	"testing"
)

// A scrape of eight workers with 500 values each, and the same of one with 10 000.
func BenchmarkMerge(b *testing.B) {
	for _, c := range []struct{ workers, keys int }{{8, 500}, {1, 10_000}} {
		var entries []entry
		for i := range c.keys {
			entries = append(entries, value(fmt.Sprintf(`["http_requests", "http_requests_total", {"code": "200", "handler": "/path/%d", "method": "GET"}, "How many requests there were."]`, i), 1))
		}
		data := used(entries...)
		b.Run(fmt.Sprintf("%dx%d", c.workers, c.keys), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m := NewMerger(func(string) {})
				for p := range c.workers {
					if err := m.Add(Name{Type: Counter, Process: strconv.Itoa(p)}, data); err != nil {
						b.Fatal(err)
					}
				}
				if len(m.Families()[0].Series) != c.keys {
					b.Fatal("series are missing")
				}
			}
		})
	}
}
