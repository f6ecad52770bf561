package master

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	var b backoff
	now := time.Now()
	want := []time.Duration{0, 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000, 10000}
	for i, ms := range want {
		if got := b.died(now); got != ms*time.Millisecond {
			t.Errorf("pause %d is %s, want %d ms", i, got, ms)
		}
	}
	if got := b.wait(now.Add(4 * time.Second)); got != 6*time.Second {
		t.Errorf("after 4 s %s are left, want 6 s", got)
	}
	if got := b.wait(now.Add(time.Minute)); got != 0 {
		t.Errorf("after a minute %s are left", got)
	}
	b.lived()
	if got := b.died(now); got != 0 {
		t.Errorf("the first pause after a good life is %s", got)
	}
}
