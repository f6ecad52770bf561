package codewatch

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkLook is what each request costs with reload, in an app of a thousand
// modules.
func BenchmarkLook(b *testing.B) {
	dir := b.TempDir()
	f := newFiles(nil, nil)
	var paths []string
	for n := range 1000 {
		paths = append(paths, write(b, dir, fmt.Sprintf("p%d/m%d.py", n%50, n), ""))
	}
	f.add(paths, time.Now().Add(time.Hour), time.Now())
	for b.Loop() {
		if changes := f.look(); len(changes) > 0 {
			b.Fatal(changes)
		}
	}
}
